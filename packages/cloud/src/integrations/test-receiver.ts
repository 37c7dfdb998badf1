/** For tests: a server that webhooks are sent to, on this machine. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'

export interface Received {
  readonly method: string
  /** Path and query. */
  readonly url: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

type Answer = (request: Received, response: ServerResponse) => void

export class Receiver {
  readonly received: Received[] = []
  /** 200 without a body, unless told otherwise. */
  answer: Answer = (_request, response) => response.end()
  readonly #server: Server
  readonly #scheme: string

  private constructor(server: Server, scheme: string) {
    this.#server = server
    this.#scheme = scheme
  }

  static async start(tls?: { key: string | Buffer; cert: string | Buffer }, host = '127.0.0.1'): Promise<Receiver> {
    const listener = (request: IncomingMessage, response: ServerResponse): void =>
      void receiver.#take(request, response)
    const receiver = new Receiver(tls ? createTlsServer(tls, listener) : createServer(listener), tls ? 'https' : 'http')
    receiver.#server.listen(0, host)
    await once(receiver.#server, 'listening')
    return receiver
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Without a trailing slash. */
  get url(): string {
    return `${this.#scheme}://127.0.0.1:${this.port}`
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer)
    } catch {
      return
    }
    const { method = '', url = '', headers } = request
    const received = { method, url, headers, body: Buffer.concat(chunks).toString('utf8') }
    this.received.push(received)
    this.answer(received, response)
  }
}

/** A clock that goes on when it is told to. */
export class TestClock {
  #now = Date.UTC(2026, 10, 21)
  readonly #timers = new Map<number, { at: number; callback: () => void }>()
  #last = 0

  now = (): number => this.#now

  setTimeout = (callback: () => void, ms: number): number => {
    this.#timers.set(++this.#last, { at: this.#now + ms, callback })
    return this.#last
  }

  clearTimeout = (timer: unknown): void => {
    this.#timers.delete(timer as number)
  }

  /** Milliseconds until the next timer rings; undefined when there is none. */
  get next(): number | undefined {
    const all = [...this.#timers.values()].map(({ at }) => at - this.#now)
    return all.length > 0 ? Math.min(...all) : undefined
  }

  /** Lets the timers ring that are due within so many milliseconds, in their order. */
  advance(ms: number): void {
    const end = this.#now + ms
    for (;;) {
      const due = [...this.#timers].filter(([, { at }]) => at <= end).sort(([, a], [, b]) => a.at - b.at)[0]
      if (!due) break
      const [id, { at, callback }] = due
      this.#timers.delete(id)
      this.#now = Math.max(this.#now, at)
      callback()
    }
    this.#now = end
  }
}
