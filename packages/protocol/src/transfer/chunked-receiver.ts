import { crc32 } from '@aloe/firmware'
import { encodeEmptyAck } from '../coap/codec.ts'
import { type CoapMessage, coapType, code } from '../coap/message.ts'
import { encodeResponse } from '../messages/build.ts'
import { ProtocolError } from '../protocol-error.ts'
import type { Millis } from '../time.ts'
import {
  type Chunk,
  chunkedRequestOf,
  decodeChunk,
  decodeUpdateBegin,
  encodeChunkMissed,
  encodeChunkReceived,
  encodeUpdateDoneResult,
  encodeUpdateIncomplete,
  encodeUpdateReady,
  type UpdateBegin,
} from './chunked-messages.ts'
import { ReceivedChunks } from './received-chunks.ts'
import { idleTimeout, type ReceiverHandlers, type TransferLink, type UpdateTarget } from './transfer.ts'

export interface ChunkedReceiverOptions {
  /** The device's message buffer in bytes, which holds a chunk and a bit for each chunk; 1152 unless told otherwise. */
  readonly bufferSize?: number
  /** False makes the device answer each chunk, whatever the cloud would like. */
  readonly fast?: boolean
  /** Most indices in one list of missed chunks: 40, on Argon and A SoM 20. */
  readonly maxMissed?: number
}

const defaultChunkSize = 512
const bufferOverhead = 32
const maxChunks = 65_534
const firmwareStore = 0

interface Transfer {
  readonly size: number
  readonly chunkSize: number
  readonly fast: boolean
  readonly chunks: ReceivedChunks
  /** Chunks since the last UpdateDone: how many more the link seems to carry in one flight. */
  flight: number
  idleDeadline: Millis
}

/**
 * The device's end of the old transfer, versions 1 (slow) and 2 (fast), after device-protocol.md 3.18.
 *
 * The file is applied when its result was sent: the answer to UpdateDone is an acknowledgement itself, so that there
 * is nothing to wait for.
 */
export class ChunkedReceiver {
  readonly #link: TransferLink
  readonly #target: UpdateTarget
  readonly #handlers: ReceiverHandlers
  readonly #bufferSize: number
  readonly #fast: boolean
  readonly #maxMissed: number
  #transfer: Transfer | undefined

  constructor(
    link: TransferLink,
    target: UpdateTarget,
    handlers: ReceiverHandlers,
    options: ChunkedReceiverOptions = {},
  ) {
    const { bufferSize = 1152, fast = true, maxMissed = 40 } = options
    this.#link = link
    this.#target = target
    this.#handlers = handlers
    this.#bufferSize = bufferSize
    this.#fast = fast
    this.#maxMissed = maxMissed
  }

  /** An update is under way. */
  get active(): boolean {
    return this.#transfer !== undefined
  }

  /**
   * Takes a message from the cloud.
   *
   * @returns true when it belonged to a transfer and was answered here
   * @throws what `UpdateTarget` throws: a broken staging area is not the protocol's to judge
   */
  receive(message: CoapMessage, now: Millis): boolean {
    switch (chunkedRequestOf(message)) {
      case 'begin':
        this.#begin(message, now)
        return true
      case 'chunk':
        this.#chunk(message, now)
        return true
      case 'done':
        this.#done(message, now)
        return true
      default:
        return false
    }
  }

  /** Ends a transfer that has come to a stop; a device of this protocol then restarts. */
  poll(now: Millis): void {
    if (this.#transfer && now >= this.#transfer.idleDeadline) {
      this.#fail(new ProtocolError('message-timeout', 'no chunk came for 300 s'))
    }
  }

  /** When `poll` has something to do. */
  nextDeadline(): Millis | undefined {
    return this.#transfer?.idleDeadline
  }

  /** The connection is lost: the update is cancelled. There is no resume. */
  disconnected(): void {
    if (this.#transfer) this.#end()
  }

  #begin(message: CoapMessage, now: Millis): void {
    const begin = decodedOr(() => decodeUpdateBegin(message))
    const transfer = begin && !this.#transfer ? this.#accept(begin, now) : undefined
    if (!begin || !transfer) {
      // The old protocol has no words for a refusal.
      const head = { type: coapType.ack, id: message.id, token: message.token }
      this.#link.send(encodeResponse(head, code.serviceUnavailable), now)
      return
    }
    this.#link.send(encodeEmptyAck(message.id), now)
    this.#transfer = transfer
    this.#handlers.updating?.(true)
    this.#link.send(encodeUpdateReady(this.#responseHead(message), transfer.fast), now)
  }

