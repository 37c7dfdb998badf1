/** Errors that a person reads: what went wrong, what to do about it, and the exit code that scripts test. */

/** Exit codes (docs/cli.md). 130 is left to SIGINT. */
export const exitCode = {
  ok: 0,
  failed: 1,
  usage: 2,
  notLoggedIn: 3,
  unreachable: 4,
  noAnswer: 5,
} as const

export type ExitCode = (typeof exitCode)[keyof typeof exitCode]

export class CliError extends Error {
  override readonly name = 'CliError'
  readonly code: ExitCode
  /** What to do about it, as a sentence or a command. */
  readonly hint: string | undefined
  /** More for `--json`. */
  readonly details: object | undefined

  constructor(message: string, options: { code?: ExitCode; hint?: string; details?: object; cause?: unknown } = {}) {
    super(message, { cause: options.cause })
    this.code = options.code ?? exitCode.failed
    this.hint = options.hint
    this.details = options.details
  }
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
