/** Publishing events (cloud-api.md 1.4, 3.2). */
import type { FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import { firmwareVersionOf } from '../../devices/device.ts'
import { readContent } from '../../events/content.ts'
import { type CloudEvent, eventLimits, isEventName, isReservedEventName } from '../../events/event.ts'
import { ofProduct, owner } from '../access.ts'
import { callerOf, productOf, userOf } from '../authentication.ts'
import type { ApiContext } from '../context.ts'
import { badRequest } from '../errors.ts'
import { type ApiServer, BooleanLike, NumberLike, OptionalText, pathOf, readInteger } from '../schemas.ts'
import { ownOrganization } from './orgs.ts'

const Publish = Type.Object({
  name: OptionalText(200),
  data: Type.Optional(
    Type.Unknown({ description: 'Text; a base64 data URL for binary data; an object or array for structured data' }),
  ),
  private: Type.Optional(BooleanLike),
  ttl: Type.Optional(NumberLike),
})
const ProductPublish = Type.Intersect([Publish, Type.Object({ as_device_id: OptionalText(100) })])

export function publishRoutes(app: ApiServer, context: ApiContext): void {
  const { bus, now } = context

  // A person's name stands for an organization with what is theirs.
  app.post(
    '/v1/orgs/:org/events',
    { schema: { params: pathOf('org'), body: Publish }, config: { access: owner('events:send') } },
    async (request) => {
      const { id } = ownOrganization(request, request.params.org)
      bus.publish({ ...publication(request.body, now()), coreid: 'api', owner: id })
      return { ok: true }
    },
  )

  app.post(
    '/v1/devices/events',
    { schema: { body: Publish }, config: { access: owner('events:send') } },
    async (request) => {
      bus.publish({ ...publication(request.body, now()), coreid: 'api', owner: userOf(request).id })
      return { ok: true }
    },
  )

  app.post(
    '/v1/products/:product/events',
    { schema: { params: pathOf('product'), body: ProductPublish }, config: { access: ofProduct('events:send') } },
    async (request) => {
      const event = publication(request.body, now())
      const { as_device_id } = request.body
      const from = as_device_id === undefined ? fromApi(request) : asDevice(request, as_device_id)
      bus.publish({ ...event, ...from, productId: productOf(request).id })
      return { ok: true }
    },
  )

  /** Whoever publishes sees it on their own stream too (cloud-api.md 5.4); a client of a product is nobody. */
  function fromApi(request: FastifyRequest): Pick<CloudEvent, 'coreid' | 'owner'> {
    const caller = callerOf(request)
    return { coreid: 'api', ...(caller.kind === 'user' && { owner: caller.user.id }) }
  }

  function asDevice(request: FastifyRequest, id: string) {
    const device = context.productDevice(request, id)
    const version = firmwareVersionOf(device)
    return {
      coreid: device.id,
      deviceId: device.id,
      ...(device.ownerId !== null && { owner: device.ownerId }),
      ...(version !== null && { version }),
    }
  }
}

function publication({ name = '', data, ttl = eventLimits.defaultTtl }: Static<typeof Publish>, publishedAt: number) {
  if (!isEventName(name)) throw badRequest('"name" must be 1 to 64 printable ASCII characters')
  if (isReservedEventName(name)) throw badRequest('Names that begin with "spark" or "particle" are reserved')
  const content = readContent(data)
  if (!content) throw badRequest('"data" nests too deep')
  const { size, ...rest } = content
  if (size > eventLimits.dataBytes) throw badRequest(`"data" is longer than ${eventLimits.dataBytes} bytes`)
  const seconds = readInteger(ttl)
  if (seconds === undefined || seconds < 0) throw badRequest('"ttl" must be a number of seconds')
  return { name, ...rest, ttl: Math.min(seconds, eventLimits.maximumTtl), publishedAt }
}
