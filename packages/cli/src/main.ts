import { Command, CommanderError } from 'commander'
import { errorMessage } from '@aquifer/runtime/errors'
import { askCommand } from './commands/ask.ts'
import { dlqCommand } from './commands/dlq.ts'
import { keysCommand } from './commands/keys.ts'
import { modelCommand } from './commands/model.ts'
import { publishCommand } from './commands/publish.ts'
import { startCommand } from './commands/start.ts'
import { statusCommand } from './commands/status.ts'

const program = new Command('aquifer')
  .description('Event-streaming RAG: documents in, cited and scored answers out.')
  .showHelpAfterError('(aquifer --help lists the commands)')
  .exitOverride()

for (const command of [
  startCommand,
  publishCommand,
  askCommand,
  statusCommand,
  dlqCommand,
  keysCommand,
  modelCommand,
]) {
  program.addCommand(command().exitOverride())
}

try {
  await program.parseAsync()
} catch (error) {
  if (error instanceof CommanderError) {
    // Asking for help is no mistake.
    process.exitCode = error.exitCode === 0 ? 0 : 2
  } else {
    console.error(`aquifer: ${errorMessage(error)}`)
    process.exitCode = 1
  }
}
