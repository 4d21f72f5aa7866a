import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { Command, InvalidArgumentError } from 'commander'
import { mapLimited } from '@aquifer/runtime/concurrency'
import { errorMessage, invalid } from '@aquifer/runtime/errors'
import { addClientOptions, callJson } from '../client.ts'
import type { ClientOptions } from '../client.ts'
import { createProgress } from '../progress.ts'
import { cut, oneLine, table } from '../terminal.ts'

/** The evaluator computes on threads of the server; more at once only wait there. */
const CONCURRENCY = 2
const MAX_ANSWER = 60
/** As columns and as the names that the server gives. */
const SCORES = {
  GROUNDEDNESS: 'groundedness',
  RELEVANCE: 'answerRelevance',
  PRECISION: 'contextPrecision',
  RECALL: 'contextRecall',
} as const

interface Input {
  readonly question?: string
  readonly answer: string
  readonly contexts: readonly string[]
  readonly reference?: string
}
interface Scored {
  readonly scores: Readonly<Record<string, number>>
  readonly grounded: boolean
}
type Result = { readonly line: number; readonly answer: string } & (Scored | { readonly error: string })
type Options = ClientOptions & {
  readonly answer?: string
  readonly context: readonly string[]
  readonly question?: string
  readonly reference?: string
  readonly minGrounded?: number
}

export function evalCommand(): Command {
  const command = new Command('eval')
    .description('Evaluation of answers')
    .addHelpText('after', '\nExample:\n  aquifer eval score answers.jsonl')
  command.addCommand(scoreCommand())
  return command
}

function scoreCommand(): Command {
  return addClientOptions(new Command('score'))
    .description('Score answers against the contexts they should rest on')
    .argument('[file]', 'JSON lines of {question?, answer, contexts, reference?}; - is stdin')
    .option('--answer <text>', 'one answer, instead of a file')
    .option(
      '--context <text>',
      'what it should rest on, repeatable',
      (text, all: string[]) => [...all, text],
      [],
    )
    .option('--question <text>', 'what was asked: lets its relevance be scored')
    .option('--reference <text>', 'a good answer: lets the recall of the contexts be scored')
    .option('--min-grounded <share>', 'exit with 1 where a smaller share of the answers is grounded', toShare)
    .addHelpText(
      'after',
      `
Scores go from 0 to 1. The last lines are the means and the share of answers that are grounded.

Examples:
  aquifer eval score answers.jsonl
  aquifer eval score answers.jsonl --min-grounded 0.95 --json > scores.jsonl
  aquifer eval score --answer "Wells fell dry." --context "In 2020 all wells of the valley fell dry."`,
    )
    .action(async (file: string | undefined, options: Options, command: Command) => {
      if ((file === undefined) === (options.answer === undefined))
        command.error('error: name a file of answers, or give one with --answer')
      const inputs: readonly (Input | string)[] =
        file === undefined ? [ofOptions(options)] : await readInputs(file)
      const progress = createProgress({ label: 'scoring', total: inputs.length })
      const results = await mapLimited(inputs, CONCURRENCY, async (input, index) => {
        const result = await score(options, input, index + 1)
        progress.advance()
        return result
      })
      progress.end()
      tell(results, options)
    })
}

function ofOptions({ answer = '', context, question, reference }: Options): Input {
  return {
    answer,
    contexts: context,
    ...(question === undefined ? {} : { question }),
    ...(reference === undefined ? {} : { reference }),
  }
}

async function readInputs(file: string): Promise<string[]> {
  const content = file === '-' ? await text(process.stdin) : await readFile(file, 'utf8')
  const lines = content.split('\n').filter((line) => line.trim() !== '')
  if (lines.length === 0) throw invalid('nothing_to_score', `${file} is empty`)
  return lines
}

/** A line at fault stops no other. */
async function score(client: ClientOptions, input: Input | string, line: number): Promise<Result> {
  let answer = ''
  try {
    const body = typeof input === 'string' ? (JSON.parse(input) as Input) : input
    answer = body.answer
    return { line, answer, ...(await callJson<Scored>(client, '/v1/evaluate', { method: 'POST', body })) }
  } catch (error) {
    return { line, answer, error: errorMessage(error) }
  }
}

function tell(results: readonly Result[], { json, minGrounded }: Options): void {
  const scored = results.filter((result) => 'scores' in result)
  const means = Object.fromEntries(
    Object.values(SCORES).flatMap((name) => {
      const values = scored.flatMap(({ scores }) => scores[name] ?? [])
      return values.length > 0 ? [[name, values.reduce((sum, value) => sum + value, 0) / values.length]] : []
    }),
  )
  const grounded = scored.filter((result) => result.grounded).length
  const groundedShare = scored.length > 0 ? grounded / scored.length : 0
  const failed = results.length - scored.length
  if (json) {
    for (const result of results) console.log(JSON.stringify(result))
    console.log(JSON.stringify({ summary: { answers: scored.length, failed, groundedShare, means } }))
  } else {
    const cells = (scores: Readonly<Record<string, number>>): string[] =>
      Object.values(SCORES).map((name) => scores[name]?.toFixed(2) ?? '-')
    console.log(
      table([
        ['LINE', 'GROUNDED', ...Object.keys(SCORES), 'ANSWER'],
        ...results.map((result) =>
          'error' in result
            ? [String(result.line), 'failed', '-', '-', '-', '-', oneLine(result.error)]
            : [
                String(result.line),
                result.grounded ? 'yes' : 'no',
                ...cells(result.scores),
                cut(oneLine(result.answer), MAX_ANSWER),
              ],
        ),
        ['mean', '', ...cells(means), ''],
      ]),
    )
    console.log(`grounded ${grounded} of ${scored.length} (${(groundedShare * 100).toFixed(0)} %)`)
  }
  if (failed > 0 || groundedShare < (minGrounded ?? 0)) process.exitCode = 1
}

function toShare(given: string): number {
  const share = Number(given)
  if (given.trim() === '' || !(share >= 0 && share <= 1)) throw new InvalidArgumentError('expected 0 to 1.')
  return share
}
