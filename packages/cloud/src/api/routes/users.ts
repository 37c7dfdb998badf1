/** `/v1/user` and `/v1/users` (cloud-api.md 1.2). */
import { Type } from 'typebox'
import type { User } from '../../identity/users.ts'
import { administrators, anyone, self } from '../access.ts'
import { bearerToken, userOf } from '../authentication.ts'
import { type ApiContext, iso } from '../context.ts'
import { confirmPassword } from '../credentials.ts'
import { badRequest, forbidden, notFound } from '../errors.ts'
import { type ApiServer, BooleanLike, OptionalText, pathOf, readBoolean } from '../schemas.ts'

const AccountInfo = Type.Optional(Type.Record(Type.String(), Type.Unknown()))
const UserChanges = Type.Object({
  username: OptionalText(1_000),
  password: OptionalText(4_096),
  current_password: OptionalText(4_096),
  account_info: AccountInfo,
  invalidate_tokens: Type.Optional(BooleanLike),
})

export function userRoutes(app: ApiServer, context: ApiContext): void {
  const { identity, registry, gateway, streams, products, integrations, options } = context

  app.get('/v1/user', { config: { access: self } }, async (request) => {
    const user = userOf(request)
    const cellular = registry.list(user.id).filter(({ describe }) => describe?.imei !== undefined).length
    return {
      username: user.username,
      subscription_ids: [],
      account_info: user.accountInfo,
      mfa: { enabled: identity.secondFactors.has(user.id) },
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
      const user = userOf(request)
      const { id } = user
      const { username, password, current_password, account_info, invalidate_tokens } = request.body
      if (username === undefined && password === undefined && account_info === undefined) {
        throw badRequest('Nothing to change: give "username", "password" or "account_info"')
      }
      if (username !== undefined || password !== undefined) {
        await confirmPassword(request, user, current_password, context)
      }
      // Of several changes none is made when one cannot be.
      if (password !== undefined) identity.users.checkPassword(password)
      if (username !== undefined) {
        await identity.users.setUsername(id, username)
        context.audit(request, 'user.rename', username, { before: user.username })
      }
      if (password !== undefined) {
        await identity.setPassword(id, password)
        context.audit(request, 'user.password', userOf(request).username)
      }
      if (account_info !== undefined) {
        await identity.users.setAccountInfo(id, account_info)
        context.audit(request, 'user.account-info', user.username)
      }
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
      const user = userOf(request)
      await confirmPassword(request, user, request.body.password, context)
      await removeUser(user)
      context.audit(request, 'user.remove', user.username)
      return { ok: true, message: 'User deleted' }
    },
  )

  async function removeUser(user: User): Promise<void> {
    if (products.list(user.id).length > 0) {
      throw forbidden('There are products of which this user is the owner: remove them first')
    }
    // First, because it may be refused; the rest is then done in any case.
    const devices = registry.list(user.id)
    await identity.removeUser(user.id)
    await integrations.ownerDeleted({ kind: 'user', userId: user.id })
    await integrations.ownerDeleted({ kind: 'user', userId: user.id })
    for (const device of devices) {
      await registry.unclaim(device.id, user.id)
      gateway.ownerChanged(device.id)
    }
    streams.end((filter) => filter.kind !== 'product' && filter.ownerId === user.id)
  }

  const NewUser = Type.Object({
    username: OptionalText(1_000),
    password: OptionalText(4_096),
    account_info: AccountInfo,
  })
  // Without a token where that is open; else with an administrator's.
  app.post(
    '/v1/users',
    { schema: { body: NewUser }, config: { rate: 'credentials', access: anyone } },
    async (request) => {
      request.caller = identity.authenticate(bearerToken(request) ?? '')?.caller ?? null
      const administrator = request.caller?.kind === 'user' && request.caller.user.administrator
      if (options.openRegistration !== true && !administrator) {
        throw forbidden('Registration is closed: ask the administrator of this cloud for a user')
      }
      const { username, password, account_info = {} } = request.body
      if (!username || !password) throw badRequest('"username" and "password" are required')
      const user = await identity.users.create(username, password, { accountInfo: account_info })
      context.audit(request, 'user.create', user.username, {}, { userId: user.id })
      return { ok: true }
    },
  )

  app.get('/v1/aloe/users', { config: { access: administrators } }, async () => ({
    users: identity.users.people().map((user) => ({
      id: user.id,
      username: user.username,
      administrator: user.administrator,
      mfa: identity.secondFactors.has(user.id),
      devices: registry.list(user.id).length,
      created_at: iso(user.createdAt),
    })),
  }))

  const named = {
    schema: { params: pathOf('username') },
    config: { rate: 'credentials', access: administrators },
  } as const

  // For somebody who has lost the telephone.
  app.delete('/v1/aloe/users/:username/mfa', named, async (request) => {
    const user = userNamed(request.params.username)
    await identity.secondFactors.remove(user.id)
    context.audit(request, 'user.mfa-disable', user.username, {}, { userId: user.id })
    return { ok: true }
  })

  app.delete('/v1/aloe/users/:username', named, async (request) => {
    const user = userNamed(request.params.username)
    await removeUser(user)
    context.audit(request, 'user.remove', user.username, {}, { userId: user.id })
    return { ok: true }
  })

  function userNamed(username: string): User {
    const user = identity.users.find(username)
    if (!user) throw notFound('There is no such user')
    return user
  }
}
