/** `POST /oauth/token` (cloud-api.md 1.1; RFC 6749 sections 4.3, 5 and 6). */
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { anyone } from '../access.ts'
import { basicCredentials } from '../authentication.ts'
import type { ApiContext } from '../context.ts'
import { oauthError, tooMany } from '../errors.ts'
import { isLoopback } from '../limits.ts'
import { type ApiServer, NumberLike, OptionalText, readInteger } from '../schemas.ts'

/** Client and secret, as the documents, the SDK and the CLI send them; any of them will do. */
export const oauthClients: Readonly<Record<string, string>> = {
  particle: 'particle',
  'particle-api': 'particle-api',
  'particle-cli': 'particle-cli',
}

const second = 1_000
const defaultLifetime = 7_776_000 * second
const refreshLifetime = 14 * 24 * 60 * 60 * second
/** A hundred years: longer than any token is kept, and still a date. */
const longestLifetime = 100 * 365 * 24 * 60 * 60 * second

const Body = Type.Object({
  grant_type: OptionalText(100),
  username: OptionalText(1_000),
  password: OptionalText(4_096),
  client_id: OptionalText(200),
  client_secret: OptionalText(200),
  refresh_token: OptionalText(200),
  expires_in: Type.Optional(NumberLike),
  expires_at: OptionalText(64),
})

export function oauthRoutes(app: ApiServer, context: ApiContext): void {
  const { identity, now, limits } = context

  app.post(
    '/oauth/token',
    { schema: { body: Body }, config: { rate: 'logins', access: anyone } },
    async (request, reply) => {
      const { body } = request
      const client = checkClient(request, body)
      reply.header('cache-control', 'no-store')
      if (body.grant_type === 'refresh_token') return refresh(body.refresh_token ?? '', client)
      if (body.grant_type !== 'password') {
        throw oauthError(400, 'unsupported_grant_type', `Aloe has no grant of type ${body.grant_type ?? '(none)'}`)
      }
      const { username, password } = body
      if (!username || !password)
        throw oauthError(400, 'invalid_request', 'Missing parameters. "username" and "password" are required')
      const lifetime = lifetimeOf(body, now())
      const exempt = limits.exemptLoopback && isLoopback(request.ip)
      const login = await identity.login(username, password, exempt ? undefined : request.ip)
      if (login.ok) return issue(login.user.id, client, lifetime)
      if (login.error === 'too-many-failures') throw tooMany(login.retryAfter)
      throw oauthError(400, 'invalid_grant', 'User credentials are invalid')
    },
  )

  async function refresh(token: string, client: string) {
    const info = identity.tokens.check(token, 'refresh')
    // It is good once: who of two comes second has lost it.
    if (!info || !(await identity.tokens.revoke(token))) {
      throw oauthError(400, 'invalid_grant', 'The refresh token is invalid')
    }
    return issue(info.userId, client, defaultLifetime)
  }

  async function issue(userId: string, client: string, lifetime: number | null) {
    const { token } = await identity.tokens.issue(userId, client, lifetime)
    const refreshToken = await identity.tokens.issue(userId, client, refreshLifetime, 'refresh')
    return {
      access_token: token,
      token_type: 'bearer',
      expires_in: lifetime === null ? 0 : Math.round(lifetime / second),
      refresh_token: refreshToken.token,
    }
  }
}

function checkClient(request: FastifyRequest, body: { client_id?: string; client_secret?: string }): string {
  const basic = basicCredentials(request)
  const id = basic?.name ?? body.client_id ?? ''
  const secret = basic?.password ?? body.client_secret ?? ''
  if (!Object.hasOwn(oauthClients, id) || oauthClients[id] !== secret) {
    throw oauthError(400, 'invalid_client', 'Client credentials are invalid')
  }
  return id
}

/** @returns milliseconds; null for a token that does not expire */
function lifetimeOf(body: { expires_in?: number | string; expires_at?: string }, now: number): number | null {
  if (body.expires_at !== undefined && body.expires_at !== '') {
    const lifetime = Date.parse(body.expires_at) - now
    if (lifetime > 0 && lifetime <= longestLifetime) return lifetime
    throw oauthError(400, 'invalid_request', '"expires_at" must be a date to come')
  }
  if (body.expires_in === undefined || body.expires_in === '') return defaultLifetime
  const seconds = readInteger(body.expires_in)
  if (seconds === undefined || seconds < 0 || seconds * second > longestLifetime) {
    throw oauthError(400, 'invalid_request', '"expires_in" must be a number of seconds')
  }
  return seconds === 0 ? null : seconds * second
}
