/**
 * How many devices of a product are updated at a time, and how fast further ones begin: so that a fleet does not arrive
 * at once. Pure: time and chance are arguments.
 */

export interface Pace {
  /** At a time. */
  readonly concurrent: number
  /** Begins in a minute. */
  readonly perMinute: number
}

/** A pause in which nobody began is made up for by no more than this many milliseconds of starts at once. */
const burst = 1_000

export class Pacer {
  #active = 0
  #nextAt = 0

  get active(): number {
    return this.#active
  }

  /** How long until another device may begin, in milliseconds; undefined while too many are under way. */
  wait(now: number, { concurrent }: Pace): number | undefined {
    if (this.#active >= concurrent) return undefined
    return Math.max(0, this.#nextAt - now)
  }

  /** @param random 0 to 1: the pause until the next is a half to one and a half of the mean */
  begin(now: number, { perMinute }: Pace, random: number): void {
    this.#active++
    this.#nextAt = Math.max(this.#nextAt, now - burst) + (60_000 / perMinute) * (0.5 + random)
  }

  /** One that was waiting outside of the count goes on. */
  join(): void {
    this.#active++
  }

  end(): void {
    this.#active = Math.max(0, this.#active - 1)
  }
}
