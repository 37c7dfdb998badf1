import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { sha256, updateResult } from '@aloe/firmware'
import fc from 'fast-check'
import { MemoryStorage } from '../storage/memory-storage.ts'
import { StagingArea } from './staging.ts'

const regionSize = 1 << 20

const fileOf = (size: number) => Uint8Array.from({ length: size }, (_, i) => (i * 7 + (i >> 8)) & 0xff)

const pieces = (file: Uint8Array, size: number, from = 0) => {
  const list: [number, Uint8Array][] = []
  for (let at = from; at < file.length; at += size) list.push([at, file.subarray(at, at + size)])
  return list
}

describe('the staging area', () => {
  it('puts a file together, in any order, once and again', () => {
    fc.assert(
      fc.property(
        fc.nat(20_000),
        fc.integer({ min: 100, max: 3000 }),
        fc.infiniteStream(fc.nat()),
        (size, chunk, draw) => {
          const file = fileOf(size + 1)
          const area = new StagingArea(new MemoryStorage(), regionSize)
          assert.deepEqual(area.begin({ size: file.length, sha256: sha256(file) }), { offset: 0 })
          const waiting = pieces(file, chunk)
          while (waiting.length > 0) {
            const place = Number(draw.next().value) % waiting.length
            const [offset, bytes] = waiting[place] ?? [0, new Uint8Array()]
            area.write(offset, bytes)
            if (Number(draw.next().value) % 4 > 0) waiting.splice(place, 1)
          }
          assert.ok(area.complete)
          assert.deepEqual(area.check(), { ok: true })
          assert.ok(Buffer.from(area.bytes()).equals(file))
        },
      ),
      { numRuns: 60 },
    )
  })

  it('goes on where the power went away, at most 4 KiB back', () => {
    const file = fileOf(50_000)
    const storage = new MemoryStorage()
    const area = new StagingArea(storage, regionSize)
    area.begin({ size: file.length, sha256: sha256(file) })
    for (const [offset, bytes] of pieces(file, 512).slice(0, 61)) area.write(offset, bytes)

    const next = new StagingArea(storage, regionSize)
    const began = next.begin({ size: file.length, sha256: sha256(file) })
    assert.ok('offset' in began)
    assert.ok(began.offset > 61 * 512 - 4096 && began.offset <= 61 * 512, `offset ${began.offset}`)
    for (const [offset, bytes] of pieces(file, 512, began.offset)) next.write(offset, bytes)
    assert.deepEqual(next.check(), { ok: true })
    assert.ok(Buffer.from(next.bytes()).equals(file))
  })

  it('goes on exactly where the connection broke', () => {
    const file = fileOf(9_000)
    const area = new StagingArea(new MemoryStorage(), regionSize)
    area.begin({ size: file.length, sha256: sha256(file) })
    area.write(0, file.subarray(0, 5_100))
    area.suspend()
    assert.deepEqual(area.begin({ size: file.length, sha256: sha256(file) }), { offset: 5_100 })
  })

  it('begins anew for another file, without a hash, and when told to', () => {
    const file = fileOf(9_000)
    const stored = () => {
      const area = new StagingArea(new MemoryStorage(), regionSize)
      area.begin({ size: file.length, sha256: sha256(file) })
      area.write(0, file.subarray(0, 5_000))
      area.suspend()
      return area
    }
    assert.deepEqual(stored().begin({ size: 9_000, sha256: sha256(file.subarray(1)) }), { offset: 0 })
    assert.deepEqual(stored().begin({ size: 8_999, sha256: sha256(file) }), { offset: 0 })
    assert.deepEqual(stored().begin({ size: 9_000 }), { offset: 0 })
    assert.deepEqual(stored().begin({ size: 9_000, sha256: sha256(file), discard: true }), { offset: 0 })
  })

  it('hashes the stored part again, and falls back to what is true', () => {
    const file = fileOf(20_000)
    const storage = new MemoryStorage()
    const area = new StagingArea(storage, regionSize)
    area.begin({ size: file.length, sha256: sha256(file) })
    for (const [offset, bytes] of pieces(file, 4096).slice(0, 3)) area.write(offset, bytes)
    // The last of the three pages never reached the medium.
    storage.write('staging.bin', new Uint8Array(4096), 8192 + 8192)
    const next = new StagingArea(storage, regionSize)
    assert.deepEqual(next.begin({ size: file.length, sha256: sha256(file) }), { offset: 8192 })
    storage.write('staging.bin', new Uint8Array(10), 8192 + 100)
    assert.deepEqual(new StagingArea(storage, regionSize).begin({ size: file.length, sha256: sha256(file) }), {
      offset: 0,
    })
  })

  it('says what is wrong', () => {
    const file = fileOf(5_000)
    const area = new StagingArea(new MemoryStorage(), regionSize)
    assert.deepEqual(area.begin({ size: 0 }), { error: updateResult.invalidSize })
    assert.deepEqual(area.begin({ size: regionSize + 1 }), { error: updateResult.invalidSize })
    area.begin({ size: 5_000, sha256: sha256(fileOf(1)) })
    assert.throws(() => area.write(4_990, new Uint8Array(11)), RangeError)
    assert.deepEqual(area.check(), { ok: false, error: updateResult.invalidSize })
    area.write(0, file)
    assert.deepEqual(area.check(), { ok: false, error: updateResult.integrityCheckFailed })

    area.begin({ size: 5_000, sha256: sha256(fileOf(1)), discard: true })
    area.write(0, file.subarray(0, 4_500))
    area.suspend()
    area.begin({ size: 5_000, sha256: sha256(fileOf(1)) })
    area.write(4_500, file.subarray(4_500))
    assert.deepEqual(area.check(), { ok: false, error: updateResult.resumedUpdateFailed })
  })
})
