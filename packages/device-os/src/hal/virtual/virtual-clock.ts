import type { Clock } from '../clock.ts'
import type { Millis, Timer } from '../time.ts'

interface Entry {
  readonly at: Millis
  readonly order: number
  readonly fn: () => void
}

/** Lets everything that is already promised happen: microtasks, and one turn of the event loop. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** A clock that stands still until it is told to go on; runs hours in a moment and always in the same order. */
export class VirtualClock implements Clock {
  #now: Millis
  #order = 0
  readonly #entries = new Set<Entry>()

  constructor(start: Millis = 0) {
    this.#now = start
  }

  now(): Millis {
    return this.#now
  }

  setTimer(delay: Millis, fn: () => void): Timer {
    this.#order += 1
    const entry: Entry = { at: this.#now + Math.max(0, delay), order: this.#order, fn }
    this.#entries.add(entry)
    return { cancel: () => this.#entries.delete(entry) }
  }

  #next(): Entry | undefined {
    let next: Entry | undefined
    for (const entry of this.#entries) {
      if (next === undefined || entry.at < next.at || (entry.at === next.at && entry.order < next.order)) next = entry
    }
    return next
  }

  /** Goes `span` ms ahead, runs every timer on the way at its own time and lets promises settle after each. */
  async advance(span: Millis): Promise<void> {
    const end = this.#now + span
    await settle()
    for (let next = this.#next(); next !== undefined && next.at <= end; next = this.#next()) {
      this.#entries.delete(next)
      this.#now = Math.max(this.#now, next.at)
      next.fn()
      await settle()
    }
    this.#now = end
  }

  /** Advances in steps until the condition holds. @returns false when it never did within `limit` */
  async advanceUntil(condition: () => boolean, limit: Millis, step: Millis = 10): Promise<boolean> {
    for (let spent = 0; spent < limit && !condition(); spent += step) await this.advance(step)
    return condition()
  }
}
