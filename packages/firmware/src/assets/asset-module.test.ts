import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { sha256Hex } from '../checksums.ts'
import { fuzzRuns, patternBody, vector } from '../fixtures/vectors.ts'
import { sealModule } from '../module/build.ts'
import { ModuleFormatError, type ModuleFormatErrorCode, ModuleSpecError } from '../module/error.ts'
import { assetRef, assetStorageSize, assetTypes, buildAssetModule, readAssetModule } from './asset-module.ts'

function fails(bytes: Uint8Array, code: ModuleFormatErrorCode, maxSize?: number): void {
  assert.throws(
    () => readAssetModule(bytes, maxSize),
    (error) => {
      assert.ok(error instanceof ModuleFormatError, String(error))
      assert.equal(error.code, code, error.message)
      return true
    },
  )
}

describe('asset modules', () => {
  it('carry any file, compressed or not', () => {
    fc.assert(
      fc.property(
        fc.string({ minLength: 1 }),
        fc.uint8Array({ maxLength: 3000 }),
        fc.boolean(),
        (name, data, compress) => {
          fc.pre(!name.includes('\0'))
          const asset = readAssetModule(buildAssetModule({ name, data }, { compress }))
          assert.deepEqual(asset, { name, data, hash: sha256Hex(data), assetType: assetTypes.default })
        },
      ),
      { numRuns: fuzzRuns },
    )
  })

  it('say what they are for', () => {
    assert.equal(readAssetModule(vector('v16')).assetType, assetTypes.environment)
    assert.equal(readAssetModule(vector('v16')).name, 'env')
    const snapshot = buildAssetModule(
      { name: 'env', data: patternBody(3) },
      { assetType: assetTypes.environmentSnapshot },
    )
    assert.equal(readAssetModule(snapshot).assetType, assetTypes.environmentSnapshot)
  })

  it('are refused as a device refuses them', () => {
    fails(vector('v1-'), 'function')
    fails(vector('v7-').fill(0, 30, 33), 'crc')
    const v7 = vector('v7-')
    v7[24] = 0
    fails(sealModule(v7), 'asset')
    const flags = vector('v7-')
    flags[9] = 0
    fails(sealModule(flags), 'flags')
    const nameless = vector('v7-')
    nameless[74] = 0x77
    fails(sealModule(nameless), 'asset')
    const hashless = vector('v7-')
    hashless[36] = 0x77
    fails(sealModule(hashless), 'asset')
    fails(vector('v7-'), 'too-large', 11)
    fails(vector('v8-'), 'too-large', 11)
    assert.throws(() => buildAssetModule({ name: '', data: patternBody(1) }), ModuleSpecError)
  })

  it('take whole blocks of the store', () => {
    assert.equal(assetStorageSize(1), 4096)
    assert.equal(assetStorageSize(4088), 4096)
    assert.equal(assetStorageSize(4089), 8192)
    assert.equal(assetStorageSize(0), 0)
  })

  it('are named by an application', () => {
    const data = new TextEncoder().encode('hello asset\n')
    const hash = '84ba19f79faacff0cfa1b992693129dfbb0e18da60c7df0f51bf9a562d1c28f6'
    assert.deepEqual(assetRef({ name: 'a.txt', data }), { name: 'a.txt', hash, size: 12 })
  })
})
