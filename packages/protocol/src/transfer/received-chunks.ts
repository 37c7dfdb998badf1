/** Which chunks of a transfer have arrived. Chunks are counted from 1. */
export class ReceivedChunks {
  readonly count: number
  readonly #arrived: Uint8Array
  #contiguous = 0
  #total = 0
  #highest = 0

  constructor(count: number) {
    this.count = count
    this.#arrived = new Uint8Array(count + 1)
  }

  /** Chunks from the first on without a gap. */
  get contiguous(): number {
    return this.#contiguous
  }

  /** Chunks in all. */
  get total(): number {
    return this.#total
  }

  get complete(): boolean {
    return this.#contiguous === this.count
  }

  /** Some chunk has arrived before one that has not. */
  get hasGaps(): boolean {
    return this.#highest > this.#contiguous
  }

  has(index: number): boolean {
    return this.#arrived[index] === 1
  }

  /** Notes a chunk; false when it was here already. */
  add(index: number): boolean {
    if (this.#arrived[index] !== 0 || index < 1) return false
    this.#arrived[index] = 1
    this.#total += 1
    if (index > this.#highest) this.#highest = index
    while (this.#arrived[this.#contiguous + 1] === 1) this.#contiguous += 1
    return true
  }

  /** 32 bit words: bit k of word w stands for chunk contiguous + 1 + 32w + k. Empty without gaps. */
  bitmap(): number[] {
    const words: number[] = []
    for (let index = this.#contiguous + 1; index <= this.#highest; index++) {
      const bit = index - this.#contiguous - 1
      if (bit % 32 === 0) words.push(0)
      if (this.has(index)) words[bit >> 5] = ((words[bit >> 5] ?? 0) | (1 << (bit & 31))) >>> 0
    }
    return words
  }

  /** The first `limit` chunks that have not arrived. */
  missing(limit: number): number[] {
    const indices: number[] = []
    for (let index = this.#contiguous + 1; index <= this.count && indices.length < limit; index++) {
      if (!this.has(index)) indices.push(index)
    }
    return indices
  }
}
