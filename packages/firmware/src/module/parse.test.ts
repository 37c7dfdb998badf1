import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { moduleSpecs } from '../fixtures/arbitrary.ts'
import { fuzzRuns, patternBody, vector } from '../fixtures/vectors.ts'
import { buildModule, sealModule } from './build.ts'
import { ModuleFormatError, type ModuleFormatErrorCode } from './error.ts'
import { parseModule, productOf } from './parse.ts'

function changed(bytes: Uint8Array, ...changes: readonly [offset: number, value: number][]): Uint8Array {
  const copy = bytes.slice()
  for (const [offset, value] of changes) copy[offset] = value
  return copy
}

function fails(bytes: Uint8Array, code: ModuleFormatErrorCode, offset: number): void {
  assert.throws(
    () => parseModule(bytes, { prefixOffset: 0 }),
    (error) => {
      assert.ok(error instanceof ModuleFormatError)
      assert.equal(error.code, code)
      assert.equal(error.offset, offset)
      assert.match(error.message, new RegExp(`offset ${offset}\\)$`))
      return true
    },
  )
}

// Whatever is wrong with a file, it is the parser's own error that says so.
function parseOrOwnError(bytes: Uint8Array): void {
  try {
    const module = parseModule(bytes)
    assert.ok(module.bytes.length <= bytes.length)
    assert.ok(module.body.length < module.bytes.length)
  } catch (error) {
    assert.ok(error instanceof ModuleFormatError, String(error))
    assert.ok(error.offset >= 0 && error.offset <= bytes.length)
  }
}

const v1 = vector('v1-')

describe('reading a module', () => {
  it('copies nothing', () => {
    const module = parseModule(v1)
    assert.equal(module.body.buffer, v1.buffer)
    assert.equal(module.bytes.buffer, v1.buffer)
    assert.deepEqual(module.body, patternBody(64))
  })

  it('tells damage in the checksums without refusing the module', () => {
    const module = parseModule(changed(v1, [30, 0]))
    assert.equal(module.crcValid, false)
    assert.equal(module.sha256Valid, false)
    assert.equal(module.version, 6)
  })

  it('refuses a wrong CRC-32 when asked to', () => {
    assert.throws(
      () => parseModule(changed(v1, [30, 0]), { intact: true }),
      (error) => error instanceof ModuleFormatError && error.code === 'crc' && error.offset === 128,
    )
  })

  it('reads a module that something follows', () => {
    const module = parseModule(Uint8Array.from([...v1, 1, 2, 3]))
    assert.equal(module.trailing, 3)
    assert.deepEqual(module.bytes, v1)
    assert.ok(module.crcValid)
  })

  it('reads an image padded by hand, whose suffix was never written', () => {
    const padded = new Uint8Array(1024).fill(0xff)
    padded.set(v1.subarray(0, 88))
    const module = parseModule(padded)
    assert.equal(module.suffixSize, 0xffff)
    assert.equal(module.crcValid, false)
    assert.equal(module.product?.version, 0xffff)
    assert.equal(productOf(module), undefined)
  })

  it('reads functions that it does not know', () => {
    const strange = parseModule(sealModule(changed(v1, [14, 129], [16, 130])))
    assert.equal(strange.function, 'none')
    assert.equal(strange.functionCode, 129)
    assert.deepEqual(strange.dependencies, [])
    assert.equal(strange.dependencyFields[0].functionCode, 130)
  })

  it('tells a product only where there is one', () => {
    assert.deepEqual(productOf(parseModule(v1)), { id: 0x1234, version: 7 })
    assert.equal(productOf(parseModule(vector('v2-'))), undefined)
    assert.equal(productOf(parseModule(vector('v3-'))), undefined)
  })

  it('says what is wrong with a damaged file, and where', () => {
    fails(new Uint8Array(), 'truncated', 0)
    fails(v1.subarray(0, 20), 'truncated', 20)
    fails(v1.subarray(0, 131), 'truncated', 131)
    fails(changed(v1, [4, 0], [5, 0]), 'address', 4)
    fails(changed(v1, [4, 0x3b]), 'address', 4)
    fails(changed(v1, [14, 0]), 'function', 14)
    fails(changed(v1, [20, 0], [21, 1]), 'dependency', 20)
    fails(changed(v1, [16, 0]), 'dependency', 16)
    fails(changed(v1, [126, 35]), 'suffix-size', 126)
    fails(changed(v1, [126, 105]), 'suffix-size', 126)
    fails(changed(v1, [127, 2]), 'suffix-size', 126)
    fails(changed(v1, [9, 0x10]), 'extension', 24)
    fails(changed(vector('v5-'), [90, 3]), 'extension', 90)
    fails(changed(vector('v6-'), [26, 44]), 'extension', 70)
  })

  it('refuses foreign files', () => {
    const text = new TextEncoder().encode(
      '#!/bin/sh\necho "this is not a module, but long enough to be one"\n'.repeat(4),
    )
    assert.throws(() => parseModule(text), ModuleFormatError)
    assert.throws(() => parseModule(vector('bundle')), ModuleFormatError)
    assert.throws(() => parseModule(new Uint8Array(5000)), ModuleFormatError)
    assert.throws(() => parseModule(new Uint8Array(5000).fill(0xff)), ModuleFormatError)
  })

  it('stops at an extension that would run past the suffix, as devices do', () => {
    const module = parseModule(sealModule(changed(vector('v5-'), [90, 0x40])))
    assert.deepEqual(module.suffixExtensions, [])
    assert.deepEqual(module.assetDependencies, [])
    assert.deepEqual(module.product, { id: 0x1234, version: 7 })
  })

  it('throws nothing but its own error, for any bytes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), parseOrOwnError), { numRuns: fuzzRuns * 5 })
  })

  it('throws nothing but its own error, for any damage to a real module', () => {
    const damage = fc.array(fc.tuple(fc.nat(700), fc.nat(255)), { minLength: 1, maxLength: 8 })
    fc.assert(
      fc.property(moduleSpecs, damage, fc.nat(40), (spec, changes, cut) => {
        const bytes = buildModule(spec)
        const inside = changes.filter(([offset]) => offset < bytes.length)
        parseOrOwnError(changed(bytes, ...inside))
        parseOrOwnError(bytes.subarray(0, bytes.length - cut))
      }),
      { numRuns: fuzzRuns * 2 },
    )
  })

  it('sees every flipped bit', () => {
    for (let bit = 0; bit < v1.length * 8; bit++) {
      const bytes = changed(v1, [bit >> 3, (v1[bit >> 3] ?? 0) ^ (1 << (bit & 7))])
      assert.throws(() => parseModule(bytes, { intact: true, prefixOffset: 0 }), ModuleFormatError, `bit ${bit}`)
    }
  })
})
