/**
 * A release as a zip archive, made while it is sent: `particle_device-os@6.2.0+argon.binaries.zip` with the modules of one
 * platform, and `particle_device-os@6.2.0.zip` with those of all, as Device OS releases are downloaded (Device OS,
 * "Artifact Versioning and Tagging"). Modules are stored as they are, so its size is known before, and one file at a time
 * is in memory. The same release gives the same bytes.
 */
import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { CatalogueFile, CatalogueRelease } from '../updates/catalogue.ts'

export interface ReleaseZip {
  /** Bytes. */
  readonly size: number
  /** Changes with its content. */
  readonly etag: string
  /** @throws as `CatalogueFile.bytes` does */
  chunks(): Generator<Uint8Array>
}

interface Entry {
  readonly path: string
  readonly file: CatalogueFile
}

/** Which archive a name is of: a version and, for one platform, its name. Undefined for any other name. */
export function readZipName(filename: string): { readonly version: string; readonly platform?: string } | undefined {
  const match = /^particle_device-os@([0-9A-Za-z.-]+?)(?:\+([a-z0-9]+)\.binaries)?\.zip$/.exec(filename)
  const [, version, platform] = match ?? []
  if (version === undefined) return undefined
  return { version, ...(platform !== undefined && { platform }) }
}

export function zipName(version: string, platform?: string): string {
  return `particle_device-os@${version}${platform === undefined ? '' : `+${platform}.binaries`}.zip`
}

/** The modules of one platform, at the top of the archive. */
export function platformZip({ files }: CatalogueRelease): ReleaseZip {
  return zipOf(files.map((file) => ({ path: file.filename, file })))
}

/** The modules of all platforms: `<version>/<platform>/release/<file>`. */
export function releaseZip(releases: readonly CatalogueRelease[]): ReleaseZip {
  return zipOf(
    releases.flatMap(({ version, platform, files }) =>
      files.map((file) => ({ path: `${version}/${platform}/release/${file.filename}`, file })),
    ),
  )
}

const localSize = 30
const centralSize = 46
const endSize = 22

function zipOf(entries: readonly Entry[]): ReleaseZip {
  const named = entries.map((entry) => ({ ...entry, name: Buffer.from(entry.path) }))
  const size = named.reduce(
    (sum, { name, file }) => sum + localSize + centralSize + 2 * name.length + file.size,
    endSize,
  )
  const hash = createHash('sha256')
  for (const { path, file } of entries) hash.update(`${path} ${file.sha256}\n`)
  return {
    size,
    etag: `"${hash.digest('hex')}"`,
    *chunks() {
      const directory: Buffer[] = []
      let offset = 0
      for (const { name, file } of named) {
        const { bytes } = file
        const common = commonHeader(bytes, name.length)
        const local = Buffer.alloc(4)
        local.writeUInt32LE(0x0403_4b50)
        yield Buffer.concat([local, common, name])
        yield bytes
        directory.push(centralHeader(common, offset), name)
        offset += localSize + name.length + bytes.length
      }
      const central = Buffer.concat(directory)
      yield central
      yield endRecord(named.length, central.length, offset)
    },
  }
}

/** What both headers of an entry share: from "version needed" to the lengths of name and extra field (4.4). */
function commonHeader(bytes: Uint8Array, nameLength: number): Buffer {
  const common = Buffer.alloc(26)
  common.writeUInt16LE(20, 0)
  common.writeUInt16LE(0x0800, 2) // names are UTF-8
  common.writeUInt16LE(0x21, 8) // the first day of zip's calendar
  common.writeUInt32LE(crc32(bytes), 10)
  common.writeUInt32LE(bytes.length, 14)
  common.writeUInt32LE(bytes.length, 18)
  common.writeUInt16LE(nameLength, 22)
  return common
}

function centralHeader(common: Buffer, offset: number): Buffer {
  const header = Buffer.alloc(centralSize)
  header.writeUInt32LE(0x0201_4b50, 0)
  header.writeUInt16LE(20, 4)
  common.copy(header, 6)
  header.writeUInt32LE(offset, 42)
  return header
}

function endRecord(count: number, length: number, offset: number): Buffer {
  const end = Buffer.alloc(endSize)
  end.writeUInt32LE(0x0605_4b50, 0)
  end.writeUInt16LE(count, 8)
  end.writeUInt16LE(count, 10)
  end.writeUInt32LE(length, 12)
  end.writeUInt32LE(offset, 16)
  return end
}
