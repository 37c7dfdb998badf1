/**
 * As much of zip archives as bundles need (PKWARE APPNOTE 4.3): stored and deflated entries, no
 * encryption, no zip64, no splitting. Reading is bounded; writing is the same for the same input.
 */

import { deflateRawSync } from 'node:zlib'
import { concatBytes, viewOf } from '../bytes.ts'
import { crc32 } from '../checksums.ts'
import { inflateBounded } from '../module/compress.ts'
import { ModuleFormatError, ModuleSpecError } from '../module/error.ts'

export interface ZipEntry {
  /** With `/` between folders; ends with one for a folder. */
  readonly path: string
  readonly data: Uint8Array
}

const localSignature = 0x0403_4b50
const centralSignature = 0x0201_4b50
const endSignature = 0x0605_4b50
const localSize = 30
const centralSize = 46
const endSize = 22
const maxCommentSize = 0xffff
const stored = 0
const deflated = 8
const encryptedFlag = 0x0001
const utf8Flag = 0x0800

/**
 * All entries of an archive, in the order of its directory.
 *
 * @param maxSize most bytes that all entries together may unpack to
 * @throws ModuleFormatError `bundle`, `too-large` or `compression`
 */
export function readZip(bytes: Uint8Array, maxSize: number): ZipEntry[] {
  const view = viewOf(bytes)
  const end = findEnd(view)
  const count = view.getUint16(end + 10, true)
  let at = view.getUint32(end + 16, true)
  let room = maxSize
  const entries: ZipEntry[] = []
  for (let i = 0; i < count; i++) {
    if (at + centralSize > bytes.length || view.getUint32(at, true) !== centralSignature) {
      throw new ModuleFormatError('bundle', at, `entry ${i + 1} of the archive's directory is damaged`)
    }
    const nameLength = view.getUint16(at + 28, true)
    const next = at + centralSize + nameLength + view.getUint16(at + 30, true) + view.getUint16(at + 32, true)
    if (next > bytes.length) throw new ModuleFormatError('bundle', at, 'the archive ends in its directory')
    const path = new TextDecoder().decode(bytes.subarray(at + centralSize, at + centralSize + nameLength))
    const size = view.getUint32(at + 24, true)
    if (size > room) throw new ModuleFormatError('too-large', at + 24, `the archive holds more than ${maxSize} bytes`)
    room -= size
    entries.push({ path, data: readEntry(bytes, at, size) })
    at = next
  }
  return entries
}

/** An archive of the entries, deflated, with the date that zip's calendar begins with. */
export function writeZip(entries: readonly ZipEntry[]): Uint8Array {
  if (entries.length > 0xffff) throw new ModuleSpecError('entries', `${entries.length} are too many for an archive`)
  const files: Uint8Array[] = []
  const directory: Uint8Array[] = []
  let offset = 0
  for (const { path, data } of entries) {
    const name = new TextEncoder().encode(path)
    const content = deflateRawSync(data, { level: 9 })
    const common = new Uint8Array(26)
    const view = viewOf(common)
    view.setUint16(0, 20, true)
    view.setUint16(2, utf8Flag, true)
    view.setUint16(4, deflated, true)
    view.setUint16(8, 0x21, true)
    view.setUint32(10, crc32(data), true)
    view.setUint32(14, content.length, true)
    view.setUint32(18, data.length, true)
    view.setUint16(22, name.length, true)
    const file = concatBytes([uint32(localSignature), common, name, content])
    const trailer = new Uint8Array(14)
    viewOf(trailer).setUint32(10, offset, true)
    directory.push(uint32(centralSignature), Uint8Array.of(20, 0), common, trailer, name)
    files.push(file)
    offset += file.length
  }
  const central = concatBytes(directory)
  const end = new Uint8Array(endSize)
  const view = viewOf(end)
  view.setUint32(0, endSignature, true)
  view.setUint16(8, entries.length, true)
  view.setUint16(10, entries.length, true)
  view.setUint32(12, central.length, true)
  view.setUint32(16, offset, true)
  return concatBytes([...files, central, end])
}

function readEntry(bytes: Uint8Array, central: number, size: number): Uint8Array {
  const view = viewOf(bytes)
  const flags = view.getUint16(central + 8, true)
  const method = view.getUint16(central + 10, true)
  const checksum = view.getUint32(central + 16, true)
  const packedSize = view.getUint32(central + 20, true)
  const local = view.getUint32(central + 42, true)
  if ((flags & encryptedFlag) !== 0) throw new ModuleFormatError('bundle', central + 8, 'the archive is encrypted')
  if (local + localSize > bytes.length || view.getUint32(local, true) !== localSignature) {
    throw new ModuleFormatError('bundle', central + 42, 'an entry of the archive points to nowhere')
  }
  const start = local + localSize + view.getUint16(local + 26, true) + view.getUint16(local + 28, true)
  if (start + packedSize > bytes.length) throw new ModuleFormatError('bundle', local, 'the archive ends in an entry')
  const packed = bytes.subarray(start, start + packedSize)
  const data = unpack(packed, method, size, start)
  if (data.length !== size || crc32(data) !== checksum) {
    throw new ModuleFormatError('bundle', start, 'an entry of the archive is damaged: its size or CRC-32 is wrong')
  }
  return data
}

function unpack(packed: Uint8Array, method: number, size: number, offset: number): Uint8Array {
  if (method === stored) return packed
  if (method === deflated) return inflateBounded(packed, size, 15, offset).content
  throw new ModuleFormatError('bundle', offset, `compression method ${method} of the archive is not known`)
}

// The end record is the last thing but a comment of unknown length.
function findEnd(view: DataView): number {
  const first = Math.max(0, view.byteLength - endSize - maxCommentSize)
  for (let at = view.byteLength - endSize; at >= first; at--) {
    if (view.getUint32(at, true) === endSignature) return at
  }
  throw new ModuleFormatError('bundle', view.byteLength, 'the file is no zip archive')
}

function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  viewOf(bytes).setUint32(0, value, true)
  return bytes
}
