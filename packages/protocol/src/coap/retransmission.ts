/**
 * Retransmission of confirmable messages (RFC 7252, section 4.2).
 *
 * A pure state machine: it is told what happened and what time it is, and answers what to send,
 * what to give up, and when to ask again. Sockets and timers live with its owner.
 */
import type { Millis } from '../time.ts'

export interface RetransmissionLimits {
  /** Shortest first wait for an acknowledgement. */
  readonly ackTimeout: Millis
  /** The first wait is drawn between `ackTimeout` and `ackTimeout * ackRandomFactor`. */
  readonly ackRandomFactor: number
  /** How often a message is sent again before it is given up. */
  readonly maxRetransmit: number
}

/** RFC 7252, section 4.8: for the cloud's side. */
export const rfcLimits: RetransmissionLimits = { ackTimeout: 2_000, ackRandomFactor: 1.5, maxRetransmit: 4 }

/** What Device OS uses (device-protocol.md 2.10). */
export const deviceLimits: RetransmissionLimits = { ackTimeout: 4_000, ackRandomFactor: 1.5, maxRetransmit: 3 }

export interface Due {
  /** Encoded messages to put on the wire now, oldest first. */
  readonly send: readonly Uint8Array[]
  /** Ids of messages that were never acknowledged and are no longer tracked. */
  readonly gaveUp: readonly number[]
}

interface Outstanding {
  readonly message: Uint8Array
  readonly retries: number
  readonly wait: Millis
  readonly deadline: Millis
}

export class Retransmission {
  readonly #limits: RetransmissionLimits
  readonly #random: () => number
  /** Only while there are any: most sessions wait for nothing. */
  #outstanding: Map<number, Outstanding> | undefined

  /** @param random uniform in [0, 1), injected so that a run can be repeated */
  constructor(limits: RetransmissionLimits, random: () => number) {
    this.#limits = limits
    this.#random = random
  }

  /** How many messages wait for an acknowledgement. */
  get size(): number {
    return this.#outstanding?.size ?? 0
  }

  /** True while a message of that id waits: its id must not be used for another. */
  has(id: number): boolean {
    return this.#outstanding?.has(id) ?? false
  }

  /** Starts to track a confirmable message that its owner has just sent. */
  track(id: number, message: Uint8Array, now: Millis): void {
    const { ackTimeout, ackRandomFactor } = this.#limits
    const wait = ackTimeout * (1 + this.#random() * (ackRandomFactor - 1))
    this.#outstanding ??= new Map()
    this.#outstanding.set(id, { message, retries: 0, wait, deadline: now + wait })
  }

  /** Ends the tracking of a message; false when its id is not outstanding (a late or foreign answer). */
  acknowledge(id: number): boolean {
    const known = this.#outstanding?.delete(id) ?? false
    if (this.#outstanding?.size === 0) this.#outstanding = undefined
    return known
  }

  /** What is due at `now`. Waits double from one try to the next. */
  poll(now: Millis): Due {
    const send: Uint8Array[] = []
    const gaveUp: number[] = []
    for (const [id, entry] of this.#outstanding ?? []) {
      if (entry.deadline > now) continue
      if (entry.retries === this.#limits.maxRetransmit) {
        this.#outstanding?.delete(id)
        gaveUp.push(id)
        continue
      }
      const wait = entry.wait * 2
      this.#outstanding?.set(id, { ...entry, retries: entry.retries + 1, wait, deadline: now + wait })
      send.push(entry.message)
    }
    return { send, gaveUp }
  }

  /** When `poll` next has something to say; undefined while nothing is outstanding. */
  nextDeadline(): Millis | undefined {
    let next: Millis | undefined
    for (const { deadline } of this.#outstanding?.values() ?? []) {
      if (next === undefined || deadline < next) next = deadline
    }
    return next
  }
}
