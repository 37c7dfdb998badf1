/** One attempt to reach the cloud and, if it succeeds, the way to it: a socket of the HAL and the secure channel on it. */
import type { ProtocolError } from '@aloe/protocol'
import type { Millis } from '../../hal/time.ts'

export interface Established {
  /** The id of the session's first message. */
  readonly firstMessageId: number
  /** What was last given to `remember`, when an earlier session goes on: no Hello is due if it still holds. */
  readonly resumed?: Uint8Array
}

export interface LinkHandlers {
  /** The network stands; the handshake begins. */
  opened(): void
  /** Messages may be sent. */
  established(info: Established): void
  /** One CoAP message. */
  message(message: Uint8Array): void
  /** The end, unless the owner ended it itself. */
  failed(step: string, error: ProtocolError | undefined, words?: string): void
  /** Something came in: `nextDeadline` may be another. */
  active(): void
}

export interface Link {
  readonly transport: 'tcp' | 'udp'
  send(message: Uint8Array): void
  /**
   * Lets a later life of the device go on with this session, where the transport can: what the cloud was told, and a
   * way to learn the next message id.
   */
  remember(told: Uint8Array, nextMessageId: () => number): void
  poll(now: Millis): void
  nextDeadline(): Millis | undefined
  /** Sends what is still waiting and closes; resolves when it is closed. */
  end(): Promise<void>
  /** Closes at once. @param erase the session must not go on, neither now nor later */
  drop(erase: boolean): void
}

/** Longest wait for the network to connect (device-protocol.md 6.1: 20 s for each blocking step). */
export const connectTimeout: Millis = 20_000
/** Longest wait until what is left is sent and the socket closed (device-protocol.md 3.4.4). */
export const closeTimeout: Millis = 5_000
