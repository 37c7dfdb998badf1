/** A line of the table in docs/conformance.md: what the official client offers, and what comes of it on Aloe. */

export type Outcome =
  /** Driven by the tests, and its effect read back. */
  | 'works'
  /** Driven by the tests: it refuses, and the client shows why. */
  | 'refuses'
  /** It speaks with a board on USB or serial, or with files of this machine: no cloud is asked. */
  | 'local'
  /** Another service of Particle's than the device cloud. */
  | 'out of scope'

export interface Row<Stage> {
  /** Of the command line, or of the SDK. */
  readonly name: string
  readonly outcome: Outcome
  /** For the table: what was seen, or why not. */
  readonly note: string
  /** Drives it; throws when it is not so. For 'works' and 'refuses'. */
  readonly run?: (stage: Stage) => Promise<void>
}

/** The rows as Markdown. */
export function tableOf(rows: readonly Pick<Row<unknown>, 'name' | 'outcome' | 'note'>[], heading: string): string {
  const count = (outcome: Outcome): number => rows.filter((row) => row.outcome === outcome).length
  const counts = (['works', 'refuses', 'local', 'out of scope'] as const)
    .filter((outcome) => count(outcome) > 0)
    .map((outcome) => `${count(outcome)} ${outcome}`)
  const lines = rows.map(({ name, outcome, note }) => `| \`${name}\` | ${outcome} | ${note.replaceAll('|', '\\|')} |`)
  return [
    `## ${heading}`,
    '',
    `${rows.length} in all: ${counts.join(', ')}.`,
    '',
    '| | outcome | |',
    '|---|---|---|',
    ...lines,
  ].join('\n')
}
