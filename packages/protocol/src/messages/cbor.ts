/**
 * CBOR (RFC 8949) as far as events need it: to and from what JSON can say, with byte strings in the form that the
 * cloud's API shows them (`{"_type":"buffer","_data":"<base64>"}`, cloud-api.md 3.2).
 */
import { viewOf } from './build.ts'
import { MessageError } from './error.ts'

export type JsonValue = null | boolean | number | string | JsonValue[] | { [key: string]: JsonValue }

/** Deeper nesting is refused, so that no input can exhaust the stack. */
const maxDepth = 32

/** Decodes one CBOR item that fills the input. @throws MessageError with code `data-format` */
export function decodeCbor(bytes: Uint8Array): JsonValue {
  const reader = new CborReader(bytes)
  const value = reader.item(0)
  if (!reader.atEnd()) throw new MessageError('data-format', 'bytes follow the CBOR item')
  return value
}

/** Encodes a JSON value as CBOR, integers and lengths in their shortest form. @throws MessageError beyond 32 levels */
export function encodeCbor(value: JsonValue): Uint8Array {
  const parts: Uint8Array[] = []
  write(value, parts, 0)
  return Buffer.concat(parts)
}

/** JSON text of CBOR event data; undefined when the CBOR is broken. */
export function cborToJson(bytes: Uint8Array): string | undefined {
  try {
    return JSON.stringify(decodeCbor(bytes))
  } catch (error) {
    if (error instanceof MessageError) return undefined
    throw error
  }
}

/** CBOR of JSON text; text that is no JSON (or nests too deep) becomes a CBOR text string. */
export function jsonToCbor(text: string): Uint8Array {
  let value: JsonValue
  try {
    value = JSON.parse(text) as JsonValue
  } catch {
    value = text
  }
  try {
    return encodeCbor(value)
  } catch (error) {
    if (error instanceof MessageError) return encodeCbor(text)
    throw error
  }
}

const indefinite = -1

class CborReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #position = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = viewOf(bytes)
  }

  atEnd(): boolean {
    return this.#position === this.#bytes.length
  }

  item(depth: number): JsonValue {
    if (depth > maxDepth) throw new MessageError('data-format', `CBOR nests deeper than ${maxDepth} levels`)
    const initial = this.#uint(1)
    const major = initial >> 5
    const info = initial & 0x1f
    if (major === 7) return this.#simple(info)
    const argument = this.#argument(info)
    switch (major) {
      case 0:
        return this.#definite(argument)
      case 1:
        return -1 - this.#definite(argument)
      case 2:
        return { _type: 'buffer', _data: Buffer.from(this.#string(2, argument)).toString('base64') }
      case 3:
        return this.#text(argument)
      case 4:
        return this.#array(argument, depth)
      case 5:
        return this.#map(argument, depth)
      default:
        // A tag: its meaning is dropped, its content kept.
        this.#definite(argument)
        return this.item(depth + 1)
    }
  }

  #array(length: number, depth: number): JsonValue[] {
    const items: JsonValue[] = []
    for (let index = 0; index !== length; index++) {
      if (length === indefinite && this.#break()) break
      items.push(this.item(depth + 1))
    }
    return items
  }

  #map(length: number, depth: number): JsonValue {
    // No prototype: a key `__proto__` is a key like any other.
    const map: { [key: string]: JsonValue } = Object.create(null)
    for (let index = 0; index !== length; index++) {
      if (length === indefinite && this.#break()) break
      const key = this.item(depth + 1)
      map[typeof key === 'string' ? key : JSON.stringify(key)] = this.item(depth + 1)
    }
    return map
  }

  #text(length: number): string {
    return Buffer.from(this.#string(3, length)).toString('utf8')
  }

  /** A byte or text string; an indefinite one consists of definite chunks of its own major type. */
  #string(major: number, length: number): Uint8Array {
    if (length !== indefinite) return this.#take(length)
    const chunks: Uint8Array[] = []
    while (!this.#break()) {
      const initial = this.#uint(1)
      if (initial >> 5 !== major) throw new MessageError('data-format', 'a CBOR string has a chunk of another type')
      chunks.push(this.#take(this.#definite(this.#argument(initial & 0x1f))))
    }
    return Buffer.concat(chunks)
  }

  #simple(info: number): JsonValue {
    switch (info) {
      case 20:
        return false
      case 21:
        return true
      case 22:
      case 23:
        return null
      case 25:
        return finite(halfFloat(this.#uint(2)))
      case 26:
        return finite(this.#view.getFloat32(this.#advance(4)))
      case 27:
        return finite(this.#view.getFloat64(this.#advance(8)))
      default:
        throw new MessageError('data-format', `CBOR simple value ${info} has no JSON form`)
    }
  }

  #argument(info: number): number {
    if (info < 24) return info
    if (info <= 26) return this.#uint(1 << (info - 24))
    if (info === 27) return this.#uint(4) * 2 ** 32 + this.#uint(4)
    if (info === 31) return indefinite
    throw new MessageError('data-format', `CBOR additional information ${info} is reserved`)
  }

  #definite(argument: number): number {
    if (argument === indefinite) throw new MessageError('data-format', 'CBOR indefinite length where none may be')
    return argument
  }

  #break(): boolean {
    if (this.#bytes[this.#position] !== 0xff) return false
    this.#position += 1
    return true
  }

  #uint(size: number): number {
    const at = this.#advance(size)
    if (size === 1) return this.#view.getUint8(at)
    return size === 2 ? this.#view.getUint16(at) : this.#view.getUint32(at)
  }

  #take(length: number): Uint8Array {
    const at = this.#advance(length)
    return this.#bytes.subarray(at, at + length)
  }

  #advance(size: number): number {
    const at = this.#position
    if (size > this.#bytes.length - at) throw new MessageError('data-format', 'the CBOR item is cut off')
    this.#position = at + size
    return at
  }
}

