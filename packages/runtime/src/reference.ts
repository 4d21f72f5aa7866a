import { html, raw } from 'hono/html'

/** As much of an OpenAPI document as the page shows. */
interface Described {
  readonly info: { readonly title: string; readonly description?: string }
  readonly paths?: Readonly<Record<string, unknown>>
  readonly components?: { readonly schemas?: Readonly<Record<string, unknown>> }
}
interface Operation {
  readonly summary?: string
  readonly description?: string
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: { readonly content: Contents }
  readonly responses: Readonly<Record<string, { readonly description: string; readonly content?: Contents }>>
}
interface Parameter {
  readonly name: string
  readonly in: string
  readonly required?: boolean
  readonly description?: string
  readonly schema?: Schema
}
type Contents = Readonly<Record<string, { readonly schema?: Schema; readonly example?: unknown }>>
interface Schema {
  readonly $ref?: string
  readonly type?: string | readonly string[]
  readonly format?: string
  readonly description?: string
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly default?: unknown
  readonly example?: unknown
  readonly items?: Schema
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: Schema | boolean
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly allOf?: readonly Schema[]
  readonly minimum?: number
  readonly maximum?: number
  readonly maxLength?: number
  readonly maxItems?: number
}
type Html = ReturnType<typeof html>

export const REFERENCE_STYLE = `
:root { color-scheme: light dark; --line: light-dark(#d5dade, #3a4248); --soft: light-dark(#f3f5f6, #1b2126); --mark: light-dark(#0b6477, #6cc6da) }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 72rem; padding: 1.5rem; font: 1rem/1.55 system-ui, sans-serif; color: light-dark(#1c2429, #dfe6ea); background: light-dark(#fff, #12171b) }
h1 { margin-top: 0 } h2 { margin: 2.5rem 0 0; border-bottom: 1px solid var(--line); padding-bottom: .3rem }
nav ul { columns: 22rem; padding: 0; list-style: none } a { color: var(--mark) }
article { border-bottom: 1px solid var(--line); padding: 1.2rem 0 }
h3 { margin: 0; font-size: 1.05rem; overflow-wrap: anywhere } h4 { margin: 1rem 0 .2rem; font-size: .9rem }
code, pre { font: .875rem/1.5 ui-monospace, monospace } b.method { color: var(--mark); display: inline-block; min-width: 4.2rem }
pre { background: var(--soft); border-radius: .4rem; padding: .8rem; margin: .3rem 0; overflow-x: auto }
table { border-collapse: collapse } td { padding: .1rem 1rem .1rem 0; vertical-align: top } p { margin: .4rem 0 }
`

/** To the letter, for the policy names its hash. */
const STYLE_ELEMENT = raw(`<style>${REFERENCE_STYLE}</style>`)

