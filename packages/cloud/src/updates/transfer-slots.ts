/** How many devices are sent to at once: a fleet that comes back in safe mode must not take all memory and bandwidth. */
export class TransferSlots {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(size: number) {
    this.#free = size
  }

  /** Waits for a slot, first come first served. @returns a function that gives it back; again without effect */
  async take(): Promise<() => void> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    let taken = true
    return () => {
      if (!taken) return
      taken = false
      const next = this.#waiting.shift()
      if (next) next()
      else this.#free++
    }
  }
}
