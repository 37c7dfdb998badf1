/** What all routes share. */
import type { FastifyRequest } from 'fastify'
import type { DeviceRecord } from '../devices/device.ts'
import { actorOf } from '../identity/caller.ts'
import { productOf, userOf } from './authentication.ts'
import { badRequest, notFound, unknownDevice } from './errors.ts'
import { type ApiLimits, defaultLimits, RateLimiter } from './limits.ts'
import type { ApiDeps } from './services.ts'

export interface ApiContext extends ApiDeps {
  readonly limits: ApiLimits
  readonly rates: RateLimiter
  /** The cloud's address as clients know it, without a trailing slash. */
  publicUrl(request: FastifyRequest): string
  /** The caller's device by id or name. @throws ApiError 403 when it is unknown or somebody else's */
  device(request: FastifyRequest, idOrName: string): DeviceRecord
  /** A device of the product that the route names, by id. @throws ApiError 404 when it is not in the product */
  productDevice(request: FastifyRequest, id: string): DeviceRecord
  /**
   * Notes in the audit log that the caller did something; returns at once. Call it when it is done, from every route that
   * changes what lasts.
   *
   * @param action `noun.verb`: `device.rename`, `product.create`
   * @param target what it was done to: an id or a name
   * @param detail what else is to be known of it; never a secret
   * @param concerns the person or product concerned, when it is another than the caller, and the product of the route
   */
  audit(
    request: FastifyRequest,
    action: string,
    target: string | number,
    detail?: Readonly<Record<string, unknown>>,
    concerns?: { readonly userId?: string | null; readonly productId?: number | null },
  ): void
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
      const { caller } = request
      // A customer is one of a single product (cloud-api.md 5.1).
      const elsewhere = caller?.kind === 'customer' && device?.memberOf !== caller.productId
      if (!device || elsewhere) throw unknownDevice(publicUrl(request))
      return device
    },
    productDevice(request, id) {
      const device = deps.registry.get(id.toLowerCase())
      if (!device || deps.products.devices.of(device.id)?.productId !== productOf(request).id) {
        throw notFound('There is no such device in the product')
      }
      return device
    },
    audit(request, action, target, detail = {}, concerns = {}) {
      const { caller, product } = request
      const own = caller && caller.kind !== 'user' ? caller.productId : null
      deps.identity.audit.record({
        actor: actorOf(caller),
        action,
        target: String(target),
        userId: concerns.userId ?? null,
        productId: concerns.productId ?? product?.id ?? own,
        ip: request.ip,
        requestId: request.id,
        detail,
      })
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
