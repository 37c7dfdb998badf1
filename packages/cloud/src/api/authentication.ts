/** Who makes a request (cloud-api.md 0.2). */
import type { FastifyRequest } from 'fastify'
import type { Caller } from '../identity/caller.ts'
import type { Identity, Session } from '../identity/identity.ts'
import type { User } from '../identity/users.ts'
import type { ProductRecord } from '../products/product.ts'
import { badToken, forbidden, missingToken } from './errors.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Null on routes for anyone, and before the token is checked. */
    session: Session | null
    /** Who it is; null as the session is. */
    caller: Caller | null
    /** On routes of products: the one that `:product` names, to which the caller has access. */
    product: ProductRecord | null
  }
}

/** Who calls an authenticated route. */
export function callerOf(request: FastifyRequest): Caller {
  if (!request.caller) throw missingToken()
  return request.caller
}

/**
 * The user of an authenticated route: the person, the customer whose devices it is about, or the API user. What is made
 * by it is theirs. A client of a product is nobody of these: it is refused.
 */
export function userOf(request: FastifyRequest): User {
  const caller = callerOf(request)
  if (caller.kind === 'product') throw forbidden('This endpoint is not for the clients of products')
  return caller.user
}

/** The product of a route under `/v1/products/:product`. */
export function productOf(request: FastifyRequest): ProductRecord {
  if (!request.product) throw new Error(`${request.routeOptions.url} is not a route of a product`)
  return request.product
}

export function bearerToken({ headers }: FastifyRequest): string | undefined {
  return /^Bearer +(\S+) *$/i.exec(headers.authorization ?? '')?.[1]
}

/** HTTP Basic, RFC 7617. */
export function basicCredentials({ headers }: FastifyRequest): { name: string; password: string } | undefined {
  const encoded = /^Basic +([\w+/=-]+) *$/i.exec(headers.authorization ?? '')?.[1]
  if (encoded === undefined) return undefined
  const text = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  return colon < 0 ? undefined : { name: text.slice(0, colon), password: text.slice(colon + 1) }
}

export function queryToken({ query }: FastifyRequest): string | undefined {
  const token = (query as { access_token?: unknown }).access_token
  return typeof token === 'string' ? token : undefined
}

/** Whether the token may be in the body, where older clients send it. Never in an upload, which is read for no stranger. */
export function mayComeInForm({ headers, routeOptions }: FastifyRequest): boolean {
  const type = headers['content-type'] ?? ''
  if (/^application\/x-www-form-urlencoded/i.test(type)) return true
  return /^multipart\/form-data/i.test(type) && routeOptions.config.upload !== true
}

/** @throws ApiError 401 for a token that is not good */
export function sessionOf(identity: Identity, token: string): Session {
  const session = identity.authenticate(token)
  if (!session) throw badToken()
  return session
}
