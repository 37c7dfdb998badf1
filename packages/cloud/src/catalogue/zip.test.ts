import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readBundle } from '@aloe/firmware'
import fc from 'fast-check'
import type { CatalogueFile, CatalogueRelease } from '../updates/catalogue.ts'
import { ImportError } from './import-error.ts'
import { uploadedSources } from './import-sources.ts'
import { platformZip, readZipName, releaseZip, zipName } from './release-zip.ts'
import { bufferSource, readArchive } from './zip-archive.ts'

const largest = 1024 * 1024

function release(...sizes: number[]): CatalogueRelease {
  const files = sizes.map((size, i) => {
    const bytes = new Uint8Array(size).fill(i + 65)
    return { filename: `boron-part${i}@6.2.0.bin`, size, sha256: `${i}`, bytes } as unknown as CatalogueFile
  })
  return { version: '6.2.0', platform: 'boron', files } as unknown as CatalogueRelease
}

const zipped = (zip: ReturnType<typeof platformZip>) => new Uint8Array(Buffer.concat([...zip.chunks()]))
const contents = async (bytes: Uint8Array) => {
  const list = await readArchive(bufferSource(bytes), largest)
  return await Promise.all(list.map(async ({ path, read }) => [path, (await read()).length]))
}

async function refusalOf(bytes: Uint8Array): Promise<string> {
  try {
    await contents(bytes)
  } catch (error) {
    if (error instanceof ImportError) return `${error.code}: ${error.message}`
    throw error
  }
  return assert.fail('the archive was read')
}

describe('an archive of a release', () => {
  it('has the size that it says, and is read back', async () => {
    const one = platformZip(release(10, 0, 70_000))
    const bytes = zipped(one)
    assert.equal(bytes.length, one.size)
    assert.deepEqual(await contents(bytes), [
      ['boron-part0@6.2.0.bin', 10],
      ['boron-part1@6.2.0.bin', 0],
      ['boron-part2@6.2.0.bin', 70_000],
    ])
    const all = releaseZip([release(1), { ...release(2), platform: 'argon' }])
    assert.deepEqual(
      (await contents(zipped(all))).map(([path]) => path),
      ['6.2.0/boron/release/boron-part0@6.2.0.bin', '6.2.0/argon/release/boron-part0@6.2.0.bin'],
    )
    assert.notEqual(one.etag, all.etag)
  })

  it('is called as releases are', () => {
    assert.equal(zipName('6.2.0', 'boron'), 'particle_device-os@6.2.0+boron.binaries.zip')
    assert.deepEqual(readZipName(zipName('6.2.0-rc.1', 'boron')), { version: '6.2.0-rc.1', platform: 'boron' })
    assert.deepEqual(readZipName(zipName('6.2.0')), { version: '6.2.0' })
    assert.equal(readZipName('../particle_device-os@6.2.0.zip'), undefined)
  })
})

describe('archives from elsewhere', () => {
  const good = () => Buffer.from(zipped(platformZip(release(40))))
  const central = (bytes: Buffer) => bytes.indexOf('PK\u0001\u0002')

  it('are refused with names that lead out of them', async () => {
    const names = [
      '../../../../etc/passwd',
      '/etc/passwd.bin.bin.bi',
      'C:\\windows\\system32.x',
      'a/..\\..\\b.bin.xxxxxxx',
    ]
    for (const name of names) {
      const bytes = good()
      bytes.write(name.padEnd(21, 'x').slice(0, 21), central(bytes) + 46)
      assert.match(await refusalOf(bytes), /archive: it has an entry that leads out of it/, name)
    }
  })

  it('are refused when they unpack to more than they say, or than a module can be', async () => {
    const { deflateRawSync, crc32 } = await import('node:zlib')
    const bomb = (claimed: number) => {
      const data = Buffer.alloc(8 * 1024 * 1024)
      const packed = deflateRawSync(data)
      const local = Buffer.alloc(30)
      local.writeUInt32LE(0x0403_4b50)
      const entry = Buffer.alloc(46 + 5)
      entry.writeUInt32LE(0x0201_4b50)
      entry.writeUInt16LE(8, 10)
      entry.writeUInt32LE(crc32(data), 16)
      entry.writeUInt32LE(packed.length, 20)
      entry.writeUInt32LE(claimed, 24)
      entry.writeUInt16LE(5, 28)
      entry.write('b.bin', 46)
      const end = Buffer.alloc(22)
      end.writeUInt32LE(0x0605_4b50)
      end.writeUInt16LE(1, 10)
      end.writeUInt32LE(entry.length, 12)
      end.writeUInt32LE(30 + packed.length, 16)
      return new Uint8Array(Buffer.concat([local, packed, entry, end]))
    }
    assert.match(await refusalOf(bomb(8 * 1024 * 1024)), /too-large: it unpacks to 8388608 bytes/)
    assert.match(await refusalOf(bomb(1_000)), /archive: the entry is damaged, or unpacks to more than it says/)
  })

  it('are read or refused, whatever they hold', async () => {
    const bytes = good()
    const change = fc.tuple(fc.nat(bytes.length - 1), fc.integer({ min: 0, max: 255 }))
    await fc.assert(
      fc.asyncProperty(fc.array(change, { maxLength: 8 }), fc.nat(bytes.length), async (changes, length) => {
        const damaged = Uint8Array.from(bytes.subarray(0, length))
        for (const [at, byte] of changes) if (at < length) damaged[at] = byte
        for await (const { read } of uploadedSources([{ filename: 'x.zip', content: damaged }])) {
          await read().catch((error: unknown) => assert.ok(error instanceof ImportError, String(error)))
        }
      }),
      { numRuns: Number(process.env.ALOE_FUZZ_RUNS ?? 300) },
    )
  })

  it('of applications are no releases', () => assert.throws(() => readBundle(new Uint8Array(good()))))
})
