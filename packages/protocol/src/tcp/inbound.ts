/**
 * Bytes of a TCP stream on their way to becoming units of known size.
 *
 * Nothing is copied while a segment holds whole units; what remains of a segment is copied, so that a few left bytes
 * do not keep a socket's large read buffer alive.
 */
const nothing = new Uint8Array(0)

export class InboundBytes {
  #bytes: Uint8Array = nothing
  #start = 0

  /** Bytes that were not taken yet. */
  get length(): number {
    return this.#bytes.length - this.#start
  }

  /** Adds a segment. Call `settle` when everything that can be taken was taken. */
  push(segment: Uint8Array): void {
    if (this.length === 0) {
      this.#bytes = segment
    } else {
      const joined = new Uint8Array(this.length + segment.length)
      joined.set(this.#bytes.subarray(this.#start))
      joined.set(segment, this.length)
      this.#bytes = joined
    }
    this.#start = 0
  }

  /** The 16 bit number at the front, big-endian, left in place; undefined when there are fewer than two bytes. */
  peekUint16(): number | undefined {
    if (this.length < 2) return undefined
    return ((this.#bytes[this.#start] ?? 0) << 8) | (this.#bytes[this.#start + 1] ?? 0)
  }

  /** Takes the first `size` bytes, as a view that lives until the next `push` or `settle`; undefined while too few. */
  take(size: number): Uint8Array | undefined {
    if (this.length < size) return undefined
    const taken = this.#bytes.subarray(this.#start, this.#start + size)
    this.#start += size
    return taken
  }

  /** Keeps what was not taken in memory of its own. */
  settle(): void {
    this.#bytes = this.length === 0 ? nothing : this.#bytes.slice(this.#start)
    this.#start = 0
  }
}
