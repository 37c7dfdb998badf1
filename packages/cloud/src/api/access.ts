/**
 * What a route asks of its caller. Every route says it (`config: { access }`), one hook enforces it, and the access
 * matrix is made of it (cloud-api.md 5).
 */
import type { FastifyRequest } from 'fastify'

export type Access =
  /** Anybody, without a token. */
  | { readonly to: 'anyone' }
  /** The user about themselves (account, tokens); no API users, customers or product tokens. */
  | { readonly to: 'self' }
  /** Administrators of this cloud. */
  | { readonly to: 'administrators' }
  /** Whoever owns what the route is about, outside products: the handler looks it up with the caller's rights. */
  | { readonly to: 'owner'; readonly scope: string }
  /** Team and clients of the product that `:product` (id or slug) names: `request.product` is there, access checked. */
  | { readonly to: 'product'; readonly scope: string }

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access
  }
}

export const anyone: Access = { to: 'anyone' }
export const self: Access = { to: 'self' }
export const administrators: Access = { to: 'administrators' }
export const owner = (scope: string): Access => ({ to: 'owner', scope })
export const ofProduct = (scope: string): Access => ({ to: 'product', scope })

/** The access that a request's route asks for. */
export function accessOf(request: FastifyRequest): Access | undefined {
  return request.routeOptions.config.access
}
