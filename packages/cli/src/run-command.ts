/** Parses arguments, runs the command they name, and answers with its exit code. */

import { CommanderError } from 'commander'
import { CliError, exitCode, messageOf } from './cli-error.ts'
import { outputOf } from './command.ts'
import { createProgram } from './program.ts'

/** @param args what follows `aloe` on the command line */
export async function runCommand(args: readonly string[]): Promise<number> {
  const output = outputOf({ json: args.includes('--json') })
  forgetEmptyVariables()
  try {
    await createProgram().parseAsync(args, { from: 'user' })
    return exitCode.ok
  } catch (error) {
    if (error instanceof CommanderError) {
      // commander has printed its message already; help and version are no errors.
      return error.exitCode === 0 ? exitCode.ok : exitCode.usage
    }
    if (process.env.ALOE_DEBUG === '1') console.error(error)
    const failure = error instanceof CliError ? error : unexpected(error)
    output.error(failure)
    return failure.code
  }
}

function unexpected(error: unknown): CliError {
  return new CliError(messageOf(error), {
    hint: 'This should not happen. Run it again with ALOE_DEBUG=1 and report what it says.',
    cause: error,
  })
}

/** `ALOE_HTTP_PORT=` in a script means that it is not set. */
function forgetEmptyVariables(): void {
  for (const [name, value] of Object.entries(process.env)) {
    if (name.startsWith('ALOE_') && value === '') delete process.env[name]
  }
}
