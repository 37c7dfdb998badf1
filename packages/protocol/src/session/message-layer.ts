/**
 * CoAP's message layer for one session: ids, acknowledgements, and over datagrams retransmission and deduplication.
 * Over TCP none of these is needed, and devices do neither (device-protocol.md 3.2).
 */

import { encodeEmptyAck } from '../coap/codec.ts'
import { Deduplication } from '../coap/deduplication.ts'
import { Retransmission, type RetransmissionLimits } from '../coap/retransmission.ts'
import type { Millis } from '../time.ts'

/** What became of a confirmable message. */
export type Acknowledgement =
  /** An acknowledgement with this code came; 0 when it was empty. */
  | { readonly kind: 'acknowledged'; readonly code: number }
  | { readonly kind: 'reset' }
  /** Never acknowledged: after all retransmissions, or at its deadline. */
  | { readonly kind: 'given-up' }
  | { readonly kind: 'closed' }

interface Waiting {
  readonly deadline: Millis
  readonly ended: (acknowledgement: Acknowledgement) => void
}

export interface MessageLayerOptions {
  readonly transport: 'tcp' | 'udp'
  readonly firstMessageId: number
  /** Uniform in [0, 1). */
  readonly random: () => number
  /** What puts messages on the way; not used any more after `close`. */
  readonly handlers: { send(message: Uint8Array): void }
  readonly limits: RetransmissionLimits
  /** How long received ids are remembered. */
  readonly exchangeLifetime: Millis
}

/** Ids remembered of one peer: a device that fills it within the lifetime sends more than 4 messages a second. */
const deduplicationCapacity = 1024

export class MessageLayer {
  /** True over a channel that neither loses nor repeats. */
  readonly reliable: boolean
  readonly #handlers: { send(message: Uint8Array): void }
  readonly #retransmission: Retransmission | undefined
  readonly #deduplication: Deduplication | undefined
  #waiting: Map<number, Waiting> | undefined
  #nextId: number
  #closed = false

  constructor(options: MessageLayerOptions) {
    this.reliable = options.transport === 'tcp'
    this.#handlers = options.handlers
    this.#nextId = options.firstMessageId & 0xffff
    if (this.reliable) return
    this.#retransmission = new Retransmission(options.limits, options.random)
    this.#deduplication = new Deduplication(options.exchangeLifetime, deduplicationCapacity)
  }

  /** Confirmable messages that wait for their acknowledgement. */
  get outstanding(): number {
    return Math.max(this.#retransmission?.size ?? 0, this.#waiting?.size ?? 0)
  }

  /** The id from which `nextId` goes on. */
  get upcomingId(): number {
    return this.#nextId
  }

  /** The next message id of this end; never one that still waits for its acknowledgement. */
  nextId(): number {
    do {
      const id = this.#nextId
      this.#nextId = (id + 1) & 0xffff
      if (!this.#retransmission?.has(id) && !this.#waiting?.has(id)) return id
    } while (this.outstanding < 0x10000)
    return this.#nextId
  }

  send(message: Uint8Array): void {
    if (!this.#closed) this.#handlers.send(message)
  }

  /**
   * Sends a confirmable message.
   *
   * @param ended told once what became of it
   * @param timeout for `ended` over a reliable channel, where no retransmission ends it
   */
  sendConfirmable(
    id: number,
    message: Uint8Array,
    now: Millis,
    ended?: (acknowledgement: Acknowledgement) => void,
    timeout: Millis = Number.POSITIVE_INFINITY,
  ): void {
    this.#retransmission?.track(id, message, now)
    if (ended) {
      this.#waiting ??= new Map()
      this.#waiting.set(id, { deadline: now + timeout, ended })
    }
    this.send(message)
  }

  /** An acknowledgement came, or an answer that stands for it. False when nothing waited for it. */
  acknowledge(id: number, code: number): boolean {
    const tracked = this.#retransmission?.acknowledge(id) ?? false
    return this.#end(id, { kind: 'acknowledged', code }) || tracked
  }

  /** A reset came. False when nothing of that id is outstanding. */
  reset(id: number): boolean {
    const tracked = this.#retransmission?.acknowledge(id) ?? false
    return this.#end(id, { kind: 'reset' }) || tracked
  }

  /** Notes a received message; false when it is a repetition, whose answer has been sent again. */
  receive(id: number, now: Millis): boolean {
    if (!this.#deduplication || this.#deduplication.receive(id, now)) return true
    const answer = this.#deduplication.answerTo(id)
    if (answer) this.send(answer)
    return false
  }

  /** Answers a received message with an acknowledgement or a response of the same id, kept for repetitions. */
  answer(id: number, message: Uint8Array): void {
    this.#deduplication?.answered(id, message)
    this.send(message)
  }

  /** The empty acknowledgement. */
  answerEmpty(id: number): void {
    this.answer(id, encodeEmptyAck(id))
  }

  /** Sends what is due again. @returns ids of messages that were given up after all retransmissions */
  poll(now: Millis): readonly number[] {
    const due = this.#retransmission?.poll(now)
    for (const message of due?.send ?? []) this.send(message)
    for (const id of due?.gaveUp ?? []) this.#end(id, { kind: 'given-up' })
    if (this.#waiting) {
      for (const [id, { deadline }] of this.#waiting) {
        // Over UDP the message itself is still tried: only its sender has waited long enough.
        if (deadline <= now) this.#end(id, { kind: 'given-up' })
      }
    }
    return due?.gaveUp ?? []
  }

  nextDeadline(): Millis | undefined {
    let next = this.#retransmission?.nextDeadline()
    if (!this.#waiting) return next
    for (const { deadline } of this.#waiting.values()) {
      if (deadline !== Number.POSITIVE_INFINITY && (next === undefined || deadline < next)) next = deadline
    }
    return next
  }

  /** Tells all who wait that the session is over. */
  close(): void {
    this.#closed = true
    for (const id of [...(this.#waiting?.keys() ?? [])]) this.#end(id, { kind: 'closed' })
  }

  #end(id: number, acknowledgement: Acknowledgement): boolean {
    const waiting = this.#waiting?.get(id)
    if (!waiting) return false
    this.#waiting?.delete(id)
    waiting.ended(acknowledgement)
    return true
  }
}
