/** The `aloe` command as a process: arguments in, exit code out. Started by bin/aloe.js. */

import { runCommand } from './run-command.ts'
import { endWithWrapper } from './wrapper.ts'

endWithWrapper()
const code = await runCommand(process.argv.slice(2))
// Streams of the API client keep timers that would hold the process up; what was written is flushed first.
process.stdout.write('', () => process.stderr.write('', () => process.exit(code)))
