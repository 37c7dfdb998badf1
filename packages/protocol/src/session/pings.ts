/** Pings that somebody waits for. */
import type { Millis } from '../time.ts'
import { type RequestResult, sessionClosed, timedOut } from './result.ts'

interface Ping {
  readonly id: number
  readonly sentAt: Millis
  readonly deadline: Millis
  readonly done: (result: RequestResult<Millis>) => void
}

export class Pings {
  #waiting: Ping[] | undefined

  add(id: number, sentAt: Millis, deadline: Millis, done: (result: RequestResult<Millis>) => void): void {
    this.#waiting ??= []
    this.#waiting.push({ id, sentAt, deadline, done })
  }

  /** Ends the ping of that id, or all when the peer's pongs have no id to go by. */
  answered(id: number | undefined, now: Millis): void {
    if (!this.#waiting) return
    this.#take(
      (ping) => id === undefined || ping.id === id,
      (ping) => ({ ok: true, value: now - ping.sentAt }),
    )
  }

  poll(now: Millis): void {
    if (!this.#waiting) return
    this.#take(
      (ping) => ping.deadline <= now,
      () => timedOut,
    )
  }

  nextDeadline(): Millis | undefined {
    let next: Millis | undefined
    for (const { deadline } of this.#waiting ?? []) if (next === undefined || deadline < next) next = deadline
    return next
  }

  close(): void {
    this.#take(
      () => true,
      () => sessionClosed,
    )
  }

  #take(which: (ping: Ping) => boolean, resultOf: (ping: Ping) => RequestResult<Millis>): void {
    const taken = (this.#waiting ?? []).filter(which)
    if (taken.length === 0) return
    const left = (this.#waiting ?? []).filter((ping) => !taken.includes(ping))
    this.#waiting = left.length > 0 ? left : undefined
    for (const ping of taken) ping.done(resultOf(ping))
  }
}
