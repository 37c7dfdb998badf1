/** The file of `aloe up --limits`: how often things may be tried, where the defaults do not suit (docs/identity.md). */
import { readFile } from 'node:fs/promises'
import type { CloudOptions } from '@aloe/cloud'
import { CliError, exitCode, messageOf } from './cli-error.ts'

type Limits = Pick<NonNullable<CloudOptions['limits']>, 'api' | 'login' | 'audit'>

const known = {
  api: [
    ...['requests', 'logins', 'credentials', 'serialNumbers', 'streamsOpened', 'streamsOpen', 'exemptLoopback'],
    ...['body', 'upload', 'uploadFile', 'uploadFiles', 'binariesPerUser', 'binaryLifetime'],
  ],
  login: ['failuresPerHost', 'failuresPerUsername', 'hostBlock', 'usernameBlock'],
  audit: ['age', 'entries'],
} as const

/** @throws CliError when the file cannot be read, or has a name or value that is none of these */
export async function readLimits(path: string): Promise<Limits> {
  let read: unknown
  try {
    read = JSON.parse(await readFile(path, 'utf8'))
  } catch (error) {
    throw wrong(path, messageOf(error))
  }
  if (!isObject(read)) throw wrong(path, 'it must be a JSON object')
  for (const [section, values] of Object.entries(read)) {
    if (!Object.hasOwn(known, section) || !isObject(values)) {
      throw wrong(path, `"${section}" is none of ${Object.keys(known).join(', ')}`)
    }
    const names: readonly string[] = known[section as keyof typeof known]
    for (const [name, value] of Object.entries(values)) {
      if (!names.includes(name)) throw wrong(path, `"${section}.${name}" is none of ${names.join(', ')}`)
      const good =
        name === 'exemptLoopback' ? typeof value === 'boolean' : Number.isSafeInteger(value) && Number(value) >= 0
      if (!good)
        throw wrong(path, `"${section}.${name}" must be ${name === 'exemptLoopback' ? 'true or false' : 'a number'}`)
    }
  }
  return read as Limits
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function wrong(path: string, what: string): CliError {
  return new CliError(`The limits in ${path} cannot be used: ${what}.`, { code: exitCode.usage })
}
