/** What all routes share. */
import type { FastifyRequest } from 'fastify'
import type { DeviceRecord } from '../devices/device.ts'
import { userOf } from './authentication.ts'
import { badRequest, unknownDevice } from './errors.ts'
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
  const publicUrl = (request: FastifyRequest): string => configured ?? addressOf(request)
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

/** By which the client reached the cloud. */
function addressOf({ protocol, host }: FastifyRequest): string {
  const address = `${protocol}://${host}`
  // A name or an address, and a port: what is sent in `Host` is the client's own text (RFC 9110 section 7.2).
  if (/^(\[[\da-f:.]+\]|[\w.-]+)(:\d+)?$/i.test(host) && URL.canParse(address)) return address
  throw badRequest('The header "Host" names no host')
}

/** Times in answers: ISO 8601 with milliseconds (cloud-api.md 0.4). */
export function iso(millis: number): string
export function iso(millis: number | null): string | null
export function iso(millis: number | null): string | null {
  return millis === null ? null : new Date(millis).toISOString()
}
