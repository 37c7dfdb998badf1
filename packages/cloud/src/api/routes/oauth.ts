/** `POST /oauth/token` (cloud-api.md 1.1; RFC 6749 sections 4.3, 4.4, 5 and 6). */
import type { FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import type { KnownClient } from '../../identity/clients.ts'
import { everyScope, grants } from '../../identity/scopes.ts'
import type { User } from '../../identity/users.ts'
import { anyone } from '../access.ts'
import type { ApiContext } from '../context.ts'
import { badClient, clientOf } from '../credentials.ts'
import { mfaRequired, oauthError, tooMany } from '../errors.ts'
import { throttledHost } from '../limits.ts'
import { type ApiServer, NumberLike, OptionalText, readInteger } from '../schemas.ts'
import { issueTokens, lifetimes, type TokenAnswer } from '../token-answer.ts'

const second = 1_000
/** A hundred years: longer than any token is kept, and still a date. */
const longestLifetime = 100 * 365 * 24 * 60 * 60 * second

const Body = Type.Object({
  grant_type: OptionalText(100),
  username: OptionalText(1_000),
  password: OptionalText(4_096),
  client_id: OptionalText(200),
  client_secret: OptionalText(200),
  refresh_token: OptionalText(200),
  mfa_token: OptionalText(200),
  otp: Type.Optional(NumberLike),
  scope: OptionalText(1_000),
  expires_in: Type.Optional(NumberLike),
  expires_at: OptionalText(64),
})
type Grant = Static<typeof Body>

export function oauthRoutes(app: ApiServer, context: ApiContext): void {
  const { identity, now, limits } = context

  app.post(
    '/oauth/token',
    { schema: { body: Body }, config: { rate: 'logins', access: anyone } },
    async (request, reply) => {
      const { body } = request
      const client = clientOf(request, body, identity)
      if (!client) throw badClient()
      reply.header('cache-control', 'no-store')
      switch (body.grant_type) {
        case 'password':
          return byPassword(request, body, client)
        case 'urn:custom:mfa-otp':
          return byCode(request, body, client)
        case 'refresh_token':
          return byRefreshToken(body.refresh_token ?? '', client)
        case 'client_credentials':
          return byClient(request, body, client)
        default:
          throw oauthError(400, 'unsupported_grant_type', `Aloe has no grant of type ${body.grant_type ?? '(none)'}`)
      }
    },
  )

  async function byPassword(request: FastifyRequest, body: Grant, client: KnownClient): Promise<TokenAnswer> {
    const { username, password } = body
    if (!username || !password)
      throw oauthError(400, 'invalid_request', 'Missing parameters. "username" and "password" are required')
    const lifetime = lifetimeOf(body, now())
    const host = throttledHost(request, limits)
    const productId = client.own?.productId ?? null
    // Through the client of a product its customers log in.
    const login =
      productId === null
        ? await identity.login(username, password, host)
        : await identity.logins.checkPasswordOf(
            productId,
            username,
            identity.customers.find(productId, username)?.user.id,
            password,
            host,
          )
    if (login.ok) return issue(request, login.user, client, lifetime)
    if (login.error === 'too-many-failures') throw tooMany(login.retryAfter)
    if (login.error === 'mfa-required') {
      throw mfaRequired(identity.logins.challenge({ userId: login.user.id, client: client.id, lifetime }))
    }
    const known =
      productId === null ? identity.users.find(username) : identity.customers.find(productId, username)?.user
    if (known) context.audit(request, 'user.login-failed', known.username, {}, { userId: known.id, productId })
    throw oauthError(400, 'invalid_grant', 'User credentials are invalid')
  }

  async function byCode(request: FastifyRequest, { mfa_token, otp }: Grant, client: KnownClient): Promise<TokenAnswer> {
    const answer = await identity.logins.answer(mfa_token ?? '', String(otp ?? ''), throttledHost(request, limits))
    if (answer.ok && answer.challenge.client === client.id) {
      return issue(request, answer.user, client, answer.challenge.lifetime)
    }
    if (!answer.ok && answer.error === 'too-many-failures') throw tooMany(answer.retryAfter)
    if (answer.user) {
      context.audit(request, 'user.login-failed', answer.user.username, { step: 'mfa' }, { userId: answer.user.id })
    }
    throw oauthError(403, 'invalid_grant', 'The one-time code is wrong, was used before, or came too late')
  }

  async function byRefreshToken(token: string, client: KnownClient): Promise<TokenAnswer> {
    const info = await identity.tokens.useRefresh(token, client.id)
    if (!info) throw oauthError(400, 'invalid_grant', 'The refresh token is invalid')
    return issueTokens(identity, info.userId, client.id, lifetimes.access, info.family ?? undefined)
  }

  async function byClient(request: FastifyRequest, body: Grant, { id, own }: KnownClient): Promise<TokenAnswer> {
    const { scope = '' } = body
    if (!own) throw oauthError(400, 'unauthorized_client', 'Everybody knows this client: it stands for nobody')
    const lifetime = lifetimeOf(body, now())
    const email = /^customer=(.+)$/.exec(scope)?.[1]
    if (email !== undefined) {
      if (own.productId === null) throw oauthError(400, 'invalid_scope', 'Only the client of a product has customers')
      // It would log in as anybody: not what the secret in an application that everybody has may do.
      if (!grants(own.scopes, 'customers:update')) {
        throw oauthError(
          400,
          'unauthorized_client',
          'This client may not log in for customers: it needs the scope "*:*"',
        )
      }
      const customer = identity.customers.find(own.productId, email)
      if (!customer) throw oauthError(400, 'invalid_grant', 'The product has no such customer')
      return issue(request, customer.user, { id, own }, lifetime)
    }
    if (scope !== '' && scope !== everyScope) {
      throw oauthError(400, 'invalid_scope', 'The scope of this grant is "customer=<address>", or none')
    }
    const user = identity.users.get(own.userId)
    if (!user) throw badClient()
    if (own.productId === null && !own.scopes.has(everyScope)) {
      throw oauthError(400, 'unauthorized_client', 'This client may not act for its owner: it needs the scope "*:*"')
    }
    return issue(request, user, { id, own }, lifetime)
  }

  async function issue(
    request: FastifyRequest,
    user: User,
    client: KnownClient,
    lifetime: number | null,
  ): Promise<TokenAnswer> {
    const answer = await issueTokens(identity, user.id, client.id, lifetime)
    // From here on it is known who it is: the log says so.
    request.caller = identity.authenticate(answer.access_token)?.caller ?? null
    const expires = lifetime === null ? null : Math.round(lifetime / second)
    const concerns = { userId: user.id, productId: user.productId }
    context.audit(request, 'user.login', user.username, { client: client.id, expires_in: expires }, concerns)
    return answer
  }
}

/** @returns milliseconds; null for one that does not expire */
function lifetimeOf(body: Pick<Grant, 'expires_in' | 'expires_at'>, now: number): number | null {
  if (body.expires_at !== undefined && body.expires_at !== '') {
    const lifetime = Date.parse(body.expires_at) - now
    if (lifetime > 0 && lifetime <= longestLifetime) return lifetime
    throw oauthError(400, 'invalid_request', '"expires_at" must be a date to come')
  }
  if (body.expires_in === undefined || body.expires_in === '') return lifetimes.access
  const seconds = readInteger(body.expires_in)
  if (seconds === undefined || seconds < 0 || seconds * second > longestLifetime) {
    throw oauthError(400, 'invalid_request', '"expires_in" must be a number of seconds')
  }
  return seconds === 0 ? null : seconds * second
}
