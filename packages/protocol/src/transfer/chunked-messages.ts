/** Messages of the old transfer, versions 1 (slow) and 2 (fast), after device-protocol.md 3.18. */
import { crc32 } from '@aloe/firmware'
import { type CoapMessage, type CoapType, coapType, code, isRequestCode, optionNumber } from '../coap/message.ts'
import { pathLetter } from '../coap/options.ts'
import { encodeRequest, encodeResponse, type Head, tokenByte, viewOf } from '../messages/build.ts'
import { MessageError } from '../messages/error.ts'
import { jsonObject } from './system-error.ts'

export interface UpdateBegin {
  /** The cloud can send without waiting for an answer to each chunk. */
  readonly fast: boolean
  /** Bytes of every chunk but the last; 0 for the device's default of 512. */
  readonly chunkSize: number
  /** Bytes of the file; 0 for as much as the device takes. */
  readonly fileSize: number
  /** 0 firmware (the only one since 3.0), 1 system, 128 application. */
  readonly store: number
  readonly address: number
}

const fastFlag = 0x01
const beginSize = 12

/** `CON POST /u`. */
export function encodeUpdateBegin(id: number, token: Uint8Array, begin: UpdateBegin): Uint8Array {
  const payload = new Uint8Array(beginSize)
  const view = viewOf(payload)
  view.setUint8(0, begin.fast ? fastFlag : 0)
  view.setUint16(1, begin.chunkSize)
  view.setUint32(3, begin.fileSize)
  view.setUint8(7, begin.store)
  view.setUint32(8, begin.address)
  return encodeRequest({ type: coapType.con, id, token }, code.post, 'u', [], payload)
}

/** Fields of a payload that is missing are 0. @throws MessageError when it is cut */
export function decodeUpdateBegin(message: CoapMessage): UpdateBegin {
  const { payload } = message
  if (payload.length === 0) return { fast: false, chunkSize: 0, fileSize: 0, store: 0, address: 0 }
  if (payload.length < beginSize) throw new MessageError('message-format', 'an update begin has 12 bytes of payload')
  const view = viewOf(payload)
  return {
    fast: (view.getUint8(0) & fastFlag) !== 0,
    chunkSize: view.getUint16(1),
    fileSize: view.getUint32(3),
    store: view.getUint8(7),
    address: view.getUint32(8),
  }
}

/** The separate 2.04 with which the device says that it is ready, and whether the transfer is a fast one. */
export function encodeUpdateReady(head: Head, fast: boolean): Uint8Array {
  return encodeResponse(head, code.changed, Uint8Array.of(fast ? fastFlag : 0))
}

/** Whether the transfer is to be fast; very old devices say nothing, which is slow. */
export function decodeUpdateReady(message: CoapMessage): { readonly fast: boolean } {
  return { fast: ((message.payload[0] ?? 0) & fastFlag) !== 0 }
}

export interface Chunk {
  /** CRC-32 of the data as it was sent. */
  readonly crc: number
  /** Counted from 0; missing from the chunks of a slow transfer. */
  readonly index: number | undefined
  readonly data: Uint8Array
}

/** `POST /c`: NON with index in a fast transfer, CON without in a slow one. */
export function encodeChunk(id: number, token: Uint8Array, index: number | undefined, data: Uint8Array): Uint8Array {
  const crc = new Uint8Array(4)
  viewOf(crc).setUint32(0, crc32(data))
  const options = [{ number: optionNumber.uriQuery, value: crc }]
  if (index !== undefined) {
    options.push({ number: optionNumber.uriQuery, value: Uint8Array.of(index >> 8, index & 0xff) })
  }
  const type: CoapType = index === undefined ? coapType.con : coapType.non
  return encodeRequest({ type, id, token }, code.post, 'c', options, data)
}

