/** The team of a product: people with roles, and API users with scopes (cloud-api.md 1.7 and 5). */
import { Type } from 'typebox'
import type { ApiUser } from '../../identity/api-users.ts'
import { isTeamRole, type Role, roleMay, type TeamRole, teamRoles } from '../../identity/scopes.ts'
import type { User } from '../../identity/users.ts'
import { ofProduct } from '../access.ts'
import { productOf } from '../authentication.ts'
import type { ApiContext } from '../context.ts'
import { badRequest, forbidden, notFound } from '../errors.ts'
import { requireRights, scopesOf } from '../rights.ts'
import { type ApiServer, OptionalText, pathOf } from '../schemas.ts'

const Scopes = Type.Optional(
  Type.Union([Type.String({ maxLength: 4_000 }), Type.Array(Type.String({ maxLength: 100 }), { maxItems: 200 })]),
)
const RoleName = Type.Optional(
  Type.Union([Type.String({ maxLength: 40 }), Type.Object({ id: OptionalText(40), name: OptionalText(40) })]),
)
const Member = Type.Object({
  username: OptionalText(254),
  role: RoleName,
  friendly_name: OptionalText(200),
  scopes: Scopes,
})

/** `inviteTeamMember` of the official SDK names no role: the least is given then. */
const defaultRole: TeamRole = 'View-only'

