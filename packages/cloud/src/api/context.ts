/** What all routes share. */
import type { FastifyRequest } from 'fastify'
import type { DeviceRecord } from '../devices/device.ts'
import { userOf } from './authentication.ts'
import { unknownDevice } from './errors.ts'
import { type ApiLimits, defaultLimits, RateLimiter } from './limits.ts'
import type { ApiDeps } from './services.ts'

export interface ApiContext extends ApiDeps {
  readonly limits: ApiLimits
  readonly rates: RateLimiter
  /** The cloud's address as clients know it, without a trailing slash. */
  publicUrl(request: FastifyRequest): string
  /** The caller's device by id or name. @throws ApiError 403 when it is unknown or somebody else's */
  device(request: FastifyRequest, idOrName: string): DeviceRecord
}

export function createContext(deps: ApiDeps): ApiContext {
  const limits = { ...defaultLimits, ...deps.options.limits }
  const configured = deps.options.publicUrl?.replace(/\/+$/, '')
  const publicUrl = (request: FastifyRequest): string => configured ?? `${request.protocol}://${request.host}`
  return {
    ...deps,
    limits,
    rates: new RateLimiter(limits),
    publicUrl,
    device(request, idOrName) {
      const device = deps.registry.find(idOrName, userOf(request).id)
      if (!device) throw unknownDevice(publicUrl(request))
      return device
    },
  }
}

/** Times in answers: ISO 8601 with milliseconds (cloud-api.md 0.4). */
export function iso(millis: number): string
export function iso(millis: number | null): string | null
export function iso(millis: number | null): string | null {
  return millis === null ? null : new Date(millis).toISOString()
}
