import { ProtocolError } from '../protocol-error.ts'
import type { Millis } from '../time.ts'
import { encodeAlert } from './alert.ts'
import { ecPointOf, ecPointSize, ecPublicKeyDerOfPoint } from './ec-keys.ts'
import type { Flight } from './flight.ts'
import type { HotPool } from './hot-pool.ts'
import { contentType } from './profile.ts'
import { type OpenedRecord, type OpenFailure, RecordProtection } from './protection.ts'
import { join, Reader } from './reader.ts'
import type { DtlsRecord } from './record.ts'
import { decodeStored, encodeStored } from './stored.ts'

/** Sequence numbers that a stored session keeps for the life it was stored in (device-protocol.md 2.6.3). */
export const defaultSequenceReserve = 65_536

const storedVersion = 1

export interface DtlsSessionState {
  readonly protection: RecordProtection
  readonly address: string
  readonly publicKey: Uint8Array | undefined
  readonly deviceId?: string | undefined
  readonly lastFlight?: Flight | undefined
}

/**
 * An established connection, at the cloud's end. It outlives addresses and restarts: only the device, a new handshake of
 * the same device, or the owner ends it.
 */
export class DtlsSession {
  readonly #protection: RecordProtection
  /** X and Y of the device's key: 64 bytes, which V8 keeps in its heap. */
  readonly #coordinates: Uint8Array | undefined
  #address: string
  #deviceId: string | undefined
  #lastFlight: Flight | undefined
  #alive = true

  constructor(state: DtlsSessionState) {
    this.#protection = state.protection
    this.#coordinates = state.publicKey && ecPointOf(state.publicKey).slice(1)
    this.#address = state.address
    this.#deviceId = state.deviceId
    this.#lastFlight = state.lastFlight
  }

  /** 8 bytes; undefined for devices before Device OS 3.1. */
  get cid(): Uint8Array | undefined {
    return this.#protection.cid
  }

  /** Where the device was heard last, by an authentic record. */
  get address(): string {
    return this.#address
  }

  /** 91 bytes of SubjectPublicKeyInfo whose private key the device has proven to hold; compare it at Hello. */
  get publicKey(): Uint8Array | undefined {
    const coordinates = this.#coordinates
    if (coordinates === undefined) return undefined
    const point = new Uint8Array(ecPointSize)
    point[0] = 0x04
    point.set(coordinates, 1)
    return ecPublicKeyDerOfPoint(point)
  }

  /** 24 hex digits; undefined until the owner has bound the session to the device of its Hello. */
  get deviceId(): string | undefined {
    return this.#deviceId
  }

  /** False once it was closed or replaced. */
  get alive(): boolean {
    return this.#alive
  }

  /** Half of the sequence numbers of the last `serialize` are used: store the session again. */
  get saveDue(): boolean {
    return this.#protection.reserveLow
  }

  /** All of them are used: nothing can be sent before the session is stored again. */
  get exhausted(): boolean {
    return this.#protection.exhausted
  }

  /** The record number that the next message gets. */
  get sendSequence(): number {
    return this.#protection.sendSequence
  }

  /**
   * The datagram for one CoAP message, to be sent to `address`.
   *
   * @throws ProtocolError `record-too-large` above 1152 bytes; `sequence-reserve` when the session was serialized but not
   *   again while `saveDue`; `not-open` after its end
   */
  seal(message: Uint8Array): Uint8Array {
    if (!this.#alive) throw new ProtocolError('not-open', 'the session has ended')
    return this.#protection.seal(contentType.applicationData, message)
  }

  /** The datagram that makes the device erase the session and begin a new one (device-protocol.md 2.9). */
  sealClose(): Uint8Array {
    return this.#protection.seal(contentType.alert, encodeAlert('close_notify'))
  }

  /** Opens a record of the device. Only an authentic one changes anything. */
  open(record: DtlsRecord): OpenedRecord | OpenFailure {
    return this.#protection.open(record)
  }

  /**
   * About 200 bytes from which `restore` goes on: after a restart, or on another node.
   *
   * The stored session continues `reserve` record numbers ahead, so that none is used twice however long this one goes on
   * sending; for the same reason this one stops there, unless it is serialized again in time (see `saveDue`).
   */
  serialize(reserve = defaultSequenceReserve): Uint8Array {
    const key = this.publicKey
    const deviceId = Buffer.from(this.#deviceId ?? '', 'hex')
    const address = Buffer.from(this.#address)
    const rest = join(
      [key === undefined ? 0 : 1],
      key === undefined ? [] : ecPointOf(key),
      [deviceId.length],
      deviceId,
      [address.length],
      address,
    )
    return encodeStored(storedVersion, this.#protection.reserve(reserve), rest)
  }

  /** @throws ProtocolError `stored-session` when the bytes are damaged or of another version */
  static restore(stored: Uint8Array, hotPool?: HotPool): DtlsSession {
    const decoded = decodeStored(storedVersion, stored)
    if (decoded === undefined) throw damaged()
    const reader = new Reader(decoded.rest)
    const publicKey = reader.uint(1) === 1 ? ecPublicKeyDerOfPoint(reader.bytes(ecPointSize)) : undefined
    const deviceId = Buffer.from(reader.vector(1)).toString('hex')
    const address = Buffer.from(reader.vector(1)).toString()
    if (!reader.done) throw damaged()
    return new DtlsSession({
      protection: new RecordProtection({ ...decoded.state, end: 'server', hotPool }),
      address,
      publicKey,
      deviceId: deviceId === '' ? undefined : deviceId,
    })
  }

  /** For the listener: an authentic record came from here. */
  moveTo(address: string): void {
    this.#address = address
  }

  /** For the listener: the session belongs to this device. */
  assign(deviceId: string): void {
    this.#deviceId = deviceId
  }

  /** For the listener: the device has seen the end of the handshake. */
  settle(): void {
    this.#lastFlight = undefined
  }

  /** For the listener: the device repeats the end of its handshake, so it has not seen ours. */
  repeatHandshake(now: Millis): void {
    this.#lastFlight?.send(now)
  }

  /** For the listener: the session has ended. */
  end(): void {
    this.#alive = false
    this.#lastFlight = undefined
    this.#protection.dispose()
  }
}

function damaged(): ProtocolError {
  return new ProtocolError('stored-session', 'the stored session is damaged or of another version')
}
