/**
 * Hosts that fail are left alone for a while (cloud-api.md 1.8: per host name, adaptive; it engages when errors outnumber
 * successes within a short time, and cools down after some seconds without errors).
 *
 * A host that goes on failing each time it is tried again sleeps twice as long, up to a minute.
 */

const windowLength = 10_000
/** Fewer errors than this say nothing of a host. */
const fewestErrors = 5
const firstSleep = 5_000
const longestSleep = 60_000
/** Hosts remembered at most. */
const capacity = 10_000

interface HostState {
  windowEnds: number
  successes: number
  errors: number
  sleepsUntil: number
  /** How long it slept last; 0 when it is well. */
  slept: number
}

export class HostThrottle {
  readonly #hosts = new Map<string, HostState>()

  /** Milliseconds that the host sleeps still; 0 when it may be sent to. */
  sleeps(host: string, now: number): number {
    const state = this.#hosts.get(host)
    return state ? Math.max(0, state.sleepsUntil - now) : 0
  }

  success(host: string, now: number): void {
    const state = this.#hosts.get(host)
    // Most hosts never fail, and need no memory.
    if (!state) return
    this.#roll(state, now)
    state.successes++
    if (state.sleepsUntil <= now && state.errors === 0) state.slept = 0
  }

  failure(host: string, now: number): void {
    let state = this.#hosts.get(host)
    if (!state) {
      state = { windowEnds: now + windowLength, successes: 0, errors: 0, sleepsUntil: 0, slept: 0 }
      this.#hosts.set(host, state)
      this.#trim()
    }
    this.#roll(state, now)
    state.errors++
    if (state.sleepsUntil > now || state.errors < fewestErrors || state.errors <= state.successes) return
    state.slept = state.slept === 0 ? firstSleep : Math.min(state.slept * 2, longestSleep)
    state.sleepsUntil = now + state.slept
    state.successes = 0
    state.errors = 0
    state.windowEnds = state.sleepsUntil + windowLength
  }

  #roll(state: HostState, now: number): void {
    if (now < state.windowEnds) return
    // A whole window without an error: the host is well again.
    if (state.errors === 0) state.slept = 0
    state.successes = 0
    state.errors = 0
    state.windowEnds = now + windowLength
  }

  #trim(): void {
    if (this.#hosts.size <= capacity) return
    const oldest = this.#hosts.keys().next().value
    if (oldest !== undefined) this.#hosts.delete(oldest)
  }
}
