import { createHash, createPublicKey, type KeyObject } from 'node:crypto'
import { ProtocolError } from '../protocol-error.ts'
import type { Millis } from '../time.ts'
import { alertName, alertNumber, decodeAlert } from './alert.ts'
import { ClientHandshake } from './client-handshake.ts'
import { type DropCounters, type DropReason, newDropCounters } from './drops.ts'
import { ecPublicKeyDer } from './ec-keys.ts'
import { defaultHandshakeMtu } from './flight.ts'
import type { DtlsHandshakeStep } from './handshake-step.ts'
import { contentType, maxPlaintext, recordHeaderSize } from './profile.ts'
import { type OpenedRecord, type ProtectionState, RecordProtection } from './protection.ts'
import { join, Reader, u16 } from './reader.ts'
import { type DtlsRecord, parseDatagram } from './record.ts'
import { decodeStored, encodeStored } from './stored.ts'

/**
 * How the device names its session after a resume (device-protocol.md 2.6.2), by Device OS version: `4.0` and later mark
 * records with type 253, `3.1` to 3.3 do not mark them, and those before (`0.6`) have no connection id and append the
 * device id to records of type 254.
 */
export type DtlsDialect = '4.0' | '3.1' | '0.6'

/** What the device's end tells its owner. */
export interface DtlsClientHandlers {
  /** A datagram for the server. */
  send(datagram: Uint8Array): void
  /** Messages may be sent. When resumed, `application` is what was last given to `remember`, and no Hello is due. */
  established(info: { readonly resumed: boolean; readonly application: Uint8Array }): void
  /** One CoAP message, in memory of its own. */
  message(message: Uint8Array): void
  /**
   * Keep this durably, before returning, in place of what was kept before; undefined: erase it. It is the session key.
   */
  store(session: Uint8Array | undefined): void
  /** The end of the channel; the session is erased. Called at most once, and never after `close` or `discard`. */
  failed(step: DtlsHandshakeStep, error: ProtocolError): void
}

export interface DtlsClientOptions {
  /** P-256 private key of the device. */
  readonly deviceKey: KeyObject
  /** P-256 public key of the server: the only thing that the device trusts. */
  readonly serverKey: KeyObject
  /** 24 hex digits. */
  readonly deviceId: string
  readonly random: (size: number) => Uint8Array
  readonly handlers: DtlsClientHandlers
  /** What `store` got last. Damaged, of other keys or of another server, it is as if there was none. */
  readonly stored?: Uint8Array | undefined
  /** Any text that names the server; a session belongs to it. */
  readonly server?: string
  readonly dialect?: DtlsDialect
  /** Largest datagram of a handshake. */
  readonly mtu?: number
  /** Record numbers that a stored session sets aside; half of them may be sent between two calls of `store`. */
  readonly sequenceReserve?: number
}

/** So many resumes without any answer, and the session is given up (device-protocol.md 2.6.1). */
export const maxFruitlessResumes = 3

export const defaultDeviceSequenceReserve = 1024

const storedVersion = 2
const fingerprintSize = 16

/**
 * The device's end of the UDP transport (device-protocol.md 2): handshake, or resume of the stored session without one.
 *
 * Sans-IO like its counterpart. Whatever comes in, nothing throws.
 */
export class DtlsClient {
  /** Largest message that `send` takes, in bytes. */
  readonly maxMessageSize = maxPlaintext
  /** Datagrams and records without effect, by reason. */
  readonly drops: DropCounters = newDropCounters()

  readonly #options: DtlsClientOptions
  readonly #dialect: DtlsDialect
  readonly #fingerprint: Uint8Array
  #handshake: ClientHandshake | undefined
  #protection: RecordProtection | undefined
  #step: DtlsHandshakeStep = 'hello'
  #ended = false
  #uses = 0
  /** Until the server's first record after a resume. */
  #unanswered = false
  #remembered = false
  #application: Uint8Array = new Uint8Array()

