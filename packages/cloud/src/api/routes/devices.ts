/** Devices: list, claim, change, remove, ping, keys (cloud-api.md 1.3). Flashing is in flash.ts. */
import { Type } from 'typebox'
import type { DeviceRecord } from '../../devices/device.ts'
import { readPublicKey } from '../../devices/keys.ts'
import { owner } from '../access.ts'
import { userOf } from '../authentication.ts'
import { type ApiContext, iso } from '../context.ts'
import { deviceJson } from '../device-json.ts'
import { badRequest, forbidden, notImplemented, timedOut } from '../errors.ts'
import { type ApiServer, BooleanLike, NumberLike, OptionalText, pathOf, readBoolean, readInteger } from '../schemas.ts'

export function deviceRoutes(app: ApiServer, context: ApiContext): void {
  const { registry, gateway } = context

  app.get('/v1/devices', { config: { access: owner('devices:list') } }, async (request) =>
    registry.list(userOf(request).id).map((device) => deviceJson(device, context)),
  )

  app.get(
    '/v1/devices/:id',
    { schema: { params: pathOf('id') }, config: { access: owner('devices:get') } },
    async (request) => deviceJson(context.device(request, request.params.id), context),
  )

  const Claim = Type.Object({
    id: OptionalText(100),
    request_transfer: Type.Optional(BooleanLike),
    product_id: Type.Optional(NumberLike),
  })
  app.post('/v1/devices', { schema: { body: Claim }, config: { access: owner('devices:claim') } }, async (request) => {
    const { id, request_transfer, product_id } = request.body
    if (id === undefined && product_id !== undefined) throw notImplemented('devices made by the cloud')
    if (id === undefined) throw badRequest('"id" is required')
    const user = userOf(request)
    const known = registry.get(id.toLowerCase())
    if (known && known.ownerId !== null && known.ownerId !== user.id && readBoolean(request_transfer) === true) {
      throw forbidden('Aloe passes no requests for transfers on: ask the owner to remove the device, then claim it')
    }
    const device = await registry.claim(id, user.id)
    if (known?.ownerId !== device.ownerId) gateway.ownerChanged(device.id)
    return {
      ok: true,
      user_id: user.id,
      id: device.id,
      deviceID: device.id,
      connected: gateway.isOnline(device.id),
      claimed: true,
    }
  })

  app.post('/v1/device_claims', { config: { access: owner('devices:claim') } }, async (request) => {
    const { id } = userOf(request)
    const code = await registry.createClaimCode(id)
    return { claim_code: code, device_ids: registry.list(id).map((device) => device.id) }
  })

  app.delete(
    '/v1/devices/:id',
    { schema: { params: pathOf('id') }, config: { access: owner('devices:release') } },
    async (request) => {
      const device = context.device(request, request.params.id)
      await registry.unclaim(device.id, userOf(request).id)
      gateway.ownerChanged(device.id)
      return { ok: true }
    },
  )

  app.put(
    '/v1/devices/:id/ping',
    { schema: { params: pathOf('id') }, config: { access: owner('devices:ping') } },
    async (request) => {
      const device = context.device(request, request.params.id)
      return { online: gateway.isOnline(device.id) && (await gateway.ping(device.id)), ok: true }
    },
  )

  app.put(
    '/v1/devices/:id/unprotect',
    { schema: { params: pathOf('id') }, config: { access: owner('devices:unprotect') } },
    async (request) => {
      context.device(request, request.params.id)
      throw notImplemented('device protection')
    },
  )

  const Provisioning = Type.Object({
    publicKey: OptionalText(8_192),
    algorithm: OptionalText(16),
    deviceID: OptionalText(100),
    product_id: Type.Optional(Type.Union([NumberLike, Type.Null()])),
  })
  app.post(
    '/v1/provisioning/:id',
    { schema: { params: pathOf('id'), body: Provisioning }, config: { access: owner('devices:provision') } },
    async (request) => {
      const { publicKey, algorithm } = request.body
      if (!publicKey) throw badRequest('"publicKey" is required')
      const key = readPublicKey(publicKey)
      if (algorithm !== undefined && algorithm !== key.algorithm) {
        throw badRequest(`The key is of algorithm "${key.algorithm}", not "${algorithm}"`)
      }
      const { id } = request.params
      const before = registry.get(id.toLowerCase())?.publicKey
      const device = await registry.provision(id, key, userOf(request), readInteger(request.body.product_id))
      // Whoever is connected has shown the old key.
      if (before && before !== device.publicKey) gateway.disconnect(device.id, 'its registered key was replaced')
      return { ok: true }
    },
  )
}

/** What a PUT without files can change; several at a time (cloud-api.md, appendix A, `updateDevice`). */
export const DeviceChanges = Type.Object({
  name: Type.Optional(Type.Unknown()),
  notes: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  signal: Type.Optional(BooleanLike),
  firmware_updates_forced: Type.Optional(BooleanLike),
})

export async function changeDevice(
  device: DeviceRecord,
  changes: { name?: unknown; notes?: string | null; signal?: unknown; firmware_updates_forced?: unknown },
  context: ApiContext,
): Promise<Record<string, unknown>> {
  const { registry, gateway, now } = context
  const ownerId = device.ownerId ?? ''
  const answer: Record<string, unknown> = { id: device.id }
  const signal = switchOf('signal', changes.signal)
  const forced = switchOf('firmware_updates_forced', changes.firmware_updates_forced)
  // What can fail for want of a connection goes first, so that a 408 has changed nothing.
  if (signal !== undefined) {
    const result = gateway.isOnline(device.id) ? await gateway.signal(device.id, signal) : undefined
    if (!result?.ok) throw timedOut()
    answer.connected = true
    answer.signaling = signal
  }
  if (changes.name !== undefined) {
    if (typeof changes.name !== 'string') throw badRequest('"name" must be text')
    answer.name = (await registry.rename(device.id, ownerId, changes.name)).name
    answer.updated_at = iso(now())
  }
  if (changes.notes !== undefined) {
    answer.notes = (await registry.setNotes(device.id, ownerId, changes.notes)).notes
    answer.updated_at = iso(now())
  }
  if (forced !== undefined) {
    await registry.setUpdatesForced(device.id, ownerId, forced)
    gateway.setUpdatesForced(device.id, forced)
    answer.firmware_updates_forced = forced
    answer.updated_at = iso(now())
  }
  return answer
}

function switchOf(name: string, value: unknown): boolean | undefined {
  if (value === undefined) return undefined
  const read = readBoolean(value)
  if (read === undefined) throw badRequest(`"${name}" must be 1 or 0`)
  return read
}
