import avro from 'avsc'
import { errorMessage, invalid } from '@aquifer/runtime/errors'
import type { RegisteredSchema, SchemaRegistry } from './schema-registry.ts'

/** Schemas that one refers to, directly or not. */
const MAX_REFERENCES = 64

/**
 * The type of a schema of the registry, with those that it refers to. Throws the message's own fault: `unknown_schema` for an id
 * that the registry does not know, `incompatible_schema` for what is no Avro schema.
 */
export async function fetchType(registry: SchemaRegistry, subject: string, id: number): Promise<avro.Type> {
  const found = await registry.schema(id)
  if (!found) {
    throw invalid(
      'unknown_schema',
      `a value of ${subject} names the schema ${id}, which the schema registry does not know`,
    )
  }
  const names: Record<string, avro.Type> = {}
  const seen = new Set<string>()
  const unreadable = (why: string, cause?: unknown) =>
    invalid(
      'incompatible_schema',
      `a value of ${subject} names the schema ${id}, which does not read: ${why}`,
      400,
      cause,
    )

  /** What a schema refers to is read before it, so that its names are known. */
  async function read({ schema, schemaType, references }: RegisteredSchema): Promise<avro.Type> {
    if (schemaType && schemaType !== 'AVRO') throw unreadable(`it is ${schemaType}, not AVRO`)
    for (const reference of references ?? []) {
      const key = JSON.stringify([reference.subject, reference.version])
      if (seen.has(key)) continue
      seen.add(key)
      if (seen.size > MAX_REFERENCES) throw unreadable(`it refers to more than ${MAX_REFERENCES} others`)
      const referred = await registry.version(reference.subject, reference.version)
      if (!referred)
        throw unreadable(`it refers to ${reference.subject} version ${reference.version}, which is not there`)
      await read(referred)
    }
    try {
      // A writer's unions are only read through ours, so it does not matter how their values would look.
      return avro.Type.forSchema(parseSchema(schema), { registry: names, wrapUnions: 'auto' })
    } catch (cause) {
      throw unreadable(errorMessage(cause), cause)
    }
  }
  return await read(found)
}

/** Throws for names that avsc takes for those of every object, and then misreads what follows. */
function parseSchema(text: string): avro.Schema {
  return JSON.parse(text, (key, value: unknown) => {
    if (key === 'name' && typeof value === 'string' && value in {})
      throw new Error(`a field is named ${value}`)
    return value
  }) as avro.Schema
}

/** The first field of `ours` that cannot be had of `writer`; null where none is found. */
export function explainMismatch(ours: avro.Type, writer: avro.Type, path = ''): string | null {
  if (avro.Type.isType(ours, 'record') && avro.Type.isType(writer, 'record')) {
    const given = new Map((writer as avro.types.RecordType).fields.map((field) => [field.name, field.type]))
    for (const field of (ours as avro.types.RecordType).fields) {
      const at = path === '' ? field.name : `${path}.${field.name}`
      const type = [field.name, ...field.aliases].map((name) => given.get(name)).find(Boolean)
      if (!type) {
        if (field.defaultValue() === undefined) return `the field ${at} is missing`
      } else if (!reads(field.type, type)) {
        return (
          explainMismatch(field.type, type, at) ??
          `the field ${at} is ${shown(type)}, not ${shown(field.type)}`
        )
      }
    }
    return `the record is named ${writer.name}, not ${ours.name}`
  }
  return path === '' ? `it is ${shown(writer)}, not ${shown(ours)}` : null
}

function reads(ours: avro.Type, writer: avro.Type): boolean {
  try {
    ours.createResolver(writer, { ignoreNamespaces: true })
    return true
  } catch {
    return false
  }
}

function shown(type: avro.Type): string {
  const text = JSON.stringify(type.schema())
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}
