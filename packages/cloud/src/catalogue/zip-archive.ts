/**
 * Zip archives entry by entry, from a file or memory, without ever unpacking more than one (PKWARE APPNOTE 4.3): release
 * archives hold hundreds of megabytes of debug files beside the modules. No encryption, no zip64, no splitting.
 */
import { open, stat } from 'node:fs/promises'
import { promisify } from 'node:util'
import { crc32, inflateRaw } from 'node:zlib'
import { ImportError } from './import-error.ts'

const inflate = promisify(inflateRaw)

export interface ByteSource {
  readonly size: number
  /** Exactly `length` bytes, fewer only at the end. */
  read(offset: number, length: number): Promise<Buffer>
}

export function bufferSource(bytes: Uint8Array): ByteSource {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  return { size: bytes.length, read: async (offset, length) => buffer.subarray(offset, offset + length) }
}

/** A file that is open only while it is read: of a thousand entries that wait none holds it. */
export async function fileSource(path: string): Promise<ByteSource> {
  const { size } = await stat(path)
  return {
    size,
    async read(offset, length) {
      const buffer = Buffer.alloc(Math.max(0, Math.min(length, size - offset)))
      const file = await open(path)
      try {
        const { bytesRead } = await file.read(buffer, 0, buffer.length, offset)
        return buffer.subarray(0, bytesRead)
      } finally {
        await file.close()
      }
    },
  }
}

export interface ArchiveEntry {
  /** With `/` between folders; ends with one for a folder. Neither absolute nor with `..` in it. */
  readonly path: string
  /** Bytes unpacked. */
  readonly size: number
  /** @throws ImportError `archive` or `too-large` */
  read(): Promise<Uint8Array>
}

const limits = {
  /** Entries of one archive: a release of all platforms has a few hundred. */
  entries: 20_000,
  directory: 16 * 1024 * 1024,
  nameLength: 1_024,
}
const endSize = 22
const centralSize = 46
const localSize = 30

/**
 * The entries of an archive, in the order of its directory.
 *
 * @param largest most bytes that one entry may unpack to when it is read
 * @throws ImportError `archive` when it cannot be read, or has a name that leads out of it
 */
export async function readArchive(source: ByteSource, largest: number): Promise<ArchiveEntry[]> {
  const { count, at, length } = await findDirectory(source)
  const directory = await source.read(at, length)
  if (directory.length !== length) fail('it ends in its directory')
  const entries: ArchiveEntry[] = []
  let offset = 0
  for (let i = 0; i < count; i++) {
    if (offset + centralSize > length || directory.readUInt32LE(offset) !== 0x0201_4b50)
      fail('its directory is damaged')
    const nameLength = directory.readUInt16LE(offset + 28)
    const next =
      offset + centralSize + nameLength + directory.readUInt16LE(offset + 30) + directory.readUInt16LE(offset + 32)
    if (next > length || nameLength > limits.nameLength) fail('its directory is damaged')
    const path = directory.toString('utf8', offset + centralSize, offset + centralSize + nameLength)
    checkPath(path)
    entries.push(entryOf(source, path, directory.subarray(offset, offset + centralSize), largest))
    offset = next
  }
  return entries
}

async function findDirectory(source: ByteSource): Promise<{ count: number; at: number; length: number }> {
  const tail = await source.read(Math.max(0, source.size - endSize - 0xffff), endSize + 0xffff)
  for (let at = tail.length - endSize; at >= 0; at--) {
    if (tail.readUInt32LE(at) !== 0x0605_4b50) continue
    const count = tail.readUInt16LE(at + 10)
    const length = tail.readUInt32LE(at + 12)
    const offset = tail.readUInt32LE(at + 16)
    if (count === 0xffff || offset === 0xffff_ffff) fail('it is a zip64 archive, which is not read here: unpack it')
    if (count > limits.entries || length > limits.directory) fail(`it has more than ${limits.entries} entries`)
    return { count, at: offset, length }
  }
  return fail('it is no zip archive')
}

/** A name is a path below the archive, whatever the system: nothing is written by it, but nothing shall be tempted. */
function checkPath(path: string): void {
  const leadsOut = /^([/\\]|[A-Za-z]:)/.test(path) || path.split(/[/\\]/).includes('..') || path.includes('\0')
  if (leadsOut) fail(`it has an entry that leads out of it: ${JSON.stringify(path.slice(0, 100))}`)
}

function entryOf(source: ByteSource, path: string, central: Buffer, largest: number): ArchiveEntry {
  const flags = central.readUInt16LE(8)
  const method = central.readUInt16LE(10)
  const checksum = central.readUInt32LE(16)
  const packedSize = central.readUInt32LE(20)
  const size = central.readUInt32LE(24)
  const local = central.readUInt32LE(42)
  return {
    path,
    size,
    async read() {
      if ((flags & 1) !== 0) fail('the entry is encrypted')
      if (size > largest || packedSize > largest) {
        throw new ImportError('too-large', `it unpacks to ${size} bytes, more than any module has (${largest})`)
      }
      const header = await source.read(local, localSize)
      if (header.length < localSize || header.readUInt32LE(0) !== 0x0403_4b50) fail('the entry points to nowhere')
      const start = local + localSize + header.readUInt16LE(26) + header.readUInt16LE(28)
      const packed = await source.read(start, packedSize)
      if (packed.length !== packedSize) fail('the archive ends in the entry')
      const data = await unpack(packed, method, size)
      if (data.length !== size || crc32(data) !== checksum) fail('the entry is damaged: its size or CRC-32 is wrong')
      return new Uint8Array(data)
    },
  }
}

async function unpack(packed: Buffer, method: number, size: number): Promise<Buffer> {
  if (method === 0) return packed
  if (method !== 8) return fail(`compression method ${method} is not known`)
  // What announces less than it unpacks to is stopped there: a zip bomb ends at the size that it claims.
  return await inflate(packed, { maxOutputLength: Math.max(1, size) }).catch(() =>
    fail('the entry is damaged, or unpacks to more than it says'),
  )
}

function fail(message: string): never {
  throw new ImportError('archive', message)
}
