/**
 * Sends one request and takes its response, within bounds of time, size and redirects.
 *
 * Bodies of responses are read as far as they are of use and no further; connections are kept for the next request.
 */
import { type ClientRequest, Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import type { Clock } from '../clock.ts'
import { AddressPolicy, type AddressPolicyOptions, addressRefused } from './addresses.ts'
import type { OutgoingRequest } from './request.ts'

export interface SenderLimits {
  /** Milliseconds for everything: name, connection, redirects, response (cloud-api.md 4: 20 s). */
  readonly timeout: number
  /** Bytes of a response that are read; the rest is left. */
  readonly responseBytes: number
  readonly redirects: number
  /** Milliseconds that a connection is kept without use. */
  readonly keepAlive: number
}

export const defaultSenderLimits: SenderLimits = {
  timeout: 20_000,
  responseBytes: 1024 * 1024,
  redirects: 3,
  keepAlive: 15_000,
}

export interface SenderOptions extends AddressPolicyOptions {
  readonly clock: Clock
  readonly limits?: Partial<SenderLimits>
}

export interface WebhookResponse {
  readonly status: number
  /** UTF-8, up to the limit. */
  readonly body: string
  /** The host that answered in the end. */
  readonly host: string
  /** Of `Retry-After`, in its own words. */
  readonly retryAfter: string | undefined
}

/** There is no response. */
export class SendError extends Error {
  readonly code: string
  readonly host: string
  /** It cannot be different another time. */
  readonly permanent: boolean

  constructor(code: string, host: string, message: string, permanent = false) {
    super(message)
    this.name = 'SendError'
    this.code = code
    this.host = host
    this.permanent = permanent
  }
}

/** A connection that was kept turned out to be closed. */
class StaleConnectionError extends Error {
  constructor(cause: Error) {
    super(cause.message, { cause })
  }
}

/** What is told on the way. */
export interface SendProgress {
  /** The request has left for its first host. */
  sent(): void
}

/** One call of `send`, over all its hops. */
class Sending {
  readonly rejectUnauthorized: boolean
  readonly #progress: SendProgress | undefined
  #told = false
  #request: ClientRequest | undefined
  /** Why it was broken off. */
  ended: 'timeout' | 'stop' | undefined

  constructor(rejectUnauthorized: boolean, progress: SendProgress | undefined) {
    this.rejectUnauthorized = rejectUnauthorized
    this.#progress = progress
  }

  begin(request: ClientRequest): void {
    this.#request = request
    if (this.ended) request.destroy()
  }

  sent(): void {
    if (this.#told) return
    this.#told = true
    this.#progress?.sent()
  }

  end(why: 'timeout' | 'stop'): void {
    this.ended = why
    this.#request?.destroy(new Error(why))
  }
}

interface Hop {
  readonly url: URL
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
}

export class Sender {
  readonly #clock: Clock
  readonly #limits: SenderLimits
  readonly #policy: AddressPolicy
  readonly #http: HttpAgent
  readonly #https: HttpsAgent
  readonly #underWay = new Set<Sending>()

  /** @throws RangeError for a network that is none */
  constructor({ clock, limits, ...addresses }: SenderOptions) {
    this.#clock = clock
    this.#limits = { ...defaultSenderLimits, ...limits }
    this.#policy = new AddressPolicy(addresses)
    const { keepAlive } = this.#limits
    const options = { keepAlive: true, timeout: keepAlive, maxFreeSockets: 64, lookup: this.#policy.lookup }
    this.#http = new HttpAgent(options)
    this.#https = new HttpsAgent(options)
  }

  /** Whether an address may be sent to; names are asked about when they are looked up. */
  get policy(): AddressPolicy {
    return this.#policy
  }

  /**
   * @throws SendError when no response came: `ETIMEDOUT`, `ECONNREFUSED` and what else the system says,
   *   `ALOE_ADDRESS_REFUSED`, `ALOE_REDIRECTS`, `ALOE_STOPPED`
   */
  async send(request: OutgoingRequest, progress?: SendProgress): Promise<WebhookResponse> {
    const sending = new Sending(request.rejectUnauthorized, progress)
    this.#underWay.add(sending)
    const timer = this.#clock.setTimeout(() => sending.end('timeout'), this.#limits.timeout)
    let hop: Hop = request
    try {
      for (let left = this.#limits.redirects; ; left--) {
        this.#policy.checkLiteral(hop.url.hostname)
        const response = await this.#exchange(hop, sending).catch((error) => {
          // The server closed a kept connection just when it was used again: it has not seen the request.
          if (error instanceof StaleConnectionError) return this.#exchange(hop, sending)
          throw error
        })
        const next = redirectOf(response, hop)
        if (!next) return await this.#read(response, hop)
        // Nothing of it is read: it may be without end.
        response.destroy()
        if (left <= 0) throw new SendError('ALOE_REDIRECTS', hop.url.host, 'too many redirects')
        hop = next
      }
    } catch (error) {
      throw this.#asSendError(error, hop, sending.ended)
    } finally {
      this.#clock.clearTimeout(timer)
      this.#underWay.delete(sending)
    }
  }

  /** Breaks off what is under way, and lets go of all connections. */
  close(): void {
    for (const sending of this.#underWay) sending.end('stop')
    this.#http.destroy()
    this.#https.destroy()
  }

  #exchange(hop: Hop, sending: Sending): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const { url, method, headers, body } = hop
      // Always said, so that no server waits for a body that does not come (RFC 9110 8.6).
      const length = body === undefined && method === 'GET' ? {} : { 'content-length': Buffer.byteLength(body ?? '') }
      const options = { method, headers: { ...headers, ...length } }
      const request: ClientRequest =
        url.protocol === 'https:'
          ? httpsRequest(url, { ...options, agent: this.#https, rejectUnauthorized: sending.rejectUnauthorized })
          : httpRequest(url, { ...options, agent: this.#http })
      sending.begin(request)
      request.once('finish', () => sending.sent())
      request.once('response', resolve)
      request.on('error', (error: NodeJS.ErrnoException) => {
        const stale = request.reusedSocket && error.code === 'ECONNRESET'
        reject(stale ? new StaleConnectionError(error) : error)
      })
      // Neither is asked for; a server that does it all the same must not be left hanging.
      request.once('upgrade', (_response, socket) => {
        socket.destroy()
        reject(new SendError('ALOE_PROTOCOL', url.host, 'the server changed the protocol'))
      })
      request.end(body)
    })
  }

  #read(response: IncomingMessage, { url }: Hop): Promise<WebhookResponse> {
    const { responseBytes } = this.#limits
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = []
      let bytes = 0
      const done = (): void => {
        const body = Buffer.concat(chunks).subarray(0, responseBytes).toString('utf8')
        const { statusCode: status = 0, headers } = response
        resolve({ status, body, host: url.host, retryAfter: headers['retry-after'] })
      }
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk)
        bytes += chunk.length
        if (bytes < responseBytes) return
        done()
        response.destroy()
      })
      response.once('end', done)
      response.once('error', reject)
      response.once('close', () => {
        if (!response.complete) reject(new Error('the response ended too soon'))
      })
    })
  }

  #asSendError(error: unknown, { url }: Hop, ended: 'timeout' | 'stop' | undefined): SendError {
    if (error instanceof SendError) return error
    const { host } = url
    if (ended === 'timeout')
      return new SendError('ETIMEDOUT', host, `no answer within ${this.#limits.timeout / 1_000} s`)
    if (ended === 'stop') return new SendError('ALOE_STOPPED', host, 'the cloud is stopping')
    const failure = rootOf(error instanceof StaleConnectionError ? error.cause : error)
    const code = failure.code ?? 'ALOE_FAILED'
    const invalid = code.startsWith('ERR_INVALID_') || code === 'ERR_UNESCAPED_CHARACTERS'
    return new SendError(code, host, failure.message, code === addressRefused || invalid)
  }
}

