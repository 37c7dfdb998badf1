/** Who makes a request (cloud-api.md 0.2). */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Identity, Session } from '../identity/identity.ts'
import type { User } from '../identity/users.ts'
import { badToken, missingToken } from './errors.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Null on routes without authentication, and before it. */
    session: Session | null
  }
}

/** Makes every route of this plugin ask for a good token: in the header, in the query, or in a form body. */
export function requireToken(app: FastifyInstance, identity: Identity): void {
  app.addHook('onRequest', async (request) => {
    const token = bearerToken(request) ?? queryToken(request)
    if (token !== undefined) request.session = check(identity, token)
    // Before a body is read, so that nobody without a token can upload.
    else if (!mayComeInForm(request)) throw missingToken()
  })
  app.addHook('preValidation', async (request) => {
    if (request.session) return
    const token = (request.body as { access_token?: unknown }).access_token
    if (typeof token !== 'string') throw missingToken()
    request.session = check(identity, token)
  })
}

/** The user of an authenticated route. */
export function userOf(request: FastifyRequest): User {
  if (!request.session) throw missingToken()
  return request.session.user
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

function queryToken({ query }: FastifyRequest): string | undefined {
  const token = (query as { access_token?: unknown }).access_token
  return typeof token === 'string' ? token : undefined
}

function mayComeInForm({ headers, routeOptions }: FastifyRequest): boolean {
  const type = headers['content-type'] ?? ''
  if (/^application\/x-www-form-urlencoded/i.test(type)) return true
  return /^multipart\/form-data/i.test(type) && routeOptions.config.upload !== true
}

function check(identity: Identity, token: string): Session {
  const session = identity.authenticate(token)
  if (!session) throw badToken()
  return session
}
