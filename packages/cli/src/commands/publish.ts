import { readdir, readFile, stat } from 'node:fs/promises'
import { basename, extname, join, relative, sep } from 'node:path'
import { Command } from 'commander'
import { mapLimited } from '@aquifer/runtime/concurrency'
import { errorMessage, invalid } from '@aquifer/runtime/errors'
import { addClientOptions, call } from '../client.ts'
import type { ClientOptions } from '../client.ts'
import { mediaTypeOf } from '../media-types.ts'

const CONCURRENCY = 4

export function publishCommand(): Command {
  return addClientOptions(new Command('publish'))
    .description('Publish files, or all files below a folder')
    .argument('<paths...>')
    .option('--access <groups>', 'groups that may read them, comma-separated')
    .addHelpText('after', '\nExample:\n  aquifer publish docs/ notes.md')
    .action(async (paths: string[], options: ClientOptions & { access?: string; json?: boolean }) => {
      const files = (await Promise.all(paths.map(filesBelow))).flat()
      if (files.length === 0) throw invalid('nothing_to_publish', `there is no file in ${paths.join(', ')}`)
      const results = await mapLimited(
        files,
        CONCURRENCY,
        async (file) => await publishFile(options, file, options.access),
      )
      for (const result of results) {
        if (options.json) console.log(JSON.stringify(result))
        else console.log('error' in result ? `failed  ${result.id}: ${result.error}` : `queued  ${result.id}`)
      }
      if (results.some((result) => 'error' in result)) process.exitCode = 1
    })
}

interface File {
  readonly path: string
  readonly id: string
}

async function filesBelow(path: string): Promise<File[]> {
  if ((await stat(path)).isFile()) return [{ path, id: basename(path) }]
  const entries = await readdir(path, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((file) => ({ path: file, id: relative(path, file).split(sep).join('/') }))
}

async function publishFile(
  client: ClientOptions,
  { path, id }: File,
  access: string | undefined,
): Promise<{ id: string; receipt: string } | { id: string; error: string }> {
  try {
    const response = await call(client, `/v1/documents/${encodeURIComponent(id)}`, {
      method: 'PUT',
      headers: {
        'Content-Type': mediaTypeOf(extname(path)),
        'X-Filename': `UTF-8''${encodeURIComponent(basename(path))}`,
        ...(access === undefined ? {} : { 'Aquifer-Access': `UTF-8''${encodeURIComponent(access)}` }),
      },
      body: new Uint8Array(await readFile(path)),
    })
    return (await response.json()) as { id: string; receipt: string }
  } catch (error) {
    return { id, error: errorMessage(error) }
  }
}