export function teamRoutes(app: ApiServer, context: ApiContext): void {
  const { identity, registry } = context
  const { teams, apiUsers, users } = identity
  const team = '/v1/products/:product/team'

  app.get(
    team,
    { schema: { params: pathOf('product') }, config: { access: ofProduct('teams.users:list') } },
    async (request) => {
      const { id, ownerId } = productOf(request)
      const people: [string, Role][] = [
        [ownerId, 'Owner'],
        ...teams.members(id).map(({ userId, role }): [string, Role] => [userId, role]),
      ]
      const members = people.flatMap(([userId, role]) => {
        const user = users.get(userId)
        return user ? [personJson(user, role)] : []
      })
      return { ok: true, team: [...members, ...apiUsers.list(id).map(apiUserJson)] }
    },
  )

  app.post(
    team,
    {
      schema: { params: pathOf('product'), body: Member },
      config: { rate: 'credentials', access: ofProduct('teams.users:invite') },
    },
    async (request) => {
      const { id, ownerId } = productOf(request)
      const { username, friendly_name, scopes } = request.body
      if (username === undefined) {
        if (friendly_name === undefined) {
          throw badRequest('"username" is required for a person, "friendly_name" and "scopes" for an API user')
        }
        return createApiUser()
      }
      const role = roleOf(request.body.role) ?? defaultRole
      requireRights(request, identity, role)
      const user = users.find(username)
      if (!user) throw badRequest('There is no such user in this cloud: they must have an account first')
      if (user.id === ownerId) throw badRequest('The owner of the product is in its team')
      if (teams.roleOf(productOf(request), user.id)) throw badRequest('This user is in the team')
      await teams.set(id, user.id, role)
      context.audit(request, 'team.invite', user.username, { role }, { userId: user.id })
      return { ok: true, invited: { username: user.username } }

      async function createApiUser() {
        const grant = scopesOf(scopes)
        if (grant.size === 0) throw badRequest('"scopes" must name at least one scope')
        requireRights(request, identity, grant)
        const { apiUser, token } = await apiUsers.create(id, friendly_name ?? '', grant)
        context.audit(request, 'team.create-api-user', apiUser.user.username, { scopes: [...grant] })
        return { ok: true, created: { ...apiUserJson(apiUser), tokens: [{ token }] } }
      }
    },
  )

  const params = pathOf('product', 'username')
  // The documents say POST in their text, and PUT in their examples (cloud-api.md 1.7).
  for (const method of ['PUT', 'POST'] as const) {
    app.route({
      method,
      url: `${team}/:username`,
      schema: { params, body: Member },
      config: { rate: 'credentials', access: ofProduct('teams.users:update') },
      handler: async (request) => {
        const product = productOf(request)
        const { username } = (request as { params: { username: string } }).params
        const body = request.body as { role?: unknown; friendly_name?: string; scopes?: unknown }
        const apiUser = apiUsers.find(product.id, username)
        if (apiUser) return updateApiUser(apiUser)
        const { user, role: before } = memberNamed(username)
        const role = roleOf(body.role)
        if (!role) throw badRequest(`"role" must be one of ${teamRoles.join(', ')}`)
        requireRights(request, identity, before)
        requireRights(request, identity, role)
        await teams.set(product.id, user.id, role)
        if (!roleMay(role, 'devices:claim')) await registry.revokeClaimCodes(user.id, product.id)
        context.audit(request, 'team.update', user.username, { role, before }, { userId: user.id })
        return { ok: true, updated: personJson(user, role) }

        async function updateApiUser(known: ApiUser) {
          const scopes = body.scopes === undefined ? undefined : scopesOf(body.scopes)
          if (scopes?.size === 0) throw badRequest('"scopes" must name at least one scope')
          requireRights(request, identity, known.scopes)
          if (scopes) requireRights(request, identity, scopes)
          const { apiUser: changed, token } = await apiUsers.update(known.user.id, {
            ...(body.friendly_name !== undefined && { friendlyName: body.friendly_name }),
            ...(scopes && { scopes }),
          })
          context.audit(request, 'team.update-api-user', username, { scopes: [...changed.scopes] })
          return { ok: true, updated: { ...apiUserJson(changed), ...(token !== undefined && { tokens: [{ token }] }) } }
        }

        function memberNamed(name: string): { user: User; role: TeamRole } {
          const found = users.find(name)
          const now = found && teams.roleOf(product, found.id)
          if (now === 'Owner') throw forbidden('The owner of a product stays what they are')
          if (!found || !now) throw notFound('There is nobody of this name in the team')
          return { user: found, role: now }
        }
      },
    })
  }

  app.put(
    `${team}/:username/token`,
    { schema: { params }, config: { rate: 'credentials', access: ofProduct('teams.users:update') } },
    async (request) => {
      const apiUser = apiUsers.find(productOf(request).id, request.params.username)
      if (!apiUser) throw notFound('There is no API user of this name in the team')
      requireRights(request, identity, apiUser.scopes)
      const token = await apiUsers.rotate(apiUser.user.id)
      context.audit(request, 'team.rotate-api-user', apiUser.user.username)
      return { ok: true, updated: { ...apiUserJson(apiUser), tokens: [{ token }] } }
    },
  )

  app.delete(
    `${team}/:username`,
    { schema: { params }, config: { access: ofProduct('teams.users:remove') } },
    async (request) => {
      const product = productOf(request)
      const apiUser = apiUsers.find(product.id, request.params.username)
      if (apiUser) {
        requireRights(request, identity, apiUser.scopes)
        await apiUsers.remove(apiUser.user.id)
        context.audit(request, 'team.remove-api-user', apiUser.user.username)
        return { ok: true }
      }
      const user = users.find(request.params.username)
      const role = user && teams.roleOf(product, user.id)
      if (role === 'Owner') throw forbidden('The owner of a product cannot be removed from its team')
      if (!user || !role) throw notFound('There is nobody of this name in the team')
      requireRights(request, identity, role)
      await teams.remove(product.id, user.id)
      await registry.revokeClaimCodes(user.id, product.id)
      context.audit(request, 'team.remove', user.username, { role }, { userId: user.id })
      return { ok: true }
    },
  )

  function personJson(user: User, role: Role): Record<string, unknown> {
    return {
      _id: user.id,
      username: user.username,
      role: { id: role, name: role },
      no_mfa: !identity.secondFactors.has(user.id),
    }
  }
}

function apiUserJson({ user, productId, friendlyName, scopes }: ApiUser): Record<string, unknown> {
  return {
    _id: user.id,
    username: user.username,
    friendly_name: friendlyName,
    scopes: [...scopes],
    is_programmatic: true,
    product_id: productId,
  }
}

/** @throws ApiError 400 for a role that cannot be given */
function roleOf(value: unknown): TeamRole | undefined {
  const name =
    typeof value === 'object' && value !== null
      ? ((value as { id?: unknown; name?: unknown }).id ?? (value as { name?: unknown }).name)
      : value
  if (name === undefined || name === '') return undefined
  if (isTeamRole(name)) return name
  throw badRequest(`"role" must be one of ${teamRoles.join(', ')}`)
}