/** @throws MessageError when the checksum is missing or a query has another length */
export function decodeChunk(message: CoapMessage): Chunk {
  const [crc, index] = message.options.filter((option) => option.number === optionNumber.uriQuery)
  if (crc?.value.length !== 4) throw new MessageError('message-format', 'a chunk has a checksum of 4 bytes')
  if (index !== undefined && index.value.length !== 2) {
    throw new MessageError('message-format', 'the index of a chunk has 2 bytes')
  }
  return {
    crc: viewOf(crc.value).getUint32(0),
    index: index && viewOf(index.value).getUint16(0),
    data: message.payload,
  }
}

/** The separate answer to the chunk of a slow transfer: 2.04 stored, 4.00 send it again. */
export function encodeChunkReceived(head: Head, stored: boolean): Uint8Array {
  return encodeResponse(head, stored ? code.changed : code.badRequest)
}

/** `CON PUT /u`. */
export function encodeUpdateDone(id: number, token: Uint8Array): Uint8Array {
  return encodeRequest({ type: coapType.con, id, token }, code.put, 'u')
}

/** The piggybacked answer when all chunks are here: 0, or the negative system error of the validation. */
export function encodeUpdateDoneResult(request: CoapMessage, result: number): Uint8Array {
  const head = { type: coapType.ack, id: request.id, token: request.token }
  return encodeResponse(head, code.changed, Buffer.from(`{"r":${result}}`))
}

/** The result in an answer to UpdateDone; devices before 0.7 send none, which is success. */
export function decodeUpdateDoneResult(message: CoapMessage): number {
  const result = jsonObject(message.payload)?.r
  return typeof result === 'number' ? result : 0
}

/** The piggybacked answer when chunks are missing; a ChunkMissed follows. */
export function encodeUpdateIncomplete(request: CoapMessage): Uint8Array {
  return encodeResponse({ type: coapType.ack, id: request.id, token: request.token }, code.badRequest)
}

/** `GET /c` with the indices that are missing. */
export function encodeChunkMissed(type: CoapType, id: number, indices: readonly number[]): Uint8Array {
  const payload = new Uint8Array(indices.length * 2)
  const view = viewOf(payload)
  for (const [position, index] of indices.entries()) view.setUint16(position * 2, index)
  return encodeRequest({ type, id, token: new Uint8Array(0) }, code.get, 'c', [], payload)
}

/** @throws MessageError when the list ends within an index */
export function decodeChunkMissed(message: CoapMessage): number[] {
  const { payload } = message
  if (payload.length % 2 !== 0) throw new MessageError('message-format', 'indices of missed chunks have 2 bytes each')
  const view = viewOf(payload)
  return Array.from({ length: payload.length / 2 }, (_, position) => view.getUint16(position * 2))
}

export type ChunkedRequest = 'begin' | 'chunk' | 'done' | 'missed'

/** Which request of this transfer a message is; `POST /s` is an old name of `POST /u`. */
export function chunkedRequestOf(message: CoapMessage): ChunkedRequest | undefined {
  if (!isRequestCode(message.code)) return undefined
  const letter = pathLetter(message)
  if (letter === 'c') return message.code === code.post ? 'chunk' : message.code === code.get ? 'missed' : undefined
  if (letter === 'u') return message.code === code.post ? 'begin' : message.code === code.put ? 'done' : undefined
  // PUT /s is the signal.
  return letter === 's' && message.code === code.post ? 'begin' : undefined
}

/** True for a response with this one-byte token. */
export function answers(message: CoapMessage, token: number): boolean {
  return message.code >= code.created && tokenByte(message) === token
}

/**
 * True for the acknowledgement of a request. One with a response in it must have the token too, for over TCP devices
 * acknowledge some requests under ids of their own counter (device-protocol.md 3.2).
 */
export function acknowledges(message: CoapMessage, request: { readonly id: number; readonly token: number }): boolean {
  if (message.id !== request.id) return false
  return message.token.length === 0 || tokenByte(message) === request.token
}
