import { CliError, exitCode } from './cli-error.ts'

/** @throws CliError when the text is no device id */
export function readDeviceId(text: string): string {
  const id = text.toLowerCase()
  if (/^[0-9a-f]{24}$/.test(id)) return id
  throw new CliError(`${JSON.stringify(text)} is not a device id.`, {
    code: exitCode.usage,
    hint: 'A device id has 24 hexadecimal digits.',
  })
}
