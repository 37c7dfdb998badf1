/** `/v1/access_tokens` (cloud-api.md 1.1). */
import type { FastifyRequest } from 'fastify'
import type { User } from '../../identity/users.ts'
import { anyone, holder, self } from '../access.ts'
import { basicCredentials, bearerToken, userOf } from '../authentication.ts'
import { type ApiContext, iso } from '../context.ts'
import { badToken, forbidden, missingToken, notFound, tooMany } from '../errors.ts'
import { isLoopback } from '../limits.ts'
import { type ApiServer, pathOf } from '../schemas.ts'

/** With a token. */
export function tokenRoutes(app: ApiServer, { identity }: ApiContext): void {
  app.get('/v1/access_tokens/current', { config: { access: holder } }, async (request) => {
    const { token } = request.session ?? {}
    if (!token) throw missingToken()
    return { expires_at: iso(token.expiresAt), client: token.client, client_id: token.client, scopes: [], orgs: [] }
  })

  app.delete('/v1/access_tokens/current', { config: { rate: 'credentials', access: holder } }, async (request) => {
    await identity.tokens.revoke(
      bearerToken(request) ?? (request.query as { access_token?: string }).access_token ?? '',
    )
    return { ok: true }
  })

  app.delete('/v1/access_tokens', { config: { rate: 'credentials', access: self } }, async (request) => {
    await identity.tokens.revokeAll(userOf(request).id)
    return { ok: true }
  })
}

/** With a name and password, or with nothing but the knowledge of the token (cloud-api.md 0.2). */
export function openTokenRoutes(app: ApiServer, { identity, limits }: ApiContext): void {
  app.get('/v1/access_tokens', { config: { rate: 'credentials', access: anyone } }, async (request) => {
    const user = await userByBasicOrBearer(request)
    // The tokens themselves are known to nobody but their holders.
    return identity.tokens.list(user.id).map(({ hint, expiresAt, client }) => ({
      token: `${hint}${'*'.repeat(34)}`,
      expires_at: iso(expiresAt),
      client,
    }))
  })

  app.delete(
    '/v1/access_tokens/:token',
    { schema: { params: pathOf('token') }, config: { rate: 'credentials', access: anyone } },
    async (request) => {
      if (!(await identity.tokens.revoke(request.params.token))) throw notFound('There is no such token')
      return { ok: true }
    },
  )

  async function userByBasicOrBearer(request: FastifyRequest): Promise<User> {
    const basic = basicCredentials(request)
    if (!basic) {
      const token = bearerToken(request)
      const session = token === undefined ? undefined : identity.authenticate(token)
      if (session) return session.user
      throw token === undefined ? missingToken() : badToken()
    }
    const exempt = limits.exemptLoopback && isLoopback(request.ip)
    const login = await identity.login(basic.name, basic.password, exempt ? undefined : request.ip)
    if (login.ok) return login.user
    throw login.error === 'too-many-failures' ? tooMany(login.retryAfter) : forbidden('User credentials are invalid')
  }
}
