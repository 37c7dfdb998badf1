import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { fuzzRuns, patternBody, vector } from '../fixtures/vectors.ts'
import { buildModule, sealModule } from './build.ts'
import { ModuleFormatError, ModuleSpecError } from './error.ts'
import {
  addAssetDependencies,
  addExtensions,
  protectBootloader,
  removeAssetDependencies,
  securityMode,
} from './extend.ts'
import { parseModule } from './parse.ts'

const hash = 'ab'.repeat(32)

describe('extensions added to a module', () => {
  it('are found again, in the suffix or the prefix, and leave no trace when they are taken out', () => {
    const asset = fc.string({ minLength: 1, maxLength: 30 }).map((name) => ({ name, hash }))
    fc.assert(
      fc.property(
        fc.constantFrom('v1-', 'v3-', 'v4-'),
        fc.array(asset, { minLength: 1, maxLength: 4 }),
        fc.array(asset, { minLength: 1, maxLength: 4 }),
        (name, first, second) => {
          const bare = vector(name)
          const once = addAssetDependencies(bare, first)
          const twice = addAssetDependencies(once, second)
          assert.deepEqual(parseModule(once).assetDependencies, first)
          // The suffix has the newest first, the prefix last.
          const both = name === 'v4-' ? [...first, ...second] : [...second, ...first]
          const module = parseModule(twice, { intact: true })
          assert.deepEqual(module.assetDependencies, both)
          assert.equal(module.startAddress % (name === 'v4-' ? 8 : 1), 0)
          assert.deepEqual(removeAssetDependencies(twice), bare)
        },
      ),
      { numRuns: fuzzRuns },
    )
  })

  it('move what grows down, and tell its new place', () => {
    const before = parseModule(vector('v4-'))
    const after = parseModule(addAssetDependencies(vector('v4-'), [{ name: 'x', hash }]))
    assert.equal(after.endAddress, before.endAddress)
    const [location] = after.suffixExtensions
    assert.ok(location?.type === 'dynamic_location')
    assert.equal(location.moduleStart, after.startAddress)
    assert.equal(location.dynalibStart, 0x023f_46c0)
  })

  it('give product data to a suffix that had no room for it', () => {
    const module = parseModule(addExtensions(vector('v2-'), [{ type: 'name', name: 'x' }]))
    assert.deepEqual(module.product, { id: 0xffff, version: 0xffff })
    assert.equal(module.suffixSize, 36 + 5 + 4 + 4)
  })

  it('keep what this code does not understand', () => {
    const raw = { type: 'raw', code: 0x77, payload: patternBody(9) } as const
    const module = parseModule(addAssetDependencies(addExtensions(vector('v1-'), [raw]), [{ name: 'x', hash }]))
    assert.deepEqual(module.suffixExtensions[1], raw)
  })

  it('do not make a module larger than its slot', () => {
    const full = buildModule({
      function: 'user_part',
      index: 2,
      platformId: 12,
      version: 6,
      body: patternBody(0x40000 - 24 - 40 - 4),
    })
    assert.throws(() => addAssetDependencies(full, [{ name: 'x', hash }]), ModuleSpecError)
  })

  it('are not added to damaged, compressed or odd modules', () => {
    assert.throws(() => addExtensions(vector('v1-').fill(0, 30, 33), []), ModuleFormatError)
    assert.throws(() => addExtensions(vector('v9-'), []), ModuleSpecError)
    const odd = vector('v5-')
    odd[90] = 0x40
    assert.throws(() => addExtensions(sealModule(odd), []), ModuleFormatError)
  })

  it('protect bootloaders, with a certificate or without', () => {
    const certificate = patternBody(300)
    const bare = buildModule({ function: 'bootloader', index: 0, platformId: 26, version: 3100, body: patternBody(9) })
    assert.equal(securityMode(parseModule(bare)), 0)
    assert.equal(securityMode(parseModule(protectBootloader(bare))), 1)
    const module = parseModule(protectBootloader(bare, certificate))
    assert.deepEqual(module.suffixExtensions[0], { type: 'security_mode', mode: 1, certificate })
    assert.equal(module.suffixSize, 349)
    assert.throws(() => protectBootloader(vector('v1-')), ModuleSpecError)
  })
})
