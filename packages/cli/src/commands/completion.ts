import { Argument, Command } from 'commander'

/** Prints a script by which a shell completes the commands of `program` and their options. */
export function completionCommand(program: Command): Command {
  return new Command('completion')
    .description('A script for your shell, which then completes commands and options')
    .addArgument(new Argument('<shell>').choices(['bash', 'zsh', 'fish']))
    .addHelpText(
      'after',
      `
Where aquifer is no command yet, make it one in the folder of Aquifer:
  alias aquifer="$PWD/node_modules/.bin/node $PWD/packages/cli/src/main.ts"

Examples:
  source <(aquifer completion bash)      # in ~/.bashrc
  source <(aquifer completion zsh)       # in ~/.zshrc, after compinit
  aquifer completion fish | source       # in ~/.config/fish/config.fish`,
    )
    .action((shell: 'bash' | 'zsh' | 'fish') => {
      const places = placesOf(program, [])
      console.log({ bash, zsh, fish }[shell](places))
    })
}

interface Word {
  readonly word: string
  readonly description: string
}
/** A command with what can follow it. */
interface Place {
  /** The words of the command after the program's name. */
  readonly path: readonly string[]
  readonly commands: readonly Word[]
  readonly options: readonly Word[]
}

function placesOf(command: Command, path: readonly string[]): Place[] {
  const help = { word: '--help', description: 'say how it is used' }
  const options = command.options.flatMap(({ long, description }) =>
    long ? [{ word: long, description }] : [],
  )
  const choices = command.registeredArguments.flatMap(({ argChoices = [] }) =>
    argChoices.map((word) => ({ word, description: '' })),
  )
  const commands = command.commands.map((each) => ({ word: each.name(), description: each.description() }))
  const own = { path, commands: [...commands, ...choices], options: [...options, help] }
  return [own, ...command.commands.flatMap((each) => placesOf(each, [...path, each.name()]))]
}

/** Shell words that find the place of what is typed, as `/dlq/list` in `place`. */
function follow(places: readonly Place[], words: string): string {
  const known = places.filter(({ path }) => path.length > 0).map(({ path }) => `/${path.join('/')}`)
  return `  for word in ${words}; do
    case "$place/$word" in ${known.join('|')}) place="$place/$word" ;; esac
  done`
}

function cases(places: readonly Place[], act: (words: string) => string): string {
  return places
    .map(({ path, commands, options }) => {
      const words = [...commands, ...options].map(({ word }) => word).join(' ')
      return `    '${path.map((word) => `/${word}`).join('')}') ${act(words)} ;;`
    })
    .join('\n')
}

/** Where no word fits, files are completed. */
function bash(places: readonly Place[]): string {
  return `_aquifer() {
  local place= word words=
${follow(places, '"${COMP_WORDS[@]:1:COMP_CWORD-1}"')}
  case "$place" in
${cases(places, (words) => `words='${words}'`)}
  esac
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _aquifer aquifer`
}

function zsh(places: readonly Place[]): string {
  return `#compdef aquifer
_aquifer() {
  local place= word
${follow(places, '"${(@)words[2,CURRENT-1]}"')}
  case "$place" in
${cases(places, (words) => `compadd -- ${words}`)}
  esac
  _files
}
compdef _aquifer aquifer`
}

function fish(places: readonly Place[]): string {
  const quote = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
  return places
    .flatMap(({ path, commands, options }) => {
      const deeper = commands.map(({ word }) => word).join(' ')
      const here = [
        ...(path.length === 0
          ? ['__fish_use_subcommand']
          : path.map((word) => `__fish_seen_subcommand_from ${word}`)),
        ...(path.length > 0 && deeper !== '' ? [`not __fish_seen_subcommand_from ${deeper}`] : []),
      ].join('; and ')
      const line = (kind: string, { word, description }: Word): string =>
        `complete -c aquifer -n ${quote(here)} ${kind} ${word}${description ? ` -d ${quote(description)}` : ''}`
      return [
        ...commands.map((each) => line('-f -a', each)),
        ...options.map(({ word, description }) => line('-l', { word: word.slice(2), description })),
      ]
    })
    .join('\n')
}
