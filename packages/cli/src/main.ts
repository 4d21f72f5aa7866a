import { Command, CommanderError } from 'commander'
import { errorMessage } from '@aquifer/runtime/errors'
import { askCommand } from './commands/ask.ts'
import { completionCommand } from './commands/completion.ts'
import { dlqCommand } from './commands/dlq.ts'
import { evalCommand } from './commands/eval.ts'
import { keysCommand } from './commands/keys.ts'
import { modelCommand } from './commands/model.ts'
import { publishCommand } from './commands/publish.ts'
import { startCommand } from './commands/start.ts'
import { statusCommand } from './commands/status.ts'
import { printableText } from './terminal.ts'

const program = new Command('aquifer')
  .description('Event-streaming RAG: documents in, cited and scored answers out.')
  .addHelpText(
    'after',
    `
All but start, keys and model talk to a running Aquifer: AQUIFER_URL, AQUIFER_API_KEY.
Exit codes: 0 done, 1 failed, 2 wrong usage.

Examples:
  aquifer start
  aquifer publish docs/ --wait
  aquifer ask "What is a floor?"`,
  )

for (const command of [
  startCommand,
  publishCommand,
  askCommand,
  statusCommand,
  evalCommand,
  dlqCommand,
  keysCommand,
  modelCommand,
]) {
  program.addCommand(command())
}
program.addCommand(completionCommand(program))
throwInstead(program)

/** A mistake is thrown with its exit code, and points to the help of its command. */
function throwInstead(command: Command): void {
  command.exitOverride().showHelpAfterError('(--help says how it is used)')
  command.commands.forEach(throwInstead)
}

// Whoever reads may stop reading, as head does.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})

try {
  await program.parseAsync()
} catch (error) {
  if (error instanceof CommanderError) {
    // Asking for help is no mistake.
    process.exitCode = error.exitCode === 0 ? 0 : 2
  } else {
    console.error(`aquifer: ${printableText(errorMessage(error))}`)
    process.exitCode = 1
  }
}
