import { CoapError } from './error.ts'
import { type CoapMessage, type CoapOption, type CoapType, noBytes } from './message.ts'

const payloadMarker = 0xff
const maxTokenLength = 8
const maxOptionNumber = 0xffff
/** Nibble 14 adds 269 to two bytes (RFC 7252, section 3.1). */
const maxOptionLength = 0xffff + 269

const noOptions: readonly CoapOption[] = []

/**
 * Decodes one CoAP message (RFC 7252, section 3). Token, option values and payload are views of `bytes`.
 *
 * Deviates in one point: a payload marker without payload is accepted, because devices before 6.2 send it
 * with empty events (device-protocol.md 3.9).
 *
 * @throws CoapError for anything that is not a CoAP message, and nothing else
 */
export function decodeMessage(bytes: Uint8Array): CoapMessage {
  const end = bytes.length
  if (end < 4) throw new CoapError('truncated', `a CoAP message has at least 4 bytes, not ${end}`)
  const first = byteAt(bytes, 0)
  if (first >> 6 !== 1) throw new CoapError('version', `CoAP version ${first >> 6} is not 1`)
  const type = ((first >> 4) & 3) as CoapType
  const tokenLength = first & 0x0f
  const code = byteAt(bytes, 1)
  const id = (byteAt(bytes, 2) << 8) | byteAt(bytes, 3)
  if (code === 0) {
    if (end !== 4) throw new CoapError('empty-with-content', 'an empty message has 4 bytes and no more')
    return { type, code, id, token: noBytes, options: noOptions, payload: noBytes }
  }
  checkCodeClass(code)
  if (tokenLength > maxTokenLength) throw new CoapError('token-length', `token length ${tokenLength} is above 8`)
  let position = 4 + tokenLength
  if (position > end) throw new CoapError('truncated', 'the message ends inside its token')
  const token = tokenLength === 0 ? noBytes : bytes.subarray(4, position)

  let options: CoapOption[] | undefined
  let number = 0
  while (position < end) {
    const header = byteAt(bytes, position)
    if (header === payloadMarker) {
      position += 1
      break
    }
    position += 1
    let delta = header >> 4
    let length = header & 0x0f
    if (delta >= 13) {
      const extension = extensionSize(delta)
      delta = readExtension(bytes, position, delta)
      position += extension
    }
    if (length >= 13) {
      const extension = extensionSize(length)
      length = readExtension(bytes, position, length)
      position += extension
    }
    number += delta
    if (number > maxOptionNumber) throw new CoapError('option-format', `option number ${number} is above 65535`)
    if (position + length > end) throw new CoapError('truncated', `the message ends inside option ${number}`)
    options ??= []
    options.push({ number, value: bytes.subarray(position, position + length) })
    position += length
  }
  const payload = position < end ? bytes.subarray(position) : noBytes
  return { type, code, id, token, options: options ?? noOptions, payload }
}

/**
 * Encodes one CoAP message into bytes of its own. Options may be given in any order; those of one number keep theirs.
 * An empty payload gets no payload marker.
 *
 * @throws CoapError when a field is out of range
 */
