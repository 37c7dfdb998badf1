/** The cloud as commands see it: particle-api-js, which cloud and token to use, and errors that say what to do. */

import Particle from 'particle-api-js'
import { CliError, exitCode, messageOf } from './cli-error.ts'
import { readProfile } from './login-profile.ts'

export const defaultCloud = 'http://127.0.0.1:8080'

export interface CloudOptions {
  /** `--cloud`; else `ALOE_CLOUD`, else the cloud of the last login, else the local one. */
  readonly cloud?: string | undefined
}

export interface CloudClient {
  /** Without a trailing slash. */
  readonly url: string
  readonly particle: Particle
  readonly token: string | undefined
}

/** A client for a cloud; with the token that belongs to it, when there is one. */
export async function connectCloud({ cloud }: CloudOptions): Promise<CloudClient> {
  const profile = await readProfile()
  const url = normalizeUrl(cloud ?? nonEmpty(process.env.ALOE_CLOUD) ?? profile.cloud ?? defaultCloud)
  const token = nonEmpty(process.env.ALOE_TOKEN) ?? profile.logins[url]?.token
  const particle = new Particle({ baseUrl: url, ...(token !== undefined && { auth: token }) })
  return { url, particle, token }
}

/** Like `connectCloud`, and fails when nobody is logged in there. */
export async function connectAsUser(options: CloudOptions): Promise<CloudClient> {
  const client = await connectCloud(options)
  if (client.token === undefined) {
    throw new CliError(`You are not logged in at ${client.url}.`, {
      code: exitCode.notLoggedIn,
      hint: `Log in with: aloe login --cloud ${client.url}   (or set ALOE_TOKEN)`,
    })
  }
  return client
}

/** @throws CliError when the text is no http or https URL */
export function normalizeUrl(text: string): string {
  const url = URL.parse(/^[a-z]+:\/\//i.test(text) ? text : `http://${text}`)
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new CliError(`${JSON.stringify(text)} is not the URL of a cloud.`, {
      code: exitCode.usage,
      hint: `It looks like this: ${defaultCloud}`,
    })
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '')
}

/** What particle-api-js rejects with (cloud-api.md 2.4). */
interface ApiFailure {
  readonly statusCode?: number
  readonly errorDescription?: string
  readonly body?: unknown
}

/**
 * Turns a rejection of particle-api-js into an error for people.
 *
 * @param what what was tried, e.g. `call led on blinky`
 */
export function cloudError(error: unknown, client: CloudClient, what: string): CliError {
  if (error instanceof CliError) return error
  const { statusCode, errorDescription, body } = apiFailure(error)
  const detail = messageOfBody(body)
  if (statusCode === undefined) {
    return new CliError(`The cloud at ${client.url} cannot be reached: ${networkReason(body) ?? messageOf(error)}.`, {
      code: exitCode.unreachable,
      hint: 'Is it running? Start one with: aloe up   (or name another with --cloud URL)',
      cause: error,
    })
  }
  const compileLog = readCompileLog(body)
  if (compileLog !== undefined) {
    return new CliError(`The application does not compile:\n${compileLog.text}`, {
      details: { diagnostics: compileLog.diagnostics },
      cause: error,
    })
  }
  const text = detail ?? errorDescription ?? `HTTP ${statusCode}`
  if (statusCode === 401) {
    return new CliError(`The cloud does not accept your login: ${text}`, {
      code: exitCode.notLoggedIn,
      hint: `Log in again with: aloe login --cloud ${client.url}`,
      cause: error,
    })
  }
  if (statusCode === 408) {
    return new CliError(`Could not ${what}: the device does not answer (${text})`, {
      code: exitCode.noAnswer,
      hint: 'Is the device on and connected? See: aloe list',
      cause: error,
    })
  }
  return new CliError(`Could not ${what}: ${text}`, {
    ...(statusCode === 403 && { hint: 'Is it your device? See: aloe list' }),
    cause: error,
  })
}

/** A failed compilation has its log in `errors` and a fixed sentence in `output` (cloud-api.md 1.5). */
function readCompileLog(body: unknown): { text: string; diagnostics: unknown } | undefined {
  if (typeof body !== 'object' || body === null || !('output' in body) || !('errors' in body)) return undefined
  const diagnostics = 'diagnostics' in body ? body.diagnostics : []
  return { text: messageOfBody(body) ?? String(body.output), diagnostics }
}

/** The message of an error body, picked in the order of cloud-api.md 0.3. */
export function messageOfBody(body: unknown): string | undefined {
  if (typeof body !== 'object' || body === null) return undefined
  const { error_description, error, errors, info, output } = body as Record<string, unknown>
  const listed = Array.isArray(errors) ? errors.map(itemText).filter((text) => text !== '') : []
  if (typeof output === 'string' && listed.length > 0) return listed.join('\n')
  for (const text of [error_description, error]) if (typeof text === 'string' && text !== '') return text
  if (listed.length > 0) return listed.join('\n')
  return typeof info === 'string' ? info : undefined
}

function itemText(item: unknown): string {
  if (typeof item === 'string') return item
  if (typeof item !== 'object' || item === null || !('error' in item)) return ''
  const { error } = item
  if (typeof error === 'string') return error
  return typeof error === 'object' && error !== null && 'status' in error ? String(error.status) : ''
}

function apiFailure(error: unknown): ApiFailure {
  return typeof error === 'object' && error !== null ? error : {}
}

function networkReason(body: unknown): string | undefined {
  if (typeof body !== 'object' || body === null) return undefined
  if ('code' in body && typeof body.code === 'string') return body.code
  return body instanceof Error ? body.message : undefined
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === undefined || text === '' ? undefined : text
}
