import { encodeEmptyAck, encodeMessage, encodeReset } from '../coap/codec.ts'
import { type CoapMessage, coapType, code, noBytes } from '../coap/message.ts'
import { encodeResponse } from '../messages/build.ts'
import { ProtocolError } from '../protocol-error.ts'
import type { Millis } from '../time.ts'
import { ReceivedChunks } from './received-chunks.ts'
import { coapCodeOf, encodeSystemError, systemError } from './system-error.ts'
import { idleTimeout, type ReceiverHandlers, type TransferLink, type UpdateTarget } from './transfer.ts'
import {
  decodeUpdateChunk,
  decodeUpdateFinish,
  decodeUpdateStart,
  encodeUpdateAck,
  encodeUpdateCounts,
  encodeUpdateStarted,
  receiveWindow,
  type UpdateStart,
  windowedRequestOf,
} from './windowed-messages.ts'

/** An ack is sent for every so many new chunks, or this long after the last one (device-protocol.md 6.1). */
const chunksPerAck = 2
const ackDelay = 200

/**
 * Over UDP, after so much silence and then twice as late each time, the last ack is said again. Device OS does not do
 * this; but a NAT may have forgotten the device, or the cloud the transfer, and neither can reach a device that is silent.
 */
const firstReminder = 5_000
const longestReminder = 60_000

/** A transfer that is under way. */
interface Transfer {
  readonly start: UpdateStart
  readonly offset: number
  readonly chunks: ReceivedChunks
  readonly window: number
  ackDue: Millis | undefined
  unacknowledged: number
  idleDeadline: Millis
  /** When to say the last ack again; never over a link that knows by itself whether it stands. */
  reminder: Millis
  reminderWait: Millis
  duplicates: number
  outOfOrder: number
  acks: number
}

/** The result of a finish, told to the cloud; its acknowledgement lets it take effect. */
interface Finished {
  readonly apply: boolean
  readonly code: number
  readonly payload: Uint8Array
  /** Ids of the responses that told it: any acknowledgement counts. */
  readonly responses: number[]
  readonly deadline: Millis
}

/**
 * The device's end of the windowed transfer (OTA version 3, device-protocol.md 3.19), over UDP and TCP.
 *
 * The result is final in two steps: the device validates and responds, and only the acknowledgement of the response
 * makes it apply the file. The responses are confirmable on TCP too: nothing is retransmitted there, but the cloud
 * acknowledges every confirmable message, and an answer that nobody acknowledges could not be waited for.
 */
export class WindowedReceiver {
  readonly #link: TransferLink
  readonly #target: UpdateTarget
  readonly #handlers: ReceiverHandlers
  #transfer: Transfer | undefined
  #finished: Finished | undefined

  constructor(link: TransferLink, target: UpdateTarget, handlers: ReceiverHandlers) {
    this.#link = link
    this.#target = target
    this.#handlers = handlers
  }

  /** An update is under way, its result included. */
  get active(): boolean {
    return this.#transfer !== undefined || this.#finished !== undefined
  }

  /**
   * Takes a message from the cloud.
   *
   * @returns true when it belonged to a transfer and was answered here
   * @throws what `UpdateTarget` throws: a broken staging area is not the protocol's to judge
   */
  receive(message: CoapMessage, now: Millis): boolean {
    if (message.type === coapType.ack) return this.#acknowledged(message.id)
    switch (windowedRequestOf(message)) {
      case 'start':
        this.#start(message, now)
        return true
      case 'chunk':
        this.#chunk(message, now)
        return true
      case 'finish':
        this.#finish(message, now)
        return true
      default:
        return false
    }
  }

  /** Sends a delayed ack; ends a transfer that has come to a stop. */
  poll(now: Millis): void {
    const transfer = this.#transfer
    if (this.#finished && now >= this.#finished.deadline) {
      this.#fail(new ProtocolError('message-timeout', 'the cloud did not acknowledge the result of the update'))
    } else if (transfer && !this.#finished && now >= transfer.idleDeadline) {
      this.#fail(new ProtocolError('message-timeout', 'no chunk came for 300 s'))
    } else if (transfer?.ackDue !== undefined && now >= transfer.ackDue) {
      this.#ack(transfer, now)
    } else if (transfer && !this.#finished && now >= transfer.reminder) {
      transfer.reminderWait = Math.min(longestReminder, 2 * transfer.reminderWait)
      transfer.reminder = now + transfer.reminderWait
      this.#ack(transfer, now)
    }
  }

