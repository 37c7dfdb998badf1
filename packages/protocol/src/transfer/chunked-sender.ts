import { encodeEmptyAck } from '../coap/codec.ts'
import { type CoapMessage, coapType, code, codeName, isErrorCode, noBytes } from '../coap/message.ts'
import { tokenOf } from '../messages/build.ts'
import { ProtocolError } from '../protocol-error.ts'
import type { Millis } from '../time.ts'
import {
  acknowledges,
  answers,
  chunkedRequestOf,
  decodeChunkMissed,
  decodeUpdateDoneResult,
  decodeUpdateReady,
  encodeChunk,
  encodeUpdateBegin,
  encodeUpdateDone,
} from './chunked-messages.ts'
import { decodeSystemError, systemError } from './system-error.ts'
import {
  answerTimeout,
  idleTimeout,
  type SenderHandlers,
  type TransferLink,
  type TransferResult,
  type TransferStage,
} from './transfer.ts'

export interface ChunkedSenderOptions {
  /** Ask for a transfer without an answer to each chunk; the device decides. True unless told otherwise. */
  readonly fast?: boolean
  /** Bytes of every chunk but the last; 512, which all devices take, unless told otherwise. */
  readonly chunkSize?: number
}

/** Every device takes this size, and some no other. */
const defaultChunkSize = 512
/** What a device adds to a chunk in its buffer, where it also keeps a bit for each chunk (device-protocol.md 3.18). */
const bufferOverhead = 32
/** Header, token, path, checksum, index, marker. */
const messageOverhead = 16
const maxChunks = 65_534

/** Fast chunks at a time, and the pause after them. TCP paces by itself; the pause lets other connections have a turn. */
const reliablePace = { burst: 32, pause: 2 }
/** Over UDP a device must empty its buffers between bursts (device-protocol.md 3.18). */
const unreliablePace = { burst: 20, pause: 40 }
/** A device that says that chunks are missing, and then not which, is asked again after so long. */
const missedTimeout = 10_000
/** A device that finds the same chunk broken so often has another trouble than the link. */
const maxRejections = 10

type State = 'idle' | 'begin' | 'fast' | 'slow' | 'done' | 'missed' | 'ended'

const stageOf: Readonly<Record<State, TransferStage>> = {
  idle: 'start',
  begin: 'start',
  fast: 'transfer',
  slow: 'transfer',
  done: 'finish',
  missed: 'transfer',
  ended: 'finish',
}

/**
 * The cloud's end of the old transfer, versions 1 (slow) and 2 (fast), after device-protocol.md 3.18: for devices
 * whose Hello does not have flag 0x80.
 *
 * Fast: all chunks without answers, then UpdateDone; the device names what is missing, which is sent again, until
 * nothing is. Slow: one chunk at a time. The last chunk is not padded. There is no resume.
 */
export class ChunkedSender {
  readonly #link: TransferLink
  /** Let go at the end: the sender may be kept for a while to answer late messages. */
  #file: Uint8Array
  readonly #fast: boolean
  readonly #chunkSize: number
  readonly #count: number
  readonly #handlers: SenderHandlers
  #state: State = 'idle'
  /** The request that waits for its answer. */
  #request = { id: -1, token: -1 }
  #beginToken = -1
  /** What is to be sent in this flight, from `#position` on; the whole file at first. */
  #flight: readonly number[] | undefined
  #position = 0
  /** A list of missed chunks that came before the answer to UpdateDone. */
  #early: readonly number[] | undefined
  #flights = 0
  #rejections = 0
  #resent = 0
  #startedAt: Millis = 0
  #deadline: Millis = 0
  #burstAt: Millis | undefined

  /** @param file the complete OTA binary, kept until the end of the transfer */
  constructor(link: TransferLink, file: Uint8Array, options: ChunkedSenderOptions, handlers: SenderHandlers) {
    const { fast = true, chunkSize = defaultChunkSize } = options
    if (!Number.isInteger(chunkSize) || chunkSize < 1 || chunkSize + messageOverhead > link.maxMessageSize) {
      throw new RangeError(`chunks of ${chunkSize} bytes do not fit into messages of ${link.maxMessageSize}`)
    }
    this.#link = link
    this.#file = file
    this.#fast = fast
    this.#chunkSize = chunkSize
    this.#count = Math.ceil(file.length / chunkSize)
    this.#handlers = handlers
  }

