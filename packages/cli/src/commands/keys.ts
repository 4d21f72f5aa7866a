import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { rename, writeFile } from 'node:fs/promises'
import { Command } from 'commander'
import { apiKey, hashKey, readKeys } from '@aquifer/runtime/auth'
import type { ApiKey } from '@aquifer/runtime/auth'
import { readConfig } from '@aquifer/runtime/config'
import { invalid } from '@aquifer/runtime/errors'

/** A key is told by the first characters of its hash; the key itself is shown once and kept nowhere. */
const NAME_LENGTH = 12

export function keysCommand(): Command {
  const keys = new Command('keys')
    .description('API keys: the file that AQUIFER_API_KEYS names')
    .addHelpText(
      'after',
      '\nExamples:\n  export AQUIFER_API_KEYS=keys.jsonl\n  aquifer keys add --tenant acme --groups staff\n  aquifer keys list',
    )
  keys
    .command('add')
    .description('Make a key and print it, once')
    .requiredOption('--tenant <name>', 'the tenant it belongs to')
    .option('--groups <names>', 'groups that it reads with, comma-separated', '')
    .option('--roles <names>', 'admin, reader, operator; comma-separated', '')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  aquifer keys add --tenant acme --groups staff,board\n  aquifer keys add --tenant acme --roles admin,operator',
    )
    .action(
      async ({
        tenant,
        groups,
        roles,
        json,
      }: {
        tenant: string
        groups: string
        roles: string
        json?: boolean
      }) => {
        const key = `aq_${randomBytes(24).toString('base64url')}`
        const parsed = apiKey.safeParse({
          sha256: hashKey(key),
          tenant,
          groups: split(groups),
          roles: split(roles),
        })
        if (!parsed.success)
          throw invalid('invalid_key', `--tenant ${tenant}: lower-case letters, digits, _ and -, at most 63`)
        const path = keysFile()
        await save(path, [...(existsSync(path) ? readKeys(path) : []), parsed.data])
        console.log(json ? JSON.stringify({ key, ...parsed.data }) : key)
      },
    )
  keys
    .command('list')
    .description('Hash, tenant, groups and roles of each key')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  aquifer keys list')
    .action(({ json }: { json?: boolean }) => {
      for (const key of readKeys(keysFile())) {
        const line = `${key.sha256.slice(0, NAME_LENGTH)}  ${key.tenant}  groups=${key.groups.join(',') || '-'}  roles=${key.roles.join(',') || '-'}`
        console.log(json ? JSON.stringify(key) : line)
      }
    })
  keys
    .command('revoke')
    .description('Take a key out; it counts from the next request on')
    .argument('<hash>', 'the first characters of its hash, as list shows them')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  aquifer keys revoke 3f1c9a0be55d')
    .action(async (hash: string, { json }: { json?: boolean }) => {
      const path = keysFile()
      const all = readKeys(path)
      const matching = all.filter(({ sha256 }) => sha256.startsWith(hash.toLowerCase()))
      if (matching.length !== 1)
        throw invalid('unknown_key', `${matching.length} keys begin with ${hash}; one is needed`)
      await save(
        path,
        all.filter((key) => key !== matching[0]),
      )
      const { sha256, tenant } = matching[0]!
      console.log(
        json ? JSON.stringify({ revoked: sha256, tenant }) : `revoked ${sha256.slice(0, NAME_LENGTH)}`,
      )
    })
  return keys
}

function keysFile(): string {
  const path = process.env['AQUIFER_API_KEYS'] ?? readConfig(process.env, process.cwd()).apiKeys
  if (path === undefined)
    throw invalid('invalid_config', 'AQUIFER_API_KEYS is not set: name the file that holds the keys')
  return path
}

function split(names: string): string[] {
  return names
    .split(',')
    .map((name) => name.trim())
    .filter(Boolean)
}

async function save(path: string, keys: readonly ApiKey[]): Promise<void> {
  await writeFile(`${path}.new`, keys.map((key) => `${JSON.stringify(key)}\n`).join(''), { mode: 0o600 })
  await rename(`${path}.new`, path)
}
