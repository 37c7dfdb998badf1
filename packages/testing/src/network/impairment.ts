import { afterOutages, type DatagramConditions } from './conditions.ts'
import type { Random } from './random.ts'
import type { Millis } from './simulation.ts'

/** What became of datagrams, each counted once (`delivered` counts repetitions too). */
export interface DatagramCounts {
  offered: number
  delivered: number
  duplicated: number
  /** By chance, bursts included. */
  lost: number
  /** The queue was full. */
  overflowed: number
  tooLarge: number
  duringOutage: number
  /** Bytes offered, without headers. */
  bytes: number
}

/**
 * One direction of an impaired link for datagrams: says for each when it arrives, if at all. It knows no clock and
 * moves no bytes, so that simulated and real networks share it.
 */
export class Impairment {
  /** May be changed at any time; it counts for what is sent from then on. */
  conditions: DatagramConditions
  /** While true nothing gets through. */
  down = false
  readonly counts: DatagramCounts = {
    offered: 0,
    delivered: 0,
    duplicated: 0,
    lost: 0,
    overflowed: 0,
    tooLarge: 0,
    duringOutage: 0,
    bytes: 0,
  }
  readonly #random: Random
  #bad = false
  /** When the last byte in the queue has been sent. */
  #freeAt: Millis = 0

  constructor(conditions: DatagramConditions, random: Random) {
    this.conditions = conditions
    this.#random = random
  }

  /**
   * Takes a datagram.
   *
   * @param size bytes of its payload
   * @returns when it arrives: no time when it is lost, two when it is repeated
   */
  pass(size: number, now: Millis): readonly Millis[] {
    const { conditions, counts } = this
    const { loss = 0, delay = 0, duplication = 0, overhead = 28, mtu = Number.POSITIVE_INFINITY } = conditions
    counts.offered++
    counts.bytes += size
    if (size + overhead > mtu) {
      counts.tooLarge++
      return []
    }
    if (this.down || afterOutages(conditions.outages, now) > now) {
      counts.duringOutage++
      return []
    }
    const sent = this.#serialise(size + overhead, now)
    if (sent === undefined) {
      counts.overflowed++
      return []
    }
    // What is lost on the air has used it: chance comes after the queue.
    if (this.#burst() || this.#chance(loss)) {
      counts.lost++
      return []
    }
    const arrivals = [sent + delay + this.#straying()]
    if (this.#chance(duplication)) {
      arrivals.push(sent + delay + this.#straying())
      counts.duplicated++
    }
    counts.delivered += arrivals.length
    return arrivals
  }

  /** @returns when the last byte has left; undefined when the queue is full */
  #serialise(bytes: number, now: Millis): Millis | undefined {
    const { rate, queue = 65_536 } = this.conditions
    if (rate === undefined) return now
    const waiting = (Math.max(0, this.#freeAt - now) * rate) / 1000
    // A datagram is always taken by an idle link, however small the queue.
    if (waiting > 0 && waiting + bytes > queue) return undefined
    this.#freeAt = Math.max(now, this.#freeAt) + (bytes * 1000) / rate
    return this.#freeAt
  }

  #burst(): boolean {
    const { burst } = this.conditions
    if (!burst) return false
    this.#bad = this.#bad ? !this.#chance(burst.leave) : this.#chance(burst.enter)
    return this.#bad && this.#chance(burst.loss ?? 1)
  }

  #straying(): Millis {
    const { jitter = 0, reorder = 0, holdBack = 20 } = this.conditions
    return (jitter > 0 ? this.#random() * jitter : 0) + (this.#chance(reorder) ? holdBack : 0)
  }

  #chance(probability: number): boolean {
    return probability > 0 && this.#random() < probability
  }
}
