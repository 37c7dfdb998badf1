/** `aloe`: one command for cloud, devices and firmware. */

export { CliError, type ExitCode, exitCode } from './cli-error.ts'
export { Output, type OutputOptions } from './output.ts'
export { runCommand } from './run-command.ts'
