/** Messages of the transfer with a window, version 3, after device-protocol.md 3.19. */
import { type CoapMessage, type CoapOption, coapType, code, noBytes, optionNumber } from '../coap/message.ts'
import { findOption, findUint, pathLetter, uintOption } from '../coap/options.ts'
import { encodeRequest, encodeResponse, type Head, viewOf } from '../messages/build.ts'
import { MessageError } from '../messages/error.ts'

/** Bytes of all chunks that may be on their way at a time. */
export const receiveWindow = 128 * 1024
export const minChunkSize = 512
export const maxChunkSize = 1136
/** Header, path, index, marker: what a chunk message has beside its data, for indices up to 65535. */
export const chunkOverhead = 12

export interface UpdateStart {
  readonly fileSize: number
  readonly chunkSize: number
  readonly sha256: Uint8Array | undefined
  readonly discard: boolean
  readonly moduleFunction: number | undefined
}

/** `CON POST /S`. */
export function encodeUpdateStart(id: number, token: Uint8Array, start: UpdateStart): Uint8Array {
  const options: CoapOption[] = [{ number: optionNumber.fileSize, value: uintOption(start.fileSize) }]
  if (start.sha256) options.push({ number: optionNumber.fileSha256, value: start.sha256 })
  options.push({ number: optionNumber.chunkSize, value: uintOption(start.chunkSize) })
  if (start.discard) options.push({ number: optionNumber.discardData, value: noBytes })
  if (start.moduleFunction !== undefined) {
    options.push({ number: optionNumber.moduleFunction, value: uintOption(start.moduleFunction) })
  }
  return encodeRequest({ type: coapType.con, id, token }, code.post, 'S', options)
}

/** @throws MessageError when a size is missing or out of range, or the hash is none */
export function decodeUpdateStart(message: CoapMessage): UpdateStart {
  const fileSize = findUint(message, optionNumber.fileSize)
  if (!fileSize) throw new MessageError('message-format', 'the file size is missing or 0')
  const chunkSize = findUint(message, optionNumber.chunkSize)
  if (chunkSize === undefined || chunkSize < minChunkSize || chunkSize > maxChunkSize || chunkSize % 4 !== 0) {
    throw new MessageError('message-format', `chunk size ${chunkSize} is not a multiple of 4 from 512 to 1136`)
  }
  const sha256 = findOption(message, optionNumber.fileSha256)
  if (sha256 && sha256.length !== 32) throw new MessageError('message-format', 'a SHA-256 has 32 bytes')
  return {
    fileSize,
    chunkSize,
    sha256,
    discard: findOption(message, optionNumber.discardData) !== undefined,
    moduleFunction: findUint(message, optionNumber.moduleFunction),
  }
}

export interface UpdateStarted {
  /** Chunks that may be sent beyond those acknowledged. */
  readonly window: number
  /** Bytes from the start of the file that the device has. */
  readonly offset: number
}

/** The separate 2.01 of the device. */
export function encodeUpdateStarted(head: Head, started: UpdateStarted): Uint8Array {
  return encodeResponse(head, code.created, noBytes, [
    { number: optionNumber.windowSize, value: uintOption(started.window) },
    { number: optionNumber.fileSize, value: uintOption(started.offset) },
  ])
}

/** @throws MessageError when the window is missing */
export function decodeUpdateStarted(message: CoapMessage): UpdateStarted {
  const window = findUint(message, optionNumber.windowSize)
  if (!window) throw new MessageError('message-format', 'the window size is missing or 0')
  return { window, offset: findUint(message, optionNumber.fileSize) ?? 0 }
}

/** `NON POST /C` without token. @param index counted from 1, relative to the resume offset */
export function encodeUpdateChunk(id: number, index: number, data: Uint8Array): Uint8Array {
  const options = [{ number: optionNumber.chunkIndex, value: uintOption(index) }]
  return encodeRequest({ type: coapType.non, id, token: noBytes }, code.post, 'C', options, data)
}

