import { encodeMessage } from '../coap/codec.ts'
import { type CoapMessage, type CoapOption, type CoapType, noBytes, optionNumber } from '../coap/message.ts'
import { textOption } from '../coap/options.ts'

/** The header of a request or separate response. */
export interface Head {
  readonly type: CoapType
  readonly id: number
  readonly token: Uint8Array
}

/** A token of one byte: the only length that all device parsers understand (device-protocol.md 3.1). */
export function tokenOf(token: number): Uint8Array {
  return Uint8Array.of(token)
}

/** The byte of a one-byte token; undefined for any other length, which devices treat as no token (3.1). */
export function tokenByte(message: CoapMessage): number | undefined {
  return message.token.length === 1 ? message.token[0] : undefined
}

/** Encodes a request to a one-letter path, with more options and a payload. */
export function encodeRequest(
  head: Head,
  code: number,
  letter: string,
  options: readonly CoapOption[] = [],
  payload: Uint8Array = noBytes,
): Uint8Array {
  return encodeMessage({ ...head, code, options: [textOption(optionNumber.uriPath, letter), ...options], payload })
}

/** Encodes a response: piggybacked when the type is ACK, else separate. */
export function encodeResponse(
  head: Head,
  code: number,
  payload: Uint8Array = noBytes,
  options: readonly CoapOption[] = [],
): Uint8Array {
  return encodeMessage({ ...head, code, options, payload })
}

/** A big-endian view of the payload, for its integers. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
