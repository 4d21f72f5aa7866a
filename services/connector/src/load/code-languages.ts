/** How a language shows where its functions and types begin. */
export interface CodeLanguage {
  readonly type: string
  readonly extensions: string
  /** Names of files that have no extension. */
  readonly names?: string
  /** First line, after `#!`. */
  readonly interpreter?: RegExp
  /** On a line without its indentation; its first non-empty group is the name. */
  readonly declarations: readonly RegExp[]
  /** Which of them is for what stands in a type alone. */
  readonly methods?: number
  /** A line that belongs to the declaration below it: a comment, a decorator. */
  readonly leading: RegExp
}

const C_COMMENT = /^(?:\/\/|\/\*|\*|@|#\[|\[[A-Z])/u
const HASH_COMMENT = /^(?:#|@)/u
/** Words before a declaration in Java and its kin. */
const MODIFIERS =
  '(?:(?:public|private|protected|internal|static|final|abstract|sealed|partial|override|virtual|async|open|data|inline|suspend|synchronized|default|readonly|export|declare|unsafe|extern|const|implicit|lazy|case)\\s+)*'
const TYPES =
  '(?:class|interface|enum|record|struct|trait|object|namespace|module|protocol|extension|union|annotation|actor)'
const NOT_A_CALL =
  '(?!(?:if|for|while|switch|return|else|catch|do|try|throw|new|await|yield|case|sizeof|using|lock|delete)\\b)'

const typeDeclaration = new RegExp(`^${MODIFIERS}(${TYPES}\\s+[\\p{L}_$][\\w$.]*)`, 'u')
/** A type and a name before a bracket, with nothing that ends a statement on the line. */
const typedFunction = new RegExp(
  `^${NOT_A_CALL}${MODIFIERS}(?:<[^>]{1,100}>\\s*)?[\\w$:.<>,*&\\[\\]?~ ]{1,120}?[\\s*&]((?:[\\w$]+::)*~?[\\w$]+)\\s*\\([^;=]*$`,
  'u',
)

export const CODE_LANGUAGES: readonly CodeLanguage[] = [
  {
    type: 'text/javascript',
    extensions: 'js mjs cjs jsx',
    interpreter: /\b(?:node|deno|bun)\b/u,
    declarations: jsDeclarations(),
    methods: 4,
    leading: C_COMMENT,
  },
  {
    type: 'text/x-typescript',
    extensions: 'ts mts cts tsx vue svelte',
    declarations: jsDeclarations(),
    methods: 4,
    leading: C_COMMENT,
  },
  {
    type: 'text/x-python',
    extensions: 'py pyi pyw',
    interpreter: /\bpython/u,
    declarations: [/^(class\s+\w+)/u, /^(?:async\s+)?def\s+(\w+)/u],
    leading: HASH_COMMENT,
  },
  {
    type: 'text/x-java',
    extensions: 'java kt kts scala groovy cs dart',
    declarations: [
      typeDeclaration,
      new RegExp(`^${MODIFIERS}(?:fun|def)\\s+(?:<[^>]*>\\s*)?([\\w.\`]+)`, 'u'),
      typedFunction,
    ],
    leading: C_COMMENT,
  },
  {
    type: 'text/x-go',
    extensions: 'go',
    declarations: [/^func\s+(?:\(\s*\w*\s*\*?([\w.[\]]+)\s*\)\s*)?(\w+)/u, /^(type\s+\w+)/u],
    leading: C_COMMENT,
  },
  {
    type: 'text/x-rust',
    extensions: 'rs',
    declarations: [
      /^(?:pub(?:\([^)]*\))?\s+)?(?:default\s+|const\s+|async\s+|unsafe\s+|extern\s+(?:"[^"]*"\s+)?)*fn\s+(\w+)/u,
      /^(?:pub(?:\([^)]*\))?\s+)?(?:unsafe\s+)?((?:struct|enum|trait|union|mod|macro_rules!)\s+\w+)/u,
      /^(?:unsafe\s+)?(impl\b[^{]{0,120})/u,
    ],
    leading: C_COMMENT,
  },
  {
    type: 'text/x-c',
    extensions: 'c h cc cpp cxx hh hpp hxx m mm cu ino proto',
    declarations: [
      /^(?:typedef\s+)?((?:class|struct|union|enum(?:\s+class)?|namespace|message|service)\s+\w+)[^;]*$/u,
      typedFunction,
    ],
    leading: /^(?:\/\/|\/\*|\*|template\b)/u,
  },
  {
    type: 'application/sql',
    extensions: 'sql ddl',
    declarations: [
      /^(create\s+(?:or\s+replace\s+)?(?:temp(?:orary)?\s+|unique\s+|materialized\s+)*(?:table|view|index|function|procedure|trigger|type|schema|database|sequence)\s+(?:if\s+not\s+exists\s+)?[\w."`[\]]+)/iu,
      /^(alter\s+table\s+[\w."`[\]]+)/iu,
    ],
    leading: /^--/u,
  },
  {
    type: 'text/x-shellscript',
    extensions: 'sh bash zsh ksh fish',
    interpreter: /\b(?:ba|z|k|da|fi)?sh\b/u,
    declarations: [/^function\s+([\w:.-]+)/u, /^([\w:.-]+)\s*\(\)/u],
    leading: HASH_COMMENT,
  },
  {
    type: 'application/yaml',
    extensions: 'yaml yml',
    declarations: [
      /^(?:"([^"]+)"|'([^']+)'|([\w./$@-]+(?: [\w./$@-]+){0,5})):(?:\s*[|>&!][^\s]*)*\s*(?:#.*)?$/u,
    ],
    leading: /^#/u,
  },
  {
    type: 'application/toml',
    extensions: 'toml ini cfg conf properties editorconfig service',
    declarations: [/^\[{1,2}([^\]]+)\]{1,2}/u],
    leading: /^[#;]/u,
  },
  {
    type: 'application/xml',
    extensions: 'xml xsd xsl xslt wsdl svg rss atom plist csproj pom',
    declarations: [],
    leading: /^<!--/u,
  },
  {
    type: 'text/x-code',
    extensions:
      'css scss less php rb pl pm lua r jl swift ex exs erl hs elm clj lisp el vim tf hcl gradle cmake mk ps1 bat graphql gql tex bib diff patch env',
    names: 'dockerfile makefile gnumakefile jenkinsfile vagrantfile procfile gemfile rakefile cmakelists.txt',
    interpreter: /\b(?:ruby|perl|php|lua|Rscript)\b/u,
    declarations: [
      typeDeclaration,
      new RegExp(
        `^${MODIFIERS}(?:local\\s+)?(?:function|func|fn|def|sub|defp?|defmodule|module)\\s+([\\w.:!?]+)`,
        'u',
      ),
      /^(\\(?:chapter|(?:sub){0,2}section)\*?\{[^}]{1,100})\}/u,
      /^([\w./%$()-]+(?:\s[\w./%$()-]+){0,3})\s*:(?!=)/u,
      /^((?:resource|data|variable|output|provider|module)\s+"[^"]+"(?:\s+"[^"]+")?)/u,
    ],
    leading: /^(?:#|\/\/|\/\*|\*|--|%)/u,
  },
]

function jsDeclarations(): RegExp[] {
  const exported = '(?:export\\s+)?(?:default\\s+)?(?:declare\\s+)?'
  return [
    new RegExp(`^${exported}(?:abstract\\s+)?((?:class|interface|enum|namespace)\\s+[\\w$]+)`, 'u'),
    new RegExp(`^${exported}(?:async\\s+)?function\\s*\\*?\\s*([\\w$]+)`, 'u'),
    new RegExp(`^${exported}(type\\s+[\\w$]+)`, 'u'),
    new RegExp(
      `^${exported}(?:const|let|var)\\s+([\\w$]+)[^=]{0,200}=\\s*(?:async\\s*)?(?:function\\b|\\([^=]*$|\\(.*\\)\\s*(?::[^=]*)?=>|[\\w$]+\\s*=>)`,
      'u',
    ),
    new RegExp(
      `^(?:(?:public|private|protected|static|async|get|set|readonly|override|abstract)\\s+)*(?!(?:if|for|while|switch|catch|function|return|with|constructor\\.)\\b)(#?[\\w$]+)\\s*(?:<[^>]{0,100}>)?\\([^;]*\\)?[^;]*\\{\\s*$`,
      'u',
    ),
  ]
}

const BY_EXTENSION = new Map(
  CODE_LANGUAGES.flatMap((language) =>
    language.extensions.split(' ').map((each) => [each, language] as const),
  ),
)
const BY_NAME = new Map(
  CODE_LANGUAGES.flatMap((language) =>
    (language.names?.split(' ') ?? []).map((each) => [each, language] as const),
  ),
)
const BY_TYPE = new Map(CODE_LANGUAGES.map((language) => [language.type, language]))
const TYPE_ALIASES: ReadonlyMap<string, string> = new Map([
  ['application/javascript', 'text/javascript'],
  ['application/x-javascript', 'text/javascript'],
  ['text/jsx', 'text/javascript'],
  ['application/typescript', 'text/x-typescript'],
  ['text/typescript', 'text/x-typescript'],
  ['application/x-python', 'text/x-python'],
  ['application/x-sh', 'text/x-shellscript'],
  ['text/x-sh', 'text/x-shellscript'],
  ['text/x-c++', 'text/x-c'],
  ['text/x-csrc', 'text/x-c'],
  ['text/x-c++src', 'text/x-c'],
  ['text/x-chdr', 'text/x-c'],
  ['text/x-sql', 'application/sql'],
  ['application/x-sql', 'application/sql'],
  ['text/yaml', 'application/yaml'],
  ['text/x-yaml', 'application/yaml'],
  ['application/x-yaml', 'application/yaml'],
  ['text/xml', 'application/xml'],
  ['text/css', 'text/x-code'],
])

export function isCodeType(type: string): boolean {
  return BY_TYPE.has(TYPE_ALIASES.get(type) ?? type)
}

export function codeTypeOf(filename: string): string | null {
  const name = filename.slice(filename.lastIndexOf('/') + 1).toLowerCase()
  const extension = name.slice(name.lastIndexOf('.') + 1)
  return (BY_NAME.get(name) ?? BY_EXTENSION.get(extension))?.type ?? null
}

/** Of a script that names its interpreter, or XML that says so. */
export function codeTypeOfFirstLine(head: string): string | null {
  if (head.startsWith('<?xml')) return 'application/xml'
  if (!head.startsWith('#!')) return null
  const line = head.slice(0, 200).split('\n', 1)[0]!
  return CODE_LANGUAGES.find(({ interpreter }) => interpreter?.test(line))?.type ?? null
}

export function codeLanguage(type: string): CodeLanguage | null {
  return BY_TYPE.get(TYPE_ALIASES.get(type) ?? type) ?? null
}
