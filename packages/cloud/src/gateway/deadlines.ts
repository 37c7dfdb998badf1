/**
 * One clock for all sessions: a timing wheel.
 *
 * Ten thousand sessions with a timer each cost memory and a heap of timers; here they share one interval, and a
 * session that only moves its deadline further away (every message does) costs nothing: it is found early, says when
 * to ask again, and is put away. The wheel is a pure structure; its owner brings the time.
 */

import type { Millis } from '@aloe/protocol'

/** What can be put on the wheel. The fields belong to the wheel; they live in the item so that it needs no entry. */
export interface Timed {
  /** Tick at which the item is due; -1 while it is not on the wheel. */
  dueTick: number
  nextTimed: Timed | undefined
  previousTimed: Timed | undefined
  /** Called when the item's time has come; it is off the wheel then and may put itself back. */
  timeCame(now: Millis): void
}

export interface WheelOptions {
  /** Width of a tick; an item is called at most this much late. */
  readonly resolution: Millis
  /** How many ticks one turn has; items further away stay where they are for more turns. */
  readonly slots: number
}

export class DeadlineWheel {
  readonly #resolution: Millis
  readonly #slots: (Timed | undefined)[]
  #tick: number
  #size = 0

  constructor(now: Millis, options: WheelOptions = { resolution: 100, slots: 1_024 }) {
    this.#resolution = options.resolution
    this.#slots = new Array<Timed | undefined>(options.slots).fill(undefined)
    this.#tick = Math.floor(now / options.resolution)
  }

  /** How many items are on the wheel. */
  get size(): number {
    return this.#size
  }

  /** Sees to it that `item` is called at `at` or somewhat earlier; an earlier call that is already planned stays. */
  schedule(item: Timed, at: Millis): void {
    const tick = Math.max(this.#tick + 1, Math.ceil(at / this.#resolution))
    if (item.dueTick !== -1) {
      if (item.dueTick <= tick) return
      this.cancel(item)
    }
    const slot = tick % this.#slots.length
    const head = this.#slots[slot]
    item.dueTick = tick
    item.nextTimed = head
    item.previousTimed = undefined
    if (head) head.previousTimed = item
    this.#slots[slot] = item
    this.#size++
  }

  /** Takes an item off the wheel; without effect when it is not on it. */
  cancel(item: Timed): void {
    if (item.dueTick === -1) return
    const { nextTimed, previousTimed } = item
    if (previousTimed) previousTimed.nextTimed = nextTimed
    else this.#slots[item.dueTick % this.#slots.length] = nextTimed
    if (nextTimed) nextTimed.previousTimed = previousTimed
    item.dueTick = -1
    item.nextTimed = undefined
    item.previousTimed = undefined
    this.#size--
  }

  /** Calls every item whose time has come by `now`. */
  advance(now: Millis): void {
    const target = Math.floor(now / this.#resolution)
    // After a long sleep of the process one turn visits every slot; more would visit them again for nothing.
    const first = Math.max(this.#tick + 1, target - this.#slots.length + 1)
    if (target > this.#tick) this.#tick = target
    for (let tick = first; tick <= target; tick++) this.#visit(tick % this.#slots.length, target, now)
  }

  #visit(slot: number, target: number, now: Millis): void {
    // An item that is called may cancel or schedule any other, so the due ones are taken out before the first call.
    const due: Timed[] = []
    for (let item = this.#slots[slot]; item; item = item.nextTimed) {
      if (item.dueTick <= target) due.push(item)
    }
    for (const item of due) {
      if (item.dueTick === -1 || item.dueTick > target) continue
      this.cancel(item)
      item.timeCame(now)
    }
  }
}
