/**
 * The window of 64 records against replays (RFC 6347 4.1.2.6).
 *
 * Kept as numbers, not BigInt: it is asked for each record. `low` has the bits of the newest record and the 31 before
 * it, `high` of the 32 before those.
 */
export class ReplayWindow {
  #top = -1
  #low = 0
  #high = 0

  /** Sequence number of the newest record so far; -1 before the first. */
  get top(): number {
    return this.#top
  }

  /** Whether a record with this sequence number may still come. Ask before, and `add` after, it is authenticated. */
  accepts(sequence: number): boolean {
    const age = this.#top - sequence
    if (age < 0) return true
    if (age >= 64) return false
    return age < 32 ? (this.#low & (1 << age)) === 0 : (this.#high & (1 << (age - 32))) === 0
  }

  add(sequence: number): void {
    const age = this.#top - sequence
    if (age >= 64) return
    if (age >= 32) this.#high |= 1 << (age - 32)
    else if (age >= 0) this.#low |= 1 << age
    else this.#advance(-age, sequence)
  }

  /** For storage: top as it is, and the two halves of the bitmap as unsigned numbers. */
  state(): { top: number; high: number; low: number } {
    return { top: this.#top, high: this.#high >>> 0, low: this.#low >>> 0 }
  }

  static restore(state: { top: number; high: number; low: number }): ReplayWindow {
    const window = new ReplayWindow()
    window.#top = state.top
    window.#high = state.high | 0
    window.#low = state.low | 0
    return window
  }

  #advance(distance: number, sequence: number): void {
    if (distance >= 64) this.#high = 0
    else if (distance >= 32) this.#high = distance === 32 ? this.#low : this.#low << (distance - 32)
    else this.#high = (this.#high << distance) | (this.#low >>> (32 - distance))
    this.#low = distance >= 32 ? 1 : (this.#low << distance) | 1
    this.#top = sequence
  }
}