/** JSON has no infinities and no NaN; `null` is what JSON.stringify makes of them too. */
function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null
}

function halfFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

function write(value: JsonValue, parts: Uint8Array[], depth: number): void {
  if (depth > maxDepth) throw new MessageError('data-format', `JSON nests deeper than ${maxDepth} levels`)
  if (value === null) parts.push(Uint8Array.of(0xf6))
  else if (typeof value === 'boolean') parts.push(Uint8Array.of(value ? 0xf5 : 0xf4))
  else if (typeof value === 'number') parts.push(numberItem(value))
  else if (typeof value === 'string') {
    const text = Buffer.from(value, 'utf8')
    parts.push(head(3, text.length), text)
  } else if (Array.isArray(value)) {
    parts.push(head(4, value.length))
    for (const item of value) write(item, parts, depth + 1)
  } else if (value._type === 'buffer' && typeof value._data === 'string') {
    const data = Buffer.from(value._data, 'base64')
    parts.push(head(2, data.length), data)
  } else {
    const entries = Object.entries(value)
    parts.push(head(5, entries.length))
    for (const [key, item] of entries) {
      write(key, parts, depth + 1)
      write(item, parts, depth + 1)
    }
  }
}

function numberItem(value: number): Uint8Array {
  if (Number.isSafeInteger(value) && !Object.is(value, -0)) return value < 0 ? head(1, -1 - value) : head(0, value)
  const single = Math.fround(value) === value
  const bytes = new Uint8Array(single ? 5 : 9)
  const view = viewOf(bytes)
  bytes[0] = single ? 0xfa : 0xfb
  if (single) view.setFloat32(1, value)
  else view.setFloat64(1, value)
  return bytes
}

function head(major: number, argument: number): Uint8Array {
  const type = major << 5
  if (argument < 24) return Uint8Array.of(type | argument)
  if (argument <= 0xff) return Uint8Array.of(type | 24, argument)
  const size = argument <= 0xffff ? 3 : argument <= 0xffff_ffff ? 5 : 9
  const bytes = new Uint8Array(size)
  const view = viewOf(bytes)
  bytes[0] = type | (size === 3 ? 25 : size === 5 ? 26 : 27)
  if (size === 3) view.setUint16(1, argument)
  else if (size === 5) view.setUint32(1, argument)
  else {
    view.setUint32(1, Math.floor(argument / 2 ** 32))
    view.setUint32(5, argument >>> 0)
  }
  return bytes
}