  #accept(begin: UpdateBegin, now: Millis): Transfer | undefined {
    const { fileSize: size, chunkSize: asked, store, fast } = begin
    const chunkSize = asked === 0 ? defaultChunkSize : asked
    const count = Math.ceil(size / chunkSize)
    const buffer = chunkSize + bufferOverhead + Math.ceil(count / 8)
    if (size === 0 || store !== firmwareStore || count > maxChunks || buffer > this.#bufferSize) return undefined
    if ('error' in this.#target.begin({ size, discard: true, chunkSize })) return undefined
    return {
      size,
      chunkSize,
      fast: fast && this.#fast,
      chunks: new ReceivedChunks(count),
      flight: 0,
      idleDeadline: now + idleTimeout,
    }
  }

  #chunk(message: CoapMessage, now: Millis): void {
    const transfer = this.#transfer
    const chunk = decodedOr(() => decodeChunk(message))
    if (!chunk || message.token.length !== 1) {
      this.#fail(new ProtocolError('malformed-message', 'a chunk has a token of one byte and a checksum of four'))
      return
    }
    const slow = chunk.index === undefined
    if (slow && message.type === coapType.con) this.#link.send(encodeEmptyAck(message.id), now)
    if (!transfer) return
    transfer.idleDeadline = now + idleTimeout
    transfer.flight += 1
    const stored = this.#store(transfer, chunk)
    if (slow) this.#link.send(encodeChunkReceived(this.#responseHead(message), stored), now)
  }

  /** False when the chunk is broken or has no place in the file. */
  #store({ chunks, chunkSize, size }: Transfer, { crc, index, data }: Chunk): boolean {
    // Chunks of a slow transfer have no index: each is the one after the last.
    const number = (index ?? chunks.contiguous) + 1
    if (number > chunks.count || crc32(data) !== crc) return false
    const offset = (number - 1) * chunkSize
    const expected = Math.min(chunkSize, size - offset)
    // A last chunk that is padded to full size, as old servers send it, is cut at the end of the file.
    if (data.length < expected || data.length > chunkSize) return false
    if (chunks.add(number)) this.#target.write(offset, data.subarray(0, expected))
    return true
  }

  #done(message: CoapMessage, now: Millis): void {
    const transfer = this.#transfer
    if (!transfer) {
      const head = { type: coapType.ack, id: message.id, token: message.token }
      this.#link.send(encodeResponse(head, code.serviceUnavailable), now)
      return
    }
    transfer.idleDeadline = now + idleTimeout
    if (!transfer.chunks.complete) {
      this.#link.send(encodeUpdateIncomplete(message), now)
      this.#askForMissed(transfer, now)
      return
    }
    const result = this.#target.finish()
    this.#transfer = undefined
    this.#handlers.updating?.(false)
    this.#link.send(encodeUpdateDoneResult(message, 'error' in result ? result.error : 0), now)
    if ('error' in result) this.#target.cancel(true)
    else this.#target.apply()
  }

  /** As many as the last flight brought and a little more, so that a weak link is not flooded. */
  #askForMissed(transfer: Transfer, now: Millis): void {
    const { flight } = transfer
    transfer.flight = 0
    const limit = Math.min(Math.max(flight + 2, Math.floor(flight * 1.2)), this.#maxMissed)
    const indices = transfer.chunks.missing(limit).map((number) => number - 1)
    const type = this.#link.reliable ? coapType.non : coapType.con
    this.#link.send(encodeChunkMissed(type, this.#link.nextMessageId(), indices), now)
  }

  /** Separate answers are confirmable over UDP only (device-protocol.md 3.2). */
  #responseHead(request: CoapMessage) {
    const type = this.#link.reliable ? coapType.non : coapType.con
    return { type, id: this.#link.nextMessageId(), token: request.token }
  }

  #fail(error: ProtocolError): void {
    if (this.#transfer) this.#end()
    this.#handlers.failed(error)
  }

  #end(): void {
    this.#transfer = undefined
    this.#handlers.updating?.(false)
    this.#target.cancel(true)
  }
}

function decodedOr<T>(decode: () => T): T | undefined {
  try {
    return decode()
  } catch (error) {
    if (error instanceof ProtocolError) return undefined
    throw error
  }
}
