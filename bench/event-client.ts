/** A client of an event stream that counts what it gets. */

import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'

const mark = Buffer.from('\ndata: ')

export class EventClient {
  readonly #response: IncomingMessage
  readonly #waiting: { count: number; resolve: () => void }[] = []
  #tail = Buffer.alloc(0)
  received = 0
  bytes = 0

  private constructor(response: IncomingMessage) {
    this.#response = response
    response.on('data', (chunk: Buffer) => this.#count(chunk))
    response.on('error', () => undefined)
  }

  static async open(url: string, authorization: string): Promise<EventClient> {
    const [response] = (await once(get(url, { headers: { authorization }, agent: false }), 'response')) as [
      IncomingMessage,
    ]
    if (response.statusCode !== 200) throw new Error(`${url}: ${response.statusCode}`)
    return new EventClient(response)
  }

  /** Resolves when so many events have come in all. */
  reached(count: number): Promise<void> {
    if (this.received >= count) return Promise.resolve()
    return new Promise((resolve) => this.#waiting.push({ count, resolve }))
  }

  close(): void {
    this.#response.destroy()
  }

  #count(chunk: Buffer): void {
    this.bytes += chunk.length
    const bytes = Buffer.concat([this.#tail, chunk])
    for (let at = bytes.indexOf(mark); at !== -1; at = bytes.indexOf(mark, at + mark.length)) this.received++
    // Too short to hold a whole mark, so that none is counted twice.
    this.#tail = bytes.subarray(Math.max(0, bytes.length - mark.length + 1))
    for (const waiting of this.#waiting.splice(0)) {
      if (this.received >= waiting.count) waiting.resolve()
      else this.#waiting.push(waiting)
    }
  }
}
