/**
 * The error bodies that clients understand (cloud-api.md 0.3).
 *
 * Only a bad token is a 401, and only these bodies speak of access tokens: anything else that does makes the official
 * CLI forget that its user is logged in.
 */
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { DeviceError, type DeviceErrorCode } from '../devices/device-error.ts'
import { IdentityError } from '../identity/identity-error.ts'
import { ProductError, type ProductErrorCode } from '../products/product-error.ts'
import { requestIdHeader } from './request-id.ts'

/** An answer that is not a success. */
export class ApiError extends Error {
  readonly statusCode: number
  readonly body: Readonly<Record<string, unknown>>
  readonly headers: Readonly<Record<string, string>>

  constructor(statusCode: number, body: Record<string, unknown>, headers: Record<string, string> = {}) {
    super(String(body.error ?? statusCode))
    this.name = 'ApiError'
    this.statusCode = statusCode
    this.body = body
    this.headers = headers
  }
}

/** OAuth 2.0, RFC 6749 section 5.2. */
export function oauthError(status: number, error: string, description: string): ApiError {
  return new ApiError(status, { error, error_description: description })
}

export const missingToken = () => oauthError(400, 'invalid_request', 'The access token was not found')
export const badToken = () => oauthError(401, 'invalid_token', 'The access token provided is invalid.')

/** The password was right, and a code is to follow (cloud-api.md 0.3; clients look at `error` alone). */
export function mfaRequired(mfaToken?: string): ApiError {
  return new ApiError(403, {
    error: 'mfa_required',
    error_description: 'Multifactor authentication required',
    ...(mfaToken !== undefined && { mfa_token: mfaToken }),
  })
}

/** A request that is wrong in itself. */
export function badRequest(...errors: [string, ...string[]]): ApiError {
  return new ApiError(400, { ok: false, error: errors.join('\n'), errors })
}

/** The resource is not there. Not for devices: see `unknownDevice`. */
export function notFound(error: string): ApiError {
  return new ApiError(404, { ok: false, error })
}

export function forbidden(error: string): ApiError {
  return new ApiError(403, { ok: false, error, errors: [error] })
}

/** A device that is unknown or somebody else's: which of both is nobody's business. */
export function unknownDevice(publicUrl: string): ApiError {
  return new ApiError(403, {
    ok: false,
    error: 'Permission Denied',
    info: `I didn't recognize that device name or ID, try opening ${publicUrl}/v1/devices`,
  })
}

/** The device is offline or did not answer. Never a 404, which the CLI shows as "Function not found". */
export const timedOut = () => new ApiError(408, { ok: false, error: 'Timed out.' })

/** @param wait milliseconds */
export function tooMany(wait: number): ApiError {
  const seconds = Math.max(1, Math.ceil(wait / 1_000))
  return new ApiError(
    429,
    { ok: false, error: `Too many requests; try again in ${seconds} seconds` },
    { 'retry-after': String(seconds) },
  )
}

/** For what Particle's cloud has and this one has not, or not yet. */
export function notImplemented(what: string): ApiError {
  const error = `Not implemented: Aloe has no ${what} yet`
  // The CLI shows `error`, its library commands only `errors[].message` (cloud-api.md 0.3).
  return new ApiError(501, { ok: false, error, errors: [{ error, message: error }] })
}

const deviceStatus: Record<DeviceErrorCode, number> = {
  'unknown-device': 404,
  'not-yours': 403,
  'belongs-to-someone-else': 403,
  'name-taken': 400,
  'bad-name': 400,
  'bad-id': 400,
  'bad-key': 400,
  'bad-serial-number': 400,
  'too-many': 400,
  decided: 409,
}

const productStatus: Record<ProductErrorCode, number> = {
  'unknown-product': 404,
  'unknown-device': 404,
  'unknown-group': 404,
  'unknown-firmware': 404,
  'not-in-product': 404,
  'bad-value': 400,
  taken: 400,
  'in-use': 400,
  'never-run': 400,
}

/** Turns whatever a handler threw into an answer; what nobody foresaw is logged and says nothing of itself. */
export function sendError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { statusCode, body, headers } = asApiError(error)
  const failed = statusCode >= 500 && statusCode !== 501
  if (failed) request.log.error({ err: error }, 'request failed')
  // With this the line in the log can be found.
  const said = failed ? { ...body, request_id: request.id } : body
  reply.header(requestIdHeader, request.id)
  return reply.code(statusCode).headers(headers).type('application/json; charset=utf-8').send(JSON.stringify(said))
}

function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error
  if (error instanceof DeviceError) return plain(deviceStatus[error.code], error.message)
  if (error instanceof ProductError) return plain(productStatus[error.code], error.message)
  if (error instanceof IdentityError) return plain(400, error.message)
  const { validation, validationContext, statusCode, message } = error as FastifyError
  if (validation) {
    const [first = '', ...rest] = validation.map((v) => `${validationContext}${v.instancePath} ${v.message}`)
    return badRequest(first, ...rest)
  }
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500 && statusCode !== 401) {
    return plain(statusCode, message)
  }
  if (statusCode === 503) return plain(503, 'The cloud is stopping')
  return plain(500, 'Internal server error')
}

function plain(statusCode: number, message: string): ApiError {
  return new ApiError(statusCode, { ok: false, error: message, errors: [message] })
}
