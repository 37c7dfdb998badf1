import { createHash } from 'node:crypto'
import { encodeEmptyAck } from '../coap/codec.ts'
import { type CoapMessage, coapType, code, isErrorCode, noBytes } from '../coap/message.ts'
import { rfcLimits } from '../coap/retransmission.ts'
import { tokenOf } from '../messages/build.ts'
import { ProtocolError } from '../protocol-error.ts'
import type { Millis } from '../time.ts'
import { acknowledges, answers } from './chunked-messages.ts'
import { SendWindow } from './send-window.ts'
import { decodeSystemError, jsonObject, systemError } from './system-error.ts'
import {
  answerTimeout,
  idleTimeout,
  type SenderHandlers,
  type TransferLink,
  type TransferResult,
  type TransferStage,
} from './transfer.ts'
import {
  chunkOverhead,
  decodeUpdateAck,
  decodeUpdateStarted,
  encodeUpdateChunk,
  encodeUpdateFinish,
  encodeUpdateStart,
  maxChunkSize,
  minChunkSize,
  receiveWindow,
  windowedRequestOf,
} from './windowed-messages.ts'

export interface WindowedSenderOptions {
  /** Multiple of 4 from 512 to 1136; as large as the link and the device take unless told otherwise. */
  readonly chunkSize?: number
  /** Make the device forget what it has of an earlier attempt: after -1331, resumed update failed. */
  readonly discard?: boolean
  /** Module function for files that are not modules, 9 for an asset. */
  readonly moduleFunction?: number
  /** False keeps the file's hash from the device, which then cannot resume. */
  readonly resumable?: boolean
}

/** While the link is congested, ask it again after so long. */
const congestionDelay = 5

/**
 * The cloud's end of the windowed transfer (OTA version 3, device-protocol.md 3.19), over UDP and TCP.
 *
 * Over TCP the device's window is all the flow control there is. Over UDP `SendWindow` finds what was lost, and paces.
 */
export class WindowedSender {
  readonly #link: TransferLink
  /** Let go at the end: the sender may be kept for a while to answer late messages. */
  #file: Uint8Array
  readonly #options: WindowedSenderOptions
  readonly #handlers: SenderHandlers
  readonly #chunkSize: number
  #stage: TransferStage | 'idle' | 'ended' = 'idle'
  #offset = 0
  #window: SendWindow | undefined
  /** The confirmable request that waits for its response. */
  #request = { id: -1, token: -1 }
  #startedAt: Millis = 0
  #deadline: Millis = 0
  #congestedUntil: Millis | undefined
  /** What the start took to be acknowledged: a first idea of the link. */
  #roundTrip: Millis | undefined

  /**
   * @param file the complete OTA binary, kept until the end of the transfer
   * @throws RangeError for a chunk size that no device takes, or one above the link's message size
   */
  constructor(link: TransferLink, file: Uint8Array, options: WindowedSenderOptions, handlers: SenderHandlers) {
    const fits = Math.min(maxChunkSize, (link.maxMessageSize - chunkOverhead) & ~3)
    const { chunkSize = fits } = options
    if (chunkSize < minChunkSize || chunkSize > fits || chunkSize % 4 !== 0) {
      throw new RangeError(`chunk size ${chunkSize} is not a multiple of 4 from ${minChunkSize} to ${fits}`)
    }
    this.#link = link
    this.#file = file
    this.#options = options
    this.#handlers = handlers
    this.#chunkSize = chunkSize
  }

