/** Reads the structures of TLS. Any reach beyond the end makes the whole reading fail, checked once with `ok`. */
export class Reader {
  readonly #bytes: Uint8Array
  #offset = 0
  #ok = true

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** Nothing was read beyond the end. */
  get ok(): boolean {
    return this.#ok
  }

  /** All was read, and nothing beyond. */
  get done(): boolean {
    return this.#ok && this.#offset === this.#bytes.length
  }

  get left(): number {
    return this.#bytes.length - this.#offset
  }

  uint(size: number): number {
    if (!this.#ok || size > this.left) {
      this.#ok = false
      return 0
    }
    let value = 0
    for (const end = this.#offset + size; this.#offset < end; this.#offset++) {
      value = value * 256 + (this.#bytes[this.#offset] ?? 0)
    }
    return value
  }

  /** A view; empty after a failure. */
  bytes(size: number): Uint8Array {
    if (!this.#ok || size > this.left) {
      this.#ok = false
      return this.#bytes.subarray(0, 0)
    }
    this.#offset += size
    return this.#bytes.subarray(this.#offset - size, this.#offset)
  }

  /** A vector with its length in front. */
  vector(lengthSize: number): Uint8Array {
    return this.bytes(this.uint(lengthSize))
  }
}

/** Numbers in two bytes each; undefined when there is half of one. */
export function uint16List(bytes: Uint8Array): number[] | undefined {
  if (bytes.length % 2 !== 0) return undefined
  const values: number[] = []
  for (let i = 0; i < bytes.length; i += 2) values.push(((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0))
  return values
}

/** The other direction: pieces joined, with numbers standing for single bytes. */
export function join(...parts: readonly (Uint8Array | readonly number[])[]): Uint8Array {
  let size = 0
  for (const part of parts) size += part.length
  const out = new Uint8Array(size)
  let offset = 0
  for (const part of parts) {
    // Most numbers are two or three bytes: to set them as an array costs more than all the rest.
    if (part instanceof Uint8Array) out.set(part, offset)
    else for (let i = 0; i < part.length; i++) out[offset + i] = part[i] ?? 0
    offset += part.length
  }
  return out
}

export const u16 = (value: number): number[] => [value >>> 8, value & 0xff]
export const u24 = (value: number): number[] => [value >>> 16, (value >>> 8) & 0xff, value & 0xff]
