/**
 * Organizations: Aloe has none. A person's name stands for one with what is theirs, so that tools which ask by
 * organization find it.
 */
import type { FastifyRequest } from 'fastify'
import { deviceId } from '../../devices/device.ts'
import { mayOnProduct } from '../../identity/access-rules.ts'
import { owner } from '../access.ts'
import { callerOf, userOf } from '../authentication.ts'
import type { ApiContext } from '../context.ts'
import { deviceJson } from '../device-json.ts'
import { notFound, notImplemented, unknownDevice } from '../errors.ts'
import { type ApiServer, pathOf } from '../schemas.ts'

export function orgRoutes(app: ApiServer, context: ApiContext): void {
  const { registry, products, identity } = context

  app.get('/v1/orgs', { config: { access: owner('organization:get') } }, async () => ({ organizations: [] }))

  app.get(
    '/v1/orgs/:org',
    { schema: { params: pathOf('org') }, config: { access: owner('organization:get') } },
    async (request) => {
      const { id, username } = ownOrganization(request, request.params.org)
      return { organization: { id, slug: username, name: username } }
    },
  )

  app.get(
    '/v1/orgs/:org/devices/:id',
    { schema: { params: pathOf('org', 'id') }, config: { access: owner('devices:get') } },
    async (request) => {
      ownOrganization(request, request.params.org)
      const device = registry.get(deviceId(request.params.id) ?? '')
      const product = device?.memberOf == null ? undefined : products.get(device.memberOf)
      if (device && product && mayOnProduct(callerOf(request), 'devices:get', product, identity.teams).ok) {
        return deviceJson(device, context)
      }
      const mine = registry.find(request.params.id, userOf(request).id)
      if (!mine) throw unknownDevice(context.publicUrl(request))
      return deviceJson(mine, context)
    },
  )

  app.put(
    '/v1/orgs/:org/devices/:id/unprotect',
    { schema: { params: pathOf('org', 'id') }, config: { access: owner('devices:unprotect') } },
    async (request) => {
      ownOrganization(request, request.params.org)
      throw notImplemented('device protection')
    },
  )
}

/** The caller, when `org` is their name or id. @throws ApiError 404 */
export function ownOrganization(request: FastifyRequest, org: string) {
  const user = userOf(request)
  if (org.toLowerCase() !== user.username && org !== user.id) throw notFound('There is no such organization')
  return user
}
