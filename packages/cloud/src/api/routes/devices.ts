/** One's own devices: list, get, remove; and pings, also of a product's (cloud-api.md 1.3). */
import { owner } from '../access.ts'
import { callerOf, userOf } from '../authentication.ts'
import type { ApiContext } from '../context.ts'
import { deviceForms } from '../device-forms.ts'
import { deviceJson } from '../device-json.ts'
import { notImplemented } from '../errors.ts'
import { type ApiServer, pathOf } from '../schemas.ts'

export function deviceRoutes(app: ApiServer, context: ApiContext): void {
  const { registry, gateway } = context

  app.get('/v1/devices', { config: { access: owner('devices:list') } }, async (request) => {
    const caller = callerOf(request)
    const devices = registry.list(userOf(request).id)
    // A customer is one of a single product (cloud-api.md 5.1).
    const own = caller.kind === 'customer' ? devices.filter(({ memberOf }) => memberOf === caller.productId) : devices
    return own.map((device) => deviceJson(device, context))
  })

  app.get(
    '/v1/devices/:id',
    { schema: { params: pathOf('id') }, config: { access: owner('devices:get') } },
    async (request) => deviceJson(context.device(request, request.params.id), context),
  )

  app.delete(
    '/v1/devices/:id',
    { schema: { params: pathOf('id') }, config: { access: owner('devices:release') } },
    async (request) => {
      const device = context.device(request, request.params.id)
      await registry.unclaim(device.id, userOf(request).id)
      gateway.ownerChanged(device.id)
      context.audit(request, 'device.unclaim', device.id)
      return { ok: true }
    },
  )

  for (const { path, access, device: find } of deviceForms(context)) {
    app.put(`${path}/ping`, { config: { access: access('devices:ping') } }, async (request) => {
      const device = find(request)
      return { online: gateway.isOnline(device.id) && (await gateway.ping(device.id)), ok: true }
    })

    app.put(`${path}/unprotect`, { config: { access: access('devices:unprotect') } }, async (request) => {
      find(request)
      throw notImplemented('device protection')
    })
  }
}
