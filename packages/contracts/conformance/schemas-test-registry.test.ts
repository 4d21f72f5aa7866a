import { afterAll, expect, test } from 'vitest'
import { createCodec, schemaVersions } from '@aquifer/contracts/avro'
import { openSchemas } from '@aquifer/contracts/schemas'
import { systemClock } from '@aquifer/runtime/clock'
import { openGate } from './gate.ts'
import { document, register, schemasConformance, written } from './schemas.ts'
import { startTestRegistry } from './test-registry.ts'

const registry = await startTestRegistry()
afterAll(registry.stop)
schemasConformance('a registry server for tests, after Confluent’s documented API', registry.url)

test('schemas: of many foreign ones the least recently used is asked for again', async () => {
  const gate = await openGate(registry.url)
  const codec = (await openSchemas({ url: gate.url, clock: systemClock, random: () => 0 })).codec('documents')
  const { fields } = schemaVersions('documents').at(-1)!.schema as unknown as { fields: object[] }
  const values: Buffer[] = []
  for (let i = 0; i < 258; i++) {
    const more = { name: `more${i}`, type: 'int', default: 0 }
    const schema = { type: 'record', name: 'Document', fields: [...fields, more] }
    values.push(
      written(await register(registry.url, `many-${i}`, schema), schema, { ...document, [more.name]: i }),
    )
  }
  gate.asked.length = 0
  for (const value of values) expect(await codec.decode(value)).toMatchObject(document)
  expect(gate.asked).toHaveLength(258)
  await codec.decode(values.at(-1)!)
  expect(gate.asked).toHaveLength(258)
  await codec.decode(values[0]!)
  expect(gate.asked).toHaveLength(259)
  await gate.close()
})

test('schemas: a field that is named as a member of every object is no reason to misread the others', async () => {
  const codec = (await openSchemas({ url: registry.url, clock: systemClock, random: () => 0 })).codec(
    'documents',
  )
  const { fields } = schemaVersions('documents').at(-1)!.schema as unknown as { fields: object[] }
  const schema = {
    type: 'record',
    name: 'Document',
    fields: [{ name: 'toString', type: 'string' }, ...fields],
  }
  const id = await register(registry.url, 'members', schema)
  const bytes = createCodec('documents').encode(document)
  bytes.writeUInt32BE(id, 1)
  const value = Buffer.concat([bytes.subarray(0, 5), Buffer.from([2, 0x78]), bytes.subarray(5)])
  await expect(async () => await codec.decode(value)).rejects.toMatchObject({ code: 'incompatible_schema' })
})
