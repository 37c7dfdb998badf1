/**
 * What a route asks of its caller. Every route says it (`config: { access }`), one hook enforces it (`authorize.ts`), and
 * the access matrix is made of it (cloud-api.md 5).
 */
import type { FastifyRequest } from 'fastify'
import type { Scope } from '../identity/scopes.ts'

export type Access =
  /** Anybody, without a token. A handler may still ask for credentials of another kind. */
  | { readonly to: 'anyone' }
  /** Whoever holds a good token of any kind: about that token itself. */
  | { readonly to: 'holder' }
  /** The user about themselves (account, tokens); no API users, customers or product tokens. */
  | { readonly to: 'self' }
  /** Administrators of this cloud. */
  | { readonly to: 'administrators' }
  /** Whoever owns what the route is about, outside products: the handler looks it up with the caller's rights. */
  | { readonly to: 'owner'; readonly scope: Scope }
  /** Team and clients of the product that `:product` (id or slug) names: `request.product` is there, access checked. */
  | {
      readonly to: 'product'
      readonly scope: Scope
      /** A client of the product may come with its id and secret instead of a token. */
      readonly orClient?: true
    }

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access
  }
}

export const anyone: Access = { to: 'anyone' }
export const holder: Access = { to: 'holder' }
export const self: Access = { to: 'self' }
export const administrators: Access = { to: 'administrators' }
export const owner = (scope: Scope): Access => ({ to: 'owner', scope })
export const ofProduct = (scope: Scope): Access => ({ to: 'product', scope })
export const ofProductOrClient = (scope: Scope): Access => ({ to: 'product', scope, orClient: true })

/** The access that a request's route asks for. */
export function accessOf(request: FastifyRequest): Access | undefined {
  return request.routeOptions.config.access
}
