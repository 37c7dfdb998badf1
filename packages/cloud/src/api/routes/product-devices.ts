/** A product's devices: list, import, change, remove (cloud-api.md 1.3). What devices do is in the routes of both forms. */
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { type DeviceRecord, deviceId } from '../../devices/device.ts'
import type { User } from '../../identity/users.ts'
import { listDevices, type SortAttribute, sortAttributes } from '../../products/device-list.ts'
import { type ImportEntry, importDevices, readImportList } from '../../products/import.ts'
import type { ProductRecord } from '../../products/products.ts'
import { ofProduct } from '../access.ts'
import { productOf } from '../authentication.ts'
import type { ApiContext } from '../context.ts'
import { deviceJson } from '../device-json.ts'
import { badRequest, forbidden, notFound } from '../errors.ts'
import { listOf, queryOf } from '../lists.ts'
import { quarantinedJson } from '../product-json.ts'
import { type ApiServer, BooleanLike, OptionalText, pathOf, readBoolean, readInteger } from '../schemas.ts'
import { takeOut } from './change-device.ts'

const defaultPage = 25
const largestPage = 1_000
/** Devices of one import. */
const importLimit = 200_000

const Import = Type.Object({
  id: OptionalText(200),
  ids: Type.Optional(Type.Union([Type.String(), Type.Array(Type.String())])),
  claim_user: Type.Optional(Type.Union([Type.String({ maxLength: 300 }), Type.Null()])),
  import_sims: Type.Optional(BooleanLike),
  import_method: OptionalText(32),
})
const GroupEdit = Type.Object({
  action: OptionalText(32),
  devices: Type.Optional(Type.Union([Type.String(), Type.Array(Type.String())])),
  metadata: Type.Optional(Type.Object({ add: Type.Optional(Type.Unknown()), remove: Type.Optional(Type.Unknown()) })),
})
const Removal = Type.Object({ deny: Type.Optional(BooleanLike) })

export function productDeviceRoutes(app: ApiServer, context: ApiContext): void {
  const { products, registry, gateway, identity } = context
  const inTeam = (product: ProductRecord, userId: string) => identity.teams.roleOf(product, userId) !== undefined

  const show = (device: DeviceRecord, product: ProductRecord) =>
    device.memberOf === product.id ? deviceJson(device, context) : quarantinedJson(device, product.id, context)

  app.get(
    '/v1/products/:product/devices',
    { schema: { params: pathOf('product') }, config: { access: ofProduct('devices:list') } },
    async (request) => {
      const product = productOf(request)
      const query = readQuery(request)
      const { devices, total, totalPages } = listDevices(product.id, query, { registry, devices: products.devices })
      const customers = new Map<string, { id: string; username: string }>()
      for (const { ownerId } of devices) {
        const user = ownerId === null ? undefined : identity.users.get(ownerId)
        if (user && identity.customers.find(product.id, user.username)?.user.id === user.id) {
          customers.set(user.id, { id: user.id, username: user.username })
        }
      }
      return {
        devices: devices.map((device) => show(device, product)),
        customers: [...customers.values()],
        meta: { page: query.page, per_page: query.perPage, total, total_pages: totalPages },
      }
    },
  )

  app.get(
    '/v1/products/:product/devices/:id',
    { schema: { params: pathOf('product', 'id') }, config: { access: ofProduct('devices:get') } },
    async (request) => {
      const product = productOf(request)
      return show(memberOrQuarantined(product, request.params.id), product)
    },
  )

  app.post(
    '/v1/products/:product/devices',
    {
      schema: { params: pathOf('product'), body: Import },
      config: { upload: true, access: ofProduct('devices:import') },
      bodyLimit: context.limits.upload,
    },
    async (request) => {
      const product = productOf(request)
      const entries = entriesOf(request.body, request)
      if (entries.length === 0) throw badRequest('Name devices: "id", "ids", or a file with an identifier on each line')
      if (entries.length > importLimit) throw badRequest(`An import has up to ${importLimit} devices`)
      const { claim_user } = request.body
      const owner = typeof claim_user === 'string' && claim_user !== '' ? ownerFor(product, claim_user) : undefined
      const result = await importDevices(product, entries, { registry, devices: products.devices, inTeam })
      const { updatedDeviceIds, existingDeviceIds } = result
      const claimed = owner ? await registry.claimUnowned([...updatedDeviceIds, ...existingDeviceIds], owner.id) : []
      for (const { id } of claimed) gateway.ownerChanged(id)
      const said = updatedDeviceIds.length === 1 ? { id: updatedDeviceIds[0] } : {}
      const detail = { added: updatedDeviceIds.length, ...said, ...(owner && { claimUser: owner.username }) }
      context.audit(request, 'device.import', product.id, detail)
      return { ok: true, updated: updatedDeviceIds.length, ...result }
    },
  )

  app.put(
    '/v1/products/:product/devices',
    {
      schema: { params: pathOf('product'), body: GroupEdit },
      config: { access: ofProduct('devices:update') },
      bodyLimit: context.limits.upload,
    },
    async (request) => {
      const product = productOf(request)
      const { action, metadata = {} } = request.body
      if (action !== 'groups') throw badRequest('"action" can be "groups"')
      const ids = listOf(request.body.devices)
      const unknown = ids.find((id) => deviceId(id) === undefined)
      if (ids.length === 0 || unknown !== undefined) throw badRequest('"devices" is a list of device ids')
      const change = { add: listOf(metadata.add), remove: listOf(metadata.remove) }
      products.groups.check(product.id, change.add)
      const lower = ids.map((id) => id.toLowerCase())
      const changed = await products.devices.changeGroups(product.id, lower, change)
      context.audit(request, 'device.groups', product.id, { devices: changed.length, ...change })
      return { ok: true, updated: changed.length }
    },
  )

  app.delete(
    '/v1/products/:product/devices/:id',
    { schema: { params: pathOf('product', 'id'), body: Removal }, config: { access: ofProduct('devices:remove') } },
    async (request, reply) => {
      const product = productOf(request)
      const device = memberOrQuarantined(product, request.params.id)
      const deny = readBoolean(request.body.deny) === true
      await takeOut(product, device, deny, context)
      context.audit(request, 'device.remove', device.id, { deny })
      reply.code(204)
    },
  )

  app.delete(
    '/v1/products/:product/devices/:id/owner',
    { schema: { params: pathOf('product', 'id') }, config: { access: ofProduct('devices:release') } },
    async (request) => {
      const device = context.productDevice(request, request.params.id)
      if (device.ownerId !== null) {
        await registry.unclaim(device.id, device.ownerId)
        gateway.ownerChanged(device.id)
        context.audit(request, 'device.unclaim', device.id, {}, { userId: device.ownerId })
      }
      return { ok: true }
    },
  )

  function memberOrQuarantined(product: ProductRecord, text: string): DeviceRecord {
    const device = registry.get(deviceId(text) ?? '')
    if (device?.memberOf === product.id) return device
    if (device && device.memberOf === null && device.productId === product.id) return device
    throw notFound('There is no such device in the product')
  }

  /** Who is to own imported devices: somebody of the team, or a customer of the product. */
  function ownerFor(product: ProductRecord, username: string): User {
    const customer = identity.customers.find(product.id, username)
    if (customer) return customer.user
    const user = identity.users.find(username)
    if (user && inTeam(product, user.id)) return user
    throw forbidden(`"${username}" is neither of the product's team nor a customer of it`)
  }
}

