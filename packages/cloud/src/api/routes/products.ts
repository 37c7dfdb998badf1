/** Products: list, create, change, remove (cloud-api.md 1.7). */
import type { FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import type { NewProduct, ProductChanges, ProductRecord, ProductSettings } from '../../products/products.ts'
import { ofProduct, owner } from '../access.ts'
import { productOf, userOf } from '../authentication.ts'
import type { ApiContext } from '../context.ts'
import { badRequest } from '../errors.ts'
import { productJson } from '../product-json.ts'
import { type ApiServer, BooleanLike, NumberLike, OptionalText, pathOf, readBoolean, readInteger } from '../schemas.ts'
import { ownOrganization } from './orgs.ts'

const OptIn = Type.Optional(Type.Union([BooleanLike, Type.Object({ opt_in: Type.Optional(BooleanLike) })]))
const Fields = Type.Object({
  name: OptionalText(200),
  description: Type.Optional(Type.Union([Type.String({ maxLength: 4_096 }), Type.Null()])),
  slug: OptionalText(200),
  platform_id: Type.Optional(NumberLike),
  settings: Type.Optional(
    Type.Object({
      location: OptIn,
      known_application: OptIn,
      quarantine: Type.Optional(BooleanLike),
      release_untested: Type.Optional(BooleanLike),
    }),
  ),
})
/** The CLI wraps the fields in `product`; forms have them flat. */
const Body = Type.Intersect([Type.Object({ product: Type.Optional(Fields) }), Fields])
const Removal = Type.Object({ force: Type.Optional(BooleanLike) })

type FieldValues = Static<typeof Fields>

export function productRoutes(app: ApiServer, context: ApiContext): void {
  const { products, identity, registry, gateway } = context

  /** Own products, and those in whose teams the user is. */
  const productsOf = (userId: string): ProductRecord[] => {
    const teamed = identity.teams.productsOf(userId).flatMap((id) => products.get(id) ?? [])
    return [...new Set([...products.list(userId), ...teamed])].sort((a, b) => a.id - b.id)
  }
  /** The user is about to go: their devices are nobody's. */
  const letGo = async (userId: string): Promise<void> => {
    for (const { id } of registry.list(userId)) {
      await registry.unclaim(id, userId)
      gateway.ownerChanged(id)
    }
  }

  for (const url of ['/v1/products', '/v1/user/products', '/v1/orgs/:org/products']) {
    app.get(url, { config: { access: owner('products:list') } }, async (request) => {
      checkOrganization(request)
      return { products: productsOf(userOf(request).id).map((product) => productJson(product, context)) }
    })

    app.post(url, { schema: { body: Body }, config: { access: owner('products:create') } }, async (request) => {
      checkOrganization(request)
      const { body } = request
      const fields = body.product ?? body
      const platformId = readInteger(fields.platform_id)
      if (fields.name === undefined) throw badRequest('"name" is required')
      if (platformId === undefined) throw badRequest('"platform_id" is required, and is a number')
      const wanted: NewProduct = { ...textsOf(fields), name: fields.name, platformId, settings: settingsOf(fields) }
      const product = await products.create(userOf(request).id, wanted)
      context.audit(request, 'product.create', product.id, { name: product.name }, { productId: product.id })
      return { ok: true, product: productJson(product, context) }
    })
  }

  app.get(
    '/v1/products/:product',
    { schema: { params: pathOf('product') }, config: { access: ofProduct('products:get') } },
    async (request) => ({ product: productJson(productOf(request), context) }),
  )

  app.put(
    '/v1/products/:product',
    { schema: { params: pathOf('product'), body: Body }, config: { access: ofProduct('products:update') } },
    async (request) => {
      const { body } = request
      const fields = body.product ?? body
      const before = productOf(request)
      const platformId = readInteger(fields.platform_id)
      if (fields.platform_id !== undefined && platformId !== before.platformId) {
        throw badRequest('The platform of a product stays as it is: its firmware is for it')
      }
      const changes: ProductChanges = {
        ...textsOf(fields),
        ...(fields.name !== undefined && { name: fields.name }),
        ...(fields.slug !== undefined && { slug: fields.slug }),
        settings: settingsOf(fields),
      }
      const product = await products.update(before.id, changes)
      context.audit(request, 'product.update', product.id, { changed: Object.keys(fields) })
      return { ok: true, product: productJson(product, context) }
    },
  )

  app.delete(
    '/v1/products/:product',
    { schema: { params: pathOf('product'), body: Removal }, config: { access: ofProduct('products:remove') } },
    async (request, reply) => {
      const product = productOf(request)
      const force = readBoolean(request.body.force) === true
      await products.remove(product.id, force)
      for (const { user } of identity.customers.list(product.id)) await letGo(user.id)
      await identity.removeProduct(product.id)
      context.audit(request, 'product.remove', product.id, { name: product.name, force })
      reply.code(204)
    },
  )
}

function checkOrganization(request: FastifyRequest): void {
  const { org } = request.params as { org?: string }
  if (org !== undefined) ownOrganization(request, org)
}

function textsOf({ description }: FieldValues): { description?: string } {
  return description === undefined ? {} : { description: description ?? '' }
}

/** Only what was named. */
function settingsOf({ settings = {} }: FieldValues): Partial<ProductSettings> {
  const { location, known_application: known, quarantine, release_untested: untested } = settings
  return {
    ...switchOf('location', typeof location === 'object' ? location.opt_in : location),
    ...switchOf('knownApplication', typeof known === 'object' ? known.opt_in : known),
    ...switchOf('quarantine', quarantine),
    ...switchOf('releaseUntested', untested),
  }
}

function switchOf(name: keyof ProductSettings, value: unknown): Partial<ProductSettings> {
  if (value === undefined) return {}
  const on = readBoolean(value)
  if (on === undefined) throw badRequest('A setting of a product must be true or false')
  return { [name]: on }
}
