/** Handshake messages, their fragments, and their reassembly (RFC 6347 4.2.2, 4.2.3). */
import { handshakeHeaderSize } from './profile.ts'
import { brief, Reader } from './reader.ts'

export interface HandshakeMessage {
  readonly type: number
  /** `message_seq`. */
  readonly sequence: number
  readonly body: Uint8Array
}

export interface HandshakeFragment extends HandshakeMessage {
  /** Length of the whole body, of which `body` is a part at `offset`. */
  readonly length: number
  readonly offset: number
}

/** A whole message with its header, as it travels unfragmented and as it counts for the transcript (RFC 6347 4.2.6). */
export function encodeHandshake(message: HandshakeMessage): Uint8Array {
  return encodeFragment(message, 0, message.body.length)
}

/** The message in pieces of at most `maxBody` bytes of its body. */
export function fragmentHandshake(message: HandshakeMessage, maxBody: number): Uint8Array[] {
  const fragments: Uint8Array[] = []
  let offset = 0
  do {
    const end = Math.min(message.body.length, offset + maxBody)
    fragments.push(encodeFragment(message, offset, end))
    offset = end
  } while (offset < message.body.length)
  return fragments
}

function encodeFragment(message: HandshakeMessage, start: number, end: number): Uint8Array {
  const out = brief(handshakeHeaderSize + end - start)
  writeFragment(out, 0, message, start, end)
  return out
}

/** Writes header and body from `start` to `end` to `out` at `offset`. */
export function writeFragment(
  out: Uint8Array,
  offset: number,
  message: HandshakeMessage,
  start: number,
  end: number,
): void {
  const { type, sequence, body } = message
  out[offset] = type
  writeU24(out, offset + 1, body.length)
  out[offset + 4] = sequence >>> 8
  out[offset + 5] = sequence
  writeU24(out, offset + 6, start)
  writeU24(out, offset + 9, end - start)
  out.set(start === 0 && end === body.length ? body : body.subarray(start, end), offset + handshakeHeaderSize)
}

function writeU24(out: Uint8Array, offset: number, value: number): void {
  out[offset] = value >>> 16
  out[offset + 1] = value >>> 8
  out[offset + 2] = value
}

/** The fragments in one record; undefined when the record is not made of whole fragments. */
export function decodeFragments(record: Uint8Array): HandshakeFragment[] | undefined {
  const fragments: HandshakeFragment[] = []
  const reader = new Reader(record)
  do {
    const type = reader.uint(1)
    const length = reader.uint(3)
    const sequence = reader.uint(2)
    const offset = reader.uint(3)
    const body = reader.vector(3)
    if (!reader.ok || offset + body.length > length) return undefined
    fragments.push({ type, sequence, length, offset, body })
  } while (reader.left > 0)
  return fragments
}

/** Largest handshake message that is put together; those of this profile have less than 200 bytes. */
const maxMessageSize = 1024
/** Messages ahead of the expected one that are kept. */
const maxAhead = 6

interface Partial {
  readonly type: number
  readonly body: Uint8Array
  readonly have: Uint8Array
  missing: number
}

/** Puts messages together and in order. What contradicts earlier fragments is left out. */
export class Reassembly {
  #expected: number
  readonly #partials = new Map<number, Partial>()

  /** @param expected sequence of the first message */
  constructor(expected: number) {
    this.#expected = expected
  }

  get expected(): number {
    return this.#expected
  }

  /**
   * Takes a fragment; afterwards `next` gives what became whole.
   *
   * @returns `old` for one of a message that was handed out already: the other end has not seen our answer
   */
  add(fragment: HandshakeFragment): 'taken' | 'old' | 'refused' {
    const { sequence, type, length, offset, body } = fragment
    if (sequence < this.#expected) return 'old'
    if (sequence >= this.#expected + maxAhead || length > maxMessageSize) return 'refused'
    let partial = this.#partials.get(sequence)
    if (partial === undefined) {
      // Marks of bytes only for messages in pieces: nearly all come whole.
      const whole = body.length === length
      partial = { type, body: brief(length), have: new Uint8Array(whole ? 0 : length), missing: length }
      this.#partials.set(sequence, partial)
      if (whole) {
        partial.body.set(body)
        partial.missing = 0
        return 'taken'
      }
    }
    if (partial.type !== type || partial.body.length !== length) return 'refused'
    if (partial.missing === 0) return 'taken'
    for (let i = 0; i < body.length; i++) {
      if (partial.have[offset + i] === 1) continue
      partial.have[offset + i] = 1
      partial.body[offset + i] = body[i] ?? 0
      partial.missing--
    }
    return 'taken'
  }

  /** The next message in order, if it is whole. */
  next(): HandshakeMessage | undefined {
    const partial = this.#partials.get(this.#expected)
    if (partial === undefined || partial.missing > 0) return undefined
    this.#partials.delete(this.#expected)
    const message = { type: partial.type, sequence: this.#expected, body: partial.body }
    this.#expected++
    return message
  }
}
