import { afterOutages, type StreamConditions } from './conditions.ts'
import type { Random } from './random.ts'
import type { Millis } from './simulation.ts'

export interface Segment {
  readonly at: Millis
  readonly bytes: Uint8Array
}

export interface Shaped {
  readonly segments: readonly Segment[]
  /** When the connection breaks behind the last of them, at both ends. */
  readonly cutAt: Millis | undefined
}

/**
 * One direction of an impaired stream: says in which pieces bytes arrive, and when. As TCP it loses and reorders
 * nothing; it only takes its time, until it breaks. It knows no clock, so that simulated and real networks share it.
 */
export class StreamShaper {
  /** May be changed at any time; it counts for what is written from then on. */
  conditions: StreamConditions
  /** Bytes that were taken. */
  bytes = 0
  readonly #random: Random
  #freeAt: Millis = 0
  #lastArrival: Millis = 0

  constructor(conditions: StreamConditions, random: Random) {
    this.conditions = conditions
    this.#random = random
  }

  /** Bytes that wait for the link's rate. */
  waiting(now: Millis): number {
    const { rate } = this.conditions
    return rate === undefined ? 0 : (Math.max(0, this.#freeAt - now) * rate) / 1000
  }

  /** When an end of the stream that is written now arrives: behind everything else. */
  endOf(now: Millis): Millis {
    return Math.max(now + (this.conditions.delay ?? 0), this.#lastArrival)
  }

  /** Takes bytes. Arrival times never go backwards. */
  pass(bytes: Uint8Array, now: Millis): Shaped {
    const { cutAfter = Number.POSITIVE_INFINITY } = this.conditions
    const taken = bytes.subarray(0, Math.max(0, cutAfter - this.bytes))
    const cut = taken.length < bytes.length || this.bytes + taken.length === cutAfter
    this.bytes += taken.length
    const segments: Segment[] = []
    for (let at = 0; at < taken.length; ) {
      const piece = taken.subarray(at, at + this.#pieceSize())
      at += piece.length
      segments.push({ at: this.#arrival(piece.length, now), bytes: piece.slice() })
    }
    return { segments, cutAt: cut ? Math.max(now, this.#lastArrival) : undefined }
  }

  #pieceSize(): number {
    const { segment = 1_400, ragged = false } = this.conditions
    return ragged ? 1 + Math.floor(this.#random() * segment) : segment
  }

  #arrival(size: number, now: Millis): Millis {
    const { rate, delay = 0, jitter = 0, stall, outages } = this.conditions
    this.#freeAt = Math.max(now, this.#freeAt) + (rate === undefined ? 0 : (size * 1000) / rate)
    if (stall && this.#random() < stall.probability) this.#freeAt += stall.duration
    this.#freeAt = afterOutages(outages, this.#freeAt)
    const at = this.#freeAt + delay + (jitter > 0 ? this.#random() * jitter : 0)
    this.#lastArrival = Math.max(this.#lastArrival, at)
    return this.#lastArrival
  }
}
