/** How devices come to their owners: claiming, claim codes, and requests for devices of others (cloud-api.md 1.3). */
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { type DeviceRecord, deviceId } from '../../devices/device.ts'
import { type Transfer, Transfers } from '../../devices/transfers.ts'
import { ofProduct, owner, self } from '../access.ts'
import { callerOf, productOf, userOf } from '../authentication.ts'
import { type ApiContext, iso } from '../context.ts'
import { badRequest, forbidden, notFound, notImplemented } from '../errors.ts'
import { type ApiServer, BooleanLike, NumberLike, OptionalText, pathOf, readBoolean } from '../schemas.ts'

const Claim = Type.Object({
  id: OptionalText(100),
  request_transfer: Type.Optional(BooleanLike),
  product_id: Type.Optional(NumberLike),
})
/** On the owner's stream, about a request; on that of who asked, about its end. */
const transferEvent = 'aloe/device/transfer'

export function claimRoutes(app: ApiServer, context: ApiContext): void {
  const { registry, gateway, identity, products, bus, store, now } = context
  const transfers = new Transfers({ store, registry, now })

  app.post('/v1/devices', { schema: { body: Claim }, config: { access: owner('devices:claim') } }, async (request) => {
    const { id, request_transfer, product_id } = request.body
    if (id === undefined && product_id !== undefined) throw notImplemented('devices made by the cloud')
    if (id === undefined) throw badRequest('"id" is required')
    const user = userOf(request)
    const known = registry.get(deviceId(id) ?? '')
    if (known) checkClaim(request, known)
    if (known && known.ownerId !== null && known.ownerId !== user.id && readBoolean(request_transfer) === true) {
      if (callerOf(request).kind !== 'user') throw forbidden('Only a person may ask for the device of somebody else')
      // Customers decide nothing here: they have an application for their device, and no account.
      if (identity.users.get(known.ownerId)?.kind !== 'person') {
        throw forbidden('The device belongs to a customer of a product')
      }
      const { transfer, isNew } = await transfers.request(known.id, user.id)
      if (isNew) {
        tell(transfer.fromUser, transfer)
        context.audit(request, 'transfer.request', known.id, { transfer: transfer.id }, { userId: transfer.fromUser })
      }
      return { ok: true, transfer_id: transfer.id }
    }
    const device = await registry.claim(id, user.id)
    if (known?.ownerId !== device.ownerId) {
      gateway.ownerChanged(device.id)
      context.audit(request, 'device.claim', device.id)
    }
    return {
      ok: true,
      user_id: user.id,
      id: device.id,
      deviceID: device.id,
      connected: gateway.isOnline(device.id),
      claimed: true,
    }
  })

  /** The fleet of a product is not for everybody who knows an id: its team and its customers claim from it. */
  function checkClaim(request: FastifyRequest, device: DeviceRecord): void {
    const caller = callerOf(request)
    const product = device.memberOf === null ? undefined : products.get(device.memberOf)
    if (caller.kind === 'customer') {
      if (caller.productId !== product?.id) throw forbidden('The device is not one of the product')
      return
    }
    if (!product || device.ownerId !== null) return
    if (caller.kind === 'user' && identity.teams.roleOf(product, caller.user.id)) return
    throw forbidden('The device belongs to a product: its team and its customers may claim it')
  }

  app.post('/v1/device_claims', { config: { access: owner('devices:claim') } }, async (request) => {
    const caller = callerOf(request)
    const { id } = userOf(request)
    const code = await registry.createClaimCode(id, caller.kind === 'customer' ? caller.productId : null)
    return { claim_code: code, device_ids: registry.list(id).map((device) => device.id) }
  })

  app.post(
    '/v1/products/:product/device_claims',
    { schema: { params: pathOf('product') }, config: { access: ofProduct('devices:claim') } },
    async (request) => {
      const product = productOf(request)
      const caller = callerOf(request)
      if (caller.kind !== 'user' && caller.kind !== 'customer') {
        throw forbidden('A claim code is for the person who will own the device: a user, or a customer of the product')
      }
      const { id } = caller.user
      const code = await registry.createClaimCode(id, product.id)
      const own = registry.list(id).filter(({ memberOf }) => memberOf === product.id)
      return { claim_code: code, device_ids: own.map((device) => device.id) }
    },
  )

  app.get('/v1/aloe/transfers', { config: { access: self } }, async (request) => {
    const user = userOf(request)
    const list = await transfers.list(user.id)
    return { transfers: list.map((transfer) => transferJson(transfer, user.id)) }
  })

  const decision = { schema: { params: pathOf('id') }, config: { access: self } } as const
  app.put('/v1/aloe/transfers/:id/accept', decision, async (request) => {
    const transfer = await find(request, request.params.id, 'fromUser')
    const accepted = await transfers.accept(transfer)
    gateway.ownerChanged(accepted.deviceId)
    return decided(request, accepted, 'transfer.accept')
  })
  app.put('/v1/aloe/transfers/:id/refuse', decision, async (request) => {
    const transfer = await find(request, request.params.id, 'fromUser')
    return decided(request, await transfers.close(transfer, 'refused'), 'transfer.refuse')
  })
  app.delete('/v1/aloe/transfers/:id', decision, async (request) => {
    const transfer = await find(request, request.params.id, 'toUser')
    return decided(request, await transfers.close(transfer, 'withdrawn'), 'transfer.withdraw')
  })

  /** A request that the caller may decide. */
  async function find(request: FastifyRequest, id: string, as: 'fromUser' | 'toUser'): Promise<Transfer> {
    const transfer = await transfers.get(id)
    if (transfer?.[as] !== userOf(request).id) throw notFound('There is no such request for you to decide')
    return transfer
  }

  function decided(request: FastifyRequest, transfer: Transfer, action: string) {
    const user = userOf(request)
    const other = transfer.fromUser === user.id ? transfer.toUser : transfer.fromUser
    tell(other, transfer)
    context.audit(request, action, transfer.deviceId, { transfer: transfer.id }, { userId: other })
    return { ok: true, transfer: transferJson(transfer, user.id) }
  }

  function tell(userId: string, { id, deviceId: device, fromUser, toUser, state }: Transfer): void {
    const data = JSON.stringify({ id, device_id: device, from: nameOf(fromUser), to: nameOf(toUser), state })
    // Not about the device: its stream may be another's meanwhile.
    bus.publish({ name: transferEvent, data, ttl: 60, publishedAt: now(), coreid: 'particle-internal', owner: userId })
  }

  function transferJson(transfer: Transfer, userId: string) {
    const incoming = transfer.fromUser === userId
    const device = registry.get(transfer.deviceId)
    const stale = transfer.state === 'open' && device?.ownerId !== transfer.fromUser
    return {
      id: transfer.id,
      device_id: transfer.deviceId,
      device_name: incoming && device?.ownerId === userId ? device.name : null,
      from: nameOf(transfer.fromUser),
      to: nameOf(transfer.toUser),
      direction: incoming ? 'incoming' : 'outgoing',
      // The owner has let it go in another way.
      state: stale ? 'void' : transfer.state,
      created_at: iso(transfer.createdAt),
      decided_at: iso(transfer.decidedAt),
    }
  }

  function nameOf(userId: string): string | null {
    return identity.users.get(userId)?.username ?? null
  }
}
