/** `/v1/user` and `/v1/users` (cloud-api.md 1.2). */
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { anyone, self } from '../access.ts'
import { bearerToken, userOf } from '../authentication.ts'
import type { ApiContext } from '../context.ts'
import { badRequest, forbidden, notImplemented, tooMany } from '../errors.ts'
import { isLoopback } from '../limits.ts'
import { type ApiServer, BooleanLike, OptionalText, readBoolean } from '../schemas.ts'

const AccountInfo = Type.Optional(Type.Record(Type.String(), Type.Unknown()))
const UserChanges = Type.Object({
  username: OptionalText(1_000),
  password: OptionalText(4_096),
  current_password: OptionalText(4_096),
  account_info: AccountInfo,
  invalidate_tokens: Type.Optional(BooleanLike),
})

export function userRoutes(app: ApiServer, context: ApiContext): void {
  const { identity, registry, gateway, streams, limits } = context

  app.get('/v1/user', { config: { access: self } }, async (request) => {
    const user = userOf(request)
    const cellular = registry.list(user.id).filter(({ describe }) => describe?.imei !== undefined).length
    return {
      username: user.username,
      subscription_ids: [],
      account_info: user.accountInfo,
      mfa: { enabled: false },
      scim_provisioned: false,
      no_password: false,
      wifi_device_count: registry.list(user.id).length - cellular,
      cellular_device_count: cellular,
      administrator: user.administrator,
    }
  })

  app.get('/v1/user/identify', { config: { access: self } }, async (request) => {
    const { id, username } = userOf(request)
    return { id, email: username }
  })

  app.put(
    '/v1/user',
    { schema: { body: UserChanges }, config: { rate: 'credentials', access: self } },
    async (request) => {
      const { id } = userOf(request)
      const { username, password, current_password, account_info, invalidate_tokens } = request.body
      if (username === undefined && password === undefined && account_info === undefined) {
        throw badRequest('Nothing to change: give "username", "password" or "account_info"')
      }
      if (username !== undefined || password !== undefined) await checkPassword(request, current_password)
      if (username !== undefined) await identity.users.setUsername(id, username)
      if (password !== undefined) await identity.users.setPassword(id, password)
      if (account_info !== undefined) await identity.users.setAccountInfo(id, account_info)
      if (readBoolean(invalidate_tokens) === true) await identity.tokens.revokeAll(id)
      return { ok: true, message: 'User updated' }
    },
  )

  app.delete(
    '/v1/user',
    {
      schema: { body: Type.Object({ password: OptionalText(4_096) }) },
      config: { rate: 'credentials', access: self },
    },
    async (request) => {
      const { id } = userOf(request)
      await checkPassword(request, request.body.password)
      // First, because it may be refused; the rest is then done in any case.
      await identity.users.remove(id)
      for (const device of registry.list(id)) {
        await registry.unclaim(device.id, id)
        gateway.ownerChanged(device.id)
      }
      await identity.tokens.revokeAll(id)
      streams.end((filter) => filter.kind !== 'product' && filter.ownerId === id)
      return { ok: true, message: 'User deleted' }
    },
  )

  async function checkPassword(request: FastifyRequest, password: string | undefined): Promise<void> {
    const exempt = limits.exemptLoopback && isLoopback(request.ip)
    const login = await identity.login(userOf(request).username, password ?? '', exempt ? undefined : request.ip)
    if (login.ok) return
    throw login.error === 'too-many-failures' ? tooMany(login.retryAfter) : forbidden('The current password is wrong')
  }
}

const NewUser = Type.Object({
  username: OptionalText(1_000),
  password: OptionalText(4_096),
  account_info: AccountInfo,
})

/** Without a token, or an administrator's. */
export function openUserRoutes(app: ApiServer, { identity, options }: ApiContext): void {
  app.post(
    '/v1/users',
    { schema: { body: NewUser }, config: { rate: 'credentials', access: anyone } },
    async (request) => {
      const session = identity.authenticate(bearerToken(request) ?? '')
      if (options.openRegistration !== true && session?.user.administrator !== true) {
        throw forbidden('Registration is closed: ask the administrator of this cloud for a user')
      }
      const { username, password, account_info = {} } = request.body
      if (!username || !password) throw badRequest('"username" and "password" are required')
      await identity.users.create(username, password, { accountInfo: account_info })
      return { ok: true }
    },
  )

  for (const method of ['POST', 'PUT'] as const) {
    app.route({
      method,
      url: '/v1/user/password-reset',
      config: { access: anyone },
      handler: async () => {
        throw notImplemented('mail, and so no reset of passwords by it; an administrator can set one')
      },
    })
  }
}
