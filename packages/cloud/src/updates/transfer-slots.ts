/** How many devices are sent to at once: a fleet that comes back in safe mode must not take all memory and bandwidth. */
export class TransferSlots {
  #free: number
  /** Those whom an owner waits for, and all others. */
  readonly #urgent: (() => void)[] = []
  readonly #waiting: (() => void)[] = []
  /** Where the queue of the others begins: taking from the front of a long array is slow. */
  #head = 0

  constructor(size: number) {
    this.#free = size
  }

  /** Nobody has to wait at present. */
  get free(): boolean {
    return this.#free > 0
  }

  /**
   * Waits for a slot, first come first served, owners first.
   *
   * @returns a function that gives it back; again without effect
   */
  async take(urgent = false): Promise<() => void> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>((resolve) => (urgent ? this.#urgent : this.#waiting).push(resolve))
    let taken = true
    return () => {
      if (!taken) return
      taken = false
      const next = this.#next()
      if (next) next()
      else this.#free++
    }
  }

  #next(): (() => void) | undefined {
    const urgent = this.#urgent.shift()
    if (urgent) return urgent
    const next = this.#waiting[this.#head]
    if (next) this.#head++
    if (this.#head > 1_000 || !next) {
      this.#waiting.splice(0, this.#head)
      this.#head = 0
    }
    return next
  }
}
