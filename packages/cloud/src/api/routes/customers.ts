/** The customers of a product (cloud-api.md 1.7). */
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { Customer } from '../../identity/customers.ts'
import { ofProduct, ofProductOrClient } from '../access.ts'
import { callerOf, productOf } from '../authentication.ts'
import { type ApiContext, iso } from '../context.ts'
import { badRequest, notFound } from '../errors.ts'
import { type ApiServer, BooleanLike, NumberLike, OptionalText, pathOf, readBoolean, readInteger } from '../schemas.ts'
import { issueTokens, lifetimes } from '../token-answer.ts'

const defaultPage = 25
const largestPage = 100

const NewCustomer = Type.Object({
  email: OptionalText(254),
  password: OptionalText(4_096),
  no_password: Type.Optional(BooleanLike),
  client_id: OptionalText(200),
  client_secret: OptionalText(200),
})
const Page = Type.Object({
  page: Type.Optional(NumberLike),
  per_page: Type.Optional(NumberLike),
  perPage: Type.Optional(NumberLike),
  customer_email: OptionalText(254),
  access_token: OptionalText(200),
})

export function customerRoutes(app: ApiServer, context: ApiContext): void {
  const { identity, registry, gateway, streams } = context
  const { customers } = identity
  const base = '/v1/products/:product/customers'

  /** With the client of the product, as applications have it, or a token that may do it. */
  app.post(
    base,
    {
      schema: { params: pathOf('product'), body: NewCustomer },
      config: { rate: 'credentials', access: ofProductOrClient('customers:create') },
    },
    async (request, reply) => {
      const { email, password, no_password } = request.body
      if (!email?.includes('@')) throw badRequest('"email" must be an address')
      const without = readBoolean(no_password) === true
      if (!password && !without) throw badRequest('"password" is required, or "no_password": true')
      const customer = await customers.create(productOf(request).id, email, without ? null : (password ?? ''))
      const { user } = customer
      context.audit(request, 'customer.create', user.username, {}, { userId: user.id })
      const caller = callerOf(request)
      const client = caller.kind === 'product' ? caller.clientId : 'particle'
      reply.code(201).header('cache-control', 'no-store')
      return issueTokens(identity, user.id, client, lifetimes.access)
    },
  )

  app.get(
    base,
    { schema: { params: pathOf('product'), querystring: Page }, config: { access: ofProduct('customers:list') } },
    async (request) => {
      const { query } = request
      const wanted = query.customer_email?.toLowerCase()
      const all = customers
        .list(productOf(request).id)
        .filter(({ user }) => wanted === undefined || user.username.includes(wanted))
      const perPage = Math.min(Math.max(readInteger(query.per_page ?? query.perPage) ?? defaultPage, 1), largestPage)
      const page = Math.max(readInteger(query.page) ?? 1, 1)
      const shown = all.slice((page - 1) * perPage, page * perPage)
      return {
        customers: shown.map((customer) => customerJson(customer)),
        devices: shown
          .flatMap(({ user }) => registry.list(user.id))
          .map((device) => ({
            id: device.id,
            product_id: device.memberOf ?? device.platformId,
            last_connection_datetime: iso(device.lastHandshakeAt),
            last_ip_address: device.lastIp,
            connected: gateway.isOnline(device.id),
          })),
        meta: { page, per_page: perPage, total: all.length, total_pages: Math.ceil(all.length / perPage) },
      }
    },
  )

  const one = `${base}/:customer`
  const params = pathOf('product', 'customer')

  app.get(one, { schema: { params }, config: { access: ofProduct('customers:list') } }, async (request) => ({
    ok: true,
    customer: customerJson(find(request, request.params.customer)),
  }))

  /** A new password ends the customer's tokens. */
  app.put(
    one,
    {
      schema: { params, body: Type.Object({ password: OptionalText(4_096) }) },
      config: { rate: 'credentials', access: ofProduct('customers:update') },
    },
    async (request) => {
      const customer = find(request, request.params.customer)
      if (!request.body.password) throw badRequest('"password" is required')
      await customers.setPassword(customer, request.body.password)
      context.audit(request, 'customer.password', customer.user.username, {}, { userId: customer.user.id })
      return { ok: true }
    },
  )

  /** Their devices are nobody's then, and stay in the product. */
  app.delete(one, { schema: { params }, config: { access: ofProduct('customers:remove') } }, async (request) => {
    const customer = find(request, request.params.customer)
    const { user } = customer
    const devices = registry.list(user.id)
    await customers.remove(customer)
    for (const device of devices) {
      await registry.unclaim(device.id, user.id)
      gateway.ownerChanged(device.id)
    }
    streams.end((filter) => filter.kind !== 'product' && filter.ownerId === user.id)
    context.audit(request, 'customer.remove', user.username, {}, { userId: user.id })
    return { ok: true }
  })

  app.get(
    `${one}/aloe/tokens`,
    { schema: { params }, config: { access: ofProduct('customers:list') } },
    async (request) => ({
      tokens: identity.tokens
        .list(find(request, request.params.customer).user.id)
        .map(({ hint, client, createdAt, expiresAt }) => ({
          token: `${hint}…`,
          client,
          created_at: iso(createdAt),
          expires_at: iso(expiresAt),
        })),
    }),
  )

  app.delete(
    `${one}/aloe/tokens`,
    { schema: { params }, config: { access: ofProduct('customers:update') } },
    async (request) => {
      const { user } = find(request, request.params.customer)
      await identity.tokens.revokeAll(user.id)
      context.audit(request, 'customer.revoke-tokens', user.username, {}, { userId: user.id })
      return { ok: true }
    },
  )

  function find(request: FastifyRequest, email: string): Customer {
    const customer = customers.find(productOf(request).id, email)
    if (!customer) throw notFound('The product has no such customer')
    return customer
  }

  function customerJson({ user, createdAt }: Customer): Record<string, unknown> {
    return {
      id: user.id,
      username: user.username,
      devices: registry.list(user.id).map(({ id }) => id),
      created_at: iso(createdAt),
    }
  }
}
