/** Event streams of people, devices and products (cloud-api.md 1.4, 5.4). */
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { StreamFilter } from '../../events/event-streams.ts'
import { mayOnProduct } from '../../identity/access-rules.ts'
import { ofProduct, owner } from '../access.ts'
import { callerOf, productOf, userOf } from '../authentication.ts'
import type { ApiContext } from '../context.ts'
import { ApiError } from '../errors.ts'
import { type ApiServer, pathOf } from '../schemas.ts'
import { streamAnswers } from '../stream-answer.ts'
import { ownOrganization } from './orgs.ts'

/** The rest of a path, slashes and all; may be empty. */
const Rest = { '*': Type.String({ description: 'Beginning of the names of the events, in their case' }) }
const Prefix = Type.Object(Rest)
const DevicePrefix = Type.Object({ id: Type.String({ minLength: 1 }), ...Rest })
const ProductPrefix = Type.Object({ product: Type.String({ minLength: 1 }), ...Rest })
const ProductDevicePrefix = Type.Object({
  product: Type.String({ minLength: 1 }),
  id: Type.String({ minLength: 1 }),
  ...Rest,
})

export function eventRoutes(app: ApiServer, context: ApiContext): void {
  const { identity, products } = context
  const answers = streamAnswers(context)
  app.addHook('onClose', async () => answers.close())

  const stream = { rate: 'streamsOpened', access: owner('events:get') } as const
  const productStream = { rate: 'streamsOpened', access: ofProduct('events:get') } as const

  const mine = (request: FastifyRequest, prefix: string): StreamFilter => ({
    kind: 'owner',
    ownerId: userOf(request).id,
    prefix,
  })
  const ofDevice = (request: FastifyRequest, idOrName: string, prefix: string): StreamFilter => ({
    kind: 'device',
    ownerId: userOf(request).id,
    deviceId: context.device(request, idOrName).id,
    prefix,
  })
  /** A member may leave the team while the stream is open, and a client may lose its scopes. */
  const inProduct = (request: FastifyRequest) => {
    const { id } = productOf(request)
    const caller = callerOf(request)
    return () => {
      const product = products.get(id)
      const now = identity.callerNow(caller)
      return product !== undefined && now !== undefined && mayOnProduct(now, 'events:get', product, identity.teams).ok
    }
  }

  for (const url of ['/v1/events', '/v1/events/']) {
    app.get(url, { config: { access: owner('events:get') } }, async () => {
      throw new ApiError(400, { ok: false, error: 'event prefix filter is required' })
    })
  }
  app.get('/v1/events/*', { schema: { params: pathOf('*') }, config: stream }, (request, reply) =>
    answers.open(request, reply, mine(request, request.params['*'])),
  )
  app.get('/v1/devices/events', { config: stream }, (request, reply) => answers.open(request, reply, mine(request, '')))
  app.get('/v1/devices/events/*', { schema: { params: Prefix }, config: stream }, (request, reply) =>
    answers.open(request, reply, mine(request, request.params['*'])),
  )
  app.get('/v1/devices/:id/events', { schema: { params: pathOf('id') }, config: stream }, (request, reply) =>
    answers.open(request, reply, ofDevice(request, request.params.id, '')),
  )
  app.get('/v1/devices/:id/events/*', { schema: { params: DevicePrefix }, config: stream }, (request, reply) =>
    answers.open(request, reply, ofDevice(request, request.params.id, request.params['*'])),
  )

  // A person's name stands for an organization with what is theirs.
  const OrgPrefix = Type.Object({ org: Type.String({ minLength: 1 }), ...Rest })
  app.get('/v1/orgs/:org/events', { schema: { params: pathOf('org') }, config: stream }, (request, reply) => {
    ownOrganization(request, request.params.org)
    answers.open(request, reply, mine(request, ''))
  })
  app.get('/v1/orgs/:org/events/*', { schema: { params: OrgPrefix }, config: stream }, (request, reply) => {
    ownOrganization(request, request.params.org)
    answers.open(request, reply, mine(request, request.params['*']))
  })
  app.get(
    '/v1/orgs/:org/devices/:id/events',
    { schema: { params: pathOf('org', 'id') }, config: stream },
    (request, reply) => {
      ownOrganization(request, request.params.org)
      answers.open(request, reply, ofDevice(request, request.params.id, ''))
    },
  )
  app.get(
    '/v1/orgs/:org/products/:product/events',
    { schema: { params: pathOf('org', 'product') }, config: productStream },
    (request, reply) => {
      ownOrganization(request, request.params.org)
      const { id: productId } = productOf(request)
      answers.open(request, reply, { kind: 'product', productId, prefix: '' }, inProduct(request))
    },
  )

  const ofProductDevice = (request: FastifyRequest, id: string, prefix: string): StreamFilter => ({
    kind: 'product',
    productId: productOf(request).id,
    of: { deviceId: context.productDevice(request, id).id },
    prefix,
  })
  for (const part of ['events', 'devices/events'] as const) {
    const of = part === 'events' ? {} : ({ of: 'devices' } as const)
    const filter = (request: FastifyRequest, prefix: string): StreamFilter => ({
      kind: 'product',
      productId: productOf(request).id,
      ...of,
      prefix,
    })
    app.get(
      `/v1/products/:product/${part}`,
      { schema: { params: pathOf('product') }, config: productStream },
      (request, reply) => answers.open(request, reply, filter(request, ''), inProduct(request)),
    )
    app.get(
      `/v1/products/:product/${part}/*`,
      { schema: { params: ProductPrefix }, config: productStream },
      (request, reply) => answers.open(request, reply, filter(request, request.params['*']), inProduct(request)),
    )
  }
  app.get(
    '/v1/products/:product/devices/:id/events',
    { schema: { params: pathOf('product', 'id') }, config: productStream },
    (request, reply) =>
      answers.open(request, reply, ofProductDevice(request, request.params.id, ''), inProduct(request)),
  )
  app.get(
    '/v1/products/:product/devices/:id/events/*',
    { schema: { params: ProductDevicePrefix }, config: productStream },
    (request, reply) =>
      answers.open(
        request,
        reply,
        ofProductDevice(request, request.params.id, request.params['*']),
        inProduct(request),
      ),
  )
}
