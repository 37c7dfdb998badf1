import type { Millis } from '../hal/time.ts'

/** At most `limit` in any `span`; a device publishes at most 4 events of its user a second (device-protocol.md 3.9). */
export class RateLimit {
  readonly #limit: number
  readonly #span: Millis
  #recent: Millis[] = []

  constructor(limit: number, span: Millis) {
    this.#limit = limit
    this.#span = span
  }

  /** Whether one more may go now; counts it if so. */
  take(now: Millis): boolean {
    this.#recent = this.#recent.filter((at) => now - at < this.#span)
    if (this.#recent.length >= this.#limit) return false
    this.#recent.push(now)
    return true
  }
}
