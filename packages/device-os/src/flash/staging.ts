/**
 * The staging area: where a file from the cloud is put together before the bootloader gets it (the "OTA region").
 *
 * A transfer that was cut goes on where it stopped. The device keeps file hash, file size, partial size and partial
 * hash, and hashes the stored part again at the next start (modules-and-platforms.md 4.4). Boards save that every 30
 * seconds; here it is saved for each 4 KiB, as the file system gives it nearly for free.
 *
 * One file holds everything, so that a single sync makes bytes and record safe: two record pages, written in turns,
 * then the data. A record that became safe before its bytes did is found out by the hash; then the other one counts,
 * whose bytes were safe before this one was begun.
 */
import { createHash, type Hash } from 'node:crypto'
import { crc32, updateResult } from '@aloe/firmware'
import type { Storage } from '../storage/storage.ts'

const stagingFile = 'staging.bin'
const pageSize = 4096
const dataStart = 2 * pageSize
/** The gap-free part is saved whenever it has grown by this much. */
const saveEvery = 4096

const recordMagic = 0x41_4c_4f_45
const recordSize = 84

interface StagingRecord {
  readonly sequence: number
  readonly fileSize: number
  readonly fileHash: Uint8Array
  readonly partialSize: number
  readonly partialHash: Uint8Array
}

export interface StagingRequest {
  /** Size of the whole file, bytes. */
  readonly size: number
  /** SHA-256 of the whole file; without it a transfer is never resumed. */
  readonly sha256?: Uint8Array
  /** Throws away what is stored of this file. */
  readonly discard?: boolean
}

export type StagingBegin = { readonly offset: number } | { readonly error: number }
export type StagingCheck = { readonly ok: true } | { readonly ok: false; readonly error: number }

interface Transfer {
  readonly size: number
  readonly sha256: Uint8Array | undefined
  readonly resumed: boolean
  sequence: number
  /** Everything before this offset is stored. */
  gapFree: number
  saved: number
  /** SHA-256 state of the gap-free part. */
  hash: Hash
  /** Stored parts behind the first gap: start to end. */
  readonly islands: Map<number, number>
}

export class StagingArea {
  readonly #storage: Storage
  readonly #regionSize: number
  #transfer: Transfer | undefined

  /** @param regionSize largest file that is taken, bytes (the platform's OTA region) */
  constructor(storage: Storage, regionSize: number) {
    this.#storage = storage
    this.#regionSize = regionSize
  }

  /** Bytes stored without a gap; 0 while nothing is being transferred. */
  get received(): number {
    return this.#transfer?.gapFree ?? 0
  }

  /** Size of the file being transferred; 0 while there is none. */
  get size(): number {
    return this.#transfer?.size ?? 0
  }

  get complete(): boolean {
    return this.#transfer !== undefined && this.#transfer.gapFree === this.#transfer.size
  }

  /**
   * Makes the area ready for a file and says at which offset the transfer goes on: what is stored of the same file
   * (same hash and size) is kept as far as it hashes to what was noted.
   * Errors: `updateResult.invalidSize`.
   */
  begin(request: StagingRequest): StagingBegin {
    const { size, sha256 } = request
    if (size <= 0 || size > this.#regionSize || !Number.isInteger(size)) return { error: updateResult.invalidSize }
    const found = sha256 && !request.discard ? this.#resume(size, sha256) : undefined
    if (found) {
      this.#transfer = found
      return { offset: found.gapFree }
    }
    this.#storage.truncate(stagingFile, 0)
    this.#transfer = {
      size,
      sha256,
      resumed: false,
      sequence: 0,
      gapFree: 0,
      saved: 0,
      hash: createHash('sha256'),
      islands: new Map(),
    }
    this.#save(this.#transfer)
    this.#storage.syncDirectory()
    return { offset: 0 }
  }

  /** Stores bytes at an offset of the file; parts may come out of order. Bytes outside the file are a RangeError. */
  write(offset: number, bytes: Uint8Array): void {
    const transfer = this.#transfer
    if (!transfer) throw new RangeError('no transfer has been begun')
    const end = offset + bytes.length
    if (offset < 0 || end > transfer.size) throw new RangeError(`bytes ${offset} to ${end} of ${transfer.size}`)
    if (end <= transfer.gapFree) return
    this.#storage.write(stagingFile, bytes, dataStart + offset)
    if (offset > transfer.gapFree) {
      transfer.islands.set(offset, Math.max(end, transfer.islands.get(offset) ?? 0))
      return
    }
    transfer.hash.update(bytes.subarray(transfer.gapFree - offset))
    transfer.gapFree = end
    this.#joinIslands(transfer)
    if (transfer.gapFree - transfer.saved >= saveEvery || transfer.gapFree === transfer.size) this.#save(transfer)
  }

