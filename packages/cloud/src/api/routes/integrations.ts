/** Webhooks (cloud-api.md 1.8), of users and of products; and their dead letters, which are Aloe's own. */
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { deviceId } from '../../devices/device.ts'
import type { DeadLetter } from '../../integrations/delivery.ts'
import { readWebhook } from '../../integrations/input.ts'
import { type Integration, IntegrationError, type IntegrationOwner } from '../../integrations/integration.ts'
import { type Access, ofProduct, owner } from '../access.ts'
import { productOf, userOf } from '../authentication.ts'
import { type ApiContext, iso } from '../context.ts'
import { ApiError, badRequest, notFound, notImplemented } from '../errors.ts'
import { type ApiServer, NumberLike, OptionalText, readInteger } from '../schemas.ts'
import { ownOrganization } from './orgs.ts'

type Action = 'list' | 'get' | 'create' | 'update' | 'remove' | 'test'

/** Whose integrations a path is about, and who may do what with them. */
interface Home {
  /** Of the path, without a trailing slash. */
  readonly prefix: string
  readonly what: string
  access(action: Action): Access
  ownerOf(request: FastifyRequest): IntegrationOwner
  /** A device by what the client calls it. */
  deviceOf(request: FastifyRequest, idOrName: string): string | undefined
}

/** The body is read by hand, so that a mistake in it is explained: see integrations/input.ts. */
const Webhook = Type.Object(
  {
    event: Type.Optional(Type.Unknown({ description: 'The beginning of the names of events that trigger it' })),
    url: Type.Optional(Type.Unknown({ description: 'Where the request goes to; a template, as all texts below' })),
    name: Type.Optional(Type.Unknown()),
    requestType: Type.Optional(Type.Unknown({ description: 'GET, POST, PUT, PATCH or DELETE; POST when absent' })),
    deviceID: Type.Optional(Type.Unknown({ description: 'Only events of this device' })),
    headers: Type.Optional(Type.Unknown()),
    auth: Type.Optional(Type.Unknown({ description: 'username and password, for HTTP Basic' })),
    query: Type.Optional(Type.Unknown()),
    form: Type.Optional(Type.Unknown({ description: 'One of form, json and body' })),
    json: Type.Optional(Type.Unknown()),
    body: Type.Optional(Type.Unknown()),
    noDefaults: Type.Optional(Type.Unknown({ description: 'Leave event, data, published_at and coreid out' })),
    rejectUnauthorized: Type.Optional(Type.Unknown({ description: 'Whether certificates are checked; true' })),
    responseTemplate: Type.Optional(Type.Unknown()),
    responseTopic: Type.Optional(Type.Unknown()),
    errorResponseTopic: Type.Optional(Type.Unknown()),
    disabled: Type.Optional(Type.Unknown()),
    integration_type: Type.Optional(Type.Unknown({ description: 'Webhook' })),
  },
  { additionalProperties: true },
)
const TestEvent = Type.Object({ data: OptionalText(16_384), device_id: OptionalText(100) })
const Page = Type.Object({ limit: Type.Optional(NumberLike), offset: Type.Optional(NumberLike) })
const largestPage = 1_000

export function integrationRoutes(app: ApiServer, context: ApiContext): void {
  const { registry } = context
  const homes: Home[] = [
    {
      prefix: '/v1',
      what: 'one’s own',
      access: (action) => owner(`integrations:${action}`),
      ownerOf: (request) => ({ kind: 'user', userId: userOf(request).id }),
      deviceOf: (request, idOrName) => registry.find(idOrName, userOf(request).id)?.id ?? deviceId(idOrName),
    },
    {
      prefix: '/v1/products/:product',
      what: 'a product’s',
      access: (action) => ofProduct(`integrations:${action}`),
      ownerOf: (request) => ({ kind: 'product', productId: productOf(request).id }),
      deviceOf: (_request, id) => deviceId(id),
    },
    {
      prefix: '/v1/orgs/:org',
      what: 'an organization’s, which are those of the person whose name it is,',
      access: (action) => owner(`integrations:${action}`),
      ownerOf: (request) => ({ kind: 'user', userId: organization(request).id }),
      deviceOf: (request, idOrName) => registry.find(idOrName, organization(request).id)?.id ?? deviceId(idOrName),
    },
  ]
  for (const home of homes) {
    collection(app, context, home, 'integrations', 'integration')
    collection(app, context, home, 'webhooks', 'webhook')
    deadLetters(app, context, home)
  }
}