/** @throws MessageError for what a device takes as fatal: CON, a token, no index, no data */
export function decodeUpdateChunk(message: CoapMessage): { readonly index: number; readonly data: Uint8Array } {
  if (message.type !== coapType.non) throw new MessageError('message-format', 'a chunk is non-confirmable')
  if (message.token.length > 0) throw new MessageError('message-format', 'a chunk has no token')
  const index = findUint(message, optionNumber.chunkIndex)
  if (!index) throw new MessageError('message-format', 'the index of the chunk is missing or 0')
  if (message.payload.length === 0) throw new MessageError('message-format', 'the chunk is empty')
  return { index, data: message.payload }
}

export interface UpdateAck {
  /** Chunks that have arrived without a gap. */
  readonly cumulative: number
  /** Whether the chunk `cumulative + 1 + bit` has arrived. */
  received(bit: number): boolean
  /** How many bits there are; all beyond are false. */
  readonly bits: number
}

/**
 * `NON POST /A` without token.
 *
 * @param words bit k of word w stands for chunk cumulative + 1 + 32w + k; zero words at the end are left out
 */
export function encodeUpdateAck(id: number, cumulative: number, words: readonly number[]): Uint8Array {
  let count = words.length
  while (count > 0 && words[count - 1] === 0) count--
  const payload = new Uint8Array(count * 4)
  const view = viewOf(payload)
  // Little-endian, unlike all other numbers of these messages.
  for (let word = 0; word < count; word++) view.setUint32(word * 4, words[word] ?? 0, true)
  const options = [{ number: optionNumber.chunkIndex, value: uintOption(cumulative) }]
  return encodeRequest({ type: coapType.non, id, token: noBytes }, code.post, 'A', options, payload)
}

/** @throws MessageError when the number is missing or the bitmap ends within a word */
export function decodeUpdateAck(message: CoapMessage): UpdateAck {
  const cumulative = findUint(message, optionNumber.chunkIndex)
  const { payload } = message
  if (cumulative === undefined) throw new MessageError('message-format', 'the number of chunks is missing')
  if (payload.length % 4 !== 0) throw new MessageError('message-format', 'the bitmap has words of 4 bytes')
  return {
    cumulative,
    bits: payload.length * 8,
    // Little-endian words: bit k of word w is bit k % 8 of byte 4w + k / 8, the same as over single bytes.
    received: (bit) => ((payload[bit >> 3] ?? 0) & (1 << (bit & 7))) !== 0,
  }
}

export interface UpdateFinish {
  readonly cancel: boolean
  readonly discard: boolean
}

/** `CON POST /F`. */
export function encodeUpdateFinish(id: number, token: Uint8Array, finish: UpdateFinish): Uint8Array {
  const options: CoapOption[] = []
  if (finish.discard) options.push({ number: optionNumber.discardData, value: noBytes })
  if (finish.cancel) options.push({ number: optionNumber.cancelUpdate, value: noBytes })
  return encodeRequest({ type: coapType.con, id, token }, code.post, 'F', options)
}

export function decodeUpdateFinish(message: CoapMessage): UpdateFinish {
  return {
    cancel: findOption(message, optionNumber.cancelUpdate) !== undefined,
    discard: findOption(message, optionNumber.discardData) !== undefined,
  }
}

export interface UpdateCounts {
  readonly received: number
  readonly duplicates: number
  readonly outOfOrder: number
  readonly acks: number
  /** Milliseconds. */
  readonly processingTime: number
}

/** The payload of the 2.04 to UpdateFinish. */
export function encodeUpdateCounts(counts: UpdateCounts): Uint8Array {
  return Buffer.from(
    JSON.stringify({
      recv_chunks: counts.received,
      dup_chunks: counts.duplicates,
      ooo_chunks: counts.outOfOrder,
      sent_acks: counts.acks,
      proc_time: counts.processingTime,
    }),
  )
}

export type WindowedRequest = 'start' | 'chunk' | 'ack' | 'finish'

const requests: Readonly<Record<string, WindowedRequest>> = { S: 'start', C: 'chunk', A: 'ack', F: 'finish' }

/** Which request of this transfer a message is. */
export function windowedRequestOf(message: CoapMessage): WindowedRequest | undefined {
  return message.code === code.post ? requests[pathLetter(message)] : undefined
}
