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

const slabSize = 16_384
let slab = new ArrayBuffer(slabSize)
let slabUsed = 0

/**
 * Zeroed memory for what lives no longer than a handshake and is no secret: a piece of a slab that is never handed out
 * twice. An array above 64 bytes of its own costs V8 an allocation, a handle and a sweep, for a message of some hundred
 * bytes more than all work on it. What outlives a handshake would keep its whole slab in memory.
 */
export function brief(size: number): Uint8Array {
  if (size > slabSize / 8) return new Uint8Array(size)
  if (slabUsed + size > slabSize) {
    slab = new ArrayBuffer(slabSize)
    slabUsed = 0
  }
  const piece = new Uint8Array(slab, slabUsed, size)
  slabUsed += size
  return piece
}

/** The other direction: pieces joined, with numbers standing for single bytes. */
export function join(...parts: readonly (Uint8Array | readonly number[])[]): Uint8Array {
  return fill(new Uint8Array(sizeOf(parts)), parts)
}

/** Like `join`, into memory of `brief`. */
export function joinBriefly(...parts: readonly (Uint8Array | readonly number[])[]): Uint8Array {
  return fill(brief(sizeOf(parts)), parts)
}

function sizeOf(parts: readonly { readonly length: number }[]): number {
  let size = 0
  for (const part of parts) size += part.length
  return size
}

function fill(out: Uint8Array, parts: readonly (Uint8Array | readonly number[])[]): Uint8Array {
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
