import { createSecretKey, type KeyObject } from 'node:crypto'
import { ProtocolError } from '../protocol-error.ts'
import { type Ccm, CcmCipher, fitsHot, HotCcmCipher } from './ccm.ts'
import { type Heat, type Hot, type HotPool, newHeat } from './hot-pool.ts'
import { keyBlockSize } from './prf.ts'
import {
  cidSize,
  contentType,
  dtlsVersion,
  explicitNonceSize,
  maxPlaintext,
  maxSequence,
  recordHeaderSize,
  tagSize,
} from './profile.ts'
import { type DtlsRecord, writeNumber } from './record.ts'
import { ReplayWindow } from './replay-window.ts'

/** The only epoch with keys: there is no renegotiation. */
export const protectedEpoch = 1

/** What a record held. */
export interface OpenedRecord {
  /** 20 to 23, also for records of type 25. */
  readonly type: number
  /** In memory of its own. */
  readonly content: Uint8Array
  /** No record with a higher number came before: only such a one may say that the other end has moved. */
  readonly newest: boolean
}

/** Why a record was left unread. */
export type OpenFailure = 'epoch' | 'replay' | 'malformed' | 'too-large' | 'mac'

/** What survives of a connection: enough to go on without a handshake. */
export interface ProtectionState {
  readonly keyBlock: Uint8Array
  readonly cid: Uint8Array | undefined
  readonly sendSequence: number
  readonly window: { readonly top: number; readonly high: number; readonly low: number }
}

export interface ProtectionOptions extends ProtectionState {
  readonly end: 'client' | 'server'
  readonly hotPool?: HotPool | undefined
}

/**
 * The protected records of one connection, both directions (device-protocol.md 2.4).
 *
 * The connection id goes one way: the device puts the server's into its records, the server's records have none.
 *
 * Ten thousand of these live in one process, most of them idle: secrets and connection id lie in one array, and key
 * objects are made for a record and let go, for they cost more memory than all the rest (docs/benchmarks.md).
 */
export class RecordProtection implements Hot {
  /** The key block, and behind it the connection id. At most 64 bytes, which V8 keeps in its heap. */
  readonly #secrets: Uint8Array
  readonly #end: 'client' | 'server'
  readonly #window: ReplayWindow
  readonly #pool: HotPool | undefined
  readonly #heat: Heat = newHeat()
  #hotWrite: Ccm | undefined
  #hotRead: Ccm | undefined
  #next: number
  #limit = maxSequence
  #reserved = 0

  constructor(options: ProtectionOptions) {
    const { keyBlock, end } = options
    if (keyBlock.length !== keyBlockSize) throw new RangeError(`a key block has ${keyBlockSize} bytes`)
    this.#secrets = new Uint8Array(keyBlockSize + (options.cid?.length ?? 0))
    this.#secrets.set(keyBlock)
    if (options.cid !== undefined) this.#secrets.set(options.cid, keyBlockSize)
    this.#end = end
    this.#window = ReplayWindow.restore(options.window)
    this.#next = options.sendSequence
    this.#pool = options.hotPool
  }

  /** The server's connection id, if there is one; a view. */
  get cid(): Uint8Array | undefined {
    return this.#hasCid ? this.#secrets.subarray(keyBlockSize) : undefined
  }

