/**
 * Which sessions may keep long-lived ciphers. They cost some kilobytes a session, so only those that carry a good part of
 * the traffic get them: a session is let in once it has handled several of the last records of all.
 */

/** A session's records, seen from the pool. */
export interface Hot {
  heat(): void
  cool(): void
}

interface Place {
  readonly member: Hot
  used: boolean
}

/** What the pool remembers of each session; the session holds it. */
export interface Heat {
  count: number
  since: number
  place: Place | undefined
}

export const newHeat = (): Heat => ({ count: 0, since: 0, place: undefined })

/** So many records within the pool's recent past make a session hot. */
const recordsToHeat = 4

export class HotPool {
  readonly #size: number
  readonly #places: Place[] = []
  #hand = 0
  #clock = 0

  /** @param size sessions with long-lived ciphers at a time; 0 for none */
  constructor(size: number) {
    this.#size = size
  }

  get hotCount(): number {
    return this.#places.length
  }

  /** A record of this session is about to be opened or sealed. */
  touch(heat: Heat, member: Hot): void {
    this.#clock++
    if (heat.place !== undefined) {
      heat.place.used = true
      return
    }
    if (this.#size === 0) return
    // A fair share of the places is one record in `size`.
    if (this.#clock - heat.since > recordsToHeat * this.#size) {
      heat.since = this.#clock
      heat.count = 0
    }
    heat.count++
    if (heat.count >= recordsToHeat) this.#admit(heat, member)
  }

  /** Cools the sessions that were not used since the last call: what is idle need not hold memory. */
  coolIdle(): void {
    for (let i = this.#places.length - 1; i >= 0; i--) {
      const place = this.#places[i]
      if (place === undefined) continue
      if (place.used) {
        place.used = false
        continue
      }
      const last = this.#places.pop()
      if (last !== undefined && last !== place) this.#places[i] = last
      place.member.cool()
    }
  }

  /** The session has ended. */
  leave(heat: Heat, member: Hot): void {
    if (heat.place === undefined) return
    const index = this.#places.indexOf(heat.place)
    const last = this.#places.pop()
    if (last !== undefined && last !== heat.place) this.#places[index] = last
    heat.place = undefined
    member.cool()
  }

  #admit(heat: Heat, member: Hot): void {
    const place: Place = { member, used: true }
    if (this.#places.length < this.#size) this.#places.push(place)
    else this.#replace(place)
    heat.place = place
    heat.count = 0
    member.heat()
  }

  /** The clock algorithm: who was not used since the hand last came by has to go. */
  #replace(place: Place): void {
    for (;;) {
      this.#hand = (this.#hand + 1) % this.#places.length
      const present = this.#places[this.#hand]
      if (present === undefined || !present.used) {
        this.#places[this.#hand] = place
        present?.member.cool()
        return
      }
      present.used = false
    }
  }
}
