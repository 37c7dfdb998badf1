/** What a PUT without files changes of a device; several things at a time (cloud-api.md 1.3, and appendix A). */
import type { FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import { type DeviceRecord, deviceId, firmwareVersionOf } from '../../devices/device.ts'
import { actorOf } from '../../identity/caller.ts'
import type { ProductDeviceChanges } from '../../products/product-devices.ts'
import type { ProductRecord } from '../../products/products.ts'
import { productOf } from '../authentication.ts'
import { type ApiContext, iso } from '../context.ts'
import { ApiError, badRequest, notFound, timedOut } from '../errors.ts'
import { listOf } from '../lists.ts'
import { BooleanLike, NumberLike, OptionalText, readBoolean, readInteger } from '../schemas.ts'

export const DeviceChanges = Type.Object({
  name: Type.Optional(Type.Unknown()),
  notes: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  signal: Type.Optional(BooleanLike),
  firmware_updates_forced: Type.Optional(BooleanLike),
  pinned_build_target: Type.Optional(Type.Union([Type.String({ maxLength: 64 }), Type.Null()])),
})

/** Of a product's device, by the product's routes. */
export const ProductDeviceFields = Type.Object({
  development: Type.Optional(BooleanLike),
  /** The text "null" of a form unlocks. */
  desired_firmware_version: Type.Optional(Type.Union([NumberLike, Type.Null()])),
  flash: Type.Optional(BooleanLike),
  groups: Type.Optional(Type.Union([Type.String(), Type.Array(Type.String()), Type.Null()])),
  denied: Type.Optional(BooleanLike),
  serial_number: OptionalText(200),
})

type Answer = Record<string, unknown>

/** @returns what changed, as it is now */
export async function changeDevice(
  request: FastifyRequest,
  device: DeviceRecord,
  changes: Static<typeof DeviceChanges>,
  context: ApiContext,
): Promise<Answer> {
  const { registry, gateway, now } = context
  const { ownerId } = device
  const answer: Answer = { id: device.id }
  const changed: Answer = {}
  const signal = switchOf('signal', changes.signal)
  const forced = switchOf('firmware_updates_forced', changes.firmware_updates_forced)
  const target = buildTargetOf(device, changes.pinned_build_target, context)
  if (changes.name !== undefined && typeof changes.name !== 'string') throw badRequest('"name" must be text')
  // What can fail for want of a connection goes first, so that a 408 has changed nothing.
  if (signal !== undefined) {
    const result = gateway.isOnline(device.id) ? await gateway.signal(device.id, signal) : undefined
    if (!result?.ok) throw timedOut()
    answer.connected = true
    answer.signaling = signal
  }
  if (changes.name !== undefined) changed.name = (await registry.rename(device.id, ownerId, changes.name)).name
  if (changes.notes !== undefined) changed.notes = (await registry.setNotes(device.id, ownerId, changes.notes)).notes
  if (target !== undefined) {
    changed.pinned_build_target = (await registry.setPinnedBuildTarget(device.id, ownerId, target)).pinnedBuildTarget
  }
  if (forced !== undefined) {
    await registry.setUpdatesForced(device.id, ownerId, forced)
    gateway.setUpdatesForced(device.id, forced)
    changed.firmware_updates_forced = forced
  }
  if (Object.keys(changed).length === 0) return answer
  context.audit(request, 'device.update', device.id, changed)
  return { ...answer, ...changed, updated_at: iso(now()) }
}

/** The same for a device of the product that the route names, or one that reports it, with what only products have. */
export async function changeProductDevice(
  request: FastifyRequest,
  id: string,
  changes: Static<typeof DeviceChanges> & Static<typeof ProductDeviceFields>,
  context: ApiContext,
): Promise<Answer> {
  const product = productOf(request)
  const denied = switchOf('denied', changes.denied)
  if (denied !== undefined) return decide(request, id, denied, context)

  const device = context.productDevice(request, id)
  const flash = switchOf('flash', changes.flash) === true
  const membership = membershipChanges(product.id, changes, context)
  const serialNumber = changes.serial_number
  const answer = await changeDevice(request, device, changes, context)
  if (serialNumber !== undefined) {
    answer.serial_number = (await context.registry.setSerialNumber(device.id, serialNumber)).serialNumber
    answer.updated_at = iso(context.now())
    context.audit(request, 'device.update', device.id, { serial_number: answer.serial_number })
  }
  if (Object.keys(membership).length > 0) {
    const member = await context.products.devices.change(product.id, device.id, membership)
    const { development, desiredVersion, groups } = member
    const changed = {
      ...(membership.development !== undefined && { development }),
      ...(membership.desiredVersion !== undefined && { desired_firmware_version: desiredVersion }),
      ...(membership.groups !== undefined && { groups }),
    }
    Object.assign(answer, changed, { updated_at: iso(member.updatedAt) })
    context.audit(request, 'device.update', device.id, changed)
  }
  if (flash) Object.assign(answer, await flashLocked(request, device, context))
  return answer
}

/** All is checked before anything is changed. */
function membershipChanges(
  productId: number,
  changes: Static<typeof ProductDeviceFields>,
  { products }: ApiContext,
): ProductDeviceChanges {
  const development = switchOf('development', changes.development)
  const groups = changes.groups === undefined ? undefined : listOf(changes.groups)
  if (groups) products.groups.check(productId, groups)
  const wanted = changes.desired_firmware_version
  const unlocks = wanted === null || wanted === 'null' || wanted === ''
  const version = unlocks ? null : readInteger(wanted)
  if (wanted !== undefined && version === undefined) {
    throw badRequest('"desired_firmware_version" is a whole number, or null')
  }
  if (typeof version === 'number' && !products.firmware.get(productId, version)) {
    throw notFound(`The product has no firmware version ${version}`)
  }
  return {
    ...(development !== undefined && { development }),
    ...(version !== undefined && { desiredVersion: version }),
    ...(groups && { groups }),
  }
}

/** Lock and flash: an online device gets its version now; any other when it connects. */
async function flashLocked(request: FastifyRequest, device: DeviceRecord, context: ApiContext): Promise<Answer> {
  const { products, updates, gateway, registry } = context
  const member = products.devices.of(device.id)
  if (!member || member.desiredVersion === null) throw badRequest('"flash" goes with "desired_firmware_version"')
  const { productId, desiredVersion } = member
  const now = registry.get(device.id) ?? device
  if (!gateway.isOnline(device.id) || firmwareVersionOf(now) === desiredVersion) return { flash: false }
  const file = await products.firmware.content(productId, desiredVersion)
  const result = await updates.flash(device.id, file, actorOf(request.caller).id ?? '')
  if (!result.ok) {
    const error = `The device is locked to version ${desiredVersion}, but it was not flashed: ${result.error}`
    throw new ApiError(result.status, { ok: false, error, errors: [error] })
  }
  context.audit(request, 'device.flash', device.id, { version: desiredVersion })
  return { flash: true, status: 'Update started' }
}

/** Denying takes a device out of the product; no longer denying puts one that reports it back into quarantine. */
async function decide(request: FastifyRequest, text: string, deny: boolean, context: ApiContext): Promise<Answer> {
  const { products, registry, now } = context
  const product = productOf(request)
  const device = registry.get(deviceId(text) ?? '')
  const reports = device && device.memberOf === null && device.productId === product.id
  if (!device || !(device.memberOf === product.id || reports)) throw notFound('There is no such device in the product')
  if (deny) await takeOut(product, device, true, context)
  else await products.devices.allow(product.id, device.id)
  context.audit(request, deny ? 'device.deny' : 'device.allow', device.id)
  return { id: device.id, denied: deny, quarantined: device.memberOf !== product.id || deny, updated_at: iso(now()) }
}

/** A customer has devices of their product alone: one that leaves it is nobody's. */
export async function takeOut(
  product: ProductRecord,
  { id, ownerId }: DeviceRecord,
  deny: boolean,
  { products, registry, identity, gateway }: ApiContext,
): Promise<void> {
  await products.devices.remove(product.id, id, deny)
  const user = ownerId === null ? undefined : identity.users.get(ownerId)
  if (!user || identity.customers.find(product.id, user.username)?.user.id !== user.id) return
  await registry.unclaim(id, user.id)
  gateway.ownerChanged(id)
}

function buildTargetOf(
  device: DeviceRecord,
  target: string | null | undefined,
  { catalogue }: ApiContext,
): string | null | undefined {
  if (target === undefined) return undefined
  if (target === null || target === '' || target === 'null') return null
  if (device.platformId === null) throw badRequest('The device has not said yet which platform it is')
  const release = catalogue.release(target, device.platformId)
  if (!release) throw badRequest(`Device OS ${target} is not in the catalogue for the device's platform`)
  return release.version
}

function switchOf(name: string, value: unknown): boolean | undefined {
  if (value === undefined) return undefined
  const read = readBoolean(value)
  if (read === undefined) throw badRequest(`"${name}" must be 1 or 0`)
  return read
}
