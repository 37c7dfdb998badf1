/** A product's firmware: upload, look at, release (cloud-api.md 1.7). */
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { actorOf } from '../../identity/caller.ts'
import { checkProductFirmware } from '../../products/firmware-check.ts'
import { impactOf, releasedAfter } from '../../products/impact.ts'
import type { FirmwareVersion } from '../../products/product-firmware.ts'
import { ofProduct } from '../access.ts'
import { productOf } from '../authentication.ts'
import type { ApiContext } from '../context.ts'
import { badRequest, notFound } from '../errors.ts'
import { listOf, queryOf } from '../lists.ts'
import { countsOf, firmwareJson } from '../product-json.ts'
import { type ApiServer, BooleanLike, NumberLike, OptionalText, pathOf, readBoolean, readInteger } from '../schemas.ts'

const Texts = {
  title: OptionalText(1_000),
  description: OptionalText(16_384),
  mandatory: Type.Optional(BooleanLike),
}
const Groups = Type.Optional(Type.Union([Type.String(), Type.Array(Type.String()), Type.Null()]))
const Upload = Type.Object({ version: Type.Optional(NumberLike), ...Texts })
const Release = Type.Object({
  version: Type.Optional(NumberLike),
  product_default: Type.Optional(BooleanLike),
  groups: Groups,
  intelligent: Type.Optional(BooleanLike),
})
const Withdrawal = Type.Object({ product_default: Type.Optional(BooleanLike), groups: Groups })