export function encodeMessage(message: CoapMessage): Uint8Array {
  const { type, code, id, token, payload } = message
  if (type < 0 || type > 3 || code < 0 || code > 0xff || id < 0 || id > 0xffff) {
    throw new CoapError('field-range', `type ${type}, code ${code} or message id ${id} is out of range`)
  }
  if (token.length > maxTokenLength) throw new CoapError('token-length', `token length ${token.length} is above 8`)
  if (code === 0 && (token.length > 0 || message.options.length > 0 || payload.length > 0)) {
    throw new CoapError('empty-with-content', 'an empty message has no token, options or payload')
  }
  checkCodeClass(code)
  const options = ascending(message.options)
  let size = 4 + token.length + (payload.length > 0 ? payload.length + 1 : 0)
  let number = 0
  for (const option of options) {
    const { length } = option.value
    if (option.number > maxOptionNumber || length > maxOptionLength) {
      throw new CoapError('field-range', `option ${option.number} of ${length} bytes cannot be encoded`)
    }
    size += 1 + fieldExtension(option.number - number) + fieldExtension(length) + length
    number = option.number
  }

  const bytes = new Uint8Array(size)
  bytes[0] = 0x40 | (type << 4) | token.length
  bytes[1] = code
  bytes[2] = id >> 8
  bytes[3] = id & 0xff
  copyInto(bytes, 4, token)
  let position = 4 + token.length
  number = 0
  for (const option of options) {
    const delta = option.number - number
    const { value } = option
    bytes[position] = (nibble(delta) << 4) | nibble(value.length)
    position = writeExtension(bytes, position + 1, delta)
    position = writeExtension(bytes, position, value.length)
    copyInto(bytes, position, value)
    position += value.length
    number = option.number
  }
  if (payload.length > 0) {
    bytes[position] = payloadMarker
    bytes.set(payload, position + 1)
  }
  return bytes
}

/** The empty acknowledgement `60 00 id id`: right for Hello, events, subscriptions and describes (3.2). */
export function encodeEmptyAck(id: number): Uint8Array {
  return encodeEmpty(0x60, id)
}

/** An empty confirmable message `40 00 id id`, the CoAP ping (3.6). */
export function encodePing(id: number): Uint8Array {
  return encodeEmpty(0x40, id)
}

/** The reset `70 00 id id`. It destroys a device's UDP session (8.1): only the device's side has a use for it. */
export function encodeReset(id: number): Uint8Array {
  return encodeEmpty(0x70, id)
}

function encodeEmpty(first: number, id: number): Uint8Array {
  const bytes = new Uint8Array(4)
  bytes[0] = first
  bytes[2] = id >> 8
  bytes[3] = id & 0xff
  return bytes
}

/** Classes 1, 6 and 7 are reserved (RFC 7252, section 12.1): a message with one of them is no message. */
function checkCodeClass(code: number): void {
  const codeClass = code >> 5
  if (codeClass === 1 || codeClass > 5) throw new CoapError('reserved-code', `code class ${codeClass} is reserved`)
}

function extensionSize(value: number): number {
  if (value === 15) throw new CoapError('option-format', 'nibble 15 is reserved')
  return value - 12
}

function readExtension(bytes: Uint8Array, position: number, value: number): number {
  if (position + value - 12 > bytes.length) throw new CoapError('truncated', 'the message ends inside an option header')
  if (value === 13) return byteAt(bytes, position) + 13
  return (byteAt(bytes, position) << 8) + byteAt(bytes, position + 1) + 269
}

function nibble(value: number): number {
  return value < 13 ? value : value < 269 ? 13 : 14
}

function fieldExtension(value: number): number {
  return value < 13 ? 0 : value < 269 ? 1 : 2
}

function writeExtension(bytes: Uint8Array, position: number, value: number): number {
  if (value < 13) return position
  if (value < 269) {
    bytes[position] = value - 13
    return position + 1
  }
  bytes[position] = (value - 269) >> 8
  bytes[position + 1] = (value - 269) & 0xff
  return position + 2
}

/** `set` has a fixed cost of some hundred nanoseconds, which short values need not pay. */
function copyInto(bytes: Uint8Array, position: number, value: Uint8Array): void {
  if (value.length > 16) {
    bytes.set(value, position)
    return
  }
  for (let index = 0; index < value.length; index++) bytes[position + index] = byteAt(value, index)
}

function ascending(options: readonly CoapOption[]): readonly CoapOption[] {
  for (let index = 1; index < options.length; index++) {
    if ((options[index - 1]?.number ?? 0) > (options[index]?.number ?? 0)) {
      return [...options].sort((a, b) => a.number - b.number)
    }
  }
  return options
}

/** Callers have checked the bounds; the fallback only satisfies the index check of the compiler. */
function byteAt(bytes: Uint8Array, index: number): number {
  return bytes[index] ?? 0
}