const organization = (request: FastifyRequest) => ownOrganization(request, (request.params as { org: string }).org)

function collection(app: ApiServer, context: ApiContext, home: Home, plural: string, singular: string): void {
  const { integrations } = context
  const { access, ownerOf, what } = home
  const url = `${home.prefix}/${plural}`
  const one = `${url}/:id`

  app.get(url, { schema: { summary: `List ${what} ${plural}` }, config: { access: access('list') } }, async (request) =>
    integrations.list(ownerOf(request)).map(integrationJson),
  )

  app.post(
    url,
    {
      schema: { summary: `Make one of ${what} ${plural}`, params: pathOf(url), body: Webhook },
      config: { access: access('create') },
    },
    async (request, reply) => {
      const settings = read(() => readWebhook(request.body, { deviceId: (name) => home.deviceOf(request, name) }))
      const made = await refused(integrations.create(ownerOf(request), settings))
      context.audit(request, 'integration.create', made.id, { event: settings.event, host: hostOf(settings.url) })
      const { id, createdAt } = made
      const warning = integrations.refusal(settings.url)
      reply.code(201)
      return {
        ok: true,
        id,
        url: settings.url,
        event: settings.event,
        name: settings.name,
        created_at: iso(createdAt),
        hookUrl: `${context.publicUrl(request)}${pathNow(request)}/${id}`,
        ...(warning !== undefined && { warning }),
      }
    },
  )

  app.get(
    one,
    {
      schema: { summary: `One of ${what} ${plural}, with counters and its last deliveries`, params: pathOf(one) },
      config: { access: access('get') },
    },
    async (request) => {
      const found = find(context, home, request)
      const { logs, days } = integrations.log(found)
      return {
        [singular]: {
          ...integrationJson(found),
          counters: days,
          logs: logs.map(({ time, ...log }) => ({ time: iso(time), ...log })),
          queue: { waiting: integrations.waiting(found), dead_letters: integrations.deadCount(found) },
        },
      }
    },
  )

  app.put(
    one,
    {
      schema: { summary: `Replace one of ${what} ${plural} as a whole`, params: pathOf(one), body: Webhook },
      config: { access: access('update') },
    },
    async (request) => {
      const before = find(context, home, request)
      const settings = read(() =>
        readWebhook(request.body, {
          deviceId: (name) => home.deviceOf(request, name),
          existing: before.settings,
        }),
      )
      const after = await integrations.replace(before, settings)
      if (!after) throw unknown()
      context.audit(request, 'integration.update', after.id, { event: settings.event, host: hostOf(settings.url) })
      return { ok: true, [singular]: integrationJson(after) }
    },
  )

  app.delete(
    one,
    {
      schema: { summary: `Remove one of ${what} ${plural}`, params: pathOf(one) },
      config: { access: access('remove') },
    },
    async (request, reply) => {
      const found = find(context, home, request)
      await integrations.delete(found)
      context.audit(request, 'integration.remove', found.id, { event: found.settings.event })
      return reply.code(204).send()
    },
  )

  app.post(
    `${one}/test`,
    {
      schema: { summary: `Send the request of one of ${what} ${plural} once`, params: pathOf(one), body: TestEvent },
      config: { access: access('test') },
    },
    async (request) => {
      const found = find(context, home, request)
      const { data = 'test-event', device_id: coreid = 'api' } = request.body
      const result = await integrations.test(found, { data, coreid })
      context.audit(request, 'integration.test', found.id, { pass: result.pass })
      return result
    },
  )
}

