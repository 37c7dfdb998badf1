/**
 * How often a host may try passwords (cloud-api.md 4): after ten failures in a row it waits for half an hour.
 * The same holds for a username, with a shorter wait, so that many hosts cannot share the work of guessing; loopback is
 * exempt from both unless told otherwise.
 */
export interface LoginLimits {
  /** Failures in a row, per host, before it is blocked. */
  readonly failuresPerHost: number
  readonly failuresPerUsername: number
  /** Milliseconds. */
  readonly hostBlock: number
  readonly usernameBlock: number
}

export const defaultLoginLimits: LoginLimits = {
  failuresPerHost: 10,
  failuresPerUsername: 50,
  hostBlock: 30 * 60_000,
  usernameBlock: 5 * 60_000,
}

interface Entry {
  failures: number
  /** Of a host: how many of them were for which username. */
  readonly by: Map<string, number>
  /** When the block, or the memory of failures, ends. */
  until: number
}

/** Hosts and usernames remembered at most; the oldest are forgotten. */
const capacity = 10_000

export class LoginThrottle {
  readonly #limits: LoginLimits
  readonly #entries = new Map<string, Entry>()

  constructor(limits: LoginLimits = defaultLoginLimits) {
    this.#limits = limits
  }

  /** @returns how long the host must wait before its next try, in milliseconds; 0 when it may try now */
  wait(host: string, username: string, now: number): number {
    const { failuresPerHost, failuresPerUsername } = this.#limits
    return Math.max(
      this.#left(`host ${host}`, failuresPerHost, now),
      this.#left(`user ${username}`, failuresPerUsername, now),
    )
  }

  failed(host: string, username: string, now: number): void {
    const { by } = this.#count(`host ${host}`, this.#limits.hostBlock, now)
    by.set(username, (by.get(username) ?? 0) + 1)
    this.#count(`user ${username}`, this.#limits.usernameBlock, now)
  }

  /**
   * Forgives the failures for this username. Those of the host for others stay: whoever has an account here must not have
   * ten more guesses at somebody else's for each login of their own.
   */
  succeeded(host: string, username: string): void {
    this.#entries.delete(`user ${username}`)
    const entry = this.#entries.get(`host ${host}`)
    if (!entry) return
    entry.failures -= entry.by.get(username) ?? 0
    entry.by.delete(username)
    if (entry.failures <= 0) this.#entries.delete(`host ${host}`)
  }

  #left(key: string, allowed: number, now: number): number {
    const entry = this.#entries.get(key)
    return entry && entry.failures >= allowed ? Math.max(0, entry.until - now) : 0
  }

  #count(key: string, block: number, now: number): Entry {
    const before = this.#entries.get(key)
    const entry = before && before.until > now ? before : { failures: 0, until: 0, by: new Map<string, number>() }
    entry.failures++
    entry.until = now + block
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    if (this.#entries.size > capacity) {
      const oldest = this.#entries.keys().next().value
      if (oldest !== undefined) this.#entries.delete(oldest)
    }
    return entry
  }
}