  /** Makes what has come so far safe; to be called when the connection breaks. */
  save(): void {
    const transfer = this.#transfer
    if (transfer && transfer.gapFree > transfer.saved) this.#save(transfer)
  }

  /**
   * Is the file here, and the one that was announced? Errors: `resumedUpdateFailed` when a resumed file has another
   * hash (the sender starts again from 0), else `integrityCheckFailed`; `invalidSize` when bytes are missing.
   */
  check(): StagingCheck {
    const transfer = this.#transfer
    if (!transfer || transfer.gapFree !== transfer.size) return { ok: false, error: updateResult.invalidSize }
    if (!transfer.sha256 || equal(transfer.hash.copy().digest(), transfer.sha256)) return { ok: true }
    const error = transfer.resumed ? updateResult.resumedUpdateFailed : updateResult.integrityCheckFailed
    return { ok: false, error }
  }

  /** The whole file; to be asked only when it is complete. */
  bytes(): Uint8Array {
    const transfer = this.#transfer
    const bytes = transfer && this.#storage.read(stagingFile, dataStart, transfer.size)
    if (!bytes) throw new RangeError('no transfer has been begun')
    return bytes.slice()
  }

  /** Ends a transfer and forgets what is stored of it. */
  discard(): void {
    this.#transfer = undefined
    this.#storage.remove(stagingFile)
    this.#storage.syncDirectory()
  }

  /** Ends a transfer and keeps what is stored of it for a later one. */
  suspend(): void {
    this.save()
    this.#transfer = undefined
  }

  #joinIslands(transfer: Transfer): void {
    for (let joined = true; joined; ) {
      joined = false
      for (const [start, end] of transfer.islands) {
        if (start > transfer.gapFree) continue
        transfer.islands.delete(start)
        if (end <= transfer.gapFree) continue
        const bytes = this.#storage.read(stagingFile, dataStart + transfer.gapFree, end - transfer.gapFree)
        transfer.hash.update(bytes ?? new Uint8Array())
        transfer.gapFree = end
        joined = true
      }
    }
  }

  #save(transfer: Transfer): void {
    transfer.sequence++
    transfer.saved = transfer.gapFree
    const record: StagingRecord = {
      sequence: transfer.sequence,
      fileSize: transfer.size,
      fileHash: transfer.sha256 ?? new Uint8Array(32),
      partialSize: transfer.gapFree,
      partialHash: transfer.hash.copy().digest(),
    }
    this.#storage.write(stagingFile, encodeRecord(record), (transfer.sequence % 2) * pageSize)
    this.#storage.sync(stagingFile)
  }

  #resume(size: number, sha256: Uint8Array): Transfer | undefined {
    const records = [0, 1]
      .map((page) => decodeRecord(this.#storage.read(stagingFile, page * pageSize, recordSize)))
      .filter((record) => record !== undefined)
      .filter((record) => record.fileSize === size && equal(record.fileHash, sha256))
      .sort((a, b) => b.sequence - a.sequence)
    const newest = records[0]
    if (!newest) return undefined
    for (const record of records) {
      const part = this.#storage.read(stagingFile, dataStart, record.partialSize)
      if (part?.length !== record.partialSize) continue
      const hash = createHash('sha256').update(part)
      if (!equal(hash.copy().digest(), record.partialHash)) continue
      return {
        size,
        sha256,
        resumed: record.partialSize > 0,
        sequence: newest.sequence,
        gapFree: record.partialSize,
        saved: record.partialSize,
        hash,
        islands: new Map(),
      }
    }
    return undefined
  }
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.from(a.buffer, a.byteOffset, a.length).equals(b)
}

function encodeRecord(record: StagingRecord): Uint8Array {
  const bytes = new Uint8Array(recordSize)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, recordMagic, true)
  view.setUint32(4, record.sequence, true)
  view.setUint32(8, record.fileSize, true)
  view.setUint32(12, record.partialSize, true)
  bytes.set(record.fileHash, 16)
  bytes.set(record.partialHash, 48)
  view.setUint32(80, crc32(bytes.subarray(0, 80)), true)
  return bytes
}

function decodeRecord(bytes: Uint8Array | undefined): StagingRecord | undefined {
  if (bytes?.length !== recordSize) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, recordSize)
  if (view.getUint32(0, true) !== recordMagic) return undefined
  if (view.getUint32(80, true) !== crc32(bytes.subarray(0, 80))) return undefined
  return {
    sequence: view.getUint32(4, true),
    fileSize: view.getUint32(8, true),
    partialSize: view.getUint32(12, true),
    fileHash: bytes.slice(16, 48),
    partialHash: bytes.slice(48, 80),
  }
}
