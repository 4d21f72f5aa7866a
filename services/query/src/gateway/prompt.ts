import { readFileSync } from 'node:fs'
import { parse } from 'yaml'
import { z } from 'zod'
import { ABSTENTION } from '@aquifer/models/generator'
import type { ChatMessage, EvidencePassage } from '@aquifer/models/generator'

const frontMatter = z.object({ name: z.string(), version: z.number().int(), description: z.string() })

export interface Prompt {
  /** Name and version, as it stands on the answer. */
  readonly id: string
  render(request: {
    question: string
    history: readonly ChatMessage[]
    evidence: readonly EvidencePassage[]
    mark: string
  }): ChatMessage[]
}

/** Loads a template of `prompts/`: front matter, a system part and a user part. */
export function loadPrompt(file: URL): Prompt {
  const [, head, body] = /^---\n(.*?)\n---\n(.*)$/s.exec(readFileSync(file, 'utf8')) ?? []
  const parts = /<!-- system -->\n(.*)<!-- user -->\n(.*)$/s.exec(body ?? '')
  if (!head || !parts)
    throw new Error(`${file.pathname} is not a prompt: front matter, <!-- system -->, <!-- user -->`)
  const { name, version } = frontMatter.parse(parse(head))
  const [, system, user] = parts as unknown as [string, string, string]

  return {
    id: `${name}@${version}`,
    render: ({ question, history, evidence, mark }) => {
      const fill = (template: string) =>
        template.replace(
          /\{\{(\w+)\}\}/g,
          (whole, field: string) =>
            ({ mark, question, evidence: delimit(evidence, mark), abstention: ABSTENTION })[field] ?? whole,
        )
      return [
        { role: 'system', content: fill(system).trim() },
        ...history,
        { role: 'user', content: fill(user).trim() },
      ]
    },
  }
}

/** Evidence as data between marks that no document can know. */
function delimit(evidence: readonly EvidencePassage[], mark: string): string {
  return evidence
    .map(({ marker, title, headings, text }) => {
      const path = [title, ...headings].filter(Boolean).join(' > ').replace(/\s+/gu, ' ')
      return `<<${mark} ${marker}\n${path ? `(${path})\n` : ''}${text}\n${mark}>>`
    })
    .join('\n\n')
}
