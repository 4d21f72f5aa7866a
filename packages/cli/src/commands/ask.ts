import { Command } from 'commander'
import { addClientOptions, call } from '../client.ts'
import type { ClientOptions } from '../client.ts'

interface Completion {
  readonly choices: readonly { message: { content: string } }[]
  readonly aquifer: {
    readonly groundedness: number | null
    readonly citations: readonly { marker: string; documentId: string; page: number | null; quote: string }[]
  }
}

export function askCommand(): Command {
  return addClientOptions(new Command('ask'))
    .description('Ask a question of the indexed documents')
    .argument('<question...>')
    .addHelpText('after', '\nExample:\n  aquifer ask "What is a floor?"')
    .action(async (words: string[], options: ClientOptions & { json?: boolean }) => {
      const response = await call(options, '/v1/chat/completions', {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ messages: [{ role: 'user', content: words.join(' ') }] }),
      })
      const completion = (await response.json()) as Completion
      if (options.json) return console.log(JSON.stringify(completion))
      const { citations, groundedness } = completion.aquifer
      console.log(completion.choices[0]!.message.content)
      if (citations.length > 0) console.log('')
      for (const { marker, documentId, page, quote } of citations) {
        console.log(
          `${marker} ${documentId}${page === null ? '' : `, page ${page}`}: “${quote.replaceAll(/\s+/g, ' ')}”`,
        )
      }
      if (groundedness !== null) console.log(`groundedness ${groundedness.toFixed(2)}`)
    })
}
