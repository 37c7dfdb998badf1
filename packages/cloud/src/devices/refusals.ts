/**
 * Why devices were not let in. Handshakes that fail in silence have cost owners days, so every one is kept here for the
 * API and the log, in bounded memory.
 */
export interface Refusal {
  /** Unknown when it failed before the device had said who it is. */
  readonly deviceId?: string
  /** Where it came from, for example '192.0.2.7:40312'. */
  readonly address: string
  /** The step of the handshake, for example 'decrypt' or 'key'. */
  readonly step: string
  /** In words. */
  readonly reason: string
}

export interface RecordedRefusal extends Refusal {
  /** How often it came in the same way. */
  readonly count: number
  /** Unix milliseconds. */
  readonly firstAt: number
  readonly lastAt: number
}

const textLimit = 300

export class Refusals {
  readonly #capacity: number
  /** In order of last occurrence. */
  readonly #entries = new Map<string, RecordedRefusal>()

  constructor(capacity = 1_000) {
    this.#capacity = capacity
  }

  /** Counts a refusal like an earlier one (same device, host, step and reason) together with it. */
  record(refusal: Refusal, now: number): RecordedRefusal {
    const step = refusal.step.slice(0, textLimit)
    const reason = refusal.reason.slice(0, textLimit)
    const host = refusal.address.replace(/:\d+$/, '')
    const key = JSON.stringify([refusal.deviceId, host, step, reason])
    const earlier = this.#entries.get(key)
    const entry = {
      ...refusal,
      step,
      reason,
      count: (earlier?.count ?? 0) + 1,
      firstAt: earlier?.firstAt ?? now,
      lastAt: now,
    }
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    if (this.#entries.size > this.#capacity) {
      const oldest = this.#entries.keys().next().value
      if (oldest !== undefined) this.#entries.delete(oldest)
    }
    return entry
  }

  /** Newest first. */
  list(accept: (refusal: RecordedRefusal) => boolean = () => true): RecordedRefusal[] {
    return [...this.#entries.values()].filter(accept).reverse()
  }
}
