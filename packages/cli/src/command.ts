/** How every command of `aloe` is made: the same options, the same help, the same way to print and to fail. */

import { Command, Option } from 'commander'
import { Output } from './output.ts'

export interface CommonOptions {
  readonly json?: boolean
  readonly cloud?: string
}

export interface Example {
  readonly line: string
  readonly what: string
}

export interface CommandText {
  /** Name and arguments as commander reads them, e.g. `call <device> <function> [argument]`. */
  readonly usage: string
  /** One line for the list of commands. */
  readonly summary: string
  /** What the help says first; the summary when left out. */
  readonly description?: string
  readonly examples: readonly Example[]
}

/** A command with `--json` and a help that ends with examples. */
export function makeCommand({ usage, summary, description, examples }: CommandText): Command {
  const [name = '', ...args] = usage.split(' ')
  const command = new Command(name).summary(summary).description(description ?? summary)
  if (args.length > 0) command.arguments(args.join(' '))
  return command.option('--json', 'print the result as JSON').addHelpText('after', exampleText(examples))
}

/** A command that only holds others, e.g. `aloe device …`. */
export function makeGroup(name: string, summary: string, children: readonly Command[]): Command {
  const group = new Command(name).summary(summary).description(summary)
  for (const child of children) group.addCommand(child)
  return group
}

/** `--cloud`, for commands that talk to one. */
export function cloudOption(): Option {
  return new Option('--cloud <url>', 'the cloud to talk to (default: ALOE_CLOUD, else that of your login)')
}

/** What a command prints with. */
export function outputOf(options: CommonOptions): Output {
  return new Output({ json: options.json === true, out: process.stdout, err: process.stderr })
}

function exampleText(examples: readonly Example[]): string {
  const width = Math.max(...examples.map(({ line }) => line.length))
  const lines = examples.map(({ line, what }) => `  $ ${line.padEnd(width)}   ${what}`)
  return `\nExamples:\n${lines.join('\n')}\n`
}
