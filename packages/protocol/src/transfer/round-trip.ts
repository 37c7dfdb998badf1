import type { Millis } from '../time.ts'

/** The shortest round trip is forgotten after so long: routes and modems change. */
const minLifetime = 30_000
/** The device delays an ack by up to 200 ms (device-protocol.md 3.19). */
const ackDelay = 200
const minVariation = 25
/** Before any round trip is known, silence is met after 3 s (device-protocol.md 3.19). */
const firstTimeout = 3_000

/** Round trips as they were measured: smoothed (RFC 6298, section 2), and the shortest of late. */
export class RoundTrip {
  /** Undefined until the first measurement. */
  smooth: Millis | undefined
  latest: Millis = 0
  #variation: Millis = 0
  #shortest: Millis = Number.POSITIVE_INFINITY
  #shortestAt: Millis = 0

  /** Waiting time on the way, without the queues that the transfer itself fills; as long as it is known. */
  get shortest(): Millis | undefined {
    return this.smooth === undefined ? undefined : this.#shortest
  }

  /** The shortest one has not been seen for long: it needs an empty queue to be measured again. */
  isStale(now: Millis): boolean {
    return this.smooth !== undefined && now - this.#shortestAt > minLifetime
  }

  /** Silence for so long means that something was lost. */
  get timeout(): Millis {
    if (this.smooth === undefined) return firstTimeout
    return this.smooth + Math.max(minVariation, 4 * this.#variation) + ackDelay
  }

  measure(sample: Millis, now: Millis): void {
    this.latest = sample
    // The owner has had two round trips to let its queue run empty when a longer one counts as the shortest.
    const settled = this.isStale(now - 2 * (this.smooth ?? 0))
    if (sample <= this.#shortest || settled) {
      // Loopback answers within the resolution of a clock.
      this.#shortest = Math.max(sample, 0.1)
      this.#shortestAt = now
    }
    if (this.smooth === undefined) {
      this.smooth = sample
      this.#variation = sample / 2
      return
    }
    this.#variation += (Math.abs(this.smooth - sample) - this.#variation) / 4
    this.smooth += (sample - this.smooth) / 8
  }
}
