/**
 * What senders and receivers of both kinds of transfer share: the link below them, the update's place on the device,
 * and what they tell their owner (device-protocol.md 3.18, 3.19).
 */
import type { ProtocolError } from '../protocol-error.ts'
import type { Millis } from '../time.ts'

/**
 * What a session offers to a transfer.
 *
 * A transfer answers the messages that belong to it, acknowledgements included: when its `receive` returns true, the
 * session must not answer. Over an unreliable link the session retransmits confirmable messages, drops repetitions of
 * those received, and repeats the answer to them; a transfer survives repetitions nevertheless.
 */
export interface TransferLink {
  /** True when nothing is lost, repeated or reordered (TCP). */
  readonly reliable: boolean
  /** Largest CoAP message that the other end takes, in bytes. */
  readonly maxMessageSize: number
  /** True while so much waits to be written that file data had better wait too; senders ask again some ms later. */
  readonly congested?: boolean
  nextMessageId(): number
  /** 0 to 255. */
  nextToken(): number
  /** Sends an encoded CoAP message; a confirmable one is retransmitted by the link if it needs to be. */
  send(message: Uint8Array, now: Millis): void
}

/** What an update is, as its start request says. */
export interface UpdateRequest {
  /** Bytes of the whole file, 1 or more. */
  readonly size: number
  /** SHA-256 of the whole file; without it an update cannot be resumed. */
  readonly sha256?: Uint8Array
  /** Numeric module function, for example 9 for an asset. */
  readonly moduleFunction?: number
  /** Forget what is left of an earlier attempt. */
  readonly discard: boolean
  /** Bytes of every chunk but the last. */
  readonly chunkSize: number
}

/** A device's refusal: a system error of modules-and-platforms.md 4.3, and words for people. */
export interface UpdateError {
  readonly error: number
  readonly message?: string
}

/** The device's staging area, where a receiver puts the file (modules-and-platforms.md 4.4). */
export interface UpdateTarget {
  /** Makes ready. `offset` says how many bytes from the start are here already and need not come again. */
  begin(request: UpdateRequest): { readonly offset: number } | UpdateError
  /** Stores bytes of the file; always within it, in any order, each byte at least once before `finish`. */
  write(offset: number, bytes: Uint8Array): void
  /** All bytes are here: validates them, without effect. */
  finish(): { readonly ok: true } | UpdateError
  /** The cloud knows the result: hand the file to the bootloader and ask for a reset. */
  apply(): void
  /** The update ended early. What was stored may be kept for a resume unless `discard` is set. */
  cancel(discard: boolean): void
}

/** What a receiver tells the device. */
export interface ReceiverHandlers {
  /** An update began or ended: while one runs, a device publishes no events (device-protocol.md 3.18). */
  updating?(active: boolean): void
  /** The device must drop the connection; the update is cancelled already. */
  failed(error: ProtocolError): void
}

export type TransferStage = 'start' | 'transfer' | 'finish'

export interface TransferStats {
  /** Bytes of the file. */
  readonly bytes: number
  /** Offset at which the device resumed. */
  readonly resumedAt: number
  readonly chunks: number
  /** Chunks that were sent more than once, each time counted. */
  readonly resentChunks: number
  /** From the start to the result. */
  readonly duration: Millis
  /** What the device counted (`recv_chunks`, `dup_chunks`, `ooo_chunks`, `sent_acks`, `proc_time`), if it said. */
  readonly device?: Readonly<Record<string, number>>
}

export interface TransferFailure {
  readonly ok: false
  /** System error (modules-and-platforms.md 4.3): of the device, or -160 timeout, -140 cancelled, -150 connection lost. */
  readonly code: number
  readonly message: string
  readonly stage: TransferStage
}

export type TransferResult = { readonly ok: true; readonly stats: TransferStats } | TransferFailure

/** What a sender tells the cloud. */
export interface SenderHandlers {
  /** The device takes the file, from this offset on. */
  accepted?(offset: number): void
  /** Bytes of the file that the device has (chunked fast transfers: that were sent), resumed ones included. */
  progress?(bytes: number, total: number): void
  /** The end; called once. */
  done(result: TransferResult): void
}

/** No progress for as long as this ends a transfer, at both ends (device-protocol.md 6.1). */
export const idleTimeout = 300_000
/** Longest wait for the answer to a single request: an erase of flash takes seconds. */
export const answerTimeout = 60_000