export function productFirmwareRoutes(app: ApiServer, context: ApiContext): void {
  const { products, bus, now } = context
  const { firmware } = products

  const show = (version: FirmwareVersion) => firmwareJson(version, context, countsOf(version.productId, context))
  const find = (request: FastifyRequest, text: string): FirmwareVersion => {
    const version = readInteger(text)
    const found = version === undefined ? undefined : firmware.get(productOf(request).id, version)
    if (!found) throw notFound(`The product has no firmware version ${text.slice(0, 20)}`)
    return found
  }
  /** On the product's stream (cloud-api.md 3.3). */
  const tell = (productId: number, name: string, data: object): void => {
    bus.publish({ name, data: JSON.stringify(data), ttl: 60, publishedAt: now(), coreid: 'api', productId })
  }

  app.get(
    '/v1/products/:product/firmware',
    { schema: { params: pathOf('product') }, config: { access: ofProduct('firmware:list') } },
    async (request) => {
      const { id } = productOf(request)
      const counts = countsOf(id, context)
      return firmware.list(id).map((version) => firmwareJson(version, context, counts))
    },
  )

  app.get(
    '/v1/products/:product/firmware/:version',
    { schema: { params: pathOf('product', 'version') }, config: { access: ofProduct('firmware:get') } },
    async (request) => show(find(request, request.params.version)),
  )

  app.get(
    '/v1/products/:product/firmware/:version/binary',
    { schema: { params: pathOf('product', 'version') }, config: { access: ofProduct('firmware.binary:get') } },
    async (request, reply) => {
      const { productId, version, fileName } = find(request, request.params.version)
      const content = await firmware.content(productId, version)
      reply.header('content-disposition', `attachment; filename="${fileName}"`)
      reply.type(fileName === 'firmware.zip' ? 'application/zip' : 'application/octet-stream')
      return reply.send(Buffer.from(content.buffer, content.byteOffset, content.byteLength))
    },
  )

  app.post(
    '/v1/products/:product/firmware',
    {
      schema: { params: pathOf('product'), body: Upload },
      config: { upload: true, access: ofProduct('firmware:create') },
    },
    async (request, reply) => {
      const product = productOf(request)
      const { title, description, mandatory } = request.body
      const version = readInteger(request.body.version)
      if (version === undefined) throw badRequest('"version" is required, and is a whole number')
      const [file, ...more] = request.upload
      if (!file) throw badRequest('There is no file in the request')
      if (more.length > 0) throw badRequest('The firmware must be the only file in the request')
      const check = checkProductFirmware(file.content, product, version)
      if (!check.ok) throw badRequest(check.reason)
      const uploaded = await firmware.upload(product.id, {
        version,
        ...(title !== undefined && { title }),
        ...(description !== undefined && { description }),
        mandatory: readBoolean(mandatory) === true,
        fileName: check.fileName,
        content: file.content,
        appHash: check.appHash,
        uploadedBy: actorOf(request.caller).name ?? '',
      })
      context.audit(request, 'firmware.create', version, { size: uploaded.size, title: uploaded.title })
      tell(product.id, 'particle/firmware/create', { version: String(version) })
      reply.code(201)
      return show(uploaded)
    },
  )

  const release = {
    schema: { params: pathOf('product'), body: Release },
    config: { access: ofProduct('firmware:release') },
  } as const
  app.put('/v1/products/:product/firmware/release', release, async (request) => {
    const product = productOf(request)
    const { body } = request
    const version = readInteger(body.version)
    if (version === undefined) throw badRequest('"version" is required, and is a whole number')
    const groups = listOf(body.groups)
    // A version alone is released to all, as older clients mean it.
    const productDefault = readBoolean(body.product_default) ?? (groups.length === 0 ? true : undefined)
    const intelligent = readBoolean(body.intelligent) === true
    const released = await firmware.put(product.id, {
      version,
      ...(productDefault !== undefined && { productDefault }),
      groups,
      intelligent,
      untested: product.settings.releaseUntested,
      checkGroups: (names) => products.groups.check(product.id, names),
      by: actorOf(request.caller).name ?? '',
    })
    context.audit(request, 'firmware.release', version, { productDefault, groups, intelligent })
    if (productDefault === true || groups.length > 0) {
      tell(product.id, 'particle/firmware/release', { immediate: intelligent, version })
    }
    return { ok: true, ...show(released), intelligent }
  })

  app.delete(
    '/v1/products/:product/firmware/:version/release',
    {
      schema: { params: pathOf('product', 'version'), body: Withdrawal },
      config: { access: ofProduct('firmware:release') },
    },
    async (request) => {
      const { productId, version } = find(request, request.params.version)
      const groups = listOf(request.body.groups)
      const all = request.body.product_default === undefined && groups.length === 0
      const isDefault = readBoolean(request.body.product_default) === true
      const targets = all
        ? firmware.releases(productId).map(({ group }) => group)
        : [...(isDefault ? [null] : []), ...groups]
      const withdrawn = await firmware.withdraw(productId, version, targets)
      context.audit(request, 'firmware.withdraw', version, { targets })
      return { ok: true, ...show(withdrawn) }
    },
  )

  app.put(
    '/v1/products/:product/firmware/:version',
    {
      schema: { params: pathOf('product', 'version'), body: Type.Object(Texts) },
      config: { access: ofProduct('firmware:update') },
    },
    async (request) => {
      const { productId, version } = find(request, request.params.version)
      const { title, description, mandatory } = request.body
      const changed = await firmware.update(productId, version, {
        ...(title !== undefined && { title }),
        ...(description !== undefined && { description }),
        ...(mandatory !== undefined && { mandatory: readBoolean(mandatory) === true }),
      })
      context.audit(request, 'firmware.update', version, { changed: Object.keys(request.body) })
      return show(changed)
    },
  )

  app.delete(
    '/v1/products/:product/firmware/:version',
    { schema: { params: pathOf('product', 'version') }, config: { access: ofProduct('firmware:remove') } },
    async (request, reply) => {
      const { productId, version } = find(request, request.params.version)
      await firmware.remove(productId, version)
      context.audit(request, 'firmware.remove', version)
      reply.code(204)
    },
  )

  app.get(
    '/v1/products/:product/impact',
    { schema: { params: pathOf('product') }, config: { access: ofProduct('groups.impact:get') } },
    async (request) => {
      const product = productOf(request)
      const { action, firmware_version, groups: names, product_default } = queryOf(request)
      if (action !== undefined && action !== 'edit_groups_for_firmware') {
        throw badRequest('"action" can be "edit_groups_for_firmware"')
      }
      const { version } = find(request, String(firmware_version ?? ''))
      const groups = listOf(names)
      products.groups.check(product.id, groups)
      const productDefault = readBoolean(product_default)
      const before = firmware.released(product.id)
      const change = { version, groups, ...(productDefault !== undefined && { productDefault }) }
      const impact = impactOf(product.id, before, releasedAfter(before, change), {
        registry: context.registry,
        devices: products.devices,
      })
      return { devices: { firmware_update: { total: impact.total, by_version: impact.byVersion } } }
    },
  )
}