  /** When `poll` has something to do. */
  nextDeadline(): Millis | undefined {
    if (this.#finished) return this.#finished.deadline
    const transfer = this.#transfer
    return transfer && Math.min(transfer.idleDeadline, transfer.reminder, transfer.ackDue ?? Number.POSITIVE_INFINITY)
  }

  /** The connection is lost: the update is cancelled, what arrived is kept for a resume. */
  disconnected(): void {
    if (this.active) this.#end(false)
  }

  #start(message: CoapMessage, now: Millis): void {
    let start: UpdateStart
    try {
      start = decodeUpdateStart(message)
      if (message.type !== coapType.con || message.token.length !== 1) {
        throw new ProtocolError('message-format', 'an update start is confirmable and has a token of one byte')
      }
    } catch (error) {
      this.#refuse(message, error, now)
      return
    }
    this.#link.send(encodeEmptyAck(message.id), now)
    if (this.active) this.#end(false)
    const { fileSize: size, sha256, discard, moduleFunction, chunkSize } = start
    const begun = this.#target.begin({
      size,
      discard,
      chunkSize,
      ...(sha256 && { sha256: sha256.slice() }),
      ...(moduleFunction !== undefined && { moduleFunction }),
    })
    if ('error' in begun) {
      this.#respond(message, coapCodeOf(begun.error), encodeSystemError(begun.error, begun.message), now)
      return
    }
    const { offset } = begun
    const window = Math.floor(receiveWindow / chunkSize)
    this.#transfer = {
      start,
      offset,
      chunks: new ReceivedChunks(Math.ceil((size - offset) / chunkSize)),
      window,
      ackDue: undefined,
      unacknowledged: 0,
      idleDeadline: now + idleTimeout,
      reminder: this.#link.reliable ? Number.POSITIVE_INFINITY : now + firstReminder,
      reminderWait: firstReminder,
      duplicates: 0,
      outOfOrder: 0,
      acks: 0,
    }
    this.#handlers.updating?.(true)
    const head = { type: coapType.con, id: this.#link.nextMessageId(), token: message.token }
    this.#link.send(encodeUpdateStarted(head, { window, offset }), now)
  }

  #chunk(message: CoapMessage, now: Millis): void {
    const transfer = this.#transfer
    if (!transfer || this.#finished) {
      // For example a late repetition after the finish. Harmless: the cloud does not take it for the session's end.
      this.#link.send(encodeReset(message.id), now)
      return
    }
    let index: number
    let data: Uint8Array
    try {
      ;({ index, data } = decodeUpdateChunk(message))
      checkSize(transfer, index, data.length)
    } catch (error) {
      this.#link.send(encodeReset(message.id), now)
      this.#fail(otaError(error))
      return
    }
    const { chunks } = transfer
    if (index > chunks.contiguous + transfer.window) return
    transfer.idleDeadline = now + idleTimeout
    transfer.reminderWait = firstReminder
    if (!this.#link.reliable) transfer.reminder = now + firstReminder
    const hadGaps = chunks.hasGaps
    const inOrder = index === chunks.contiguous + 1
    if (!chunks.add(index)) {
      transfer.duplicates += 1
      this.#ack(transfer, now)
      return
    }
    if (!inOrder) transfer.outOfOrder += 1
    this.#target.write(transfer.offset + (index - 1) * transfer.start.chunkSize, data)
    transfer.unacknowledged += 1
    if (chunks.complete || chunks.hasGaps || hadGaps || transfer.unacknowledged >= chunksPerAck) {
      this.#ack(transfer, now)
    } else {
      transfer.ackDue = now + ackDelay
    }
  }

  #ack(transfer: Transfer, now: Millis): void {
    const { chunks } = transfer
    transfer.ackDue = undefined
    transfer.unacknowledged = 0
    transfer.acks += 1
    this.#link.send(encodeUpdateAck(this.#link.nextMessageId(), chunks.contiguous, chunks.bitmap()), now)
  }

  #finish(message: CoapMessage, now: Millis): void {
    if (message.type !== coapType.con || message.token.length !== 1) {
      const error = new ProtocolError('message-format', 'an update finish is confirmable and has a token of one byte')
      this.#refuse(message, error, now)
      return
    }
    this.#link.send(encodeEmptyAck(message.id), now)
    const { cancel, discard } = decodeUpdateFinish(message)
    if (cancel) {
      if (this.active) this.#end(discard)
      else if (discard) this.#target.cancel(true)
      this.#respond(message, code.changed, noBytes, now)
      return
    }
    this.#finished ??= this.#result(now)
    if (this.#finished === undefined) {
      const payload = encodeSystemError(systemError.invalidState, 'no update is under way')
      this.#respond(message, coapCodeOf(systemError.invalidState), payload, now)
      return
    }
    const { code: responseCode, payload, responses } = this.#finished
    responses.push(this.#respond(message, responseCode, payload, now))
  }

  #result(now: Millis): Finished | undefined {
    const transfer = this.#transfer
    if (!transfer) return undefined
    const { chunks } = transfer
    const result = chunks.complete
      ? this.#target.finish()
      : {
          error: systemError.invalidState,
          message: `${chunks.contiguous} of ${chunks.count} chunks have arrived without a gap`,
        }
    const common = { responses: [], deadline: now + idleTimeout }
    if ('error' in result) {
      const { error, message: words } = result
      return { ...common, apply: false, code: coapCodeOf(error), payload: encodeSystemError(error, words) }
    }
    const payload = encodeUpdateCounts({
      received: chunks.contiguous,
      duplicates: transfer.duplicates,
      outOfOrder: transfer.outOfOrder,
      acks: transfer.acks,
      // The target validates within one call, and there is no clock here to measure it with.
      processingTime: 0,
    })
    return { ...common, apply: true, code: code.changed, payload }
  }

  /** The cloud knows the result: now it takes effect. */
  #acknowledged(id: number): boolean {
    const finished = this.#finished
    if (!finished?.responses.includes(id)) return false
    if (finished.apply) {
      this.#clear()
      this.#target.apply()
      return true
    }
    // A file that arrived whole and is wrong would be wrong again when resumed.
    const whole = this.#transfer?.chunks.complete ?? false
    this.#end(whole)
    // Device OS drops the connection in both cases (device-protocol.md 3.19). Where the file was judged there is nothing
    // left for a new connection to mend; where parts are missing it makes the cloud begin again.
    if (!whole) this.#handlers.failed(new ProtocolError('ota-update', 'the update ended before all of it had come'))
    return true
  }

  #refuse(message: CoapMessage, cause: unknown, now: Millis): void {
    const words = cause instanceof ProtocolError ? cause.message : String(cause)
    const response = {
      type: coapType.ack,
      code: coapCodeOf(systemError.invalidArgument),
      id: message.id,
      token: message.token,
      options: [],
      payload: encodeSystemError(systemError.invalidArgument, words),
    }
    if (message.type === coapType.con) this.#link.send(encodeMessage(response), now)
  }

  /** A separate confirmable response. @returns its id */
  #respond(request: CoapMessage, responseCode: number, payload: Uint8Array, now: Millis): number {
    const id = this.#link.nextMessageId()
    this.#link.send(encodeResponse({ type: coapType.con, id, token: request.token }, responseCode, payload), now)
    return id
  }

  #fail(error: ProtocolError): void {
    this.#end(false)
    this.#handlers.failed(error)
  }

  #end(discard: boolean): void {
    this.#clear()
    this.#target.cancel(discard)
  }

  #clear(): void {
    this.#transfer = undefined
    this.#finished = undefined
    this.#handlers.updating?.(false)
  }
}

/** @throws ProtocolError when a device would take the chunk as a violation of the protocol */
function checkSize(transfer: Transfer, index: number, size: number): void {
  const { chunks, start, offset } = transfer
  if (index > chunks.count) throw new ProtocolError('ota-update', `there is no chunk ${index} of ${chunks.count}`)
  const expected = Math.min(start.chunkSize, start.fileSize - offset - (index - 1) * start.chunkSize)
  if (size !== expected) throw new ProtocolError('ota-update', `chunk ${index} has ${size} bytes, not ${expected}`)
}

/** Device OS' OTA_UPDATE_ERROR (32), after which the device drops the connection. */
function otaError(cause: unknown): ProtocolError {
  const words = cause instanceof Error ? cause.message : String(cause)
  return new ProtocolError('ota-update', `the cloud broke the rules of the update: ${words}`, { cause })
}
