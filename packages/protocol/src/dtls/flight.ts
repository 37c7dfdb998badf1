import type { Millis } from '../time.ts'
import { fragmentHandshake, type HandshakeMessage } from './handshake-message.ts'
import { contentType, handshakeHeaderSize, handshakeType, recordHeaderSize } from './profile.ts'
import { encodePlainRecord, packRecords } from './record.ts'

/** When an unanswered flight is sent again. */
export interface FlightTimes {
  readonly initial: Millis
  readonly max: Millis
}

/** Sends again after 3, 6, 12 and 24 s, as devices do (device-protocol.md 2.8). */
export const deviceFlightTimes: FlightTimes = { initial: 3000, max: 24_000 }
/** The server is a little faster. */
export const serverFlightTimes: FlightTimes = { initial: 2000, max: 16_000 }

/** Datagrams of a handshake that pass everywhere; devices assume it after the first loss (device-protocol.md 2.8). */
export const defaultHandshakeMtu = 508

/** A part of a flight: a record of its own number whenever it is sent. */
export type FlightPart =
  | { readonly kind: 'message'; readonly message: HandshakeMessage }
  | { readonly kind: 'change-cipher-spec' }
  /** The message goes out protected. */
  | { readonly kind: 'protected'; readonly message: HandshakeMessage }

export interface FlightLink {
  readonly mtu: number
  /** Number of the next record of epoch 0. */
  nextSequence(): number
  seal(type: number, content: Uint8Array): Uint8Array
  send(datagram: Uint8Array): void
}

/** Messages that are sent, and sent again, together (RFC 6347 4.2.4). */
export class Flight {
  readonly #parts: readonly FlightPart[]
  readonly #link: FlightLink
  readonly #times: FlightTimes
  #timeout: Millis
  #deadline: Millis | undefined
  #lastSent: Millis = 0

  constructor(parts: readonly FlightPart[], link: FlightLink, times: FlightTimes) {
    this.#parts = parts
    this.#link = link
    this.#times = times
    this.#timeout = times.initial
  }

  get deadline(): Millis | undefined {
    return this.#deadline
  }

  /** When it went out last. */
  get lastSent(): Millis {
    return this.#lastSent
  }

  /** @returns bytes sent */
  send(now: Millis): number {
    const datagrams = packRecords(this.#records(), this.#link.mtu)
    for (const datagram of datagrams) this.#link.send(datagram)
    this.#lastSent = now
    this.#deadline = now + this.#timeout
    return datagrams.reduce((size, datagram) => size + datagram.length, 0)
  }

  /** Sends again when nothing was heard for long enough. */
  poll(now: Millis): void {
    if (this.#deadline === undefined || now < this.#deadline) return
    this.#timeout = Math.min(this.#timeout * 2, this.#times.max)
    this.send(now)
  }

  #records(): Uint8Array[] {
    const room = this.#link.mtu - recordHeaderSize - handshakeHeaderSize
    const records: Uint8Array[] = []
    for (const part of this.#parts) {
      if (part.kind === 'change-cipher-spec') {
        records.push(encodePlainRecord(contentType.changeCipherSpec, this.#link.nextSequence(), Uint8Array.of(1)))
      } else {
        // Finished is small, and nobody remembers the first piece of a hello (see DtlsListener).
        const whole = part.kind === 'protected' || part.message.type === handshakeType.clientHello
        const fragments = fragmentHandshake(part.message, whole ? part.message.body.length : room)
        for (const fragment of fragments) records.push(this.#record(part.kind, fragment))
      }
    }
    return records
  }

  #record(kind: 'message' | 'protected', fragment: Uint8Array): Uint8Array {
    if (kind === 'protected') return this.#link.seal(contentType.handshake, fragment)
    return encodePlainRecord(contentType.handshake, this.#link.nextSequence(), fragment)
  }
}
