/** Publishing, and the event streams (cloud-api.md 1.4). */
import type { Socket } from 'node:net'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { eventLimits, isEventName, isReservedEventName } from '../../events/event.ts'
import type { StreamFilter } from '../../events/event-streams.ts'
import type { TokenInfo } from '../../identity/tokens.ts'
import { owner } from '../access.ts'
import { userOf } from '../authentication.ts'
import type { ApiContext } from '../context.ts'
import { ApiError, badRequest, tooMany } from '../errors.ts'
import { isLoopback } from '../limits.ts'
import { type ApiServer, BooleanLike, NumberLike, OptionalText, pathOf, readInteger } from '../schemas.ts'

const Publish = Type.Object({
  name: OptionalText(200),
  data: Type.Optional(Type.Union([Type.String(), Type.Number(), Type.Boolean(), Type.Null()])),
  private: Type.Optional(BooleanLike),
  ttl: Type.Optional(NumberLike),
})

export function eventRoutes(app: ApiServer, context: ApiContext): void {
  const { bus, now, identity, limits } = context

  app.post(
    '/v1/devices/events',
    { schema: { body: Publish }, config: { access: owner('events:send') } },
    async (request) => {
      const { name = '', data = null, ttl = eventLimits.defaultTtl } = request.body
      if (!isEventName(name)) throw badRequest('"name" must be 1 to 64 printable ASCII characters')
      if (isReservedEventName(name)) throw badRequest('Names that begin with "spark" or "particle" are reserved')
      const text = data === null ? null : String(data)
      if (text !== null && Buffer.byteLength(text) > eventLimits.dataBytes) {
        throw badRequest(`"data" is longer than ${eventLimits.dataBytes} bytes`)
      }
      const seconds = readInteger(ttl)
      if (seconds === undefined || seconds < 0) throw badRequest('"ttl" must be a number of seconds')
      bus.publish({
        name,
        data: text,
        ttl: Math.min(seconds, eventLimits.maximumTtl),
        publishedAt: now(),
        coreid: 'api',
        owner: userOf(request).id,
      })
      return { ok: true }
    },
  )

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

  const stream = { rate: 'streamsOpened', access: owner('events:get') } as const
  for (const url of ['/v1/events', '/v1/events/']) {
    app.get(url, { config: { access: owner('events:get') } }, async () => {
      throw new ApiError(400, { ok: false, error: 'event prefix filter is required' })
    })
  }
  app.get('/v1/events/*', { schema: { params: pathOf('*') }, config: stream }, (request, reply) =>
    open(request, reply, mine(request, request.params['*'])),
  )
  app.get('/v1/devices/events', { config: stream }, (request, reply) => open(request, reply, mine(request, '')))
  app.get('/v1/devices/events/*', { schema: { params: Rest }, config: stream }, (request, reply) =>
    open(request, reply, mine(request, request.params['*'])),
  )
  app.get('/v1/devices/:id/events', { schema: { params: pathOf('id') }, config: stream }, (request, reply) =>
    open(request, reply, ofDevice(request, request.params.id, '')),
  )
  app.get('/v1/devices/:id/events/*', { schema: { params: DeviceRest }, config: stream }, (request, reply) =>
    open(request, reply, ofDevice(request, request.params.id, request.params['*'])),
  )

  const openStreams = new Map<string, number>()
  const tokens = new Map<Socket, TokenInfo>()
  // Its token lets a stream begin, and must be good for it to go on.
  const recheck = setInterval(() => {
    for (const [socket, token] of tokens) if (!identity.tokens.isGood(token)) socket.destroy()
  }, limits.tokenRecheck).unref()
  app.addHook('onClose', async () => clearInterval(recheck))

  /** Answers on the raw socket: the frames need no chunk headers, and all clients can share them. */
  function open(request: FastifyRequest, reply: FastifyReply, filter: StreamFilter): void {
    const host = request.ip
    const count = openStreams.get(host) ?? 0
    const exempt = limits.exemptLoopback && isLoopback(host)
    if (!exempt && count >= limits.streamsOpen) throw tooMany(60_000)

    const { socket } = request.raw
    reply.hijack()
    const { raw } = reply
    // The end of the connection is the end of the stream, so that neither length nor chunks have to be told.
    raw.useChunkedEncodingByDefault = false
    raw.shouldKeepAlive = false
    raw.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache',
      'x-accel-buffering': 'no',
      'access-control-allow-origin': '*',
    })
    raw.flushHeaders()
    socket.setTimeout(0)
    socket.setNoDelay(true)
    if (socket.destroyed) return

    openStreams.set(host, count + 1)
    if (request.session) tokens.set(socket, request.session.token)
    const leave = context.streams.open(filter, socket)
    socket.once('close', () => {
      leave()
      tokens.delete(socket)
      const left = (openStreams.get(host) ?? 1) - 1
      if (left > 0) openStreams.set(host, left)
      else openStreams.delete(host)
    })
  }
}

/** The rest of a path, slashes and all; may be empty. */
const Rest = Type.Object({ '*': Type.String() })
const DeviceRest = Type.Object({ id: Type.String({ minLength: 1 }), '*': Type.String() })
