import { CoapError } from './error.ts'
import { type CoapMessage, type CoapOption, noBytes, optionNumber } from './message.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/**
 * The value of an uint option (RFC 7252, section 3.2): 0, 1, 2 or 4 bytes, never 3, as Device OS encodes it
 * (device-protocol.md 3.1).
 *
 * @param value 0 to 2^32 - 1
 */
export function uintOption(value: number): Uint8Array {
  if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff) {
    throw new CoapError('field-range', `${value} is not an unsigned 32 bit integer`)
  }
  if (value === 0) return noBytes
  if (value <= 0xff) return Uint8Array.of(value)
  if (value <= 0xffff) return Uint8Array.of(value >> 8, value & 0xff)
  return Uint8Array.of(value >>> 24, (value >> 16) & 0xff, (value >> 8) & 0xff, value & 0xff)
}

/** Reads an uint option of 0 to 4 bytes: old Device OS writes 3 bytes for Max-Age. @throws CoapError beyond 4 bytes */
export function readUint(value: Uint8Array): number {
  if (value.length > 4) throw new CoapError('option-value', `an uint option of ${value.length} bytes is too long`)
  let result = 0
  for (const byte of value) result = result * 256 + byte
  return result
}

/** A text option, for example a path segment. */
export function textOption(number: number, text: string): CoapOption {
  return { number, value: encoder.encode(text) }
}

/** The first option of that number. */
export function findOption(message: CoapMessage, number: number): Uint8Array | undefined {
  for (const option of message.options) if (option.number === number) return option.value
  return undefined
}

/** The first option of that number as an unsigned integer. @throws CoapError beyond 4 bytes */
export function findUint(message: CoapMessage, number: number): number | undefined {
  const value = findOption(message, number)
  return value && readUint(value)
}

/** All Uri-Path segments as text. */
export function uriPath(message: CoapMessage): string[] {
  return textOptions(message, optionNumber.uriPath)
}

/**
 * The one-character first path segment, by which requests are dispatched (device-protocol.md 3.1);
 * '' when it is missing or longer.
 */
export function pathLetter(message: CoapMessage): string {
  const value = findOption(message, optionNumber.uriPath)
  return value?.length === 1 ? String.fromCharCode(value[0] ?? 0) : ''
}

/** The text of all options of that number, in order. */
export function textOptions(message: CoapMessage, number: number): string[] {
  const found: string[] = []
  for (const option of message.options) if (option.number === number) found.push(decoder.decode(option.value))
  return found
}