  start(now: Millis): void {
    if (this.#state !== 'idle') return
    this.#startedAt = now
    const buffer = this.#chunkSize + bufferOverhead + Math.ceil(this.#count / 8)
    if (this.#count === 0 || this.#count > maxChunks || buffer > this.#link.maxMessageSize) {
      this.#fail(systemError.invalidSize, `a file of ${this.#file.length} bytes cannot be sent to this device`)
      return
    }
    this.#state = 'begin'
    const { id, token } = this.#newRequest(now + answerTimeout)
    this.#beginToken = token
    const begin = {
      fast: this.#fast,
      chunkSize: this.#chunkSize,
      fileSize: this.#file.length,
      store: 0,
      address: 0,
    }
    this.#link.send(encodeUpdateBegin(id, tokenOf(token), begin), now)
  }

  /**
   * Takes a message from the device. One that breaks the protocol ends the transfer with -240.
   *
   * @returns true when it belonged to this transfer and was answered here
   */
  receive(message: CoapMessage, now: Millis): boolean {
    if (this.#state === 'idle' || this.#state === 'ended') return false
    if (message.type === coapType.ack) {
      if (!acknowledges(message, this.#request)) return false
      if (message.code !== code.empty) this.#answered(message, now)
      return true
    }
    if (message.type === coapType.rst) {
      if (message.id !== this.#request.id) return false
      this.#fail(systemError.error, 'the device does not know this update')
      return true
    }
    if (chunkedRequestOf(message) === 'missed') {
      this.#acknowledge(message, now)
      this.#missed(message, now)
      return true
    }
    if (answers(message, this.#request.token)) {
      this.#acknowledge(message, now)
      this.#answered(message, now)
      return true
    }
    return false
  }

  /** Sends the next burst; ends a transfer that has come to a stop. */
  poll(now: Millis): void {
    if (this.#state === 'idle' || this.#state === 'ended') return
    if (now < this.#deadline) {
      if (this.#state === 'fast' && this.#burstAt !== undefined && now >= this.#burstAt) this.#burst(now)
    } else if (this.#state === 'missed') {
      this.#sendDone(now)
    } else {
      this.#fail(systemError.timeout, 'the device did not go on with the update')
    }
  }

  /** When `poll` has something to do. */
  nextDeadline(): Millis | undefined {
    if (this.#state === 'idle' || this.#state === 'ended') return undefined
    return Math.min(this.#deadline, this.#burstAt ?? Number.POSITIVE_INFINITY)
  }

  /** Stops sending. There is no message for it: the device resets itself after 300 s without a chunk. */
  cancel(_now: Millis): void {
    if (this.#state !== 'idle' && this.#state !== 'ended') this.#fail(systemError.cancelled, 'the update was cancelled')
  }

  /** The connection is lost. */
  disconnected(): void {
    if (this.#state !== 'ended') this.#fail(systemError.aborted, 'the connection was lost during the update')
  }

  #answered(message: CoapMessage, now: Millis): void {
    if (this.#state === 'begin') {
      if (isErrorCode(message.code)) this.#refused(message)
      else this.#ready(message, now)
    } else if (this.#state === 'slow') {
      this.#chunkReceived(message, now)
    } else if (this.#state === 'done') {
      this.#doneAnswered(message, now)
    }
  }

  #ready(message: CoapMessage, now: Millis): void {
    // The device decides: an application may have set it to slow.
    const { fast } = decodeUpdateReady(message)
    this.#request = { id: -1, token: -1 }
    this.#deadline = now + idleTimeout
    this.#position = 0
    this.#flights = 1
    this.#state = fast ? 'fast' : 'slow'
    this.#handlers.accepted?.(0)
    if (fast && this.#is('fast')) this.#burst(now)
    else if (this.#is('slow')) this.#sendSlow(now)
  }

  #burst(now: Millis): void {
    const { burst, pause } = this.#link.reliable ? reliablePace : unreliablePace
    const length = this.#flight?.length ?? this.#count
    for (let sent = 0; sent < burst && this.#position < length && !this.#link.congested; sent++) {
      const index = this.#flight ? (this.#flight[this.#position] ?? 0) : this.#position
      this.#position += 1
      // No answer comes, so that any token will do; devices want one of one byte.
      const message = encodeChunk(this.#link.nextMessageId(), tokenOf(this.#beginToken), index, this.#data(index))
      this.#link.send(message, now)
      this.#deadline = now + idleTimeout
    }
    if (!this.#is('fast')) return
    if (!this.#flight) this.#tellProgress(this.#position)
    if (!this.#is('fast')) return
    if (this.#position < length) this.#burstAt = now + pause
    else this.#sendDone(now)
  }

  #sendSlow(now: Millis): void {
    const { id, token } = this.#newRequest(now + answerTimeout)
    this.#link.send(encodeChunk(id, tokenOf(token), undefined, this.#data(this.#position)), now)
  }

  #chunkReceived(message: CoapMessage, now: Millis): void {
    if (isErrorCode(message.code)) {
      this.#resent += 1
      this.#rejections += 1
      if (this.#rejections > maxRejections || message.code !== code.badRequest) {
        this.#fail(systemError.badData, `the device rejects chunk ${this.#position} (${codeName(message.code)})`)
        return
      }
    } else {
      this.#rejections = 0
      this.#position += 1
      this.#tellProgress(this.#position)
    }
    if (!this.#is('slow')) return
    if (this.#position < this.#count) this.#sendSlow(now)
    else this.#sendDone(now)
  }

  #sendDone(now: Millis): void {
    this.#flights += 1
    // Each flight but a completely lost one brings at least one chunk.
    if (this.#flights > this.#count + 100) {
      this.#fail(systemError.error, 'the device asks for chunks without end')
      return
    }
    this.#state = 'done'
    this.#early = undefined
    this.#burstAt = undefined
    const { id, token } = this.#newRequest(now + idleTimeout)
    this.#link.send(encodeUpdateDone(id, tokenOf(token)), now)
  }

  #doneAnswered(message: CoapMessage, now: Millis): void {
    if (message.code === code.badRequest) {
      this.#state = 'missed'
      this.#deadline = now + missedTimeout
      if (this.#early) this.#resend(this.#early, now)
    } else if (isErrorCode(message.code)) {
      const said = decodeSystemError(message)
      this.#fail(said.code, said.message)
    } else {
      const result = decodeUpdateDoneResult(message)
      if (result < 0) this.#fail(result, 'the device rejects the file')
      else this.#succeed(now)
    }
  }

  #missed(message: CoapMessage, now: Millis): void {
    if (this.#state !== 'missed' && this.#state !== 'done') return
    let indices: number[]
    try {
      indices = decodeChunkMissed(message).filter((index) => index < this.#count)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.#fail(systemError.protocol, error.message)
      return
    }
    // Over UDP a list may overtake the answer to UpdateDone, or be a late one of a flight before. Only the answer
    // decides: after a success the device knows nothing of the update any more.
    if (this.#state === 'done') this.#early = indices
    else this.#resend(indices, now)
  }

  #resend(indices: readonly number[], now: Millis): void {
    this.#resent += indices.length
    this.#request = { id: -1, token: -1 }
    this.#flight = indices
    this.#position = 0
    this.#deadline = now + idleTimeout
    this.#state = 'fast'
    this.#burst(now)
  }

  #data(index: number): Uint8Array {
    return this.#file.subarray(index * this.#chunkSize, (index + 1) * this.#chunkSize)
  }

  #tellProgress(chunks: number): void {
    this.#handlers.progress?.(Math.min(this.#file.length, chunks * this.#chunkSize), this.#file.length)
  }

  #refused(message: CoapMessage): void {
    const { code: failure, message: words } = decodeSystemError(message)
    this.#fail(failure, words)
  }

  #succeed(now: Millis): void {
    this.#end({
      ok: true,
      stats: {
        bytes: this.#file.length,
        resumedAt: 0,
        chunks: this.#count,
        resentChunks: this.#resent,
        duration: now - this.#startedAt,
      },
    })
  }

  #fail(failure: number, message: string): void {
    this.#end({ ok: false, code: failure, message, stage: stageOf[this.#state] })
  }

  #end(result: TransferResult): void {
    if (this.#state === 'ended') return
    this.#state = 'ended'
    this.#file = noBytes
    this.#handlers.done(result)
  }

  #newRequest(deadline: Millis): { id: number; token: number } {
    this.#request = { id: this.#link.nextMessageId(), token: this.#link.nextToken() }
    this.#deadline = deadline
    return this.#request
  }

  #acknowledge(message: CoapMessage, now: Millis): void {
    if (message.type === coapType.con) this.#link.send(encodeEmptyAck(message.id), now)
  }

  /** A handler may have ended the transfer; asked through a function, for the compiler trusts its own reading. */
  #is(state: State): boolean {
    return this.#state === state
  }
}
