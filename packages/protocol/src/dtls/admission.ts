import type { Millis } from '../time.ts'

export interface HandshakeLimits {
  /** Handshakes under way in total. */
  readonly total: number
  /** Handshakes under way of one host, whatever its ports; many devices may share one behind a NAT. */
  readonly perHost: number
  /**
   * Handshakes a second that begin without cookie; beyond, and with half of `total` under way, clients must first show
   * that their address is real. 0: always.
   */
  readonly unverifiedPerSecond: number
}

export const defaultHandshakeLimits: HandshakeLimits = { total: 4096, perHost: 256, unverifiedPerSecond: 20 }

/** Decides who may begin a handshake, and who needs a cookie first. */
export class Admission {
  readonly #limits: HandshakeLimits
  readonly #hosts = new Map<string, number>()
  #total = 0
  #tokens: number
  #filledAt: Millis | undefined

  constructor(limits: HandshakeLimits) {
    this.#limits = limits
    this.#tokens = limits.unverifiedPerSecond
  }

  get total(): number {
    return this.#total
  }

  /** Whether a client without cookie must be asked for one. Each `false` uses up a little of the rate. */
  needsCookie(now: Millis): boolean {
    const { unverifiedPerSecond, total } = this.#limits
    this.#tokens = Math.min(
      unverifiedPerSecond,
      this.#tokens + ((now - (this.#filledAt ?? now)) / 1000) * unverifiedPerSecond,
    )
    this.#filledAt = now
    if (this.#tokens < 1 || this.#total >= total / 2) return true
    this.#tokens--
    return false
  }

  /** Counts one in; false when there are too many. */
  enter(address: string): boolean {
    const host = hostOf(address)
    const ofHost = this.#hosts.get(host) ?? 0
    if (this.#total >= this.#limits.total || ofHost >= this.#limits.perHost) return false
    this.#hosts.set(host, ofHost + 1)
    this.#total++
    return true
  }

  /** Counts one out again. */
  leave(address: string): void {
    const host = hostOf(address)
    const ofHost = (this.#hosts.get(host) ?? 0) - 1
    if (ofHost > 0) this.#hosts.set(host, ofHost)
    else this.#hosts.delete(host)
    this.#total--
  }
}

/** The address without its port: what stands before the last colon. */
function hostOf(address: string): string {
  const colon = address.lastIndexOf(':')
  return colon < 0 ? address : address.slice(0, colon)
}
