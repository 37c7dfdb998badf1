/**
 * Deadlines that come before the wheel would look again: pauses of a few milliseconds in a transfer. Rare and few, so
 * that one timer and a map do, and the wheel need not turn faster for all the others.
 */
import type { Millis } from '@aloe/protocol'
import { type Clock, systemClock, type TimerHandle } from '../clock.ts'

export interface NearItem {
  /** Called when the item's time has come; it may add itself again. */
  timeCame(now: Millis): void
}

export class NearDeadlines<T extends NearItem> {
  readonly #now: () => Millis
  readonly #clock: Clock
  readonly #due = new Map<T, Millis>()
  #timer: TimerHandle | undefined
  #timerAt: Millis = Number.POSITIVE_INFINITY

  constructor(now: () => Millis, clock: Clock = systemClock) {
    this.#now = now
    this.#clock = clock
  }

  /** How many items wait. */
  get size(): number {
    return this.#due.size
  }

  /** Sees to it that `item` is called at `at`, or earlier if that is planned already. */
  add(item: T, at: Millis): void {
    if ((this.#due.get(item) ?? Number.POSITIVE_INFINITY) <= at) return
    this.#due.set(item, at)
    if (at < this.#timerAt) this.#arm(at)
  }

  remove(item: T): void {
    this.#due.delete(item)
  }

  close(): void {
    this.#due.clear()
    this.#clock.clearTimeout(this.#timer)
    this.#timerAt = Number.POSITIVE_INFINITY
  }

  #arm(at: Millis): void {
    this.#clock.clearTimeout(this.#timer)
    this.#timerAt = at
    // At least a millisecond, so that a deadline that stays in the past cannot keep the process busy.
    this.#timer = this.#clock.setTimeout(() => this.#fire(), Math.max(1, Math.ceil(at - this.#now())))
  }

  #fire(): void {
    this.#timerAt = Number.POSITIVE_INFINITY
    const now = this.#now()
    // An item that is called may add or remove any, so the due ones are taken out before the first call.
    const due: T[] = []
    for (const [item, at] of this.#due) if (at <= now) due.push(item)
    for (const item of due) this.#due.delete(item)
    for (const item of due) item.timeCame(now)
    let next = Number.POSITIVE_INFINITY
    for (const at of this.#due.values()) next = Math.min(next, at)
    if (next < this.#timerAt) this.#arm(next)
  }
}
