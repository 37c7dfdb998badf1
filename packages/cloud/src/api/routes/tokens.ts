/** `/v1/access_tokens` (cloud-api.md 1.1). */
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { TokenInfo } from '../../identity/tokens.ts'
import type { User } from '../../identity/users.ts'
import { anyone, holder, self } from '../access.ts'
import { bearerToken, callerOf, sessionOf, userOf } from '../authentication.ts'
import { type ApiContext, iso } from '../context.ts'
import { userByBasic } from '../credentials.ts'
import { badRequest, forbidden, missingToken, notFound } from '../errors.ts'
import { type ApiServer, OptionalText, pathOf } from '../schemas.ts'

const Query = Type.Object({ otp: OptionalText(10), access_token: OptionalText(200) })
const hidden = '*'.repeat(34)

export function tokenRoutes(app: ApiServer, context: ApiContext): void {
  const { identity } = context

  app.get('/v1/access_tokens/current', { config: { access: holder } }, async (request) => {
    const { token } = request.session ?? {}
    if (!token) throw missingToken()
    const caller = callerOf(request)
    return {
      expires_at: iso(token.expiresAt),
      client: token.client,
      client_id: token.client,
      scopes: 'scopes' in caller ? [...caller.scopes] : [],
      orgs: [],
    }
  })

  app.delete('/v1/access_tokens/current', { config: { rate: 'credentials', access: holder } }, async (request) => {
    if (!request.session) throw missingToken()
    const { token, user } = request.session
    await identity.tokens.revokeFamily(token)
    context.audit(request, 'token.revoke', token.hint, {}, { userId: user.id })
    return { ok: true }
  })

  app.delete('/v1/access_tokens', { config: { rate: 'credentials', access: self } }, async (request) => {
    const { id, username } = userOf(request)
    await identity.tokens.revokeAll(id)
    context.audit(request, 'token.revoke-all', username)
    return { ok: true }
  })

  // With a name and password, or a token.
  app.get(
    '/v1/access_tokens',
    { schema: { querystring: Query }, config: { rate: 'credentials', access: anyone } },
    async (request) => {
      const user = await userByBasicOrBearer(request, request.query.otp)
      if (!user) throw missingToken()
      // The tokens themselves are known to nobody but their holders.
      return identity.tokens.list(user.id).map(({ hint, expiresAt, client }) => ({
        token: hint + hidden,
        expires_at: iso(expiresAt),
        client,
      }))
    },
  )

  // Who knows a token may end it (cloud-api.md 0.2); as it stands in the list, it needs to be one's own.
  app.delete(
    '/v1/access_tokens/:token',
    {
      schema: { params: pathOf('token'), querystring: Query },
      config: { rate: 'credentials', access: anyone },
    },
    async (request) => {
      const info = await namedToken(request, request.params.token, request.query.otp)
      const user = info && identity.users.get(info.userId)
      if (!info) throw notFound('There is no such token')
      await identity.tokens.revokeFamily(info)
      context.audit(request, 'token.revoke', info.hint, {}, { userId: info.userId, productId: user?.productId ?? null })
      return { ok: true }
    },
  )

  async function namedToken(request: FastifyRequest, text: string, otp?: string): Promise<TokenInfo | undefined> {
    const hint = /^([0-9a-f]{6})\*+$/.exec(text)?.[1]
    if (hint === undefined) return identity.tokens.find(text)
    const user = await userByBasicOrBearer(request, otp)
    if (!user) throw missingToken()
    const [info, another] = identity.tokens.list(user.id).filter((token) => token.hint === hint)
    if (another) throw badRequest('Two of your tokens begin like this: name the one in full')
    return info
  }

  async function userByBasicOrBearer(request: FastifyRequest, otp: string | undefined): Promise<User | undefined> {
    const user = await userByBasic(request, otp, context)
    if (user) return user
    const token = bearerToken(request) ?? (request.query as { access_token?: string }).access_token
    if (token === undefined) return undefined
    const { caller } = sessionOf(identity, token)
    if (caller.kind !== 'user') throw forbidden('This endpoint is for people who have logged in')
    return caller.user
  }
}