  /** @throws ProtocolError `ec-key` or `device-id` when one of them is unusable */
  constructor(options: DtlsClientOptions) {
    if (!/^[0-9a-f]{24}$/i.test(options.deviceId)) {
      throw new ProtocolError('device-id', 'a device id has 24 hex digits')
    }
    this.#options = options
    this.#dialect = options.dialect ?? '4.0'
    this.#fingerprint = fingerprintOf(options.serverKey, options.deviceKey, options.server ?? '')
  }

  /** Where the handshake stands; `open` once messages flow. After a failure, where it failed. */
  get step(): DtlsHandshakeStep {
    return this.#step
  }

  /** Neither failed nor closed. */
  get alive(): boolean {
    return !this.#ended
  }

  /** Resumes the stored session, or begins a handshake. */
  start(now: Millis): void {
    if (this.#ended || this.#handshake !== undefined || this.#protection !== undefined) return
    const stored = this.#load()
    if (stored !== undefined) {
      this.#resume(stored)
      return
    }
    if (this.#options.stored !== undefined) this.#options.handlers.store(undefined)
    const { deviceKey, serverKey, random, mtu = defaultHandshakeMtu, handlers } = this.#options
    this.#handshake = new ClientHandshake(
      {
        deviceKey,
        serverKey,
        random,
        mtu,
        connectionId: this.#dialect !== '0.6',
        handlers: {
          send: (datagram) => handlers.send(datagram),
          dropped: (reason) => this.#drop(reason),
          failed: (step, error) => this.#fail(step, error),
          established: (protection) => {
            this.#protection = protection
            this.#handshake = undefined
            this.#step = 'open'
            handlers.established({ resumed: false, application: this.#application })
          },
        },
      },
      now,
    )
    this.#step = this.#handshake.step
  }

  /** A datagram from the server. */
  receive(datagram: Uint8Array, now: Millis): void {
    if (this.#ended) return
    if (datagram.length < recordHeaderSize) {
      this.#drop('short')
      return
    }
    const parsed = parseDatagram(datagram)
    if (parsed.malformed || parsed.moved) this.#drop('malformed')
    for (const record of parsed.moved ? [] : parsed.records) {
      if (this.#ended) return
      if (this.#handshake !== undefined) this.#receiveHandshake(this.#handshake, record, now)
      else if (this.#protection !== undefined) this.#receiveRecord(this.#protection, record)
    }
  }

  /**
   * Sends one CoAP message. Without effect once the channel has ended; an empty message is not sent.
   *
   * @throws ProtocolError `not-open` before `established`, `message-too-large` above `maxMessageSize`
   */
  send(message: Uint8Array): void {
    if (this.#ended || message.length === 0) return
    const protection = this.#protection
    if (protection === undefined) {
      throw new ProtocolError('not-open', 'the handshake is not over: there is nobody to send to')
    }
    if (message.length > maxPlaintext) {
      throw new ProtocolError('message-too-large', `${message.length} bytes are above ${maxPlaintext}`)
    }
    if (protection.reserveLow) this.#store()
    const record = protection.seal(contentType.applicationData, message)
    this.#options.handlers.send(this.#unanswered ? this.#mark(record) : record)
  }

  /**
   * Stores the session, from now on for as long as it lives: call it when the server has acknowledged the Hello
   * (device-protocol.md 2.6.1), and again whenever the state to be kept beside it changes.
   *
   * @param application at most 4096 bytes: the state that decides after a resume what the server must be told again
   */
  remember(application: Uint8Array): void {
    if (this.#ended || this.#protection === undefined) return
    if (application.length > 4096) throw new RangeError('at most 4096 bytes can be kept beside a session')
    this.#application = application.slice()
    this.#remembered = true
    this.#store()
  }

  /** Repeats flights, and fails a handshake that takes too long. */
  poll(now: Millis): void {
    this.#handshake?.poll(now)
  }

  /** When `poll` has something to do. */
  nextDeadline(): Millis | undefined {
    return this.#ended ? undefined : this.#handshake?.nextDeadline()
  }

  /** Ends the channel without a word; the stored session may be resumed. No handler is called any more. */
  close(): void {
    // The exact state, so that the next life need not skip numbers that were only set aside.
    if (!this.#ended && this.#remembered) this.#store(0)
    this.#end()
  }

  /** Ends the channel and erases the session, as after a CoAP timeout or a Reset (device-protocol.md 2.10). */
  discard(): void {
    if (this.#ended) return
    this.#end()
    this.#options.handlers.store(undefined)
  }

  #receiveHandshake(handshake: ClientHandshake, record: DtlsRecord, now: Millis): void {
    handshake.receive(record, now)
    if (this.#handshake !== undefined) this.#step = handshake.step
  }

  #receiveRecord(protection: RecordProtection, record: DtlsRecord): void {
    const opened = protection.open(record)
    if (typeof opened === 'string') {
      this.#drop(opened)
      return
    }
    if (this.#unanswered) {
      this.#unanswered = false
      this.#uses = 0
      this.#store()
    }
    this.#take(opened)
  }

  #take(opened: OpenedRecord): void {
    if (opened.type === contentType.applicationData) {
      if (opened.content.length > 0) this.#options.handlers.message(opened.content)
    } else if (opened.type === contentType.alert) {
      const alert = decodeAlert(opened.content)
      if (alert === undefined || (!alert.fatal && alert.description !== alertNumber.close_notify)) return
      const words = `the server ended the session: ${alertName(alert.description)}`
      this.#fail('open', new ProtocolError('alert', words))
    } else {
      this.#drop('content')
    }
  }

  #resume(stored: { state: ProtectionState; uses: number; application: Uint8Array }): void {
    this.#protection = new RecordProtection({ ...stored.state, end: 'client' })
    this.#uses = stored.uses + 1
    this.#application = stored.application
    this.#unanswered = true
    this.#remembered = true
    this.#step = 'open'
    // Before anything is sent: a crash from here on must neither forget the attempt nor use a number twice.
    this.#store()
    this.#options.handlers.established({ resumed: true, application: stored.application })
  }

  #load(): { state: ProtectionState; uses: number; application: Uint8Array } | undefined {
    const decoded = this.#options.stored && decodeStored(storedVersion, this.#options.stored)
    if (decoded === undefined) return undefined
    const reader = new Reader(decoded.rest)
    const uses = reader.uint(1)
    const fingerprint = reader.bytes(fingerprintSize)
    const application = reader.vector(2).slice()
    if (!reader.done || Buffer.compare(fingerprint, this.#fingerprint) !== 0) return undefined
    if (uses >= maxFruitlessResumes || (decoded.state.cid !== undefined) !== (this.#dialect !== '0.6')) return undefined
    return { state: decoded.state, uses, application }
  }

  #store(reserve = this.#options.sequenceReserve ?? defaultDeviceSequenceReserve): void {
    if (!this.#remembered || this.#protection === undefined) return
    const rest = join([this.#uses], this.#fingerprint, u16(this.#application.length), this.#application)
    this.#options.handlers.store(encodeStored(storedVersion, this.#protection.reserve(reserve), rest))
  }

  /** Marks a finished record; its protection does not cover the mark (device-protocol.md 2.6.2). */
  #mark(record: Uint8Array): Uint8Array {
    if (this.#dialect === '3.1') return record
    if (this.#dialect === '4.0') {
      record[0] = contentType.movedConnectionId
      return record
    }
    const id = Buffer.from(this.#options.deviceId, 'hex')
    const marked = join(record, id, [id.length])
    marked[0] = contentType.movedDevice
    return marked
  }

  #fail(step: DtlsHandshakeStep, error: ProtocolError): void {
    this.#end()
    this.#step = step
    this.#options.handlers.store(undefined)
    this.#options.handlers.failed(step, error)
  }

  #end(): void {
    this.#ended = true
    this.#handshake?.close()
    this.#handshake = undefined
  }

  #drop(reason: DropReason): void {
    this.drops[reason]++
  }
}

/** Of both keys and the server's name: with any other, the session means nothing (device-protocol.md 2.6.1). */
function fingerprintOf(serverKey: KeyObject, deviceKey: KeyObject, server: string): Uint8Array {
  const devicePublicKey = ecPublicKeyDer(createPublicKey(deviceKey))
  const hash = createHash('sha256').update(ecPublicKeyDer(serverKey)).update(devicePublicKey).update(server)
  return hash.digest().subarray(0, fingerprintSize)
}
