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
    if (error instanceof CliError) {
      output.error(error.message, error.hint, error.code)
      return error.code
    }
    output.error(messageOf(error), 'This should not happen. Run it again with ALOE_DEBUG=1 and report what it says.', 1)
    if (process.env.ALOE_DEBUG === '1') console.error(error)
    return exitCode.failed
  }
}

/** `ALOE_HTTP_PORT=` in a script means that it is not set. */
function forgetEmptyVariables(): void {
  for (const [name, value] of Object.entries(process.env)) {
    if (name.startsWith('ALOE_') && value === '') delete process.env[name]
  }
}