function deadLetters(app: ApiServer, context: ApiContext, home: Home): void {
  const { integrations } = context
  const { access, what } = home
  const url = `${home.prefix}/integrations/:id/dead-letters`
  const one = `${url}/:letter`
  const letterOf = (request: FastifyRequest): string => (request.params as { letter: string }).letter
  const unknownLetter = () => notFound('There is no such dead letter')

  app.get(
    url,
    {
      schema: { summary: `What ${what} integration could not deliver`, params: pathOf(url), querystring: Page },
      config: { access: access('get') },
    },
    async (request) => {
      const found = find(context, home, request)
      const limit = pageNumber(request.query.limit, 100, largestPage, 'limit')
      const offset = pageNumber(request.query.offset, 0, Number.MAX_SAFE_INTEGER, 'offset')
      const letters = await integrations.deadLetters(found, { limit, offset })
      return { dead_letters: letters.map(letterJson), total: integrations.deadCount(found) }
    },
  )

  app.get(
    one,
    { schema: { summary: 'One dead letter', params: pathOf(one) }, config: { access: access('get') } },
    async (request) => {
      const letter = await integrations.deadLetter(find(context, home, request), letterOf(request))
      if (!letter) throw unknownLetter()
      return { dead_letter: letterJson(letter) }
    },
  )

  app.post(
    `${url}/replay`,
    {
      schema: { summary: 'Deliver all dead letters again', params: pathOf(url) },
      config: { access: access('update') },
    },
    async (request) => {
      const found = find(context, home, request)
      const replayed = await integrations.replay(found)
      context.audit(request, 'integration.replay', found.id, { replayed })
      return { ok: true, replayed }
    },
  )

  app.post(
    `${one}/replay`,
    { schema: { summary: 'Deliver a dead letter again', params: pathOf(one) }, config: { access: access('update') } },
    async (request) => {
      const found = find(context, home, request)
      const replayed = await integrations.replay(found, letterOf(request))
      if (replayed === 0) throw unknownLetter()
      context.audit(request, 'integration.replay', found.id, { letter: letterOf(request) })
      return { ok: true, replayed }
    },
  )

  app.delete(
    url,
    { schema: { summary: 'Delete all dead letters', params: pathOf(url) }, config: { access: access('update') } },
    async (request) => {
      const found = find(context, home, request)
      const deleted = await integrations.deleteDeadLetters(found)
      context.audit(request, 'integration.delete-dead-letters', found.id, { deleted })
      return { ok: true, deleted }
    },
  )

  app.delete(
    one,
    { schema: { summary: 'Delete a dead letter', params: pathOf(one) }, config: { access: access('update') } },
    async (request) => {
      const found = find(context, home, request)
      const deleted = await integrations.deleteDeadLetters(found, letterOf(request))
      if (deleted === 0) throw unknownLetter()
      context.audit(request, 'integration.delete-dead-letters', found.id, { letter: letterOf(request) })
      return { ok: true, deleted }
    },
  )
}

function find({ integrations }: ApiContext, home: Home, request: FastifyRequest): Integration {
  const found = integrations.find((request.params as { id: string }).id, home.ownerOf(request))
  // Somebody else's is as one that is not: ids are nobody's business.
  if (!found) throw unknown()
  return found
}

const unknown = () => notFound('There is no such integration')

function read<T>(reading: () => T): T {
  try {
    return reading()
  } catch (error) {
    throw asApiError(error)
  }
}

async function refused<T>(promise: Promise<T>): Promise<T> {
  return promise.catch((error) => {
    throw asApiError(error)
  })
}

function asApiError(error: unknown): unknown {
  if (!(error instanceof IntegrationError)) return error
  if (error.code === 'unsupported') return notImplemented('integrations but webhooks')
  if (error.code === 'too-many') return new ApiError(403, { ok: false, error: error.message, errors: [error.message] })
  return badRequest(error.message)
}

function integrationJson({ id, owner: of, settings, createdAt, updatedAt }: Integration) {
  const { deviceId: deviceID, ...rest } = settings
  return {
    id,
    integration_type: 'Webhook',
    ...rest,
    ...(deviceID !== undefined && { deviceID }),
    ...(of.kind === 'product' && { product_id: of.productId }),
    created_at: iso(createdAt),
    updated_at: iso(updatedAt),
  }
}

function letterJson({ id, event, attempts, error, createdAt, diedAt }: DeadLetter) {
  const { name, data, coreid, publishedAt } = event
  return {
    id,
    event: name,
    data,
    coreid,
    published_at: iso(publishedAt),
    attempts,
    error,
    created_at: iso(createdAt),
    died_at: iso(diedAt),
  }
}

/** The path of the request, without its query. */
function pathNow({ url }: FastifyRequest): string {
  return url.replace(/[?#].*$/, '').replace(/\/$/, '')
}

function hostOf(url: string): string {
  return URL.parse(url)?.host ?? ''
}

function pageNumber(value: unknown, absent: number, largest: number, name: string): number {
  if (value === undefined) return absent
  const number = readInteger(value)
  if (number === undefined || number < 0) throw badRequest(`"${name}" must be a number`)
  return Math.min(number, largest)
}

function pathOf(url: string) {
  const names = [...url.matchAll(/:(\w+)/g)].map(([, name = '']) => name)
  return Type.Object(Object.fromEntries(names.map((name) => [name, Type.String({ minLength: 1 })])))
}