/** Every route with what goes in, what comes out and an example. No script is in it, and all text is escaped. */
export function referencePage(document: Described): Html {
  const operations = Object.entries(document.paths ?? {}).flatMap(([path, methods]) =>
    Object.entries(methods as Record<string, Operation>).map(([method, operation]) => ({
      id: `${method}-${path.replaceAll(/[^a-zA-Z0-9]+/g, '-')}`,
      method: method.toUpperCase(),
      path,
      operation,
    })),
  )
  const schemas = Object.entries(document.components?.schemas ?? {}) as [string, Schema][]
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width" />
        <title>${document.info.title}: reference</title>
        ${STYLE_ELEMENT}
      </head>
      <body>
        <header>
          <h1>${document.info.title}: reference</h1>
          <p>${document.info.description ?? ''}</p>
          <p>As a document for tools: <a href="/openapi.json">/openapi.json</a></p>
        </header>
        <nav aria-label="Routes">
          <ul>
            ${operations.map(
              ({ id, method, path }) =>
                html`<li>
                  <a href="#${id}"><code>${method} ${path}</code></a>
                </li>`,
            )}
          </ul>
        </nav>
        <main>
          <h2>Routes</h2>
          ${operations.map(showOperation)}
          <h2>Shapes</h2>
          ${schemas.map(
            ([name, schema]) =>
              html`<article id="shape-${name}">
                <h3>${name}</h3>
                ${schema.description ? html`<p>${schema.description}</p>` : ''}${showShape(schema)}
              </article>`,
          )}
        </main>
      </body>
    </html>`
}

function showOperation({
  id,
  method,
  path,
  operation,
}: {
  id: string
  method: string
  path: string
  operation: Operation
}): Html {
  const { summary, description, parameters = [], requestBody, responses } = operation
  return html`<article id="${id}">
    <h3><b class="method">${method}</b> <code>${path}</code></h3>
    <p>${summary ?? ''}</p>
    ${description ? html`<p>${description}</p>` : ''}
    ${
      parameters.length > 0
        ? html`<h4>Parameters</h4>
            <table>
              ${parameters.map(
                (parameter) =>
                  html`<tr>
                    <td><code>${parameter.name}${parameter.required ? '' : '?'}</code></td>
                    <td>${parameter.in}</td>
                    <td><code>${shapeOf(parameter.schema ?? {})}</code></td>
                    <td>${parameter.description ?? ''}</td>
                  </tr>`,
              )}
            </table>`
        : ''
    }
    ${requestBody ? showContents('Request', requestBody.content) : ''}
    ${Object.entries(responses).map(
      ([status, response]) =>
        html`<h4>${status === 'default' ? 'Else' : status}</h4>
          <p>${response.description}</p>
          ${showContents('', response.content ?? {})}`,
    )}
  </article>`
}

function showContents(title: string, contents: Contents): Html[] {
  return Object.entries(contents).map(
    ([type, { schema = {}, example }]) =>
      html`${title ? html`<h4>${title}</h4>` : ''}
        <p><code>${type}</code></p>
        ${showShape(example === undefined ? schema : { ...schema, example })}`,
  )
}

function showShape(schema: Schema): Html {
  const name = schema.$ref?.split('/').at(-1)
  const shape =
    name === undefined
      ? html`<pre>${shapeOf(schema)}</pre>`
      : html`<p><a href="#shape-${name}">${name}</a></p>`
  return schema.example === undefined
    ? shape
    : html`${shape}
        <p>For example:</p>
        <pre>
${typeof schema.example === 'string' ? schema.example : JSON.stringify(schema.example, null, 2)}</pre>`
}

/** A schema as a type is written, with its limits. */
function shapeOf(schema: Schema, indent = ''): string {
  const { $ref, properties, items, type } = schema
  if ($ref) return $ref.split('/').at(-1)!
  if (schema.const !== undefined) return JSON.stringify(schema.const)
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' | ')
  const choices = schema.anyOf ?? schema.oneOf
  if (choices) return choices.map((choice) => shapeOf(choice, indent)).join(' | ')
  if (schema.allOf) return schema.allOf.map((part) => shapeOf(part, indent)).join(' & ')
  if (items) return `[${shapeOf(items, indent)}]`
  if (properties) return shapeOfObject(schema, indent)
  if (typeof schema.additionalProperties === 'object')
    return `{ name: ${shapeOf(schema.additionalProperties, indent)} }`
  const [from, to] = [schema.minimum, schema.maximum ?? schema.maxLength]
  const limits = from === undefined && to === undefined ? '' : ` (${from ?? ''}…${to ?? ''})`
  const shown = typeof type === 'string' ? type : (type?.join(' | ') ?? 'anything')
  return `${schema.format ? `${shown}, ${schema.format}` : shown}${limits}`
}

function shapeOfObject({ properties = {}, required = [] }: Schema, indent: string): string {
  const deeper = `${indent}  `
  const lines = Object.entries(properties).map(([name, property]) => {
    const value = property.default === undefined ? '' : ` = ${JSON.stringify(property.default)}`
    const about = property.description ? `   ${property.description}` : ''
    return `${deeper}${name}${required.includes(name) ? '' : '?'}: ${shapeOf(property, deeper)}${value}${about}`
  })
  return `{\n${lines.join('\n')}\n${indent}}`
}