  start(now: Millis): void {
    if (this.#stage !== 'idle') return
    this.#stage = 'start'
    this.#startedAt = now
    if (this.#file.length === 0) {
      this.#fail(systemError.invalidSize, 'the file is empty')
      return
    }
    const { discard = false, moduleFunction, resumable = true } = this.#options
    const { id, token } = this.#newRequest(now + answerTimeout)
    const sha256 = resumable ? createHash('sha256').update(this.#file).digest() : undefined
    const start = { fileSize: this.#file.length, chunkSize: this.#chunkSize, sha256, discard, moduleFunction }
    this.#link.send(encodeUpdateStart(id, tokenOf(token), start), now)
  }

  /**
   * Takes a message from the device. One that breaks the protocol ends the transfer with -240.
   *
   * @returns true when it belonged to this transfer and was answered here. Late responses after the end are the
   *   session's to acknowledge, as all that nobody waits for.
   */
  receive(message: CoapMessage, now: Millis): boolean {
    if (this.#stage === 'idle') return false
    if (message.type === coapType.rst) return this.#reset(message.id)
    if (windowedRequestOf(message) === 'ack') {
      this.#acknowledge(message, now)
      this.#ackReceived(message, now)
      return true
    }
    if (this.#stage === 'ended') return false
    if (message.type === coapType.ack) {
      if (!acknowledges(message, this.#request)) return false
      if (message.code !== code.empty) this.#response(message, now)
      else if (this.#stage === 'start') this.#startTook(now)
      return true
    }
    if (!answers(message, this.#request.token)) return false
    // Before anything else: over UDP it ends the device's retransmission, and of a finish it makes the device apply.
    this.#acknowledge(message, now)
    this.#response(message, now)
    return true
  }

  /** Resends what seems lost; ends a transfer that has come to a stop. */
  poll(now: Millis): void {
    if (this.#stage === 'idle' || this.#stage === 'ended') return
    if (now >= this.#deadline) {
      this.#fail(systemError.timeout, 'the device did not go on with the update')
      return
    }
    if (this.#stage !== 'transfer') return
    this.#window?.poll(now)
    this.#congestedUntil = undefined
    this.#fill(now)
  }

  /** When `poll` has something to do. */
  nextDeadline(): Millis | undefined {
    if (this.#stage === 'idle' || this.#stage === 'ended') return undefined
    if (this.#stage !== 'transfer') return this.#deadline
    // While the link is congested nothing is sent, whatever would be due.
    const next = this.#congestedUntil ?? this.#window?.nextDeadline() ?? Number.POSITIVE_INFINITY
    return Math.min(this.#deadline, next)
  }

  /** Ends the transfer and tells the device. @param discard the device need not keep what it has */
  cancel(now: Millis, discard = false): void {
    if (this.#stage === 'idle' || this.#stage === 'ended') return
    const { id, token } = this.#newRequest(now)
    this.#link.send(encodeUpdateFinish(id, tokenOf(token), { cancel: true, discard }), now)
    this.#fail(systemError.cancelled, 'the update was cancelled')
  }

  /** The connection is lost. */
  disconnected(): void {
    if (this.#stage !== 'ended') this.#fail(systemError.aborted, 'the connection was lost during the update')
  }

  /** After the first retransmission nobody knows which transmission was acknowledged (RFC 7252, section 4.8). */
  #startTook(now: Millis): void {
    const took = now - this.#startedAt
    if (took < rfcLimits.ackTimeout) this.#roundTrip ??= took
  }

  #response(message: CoapMessage, now: Millis): void {
    if (isErrorCode(message.code)) {
      const said = decodeSystemError(message)
      this.#fail(said.code, said.message)
    } else if (this.#stage === 'start') {
      this.#started(message, now)
    } else if (this.#stage === 'finish') {
      this.#succeed(message, now)
    }
  }

  #started(message: CoapMessage, now: Millis): void {
    const started = this.#decoded(() => decodeUpdateStarted(message))
    if (!started) return
    const { window, offset } = started
    if (offset > this.#file.length) {
      this.#fail(systemError.protocol, `the device wants to resume at ${offset}, behind the end of the file`)
      return
    }
    this.#request = { id: -1, token: -1 }
    this.#stage = 'transfer'
    this.#offset = offset
    this.#deadline = now + idleTimeout
    const count = Math.ceil((this.#file.length - offset) / this.#chunkSize)
    // More than the protocol's window would only be buffered on the way.
    const limit = Math.min(window, Math.floor(receiveWindow / minChunkSize))
    this.#window = new SendWindow(count, limit, this.#link.reliable, this.#roundTrip)
    this.#handlers.accepted?.(offset)
    if (this.#is('transfer')) this.#fill(now)
  }

  #ackReceived(message: CoapMessage, now: Millis): void {
    if (this.#stage !== 'transfer' || !this.#window) return
    const ack = this.#decoded(() => decodeUpdateAck(message))
    if (!ack || !this.#window.acknowledge(ack, now)) return
    this.#deadline = now + idleTimeout
    const received = Math.min(this.#file.length, this.#offset + this.#window.received * this.#chunkSize)
    this.#handlers.progress?.(received, this.#file.length)
    if (this.#is('transfer')) this.#fill(now)
  }

  #fill(now: Millis): void {
    const window = this.#window
    if (!window) return
    while (this.#is('transfer')) {
      if (this.#link.congested) {
        this.#congestedUntil = now + congestionDelay
        return
      }
      const sending = window.next(now)
      if (sending === undefined) break
      const start = this.#offset + (sending - 1) * this.#chunkSize
      const id = this.#link.nextMessageId()
      window.sent(id)
      this.#link.send(encodeUpdateChunk(id, sending, this.#file.subarray(start, start + this.#chunkSize)), now)
    }
    if (!window.complete || !this.#is('transfer')) return
    this.#stage = 'finish'
    const { id, token } = this.#newRequest(now + idleTimeout)
    this.#link.send(encodeUpdateFinish(id, tokenOf(token), { cancel: false, discard: false }), now)
  }

  /**
   * A device resets what it does not want: the request itself, or chunks when it has no update under way, for example
   * after a restart. A late chunk after the finish is harmless.
   */
  #reset(id: number): boolean {
    if (id === this.#request.id) {
      this.#fail(systemError.error, 'the device does not know this update')
      return true
    }
    if (!this.#window?.isChunk(id)) return false
    if (this.#stage === 'transfer') this.#fail(systemError.invalidState, 'the device has no update under way any more')
    return true
  }

  #succeed(message: CoapMessage, now: Millis): void {
    const counts = Object.entries(jsonObject(message.payload) ?? {}).filter(([, value]) => typeof value === 'number')
    this.#end({
      ok: true,
      stats: {
        bytes: this.#file.length,
        resumedAt: this.#offset,
        chunks: this.#window?.count ?? 0,
        resentChunks: this.#window?.resent ?? 0,
        duration: now - this.#startedAt,
        ...(counts.length > 0 && { device: Object.fromEntries(counts) as Record<string, number> }),
      },
    })
  }

  #fail(failure: number, message: string): void {
    const stage = this.#stage === 'idle' || this.#stage === 'ended' ? 'start' : this.#stage
    this.#end({ ok: false, code: failure, message, stage })
  }

  #end(result: TransferResult): void {
    if (this.#stage === 'ended') return
    this.#stage = 'ended'
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

  #decoded<T>(decode: () => T): T | undefined {
    try {
      return decode()
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.#fail(systemError.protocol, error.message)
      return undefined
    }
  }

  /** A handler may have ended the transfer; asked through a function, for the compiler trusts its own reading. */
  #is(stage: TransferStage): boolean {
    return this.#stage === stage
  }
}
