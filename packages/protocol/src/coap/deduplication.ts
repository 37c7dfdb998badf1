/**
 * Deduplication of received messages by their id (RFC 7252, section 4.5): a message that comes again, because its
 * acknowledgement was lost, is not processed again but gets the same answer.
 */
import type { Millis } from '../time.ts'

/** EXCHANGE_LIFETIME of RFC 7252, section 4.8.2: how long the cloud remembers. */
export const exchangeLifetime: Millis = 247_000

/** How long Device OS remembers (device-protocol.md 2.10). */
export const deviceExchangeLifetime: Millis = 45_000

interface Seen {
  readonly expires: Millis
  answer: Uint8Array | undefined
}

export class Deduplication {
  readonly #lifetime: Millis
  readonly #capacity: number
  /** In the order of arrival, which with one lifetime for all is the order of expiry. */
  readonly #seen = new Map<number, Seen>()

  /** @param capacity most ids remembered; beyond it the oldest are forgotten, so that no flood can fill memory */
  constructor(lifetime: Millis, capacity: number) {
    this.#lifetime = lifetime
    this.#capacity = capacity
  }

  /** Notes a received id; true when it is new. */
  receive(id: number, now: Millis): boolean {
    this.#forget(now)
    if (this.#seen.has(id)) return false
    this.#seen.set(id, { expires: now + this.#lifetime, answer: undefined })
    return true
  }

  /** Keeps the answer to a received message. */
  answered(id: number, answer: Uint8Array): void {
    const seen = this.#seen.get(id)
    if (seen) seen.answer = answer
  }

  /** The answer that was sent for that id, to be sent again. */
  answerTo(id: number): Uint8Array | undefined {
    return this.#seen.get(id)?.answer
  }

  #forget(now: Millis): void {
    for (const [id, { expires }] of this.#seen) {
      if (expires > now && this.#seen.size < this.#capacity) return
      this.#seen.delete(id)
    }
  }
}
