/** What the rows of particle-cli's table are driven with. */
import assert from 'node:assert/strict'
import type { CliResult, CliRunOptions, OfficialCli } from './official-cli.ts'
import type { Row } from './row.ts'
import type { World } from './world.ts'

export interface CliStage {
  readonly world: World
  /** Logged in as the owner. */
  readonly cli: OfficialCli
  /** With a profile of its own. */
  profile(name: string, token?: string): OfficialCli
  /** A product of the owner's for platform `linux`. */
  readonly product: number
}

export type CliRow = Row<CliStage>

/** @throws AssertionError when the command fails */
export async function ok(cli: OfficialCli, ...args: string[]): Promise<CliResult> {
  const result = await cli.run(args)
  assert.equal(result.code, 0, `particle ${args.join(' ')}: ${result.text}`)
  return result
}

/** What a variable of the device says now. */
export async function variable({ world }: CliStage, device: string, name: string): Promise<unknown> {
  return (await world.owner.particle.getVariable({ deviceId: device, name })).body.result
}

/** Refused by the cloud, in words that the CLI shows; and nobody was logged out by it. */
export function refuses(
  name: string,
  note: string,
  args: readonly string[],
  words: RegExp,
  prepare?: (stage: CliStage) => CliRunOptions,
): CliRow {
  return {
    name,
    outcome: 'refuses',
    note,
    async run(stage) {
      const { code, text } = await stage.cli.run(args, prepare?.(stage))
      assert.notEqual(code, 0, text)
      assert.match(text, words)
      assert.ok(stage.cli.profile.access_token, 'the CLI has forgotten who is logged in')
    },
  }
}

export const local = (note: string, ...names: string[]): CliRow[] =>
  names.map((name) => ({ name, outcome: 'local', note }))
export const outside = (note: string, ...names: string[]): CliRow[] =>
  names.map((name) => ({ name, outcome: 'out of scope', note }))

/** The same command under two names. */
export const both = (
  names: readonly string[],
  note: string,
  run: (stage: CliStage, words: string[]) => Promise<void>,
) => names.map((name): CliRow => ({ name, outcome: 'works', note, run: (stage) => run(stage, name.split(' ')) }))