/** With several addresses tried there are several errors: the first says most. */
function rootOf(error: unknown): NodeJS.ErrnoException {
  const first = error instanceof AggregateError ? error.errors[0] : error
  return first instanceof Error ? first : new Error(String(first))
}

/** Where a response sends to, as browsers do it (RFC 9110 15.4); undefined when it does not. */
function redirectOf({ statusCode = 0, headers }: IncomingMessage, hop: Hop): Hop | undefined {
  if (![301, 302, 303, 307, 308].includes(statusCode) || headers.location === undefined) return undefined
  const url = URL.parse(headers.location, hop.url.href)
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new SendError('ALOE_REDIRECTS', hop.url.host, 'a redirect to what is no http or https URL')
  }
  url.username = ''
  url.password = ''
  // Another host is told nothing that was meant for this one: any header may be a key.
  const headersThen = url.origin === hop.url.origin ? hop.headers : commonHeaders(hop.headers)
  const keeps = statusCode === 307 || statusCode === 308 || hop.method === 'GET'
  if (keeps) return { ...hop, url, headers: headersThen }
  const { 'content-type': _, ...rest } = headersThen
  return { url, method: 'GET', headers: rest, body: undefined }
}

function commonHeaders(headers: Readonly<Record<string, string>>): Record<string, string> {
  const kept = ['user-agent', 'accept', 'content-type']
  return Object.fromEntries(Object.entries(headers).filter(([name]) => kept.includes(name)))
}
