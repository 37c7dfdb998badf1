import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { assetTypes, buildAssetModule } from '../assets/asset-module.ts'
import { buildEnvironmentModule } from '../assets/environment.ts'
import { toHex } from '../bytes.ts'
import { sha256Hex } from '../checksums.ts'
import { patternBody, patternVectorTable, type VectorFacts, vector, vectorFacts } from '../fixtures/vectors.ts'
import { moduleFunctionCode } from '../module-function.ts'
import { buildModule, moduleSpec } from './build.ts'
import { combineModules, splitModules } from './combine.ts'
import { compressModule, decompressModule } from './compress.ts'
import { addAssetDependencies, protectBootloader } from './extend.ts'
import { encodeExtension, extensionCode } from './extensions.ts'
import { type FirmwareModule, parseModule } from './parse.ts'

const raw = new TextEncoder().encode('hello asset\n')
const asset = { name: 'a.txt', hash: sha256Hex(raw) }

function facts(module: FirmwareModule): Partial<VectorFacts> {
  const [dep, dep2] = module.dependencyFields
  const extensions = (list: FirmwareModule['suffixExtensions']) =>
    list.map((extension) => ({ type: extensionCode(extension), data: toHex(encodeExtension(extension)) }))
  return {
    prefix: {
      moduleStartAddy: module.startAddress.toString(16),
      moduleEndAddy: module.endAddress.toString(16),
      reserved: module.mcuTarget,
      moduleFlags: module.flags,
      moduleVersion: module.version,
      platformID: module.platformId,
      moduleFunction: moduleFunctionCode(module.function),
      moduleIndex: module.index,
      depModuleFunction: dep.functionCode,
      depModuleIndex: dep.index,
      depModuleVersion: dep.version,
      dep2ModuleFunction: dep2.functionCode,
      dep2ModuleIndex: dep2.index,
      dep2ModuleVersion: dep2.version,
      prefixSize: module.body.byteOffset - module.bytes.byteOffset - module.prefixOffset,
      prefixOffset: module.prefixOffset,
    },
    suffix: {
      productId: module.product?.id ?? -1,
      productVersion: module.product?.version ?? -1,
      fwUniqueId: module.sha256,
      reserved: module.reserved,
      suffixSize: module.suffixSize,
      extensions: extensions(module.suffixExtensions),
    },
    prefixExt: extensions(module.prefixExtensions),
  }
}

describe('the vectors', () => {
  for (const expected of vectorFacts()) {
    it(`${expected.name} is read as an independent reader reads it, and written back the same`, () => {
      const bytes = vector(`${expected.name}.`)
      assert.equal(bytes.length, expected.size)
      assert.equal(sha256Hex(bytes), expected.sha256)
      if (!expected.prefix || !expected.suffix) return
      const module = parseModule(bytes)
      const { extensions, ...suffix } = expected.suffix
      const { crcBlock: _, ...suffixFacts } = suffix as typeof suffix & { crcBlock: string }
      assert.deepEqual(facts(module), {
        prefix: expected.prefix,
        suffix: { ...suffixFacts, extensions: extensions.map(({ type, data }) => ({ type, data })) },
        prefixExt: expected.prefixExt?.map(({ type, data }) => ({ type, data })),
      })
      assert.equal(module.crc.toString(16).padStart(8, '0'), expected.crc)
      assert.ok(module.crcValid)
      assert.ok(module.sha256Valid)
      assert.equal(module.trailing, 0)
      assert.deepEqual(buildModule(moduleSpec(module)), bytes)
    })
  }
})

describe('the vectors, built from their description', () => {
  const v1 = vector('v1-')
  const v3 = vector('v3-')
  const v4 = vector('v4-')

  it('v1: an nRF52840 application', () => {
    const built = buildModule({
      function: 'user_part',
      index: 2,
      platformId: 12,
      version: 6,
      dependencies: [{ function: 'system_part', index: 1, version: 5501 }],
      product: { id: 0x1234, version: 7 },
      body: patternBody(64),
    })
    assert.deepEqual(built, v1)
  })

  it('v2: a radio stack with the short suffix', () => {
    const built = buildModule({
      function: 'radio_stack',
      index: 0,
      platformId: 12,
      version: 202,
      flags: 1,
      dependencies: [
        { function: 'bootloader', index: 0, version: 501 },
        { function: 'system_part', index: 1, version: 1321 },
      ],
      product: null,
      body: patternBody(32),
    })
    assert.deepEqual(built, vector('v2-'))
  })

  it('v3: a system part behind a vector table', () => {
    const built = buildModule({
      function: 'system_part',
      index: 1,
      platformId: 13,
      version: 6200,
      dependencies: [
        { function: 'bootloader', index: 0, version: 3100 },
        { function: 'radio_stack', index: 0, version: 202 },
      ],
      vectorTable: patternVectorTable(512, 0x2004_0000, 0x2_8001),
      body: patternBody(40),
    })
    assert.deepEqual(built, v3)
  })

  it('v4: an RTL872x application, which ends at a fixed address', () => {
    const built = buildModule({
      function: 'user_part',
      index: 1,
      platformId: 32,
      version: 6,
      dependencies: [{ function: 'system_part', index: 1, version: 5501 }],
      body: patternBody(64),
      suffixExtensions: [
        { type: 'dynamic_location', dynalibLoad: 0x0860_000e, dynalibStart: 0x023f_46c0 },
        { type: 'product_data', id: 0x2222, version: 9 },
      ],
    })
    assert.deepEqual(built, v4)
  })

  it('v5 and v6: asset dependencies in the suffix, and in the prefix of what grows down', () => {
    assert.deepEqual(addAssetDependencies(v1, [asset]), vector('v5-'))
    assert.deepEqual(addAssetDependencies(v4, [asset]), vector('v6-'))
  })

  it('v7 and v8: assets, raw and compressed', () => {
    const file = { name: 'a.txt', data: raw }
    assert.deepEqual(buildAssetModule(file, { compress: false }), vector('v7-'))
    assert.deepEqual(buildAssetModule(file, { level: 0 }), vector('v8-'))
    // Deflate differs between builds of zlib, so this one counts once it is inflated.
    assert.deepEqual(decompressModule(buildAssetModule(file)), vector('v7-'))
    assert.deepEqual(decompressModule(vector('v8b-')), vector('v7-'))
  })

  it('v9: a compressed application', () => {
    assert.deepEqual(compressModule(v1, { level: 0 }), vector('v9-'))
    assert.deepEqual(decompressModule(vector('v9-')), v1)
  })

  it('v10: a system part and an application in one file', () => {
    assert.deepEqual(combineModules([v3, v1]), vector('v10-'))
    assert.deepEqual(splitModules(vector('v10-')), [v3, v1])
  })

  it('v11: a bootloader for protected devices', () => {
    const bootloader = buildModule({
      function: 'bootloader',
      index: 0,
      platformId: 12,
      version: 3100,
      vectorTable: patternVectorTable(512, 0x2004_0000, 0xf_4001),
      body: patternBody(24),
    })
    assert.deepEqual(protectBootloader(bootloader), vector('v11-'))
  })

  it('v16: environment variables', () => {
    const built = buildEnvironmentModule({ FOO: 'bar', B_1: '2' })
    assert.deepEqual(built, vector('v16-'))
    const last = parseModule(built).suffixExtensions.at(2)
    assert.deepEqual(last, { type: 'asset_type', assetType: assetTypes.environment })
  })
})
