/** When to ping a silent peer, and when to give it up. */
import type { Millis } from '../time.ts'

export interface PingLimits {
  /** Silence after which to ping. */
  readonly interval: Millis
  /** Silence after the ping until the peer counts as gone. */
  readonly timeout: Millis
}

export class Pinger {
  #limits: PingLimits
  #since: Millis
  #awaiting = false

  constructor(limits: PingLimits, now: Millis) {
    this.#limits = limits
    this.#since = now
  }

  /** Changes the interval, as `Particle.keepAlive` does. */
  set interval(interval: Millis) {
    this.#limits = { ...this.#limits, interval }
  }

  /** Anything that was received shows that the peer lives. */
  heard(now: Millis): void {
    this.#since = now
    this.#awaiting = false
  }

  /** A ping was sent unasked; silence counts from here. */
  pinged(now: Millis): void {
    this.#awaiting = true
    this.#since = now
  }

  /** What is due: `ping` is said once, then silence counts from there. */
  poll(now: Millis): 'quiet' | 'ping' | 'gone' {
    if (now < this.deadline) return 'quiet'
    if (this.#awaiting) return 'gone'
    this.#awaiting = true
    this.#since = now
    return 'ping'
  }

  get deadline(): Millis {
    return this.#since + (this.#awaiting ? this.#limits.timeout : this.#limits.interval)
  }
}
