/**
 * How long a device waits before it boots again. An ordinary reset is at once; ends that repeat without the system ever
 * having run for a while wait longer and longer, so that a device that cannot start does not burn its processor.
 */
export type Millis = number

export const stableAfter: Millis = 30_000
const freeRestarts = 3
const firstDelay: Millis = 500
const longestDelay: Millis = 30_000

export class RestartDelay {
  #inARow = 0

  /**
   * @param orderly the end was asked for: a reset by the system, an update, the user
   * @param ran how long this boot lasted
   * @returns how long to wait before the next
   */
  after(orderly: boolean, ran: Millis): Millis {
    if (orderly || ran >= stableAfter) {
      this.#inARow = 0
      return 0
    }
    this.#inARow++
    if (this.#inARow <= freeRestarts) return 0
    return Math.min(longestDelay, firstDelay * 2 ** (this.#inARow - freeRestarts - 1))
  }
}
