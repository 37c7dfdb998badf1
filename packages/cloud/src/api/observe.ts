/**
 * What the API tells of its requests: to clients their id, to the log a line, to the metrics their time.
 *
 * Paths are logged and counted by their route, never as they came: paths and queries hold tokens (cloud-api.md 0.2), and
 * whoever asks for ten thousand made-up paths must not make ten thousand series.
 */
import type { Socket } from 'node:net'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { ApiMetrics } from './metrics.ts'
import { requestIdHeader } from './request-id.ts'
import type { ApiServer } from './schemas.ts'

export function observeRequests(app: ApiServer, metrics: ApiMetrics): void {
  app.addHook('onRequest', async (request: FastifyRequest, reply: FastifyReply) => {
    reply.header(requestIdHeader, request.id)
  })
  app.addHook('onResponse', async (request: FastifyRequest, reply: FastifyReply) => {
    const { method, routeOptions } = request
    const route = request.is404 ? 'unknown' : (routeOptions.url ?? 'unknown')
    const status = reply.raw.statusCode
    const isStream = routeOptions.config.rate === 'streamsOpened' && status === 200
    // A stream lasts as long as its client likes.
    if (!isStream) metrics.request(method, route, status, reply.elapsedTime / 1_000)
    request.log.debug(
      { method, route, status, ms: Math.round(reply.elapsedTime), ...callerOf(request) },
      isStream ? 'stream ended' : 'request answered',
    )
  })
}

function callerOf({ caller }: FastifyRequest): { caller?: string } {
  if (!caller) return {}
  return { caller: caller.kind === 'product' ? caller.clientId : caller.user.id }
}

const statusOf: Readonly<Record<string, string>> = {
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
}

/**
 * Answers what is no HTTP. The parser's error holds the bytes that came, with whatever secrets are in them: only its
 * code is logged.
 */
export function answerClientError(error: NodeJS.ErrnoException, socket: Socket, debug: (code: string) => void): void {
  const { code = 'unknown' } = error
  debug(code)
  if (code === 'ECONNRESET' || socket.destroyed || !socket.writable) {
    socket.destroy()
    return
  }
  const body = JSON.stringify({ ok: false, error: 'The request is no valid HTTP' })
  const head = `HTTP/1.1 ${statusOf[code] ?? '400 Bad Request'}`
  socket.end(
    `${head}\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
  )
}