function entriesOf(
  { id, ids }: { id?: string; ids?: string | string[] },
  { upload }: Pick<FastifyRequest, 'upload'>,
): ImportEntry[] {
  const files = upload.map(({ content }) => Buffer.from(content).toString('utf8'))
  const named = [...(id === undefined ? [] : [id]), ...listOf(ids)]
  return [...named.map((identifier) => ({ identifier: identifier.trim() })), ...files.flatMap(readImportList)]
}

function readQuery(request: FastifyRequest) {
  const query = queryOf(request)
  const number = (name: string, ...values: unknown[]): number | undefined => {
    const value = values.find((each) => each !== undefined && each !== '')
    const read = readInteger(value)
    if (value !== undefined && (read === undefined || read < 1)) throw badRequest(`"${name}" is a number from 1`)
    return read
  }
  const text = (value: unknown): string | undefined =>
    typeof value === 'string' && value.trim() !== '' ? value.trim().slice(0, 200) : undefined
  const parts = {
    deviceId: text(query.deviceId),
    deviceName: text(query.deviceName),
    serialNumber: text(query.serialNumber),
    groups: query.groups === undefined ? undefined : listOf(query.groups),
    quarantined: query.quarantined === undefined ? undefined : readBoolean(query.quarantined),
    sortAttr: sortOf(query.sortAttr),
  }
  if (parts.groups?.length === 0) parts.groups = undefined
  const direction = query.sortDir ?? 'asc'
  if (direction !== 'asc' && direction !== 'desc') throw badRequest('"sortDir" is "asc" or "desc"')
  const given = Object.fromEntries(Object.entries(parts).filter(([, value]) => value !== undefined))
  return {
    ...(given as { [K in keyof typeof parts]?: NonNullable<(typeof parts)[K]> }),
    descending: direction === 'desc',
    page: number('page', query.page) ?? 1,
    perPage: Math.min(number('per_page', query.per_page, query.perPage) ?? defaultPage, largestPage),
  }
}

function sortOf(value: unknown): SortAttribute | undefined {
  if (value === undefined || value === '') return undefined
  const attribute = sortAttributes.find((each) => each === value)
  if (!attribute) throw badRequest(`"sortAttr" is one of ${sortAttributes.join(', ')}`)
  return attribute
}
