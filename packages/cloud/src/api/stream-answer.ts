/** Answers a request with an event stream that stays open (cloud-api.md 1.4). */
import type { Socket } from 'node:net'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { StreamFilter } from '../events/event-streams.ts'
import type { ApiContext } from './context.ts'
import { tooMany } from './errors.ts'
import { countedHost, isLoopback } from './limits.ts'

export interface StreamAnswers {
  /**
   * Opens the stream, from `Last-Event-ID` on when the client sent one.
   * @param allowed asked again and again: the stream ends when the caller may not see it any more
   */
  open(request: FastifyRequest, reply: FastifyReply, filter: StreamFilter, allowed?: () => boolean): void
  close(): void
}

export function streamAnswers({ streams, identity, limits }: ApiContext): StreamAnswers {
  const openStreams = new Map<string, number>()
  /** One for each stream, not for each connection: a client may ask for several on one, with different tokens. */
  const checks = new Set<{ readonly socket: Socket; readonly good: () => boolean }>()
  // What let a stream begin must be good for it to go on.
  const recheck = setInterval(() => {
    for (const { socket, good } of checks) if (!good()) socket.destroy()
  }, limits.tokenRecheck).unref()

  return {
    open(request, reply, filter, allowed = () => true) {
      const host = countedHost(request.ip)
      const count = openStreams.get(host) ?? 0
      const exempt = limits.exemptLoopback && isLoopback(request.ip)
      if (!exempt && count >= limits.streamsOpen) throw tooMany(60_000)

      const { socket } = request.raw
      const headers = reply.getHeaders()
      reply.hijack()
      const { raw } = reply
      // Answers on the raw socket: the frames need no chunk headers, and all clients can share them. The end of the
      // connection is the end of the stream, so that neither length nor chunks have to be told.
      raw.useChunkedEncodingByDefault = false
      raw.shouldKeepAlive = false
      for (const [name, value] of Object.entries(headers)) if (value !== undefined) raw.setHeader(name, value)
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
      const token = request.session?.token
      const good = () => (token === undefined || identity.tokens.isGood(token)) && allowed()
      const check = { socket, good }
      checks.add(check)
      const leave = streams.open(filter, socket, lastEventId(request))
      socket.once('close', () => {
        leave()
        checks.delete(check)
        const left = (openStreams.get(host) ?? 1) - 1
        if (left > 0) openStreams.set(host, left)
        else openStreams.delete(host)
      })
    },
    close: () => clearInterval(recheck),
  }
}

/** The header of the specification, or a query for clients that can set none. Empty is what a client without one sends. */
function lastEventId({ headers, query }: FastifyRequest): string | undefined {
  const { last_event_id: asked } = query as { last_event_id?: unknown }
  const id = headers['last-event-id'] ?? asked
  return typeof id === 'string' && id !== '' ? id : undefined
}
