import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { fuzzRuns, patternBody, patternVectorTable, vector } from '../fixtures/vectors.ts'
import { buildModule, sealModule } from './build.ts'
import { compressModule, decompressModule } from './compress.ts'
import { ModuleFormatError, type ModuleFormatErrorCode, ModuleSpecError } from './error.ts'
import { parseModule } from './parse.ts'

const v9 = vector('v9-')

function fails(bytes: Uint8Array, code: ModuleFormatErrorCode, options?: { maxSize: number }): void {
  assert.throws(
    () => decompressModule(bytes, options),
    (error) => {
      assert.ok(error instanceof ModuleFormatError, String(error))
      assert.equal(error.code, code, error.message)
      return true
    },
  )
}

function changed(bytes: Uint8Array, offset: number, ...values: number[]): Uint8Array {
  const copy = bytes.slice()
  copy.set(values, offset)
  return sealModule(copy)
}

describe('compressed modules', () => {
  it('come back byte for byte, whatever they are', () => {
    const kind = fc.record({
      platformId: fc.constantFrom(12, 32, 43),
      part: fc.constantFrom('user_part' as const, 'system_part' as const),
      table: fc.boolean(),
      assets: fc.boolean(),
      dropped: fc.boolean(),
      body: fc.uint8Array({ maxLength: 2000 }),
      level: fc.integer({ min: -1, max: 9 }),
      windowBits: fc.integer({ min: 9, max: 15 }),
    })
    fc.assert(
      fc.property(kind, ({ platformId, part, table, assets, dropped, body, level, windowBits }) => {
        const module = buildModule({
          function: part,
          index: 1,
          platformId,
          version: 6,
          body,
          flags: dropped ? 1 : 0,
          ...(table && !dropped && { vectorTable: patternVectorTable(512, 0x2003_0000, 1) }),
          ...(assets && { prefixExtensions: [{ type: 'name', name: 'x' }] }),
        })
        const compressed = compressModule(module, { level, windowBits })
        const outer = parseModule(compressed, { prefixOffset: 0, intact: true })
        assert.equal(outer.startAddress, parseModule(module).startAddress)
        assert.ok(outer.sha256Valid)
        assert.equal(outer.trailing, 0)
        assert.deepEqual(decompressModule(compressed), module)
      }),
      { numRuns: fuzzRuns },
    )
  })

  it('are not made of bootloaders, of compressed modules, or of damaged ones', () => {
    assert.throws(() => compressModule(vector('v11-')), ModuleSpecError)
    assert.throws(() => compressModule(v9), ModuleSpecError)
    assert.throws(() => compressModule(vector('v1-').fill(0, 30, 34)), ModuleFormatError)
    assert.throws(() => compressModule(vector('v1-'), { windowBits: 8 }), ModuleSpecError)
  })

  it('say what is wrong with them', () => {
    fails(vector('v1-'), 'flags')
    fails(v9.slice().fill(0, 40, 44), 'crc')
    fails(changed(v9, 24, 7), 'compression')
    fails(changed(v9, 24, 0xff), 'compression')
    fails(changed(v9, 26, 1), 'compression')
    fails(changed(v9, 27, 16), 'compression')
    fails(changed(v9, 27, 7), 'compression')
    fails(changed(v9, 28, 0x83), 'compression')
    fails(changed(v9, 28, 0x85), 'compression')
    fails(changed(v9, 32, 7), 'compression')
  })

  it('are not a place to hide another module', () => {
    fails(changed(v9, 10, 7), 'compression')
    fails(changed(v9, 15, 1), 'compression')
  })

  it('end where their suffix begins', () => {
    const { suffixSize } = parseModule(v9)
    const suffix = v9.length - 4 - suffixSize
    const bytes = Uint8Array.from([...v9.subarray(0, suffix), 0, 0, ...v9.subarray(suffix)])
    bytes[4] = (bytes[4] ?? 0) + 2
    fails(sealModule(bytes), 'compression')
  })

  it('are never inflated to more than they say, or than is allowed', () => {
    const bomb = compressModule(
      buildModule({ function: 'user_part', index: 1, platformId: 43, version: 1, body: new Uint8Array(4_000_000) }),
      { level: 9 },
    )
    assert.ok(bomb.length < 8_000)
    fails(bomb, 'too-large', { maxSize: 1_000_000 })
    // Says less than it holds.
    fails(changed(bomb, 28, 0, 0, 1, 0), 'compression')
    // Says 4 GiB.
    fails(changed(bomb, 28, 0xff, 0xff, 0xff, 0xff), 'too-large')
  })

  it('throw nothing but their own error, however they are damaged', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.integer({ min: 24, max: 175 }), fc.nat(255)), { maxLength: 6 }), (changes) => {
        const bytes = v9.slice()
        for (const [offset, value] of changes) bytes[offset] = value
        try {
          decompressModule(sealModule(bytes))
        } catch (error) {
          assert.ok(error instanceof ModuleFormatError, String(error))
        }
      }),
      { numRuns: fuzzRuns * 2 },
    )
  })

  it('may have an empty body', () => {
    const empty = buildModule({
      function: 'asset',
      index: 0,
      platformId: 0,
      version: 0,
      startAddress: 0,
      flags: 1,
      body: patternBody(0),
    })
    assert.deepEqual(decompressModule(compressModule(empty)), empty)
  })
})
