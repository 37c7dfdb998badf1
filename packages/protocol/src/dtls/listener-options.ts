/** What a listener is made of and tells its owner. */
import type { KeyObject } from 'node:crypto'
import type { ProtocolError } from '../protocol-error.ts'
import type { Millis } from '../time.ts'
import type { HandshakeLimits } from './admission.ts'
import type { DtlsHandshakeStep } from './handshake-step.ts'
import type { DtlsSession } from './session.ts'

/** By what a datagram named a session that is not in memory. */
export type SessionKey =
  | { readonly kind: 'cid'; readonly cid: Uint8Array; readonly node: number }
  | { readonly kind: 'device'; readonly deviceId: string }
  | { readonly kind: 'address'; readonly address: string }

/** All are called from within `receive`, `poll` and `bind`. An address is any text that names it, with a port behind the last colon. */
export interface DtlsListenerHandlers {
  send(datagram: Uint8Array, address: string): void
  /**
   * A client finished a handshake and has proven the key `session.publicKey`. Who it is, its first message says: compare
   * key and device id of the Hello, then `bind` the session to the device, or `close` it.
   */
  established(session: DtlsSession, now: Millis): void
  /** One CoAP message, in memory of its own. */
  message(session: DtlsSession, message: Uint8Array, now: Millis): void
  /** An authentic record came from a new address, where answers go from now on. */
  moved?(session: DtlsSession, previousAddress: string): void
  /** The session has ended by an alert of the device, or had to make room. Not told after `close` and `bind`. */
  closed(session: DtlsSession, error: ProtocolError): void
  /** Not for each noise on the port: only what began like a handshake of DTLS. */
  handshakeFailed?(address: string, step: DtlsHandshakeStep, error: ProtocolError): void
  /** A datagram of a session that is not in memory: give it, restored, or route the datagram to its node. */
  find?(key: SessionKey, datagram: Uint8Array, address: string, now: Millis): DtlsSession | undefined
}

export interface DtlsListenerOptions {
  /** P-256 private key. */
  readonly serverKey: KeyObject
  /** Cryptographically secure random bytes. */
  readonly random: (size: number) => Uint8Array
  readonly handlers: DtlsListenerHandlers
  /** 0 to 65535: the first two bytes of all connection ids of this node. */
  readonly node?: number
  /** Replaces the rule of `HandshakeLimits.unverifiedPerSecond`: whether a client must show that its address is real. */
  readonly needCookie?: (address: string, load: { handshakes: number; sessions: number }, now: Millis) => boolean
  readonly limits?: Partial<HandshakeLimits>
  /** Sessions in memory; beyond, no handshake begins. */
  readonly maxSessions?: number
  /** Sessions that may keep long-lived ciphers, the busiest ones. */
  readonly hotSessions?: number
  /** Largest datagram of a handshake. */
  readonly mtu?: number
  /** Ask for the device's key, and refuse who has none. Unless told otherwise, it is asked for. */
  readonly requireClientKey?: boolean
}

export const defaultMaxSessions = 100_000
export const defaultHotSessions = 2_048