  get #hasCid(): boolean {
    return this.#secrets.length > keyBlockSize
  }

  /** Sequence number of the next record to be sent. */
  get sendSequence(): number {
    return this.#next
  }

  /**
   * Sequence numbers must be reserved in storage again soon: half of what `reserve` gave is used up. Never true before
   * the first `reserve`.
   */
  get reserveLow(): boolean {
    return this.#limit !== maxSequence && this.#limit - this.#next < this.#reserved / 2
  }

  /** No sequence number is left: `seal` throws. */
  get exhausted(): boolean {
    return this.#next >= this.#limit
  }

  /**
   * Reserves sequence numbers and gives the state from which a later life of this connection may go on: it starts behind
   * all numbers that this one can still use. From now on this one stops at them, unless it reserves anew.
   */
  reserve(count: number): ProtectionState {
    this.#reserved = count
    this.#limit = Math.min(this.#next + count, maxSequence)
    const keyBlock = this.#secrets.subarray(0, keyBlockSize)
    return { keyBlock, cid: this.cid, sendSequence: this.#limit, window: this.#window.state() }
  }

  /**
   * Makes a whole record.
   *
   * @throws ProtocolError `record-too-large`; `sequence-reserve` when the reserved sequence numbers are used up
   */
  seal(type: number, content: Uint8Array): Uint8Array {
    if (content.length > maxPlaintext) {
      throw new ProtocolError('record-too-large', `${content.length} bytes are above ${maxPlaintext} of a record`)
    }
    if (this.exhausted) {
      throw new ProtocolError('sequence-reserve', 'the session was not stored in time and must not send any more')
    }
    const cid = this.#end === 'client' ? this.cid : undefined
    const plaintext = cid === undefined ? content : innerPlaintext(type, content)
    const outerType = cid === undefined ? type : contentType.connectionId
    const headerSize = recordHeaderSize + (cid?.length ?? 0)
    const sealedSize = plaintext.length + tagSize
    const out = new Uint8Array(headerSize + explicitNonceSize + sealedSize)
    out[0] = outerType
    out[1] = dtlsVersion >>> 8
    out[2] = dtlsVersion & 0xff
    writeNumber(out, 3, protectedEpoch, this.#next++)
    if (cid !== undefined) out.set(cid, 11)
    out[headerSize - 2] = (explicitNonceSize + sealedSize) >>> 8
    out[headerSize - 1] = explicitNonceSize + sealedSize
    const number = out.subarray(3, 11)
    out.set(number, headerSize)
    const aad = associatedData(number, outerType, cid, plaintext.length)
    const nonce = this.#nonce('write', out, headerSize)
    this.#cipher('write', plaintext.length, aad.length).seal(nonce, aad, plaintext, out, headerSize + explicitNonceSize)
    return out
  }

  /** Opens one record. Only an authentic one changes anything. */
  open(record: DtlsRecord): OpenedRecord | OpenFailure {
    if (record.epoch !== protectedEpoch) return 'epoch'
    const { body } = record
    const size = body.length - explicitNonceSize - tagSize
    if (size < 0 || (record.cid === undefined) !== (this.#end === 'client' || !this.#hasCid)) return 'malformed'
    // Inner plaintext carries a type and up to 15 bytes of padding, and other clients may pad to more.
    if (size > maxPlaintext + (record.cid === undefined ? 0 : 256)) return 'too-large'
    if (!this.#window.accepts(record.sequence)) return 'replay'
    const aad = associatedData(record.number, record.type, record.cid, size)
    const nonce = this.#nonce('read', body, 0)
    const plaintext = this.#cipher('read', size, aad.length).open(nonce, aad, body.subarray(explicitNonceSize))
    if (plaintext === undefined) return 'mac'
    const newest = record.sequence > this.#window.top
    this.#window.add(record.sequence)
    return finish(record, plaintext, newest)
  }

  heat(): void {
    this.#hotWrite = new HotCcmCipher(this.#key('write'))
    this.#hotRead = new HotCcmCipher(this.#key('read'))
  }

  cool(): void {
    this.#hotWrite = undefined
    this.#hotRead = undefined
    this.#heat.place = undefined
  }

  /** The connection has ended: its long-lived ciphers may go. */
  dispose(): void {
    this.#pool?.leave(this.#heat, this)
  }

  #cipher(direction: 'read' | 'write', size: number, aadSize: number): Ccm {
    this.#pool?.touch(this.#heat, this)
    const hot = direction === 'read' ? this.#hotRead : this.#hotWrite
    if (hot !== undefined && size <= hotLimit && fitsHot(size, aadSize)) return hot
    return new CcmCipher(this.#key(direction))
  }

  /** Whether it is the device's key and salt, which come first in their pairs (RFC 5246 6.3), that this direction uses. */
  #ofClient(direction: 'read' | 'write'): boolean {
    return (direction === 'write') === (this.#end === 'client')
  }

  #key(direction: 'read' | 'write'): KeyObject {
    const at = this.#ofClient(direction) ? 0 : 16
    return createSecretKey(this.#secrets.subarray(at, at + 16))
  }

  /** The salt, and the explicit part at `offset`. */
  #nonce(direction: 'read' | 'write', explicit: Uint8Array, offset: number): Uint8Array {
    const nonce = new Uint8Array(saltSize + explicitNonceSize)
    const salt = this.#ofClient(direction) ? 32 : 32 + saltSize
    for (let i = 0; i < saltSize; i++) nonce[i] = this.#secrets[salt + i] ?? 0
    for (let i = 0; i < explicitNonceSize; i++) nonce[saltSize + i] = explicit[offset + i] ?? 0
    return nonce
  }
}

/** Implicit part of a nonce (RFC 6655 3). */
const saltSize = 4

/** Plaintexts up to this size are faster with long-lived ciphers. */
const hotLimit = 400

function finish(record: DtlsRecord, plaintext: Uint8Array, newest: boolean): OpenedRecord | OpenFailure {
  if (record.cid === undefined) return { type: record.type, content: plaintext, newest }
  let end = plaintext.length - 1
  while (end >= 0 && plaintext[end] === 0) end--
  const type = plaintext[end]
  if (type === undefined) return 'malformed'
  if (end > maxPlaintext) return 'too-large'
  return { type, content: plaintext.subarray(0, end), newest }
}

/** Content, type, and zeros up to a multiple of 16, as real devices do it (device-protocol.md 2.4, 8.2). */
function innerPlaintext(type: number, content: Uint8Array): Uint8Array {
  const inner = new Uint8Array((content.length + 1 + 15) & ~15)
  inner.set(content)
  inner[content.length] = type
  return inner
}

/** RFC 5246 6.2.3.3, and the layout of draft-05 with a connection id (device-protocol.md 2.4). */
function associatedData(number: Uint8Array, type: number, cid: Uint8Array | undefined, size: number): Uint8Array {
  const aad = new Uint8Array(cid === undefined ? 13 : 14 + cidSize)
  aad.set(number)
  aad[8] = type
  aad[9] = dtlsVersion >>> 8
  aad[10] = dtlsVersion & 0xff
  if (cid !== undefined) {
    aad.set(cid, 11)
    aad[11 + cidSize] = cidSize
  }
  aad[aad.length - 2] = size >>> 8
  aad[aad.length - 1] = size
  return aad
}
