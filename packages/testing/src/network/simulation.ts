/**
 * Simulated time, shared by all parts of a simulation: what is due happens in the order of its time, and at the same
 * time in the order in which it was asked for. Hours pass in a moment, and the same seed gives the same run.
 */
import { type Random, seeded } from './random.ts'

/** A span of time or a point on the simulation's clock, in milliseconds; may have fractions. */
export type Millis = number

export interface Timer {
  cancel(): void
}

interface Entry {
  readonly at: Millis
  readonly order: number
  readonly fn: () => void
  cancelled: boolean
}

/** Lets promises go on: microtasks, and one turn of the event loop. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Fits where a virtual device wants a clock (`MemoryDeviceOptions.clock`). */
export class Simulation {
  readonly #random: Random
  #now: Millis
  #order = 0
  /** A binary heap, the earliest first. */
  readonly #heap: Entry[] = []

  constructor(seed = 1, start: Millis = 0) {
    this.#random = seeded(seed)
    this.#now = start
  }

  now(): Millis {
    return this.#now
  }

  /** A source of chance of its own, so that one part's use of it does not change what another part sees. */
  fork(): Random {
    return seeded(Math.floor(this.#random() * 2 ** 32))
  }

  /** Calls `fn` once, `delay` ms from now. */
  setTimer(delay: Millis, fn: () => void): Timer {
    return this.at(this.#now + Math.max(0, delay), fn)
  }

  /** Calls `fn` once at that time, or as soon as possible when it has passed. */
  at(time: Millis, fn: () => void): Timer {
    const entry: Entry = { at: Math.max(time, this.#now), order: this.#order++, fn, cancelled: false }
    this.#push(entry)
    return {
      cancel: () => {
        entry.cancelled = true
      },
    }
  }

  /** Calls `fn` again and again, `every` ms apart, for the first time after `every`. */
  every(every: Millis, fn: () => void): Timer {
    if (every <= 0) throw new RangeError('an interval is longer than 0 ms')
    let timer: Timer
    const next = () => {
      timer = this.setTimer(every, () => {
        next()
        fn()
      })
    }
    next()
    return { cancel: () => timer.cancel() }
  }

  /** Lets `span` ms pass. */
  run(span: Millis): void {
    this.runUntil(() => false, span)
  }

  /**
   * Lets time pass until the condition holds, which is looked at after everything that happens.
   *
   * @returns false when it did not hold within `limit` ms; then that much time has passed
   */
  runUntil(condition: () => boolean, limit: Millis): boolean {
    const end = this.#now + limit
    if (condition()) return true
    while (this.#step(end)) if (condition()) return true
    this.#now = end
    return false
  }

  /** As `run`, and lets promises settle after everything that happens: for parts that are asynchronous. */
  async advance(span: Millis): Promise<void> {
    await this.advanceUntil(() => false, span)
  }

  /** As `runUntil`, and lets promises settle after everything that happens. */
  async advanceUntil(condition: () => boolean, limit: Millis): Promise<boolean> {
    const end = this.#now + limit
    await settle()
    if (condition()) return true
    while (this.#step(end)) {
      await settle()
      if (condition()) return true
    }
    this.#now = end
    return false
  }

  /** Does the next thing that is due by `end`. */
  #step(end: Millis): boolean {
    for (;;) {
      const [next] = this.#heap
      if (!next || next.at > end) return false
      this.#pop()
      if (next.cancelled) continue
      this.#now = next.at
      next.fn()
      return true
    }
  }

  #push(entry: Entry): void {
    const heap = this.#heap
    let at = heap.push(entry) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!this.#before(at, parent)) return
      this.#swap(at, parent)
      at = parent
    }
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()
    if (!last || heap.length === 0) return
    heap[0] = last
    for (let at = 0; ; ) {
      const left = 2 * at + 1
      let first = at
      if (left < heap.length && this.#before(left, first)) first = left
      if (left + 1 < heap.length && this.#before(left + 1, first)) first = left + 1
      if (first === at) return
      this.#swap(at, first)
      at = first
    }
  }

  #before(a: number, b: number): boolean {
    const [one, other] = [this.#heap[a], this.#heap[b]]
    if (!one || !other) return false
    return one.at < other.at || (one.at === other.at && one.order < other.order)
  }

  #swap(a: number, b: number): void {
    const [one, other] = [this.#heap[a], this.#heap[b]]
    if (!one || !other) return
    this.#heap[a] = other
    this.#heap[b] = one
  }
}

/**
 * Keeps a state machine without I/O going: polls it at its deadlines.
 *
 * Call `changed` after everything that may have moved a deadline (whatever was given to the machine).
 */
export class Poller {
  readonly #simulation: Simulation
  readonly #deadline: () => Millis | undefined
  readonly #poll: (now: Millis) => void
  #timer: Timer | undefined
  #at = Number.POSITIVE_INFINITY
  #ended = false

  constructor(simulation: Simulation, deadline: () => Millis | undefined, poll: (now: Millis) => void) {
    this.#simulation = simulation
    this.#deadline = deadline
    this.#poll = poll
  }

  changed(): void {
    if (this.#ended) return
    const at = this.#deadline() ?? Number.POSITIVE_INFINITY
    if (at === this.#at) return
    this.#timer?.cancel()
    this.#timer = undefined
    this.#at = at
    if (at === Number.POSITIVE_INFINITY) return
    this.#timer = this.#simulation.at(at, () => {
      this.#at = Number.POSITIVE_INFINITY
      this.#poll(this.#simulation.now())
      this.changed()
    })
  }

  end(): void {
    this.#ended = true
    this.#timer?.cancel()
  }
}
