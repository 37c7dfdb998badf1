import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { buildAssetModule } from '../assets/asset-module.ts'
import { versioned } from '../fixtures/notation.ts'
import { fuzzRuns, patternBody, patternVectorTable, vector } from '../fixtures/vectors.ts'
import { buildModule, type ModuleSpec, sealModule } from '../module/build.ts'
import { combineModules } from '../module/combine.ts'
import { compressModule } from '../module/compress.ts'
import { parseModule } from '../module/parse.ts'
import type { Platform } from '../platforms/platform.ts'
import { platformByName } from '../platforms/platforms.ts'
import { updateResult } from '../system-error.ts'
import type { InstalledModules } from './installed.ts'
import { resultOf, validateModule, validateUpdate } from './validate.ts'

function platform(name: string): Platform {
  const found = platformByName(name)
  assert.ok(found)
  return found
}

const linux = platform('linux')
const argon = platform('argon')
const installed: InstalledModules = 'b0@100 s1@1000(b0@100) s2@1000(s1@1000)'.split(' ').map(versioned)
const onArgon: InstalledModules = 'b0@3100 s1@6200(a0@202,b0@3100) a0@202'.split(' ').map(versioned)

function application(changes: Partial<ModuleSpec> = {}): Uint8Array {
  return buildModule({ ...versioned('u1@1(s2@1000)'), platformId: 43, body: patternBody(100), ...changes })
}

function systemPart(changes: Partial<ModuleSpec> = {}): Uint8Array {
  return buildModule({ ...versioned('s1@1100(b0@100)'), platformId: 43, body: patternBody(100), ...changes })
}

function result(bytes: Uint8Array, on = linux, modules = installed): number {
  return validateModule(bytes, on, modules).result
}

describe('the validation of a module', () => {
  it('passes what a device takes, with all flags', () => {
    const { checked, passed, result, module } = validateModule(application(), linux, installed)
    assert.deepEqual([checked, passed, result, module?.function], [94, 94, 0, 'user_part'])
  })

  it('takes the vectors on their platforms', () => {
    const boron = 'b0@3100 s1@6200 a0@202'.split(' ').map(versioned)
    const p2 = 'b0@3100 b2@9 s1@6200'.split(' ').map(versioned)
    assert.equal(result(vector('v1-'), argon, onArgon), updateResult.ok)
    assert.equal(result(vector('v3-'), platform('boron'), boron), updateResult.ok)
    assert.equal(result(vector('v4-'), platform('p2'), p2), updateResult.ok)
    assert.equal(result(vector('v5-'), argon, onArgon), updateResult.ok)
    assert.equal(result(vector('v6-'), platform('p2'), p2), updateResult.ok)
    assert.equal(result(vector('v9-'), argon, onArgon), updateResult.ok)
    assert.equal(result(vector('v11-'), argon, onArgon), updateResult.ok)
    assert.equal(result(compressModule(vector('v4-')), platform('p2'), p2), updateResult.ok)
  })

  it('does not test assets, whose store does that', () => {
    const asset = buildAssetModule({ name: 'a', data: patternBody(9) })
    const { checked, passed, result } = validateModule(asset, linux, installed)
    assert.deepEqual([checked, passed, result], [0, 0, updateResult.ok])
    assert.equal(validateModule(asset, platform('photon'), []).result, updateResult.unsupportedModule)
  })

  it('answers -1330 to a flipped bit in the body or suffix', () => {
    const bytes = application()
    for (let offset = 24; offset < bytes.length; offset++) {
      const damaged = bytes.slice()
      damaged[offset] = (damaged[offset] ?? 0) ^ 0x10
      assert.equal(result(damaged), updateResult.integrityCheckFailed, `offset ${offset}`)
    }
  })

  it('answers -1330 to a file that ends too early', () => {
    assert.equal(result(application().subarray(0, 100)), updateResult.integrityCheckFailed)
  })

  it('answers -1340 when a dependency is not met, and says which', () => {
    const validation = validateModule(
      systemPart({ dependencies: [{ function: 'bootloader', index: 0, version: 101 }] }),
      linux,
      installed,
    )
    assert.equal(validation.result, updateResult.dependencyCheckFailed)
    assert.match(validation.message, /system_part 1@1100 needs bootloader 0@101/)
    const downgrade = validateModule(systemPart({ version: 999 }), linux, installed)
    assert.equal(downgrade.result, updateResult.dependencyCheckFailed)
    assert.match(downgrade.message, /would leave/)
  })

  it('answers -1360 to a module of another platform whose addresses would do', () => {
    const foreign = sealModule(application({ platformId: 13, startAddress: 0x90_0000 }))
    const validation = validateModule(foreign, linux, installed)
    assert.equal(validation.result, updateResult.invalidPlatform)
    assert.match(validation.message, /is for boron, not for linux/)
  })

  it('answers -1300 to a module without a place', () => {
    assert.equal(result(application({ index: 2, startAddress: 0x90_0000 })), updateResult.moduleNotFound)
    assert.equal(result(application({ startAddress: 0x110_0000 - 100 })), updateResult.moduleNotFound)
    assert.equal(result(application({ mcuTarget: 0x21 })), updateResult.moduleNotFound)
    assert.equal(result(application({ mcuTarget: 0xff })), updateResult.ok)
    const last = { ...versioned('u2@6(s1@6200)'), platformId: 12, body: patternBody(100) }
    assert.equal(result(buildModule({ ...last, endAddress: 0xf4000 - 4 }), argon, onArgon), updateResult.ok)
    assert.equal(result(buildModule({ ...last, endAddress: 0xf4000 - 3 }), argon, onArgon), updateResult.moduleNotFound)
  })

  it('answers -1350 to a module that lies wrong in its slot', () => {
    assert.equal(result(application({ startAddress: 0x8f_fff8 })), updateResult.invalidAddress)
    const p2 = 'b0@3100 b2@9 s1@6200'.split(' ').map(versioned)
    const early = buildModule({
      ...versioned('u1@6(s1@6200)'),
      platformId: 32,
      body: patternBody(100),
      endAddress: 0x085f_0000,
    })
    assert.equal(result(early, platform('p2'), p2), updateResult.invalidAddress)
  })

  it('answers -1300 to what is no module', () => {
    for (const bytes of [
      new Uint8Array(),
      patternBody(10),
      new Uint8Array(500),
      new TextEncoder().encode('hello'.repeat(50)),
    ]) {
      assert.equal(result(bytes), updateResult.moduleNotFound)
    }
  })

  it('answers -1310 to what is never updated that way', () => {
    const flagged = systemPart({ ...versioned('b0@200'), flags: 2 })
    assert.equal(result(flagged), updateResult.unsupportedModule)
    const ncp = { ...versioned('c0@5'), body: patternBody(50), startAddress: 0 }
    assert.equal(result(buildModule({ ...ncp, platformId: 12 }), argon, onArgon), updateResult.ok)
    assert.equal(result(buildModule({ ...ncp, platformId: 13 }), platform('boron'), []), updateResult.unsupportedModule)
    const mbr = buildModule({ ...versioned('b1@2'), platformId: 32, body: patternBody(50) })
    assert.equal(result(mbr, platform('p2'), []), updateResult.unsupportedModule)
  })

  it('answers -1370 to a vector table before a module that drops its prefix', () => {
    const bytes = buildModule({
      ...versioned('s1@6200'),
      platformId: 12,
      flags: 1,
      vectorTable: patternVectorTable(512, 0x2003_0000, 1),
      body: patternBody(50),
    })
    assert.equal(result(bytes, argon, onArgon), updateResult.invalidFormat)
  })

  it('knows the larger slot of an old Device OS', () => {
    const boron = platform('boron')
    const large = buildModule({
      ...versioned('s1@1512'),
      platformId: 13,
      startAddress: 0x30000,
      body: new Uint8Array(0x90000),
    })
    assert.equal(result(large, boron, ['b0@501', 's1@1321'].map(versioned)), updateResult.ok)
    assert.equal(
      result(
        large,
        boron,
        ['b0@501', 's1@1512'].map(versioned).map((m) => ({ ...m, version: 6200 })),
      ),
      updateResult.moduleNotFound,
    )
  })

  it('takes a parsed module as well', () => {
    assert.equal(validateModule(parseModule(application()), linux, installed).result, updateResult.ok)
  })

  it('never throws', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('linux', 'boron', 'p2', 'photon', 'gcc', 'core', 'tachyon'),
        fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { maxLength: 10 }),
        fc.nat(60),
        (name, changes, cut) => {
          const bytes = application()
          for (const [offset, value] of changes) if (offset < bytes.length) bytes[offset] = value
          validateUpdate(bytes.subarray(0, bytes.length - cut), platform(name), installed)
        },
      ),
      { numRuns: fuzzRuns * 2 },
    )
  })

  it('asks in the order integrity, dependencies, range, platform', () => {
    assert.equal(resultOf(94, 94), updateResult.ok)
    assert.equal(resultOf(94, 0), updateResult.integrityCheckFailed)
    assert.equal(resultOf(94, 2), updateResult.dependencyCheckFailed)
    assert.equal(resultOf(94, 2 | 4), updateResult.dependencyCheckFailed)
    assert.equal(resultOf(94, 2 | 4 | 64), updateResult.invalidAddress)
    assert.equal(resultOf(94, 2 | 4 | 64 | 8), updateResult.invalidPlatform)
    assert.equal(resultOf(126, 94), updateResult.validationFailed)
  })
})

describe('the validation of an update file', () => {
  it('takes a system part and the application that needs it', () => {
    const file = combineModules([
      systemPart({ ...versioned('s2@1100(s1@1000)') }),
      application({ dependencies: [{ function: 'system_part', index: 2, version: 1100 }] }),
    ])
    const { result, modules } = validateUpdate(file, linux, installed)
    assert.equal(result, updateResult.ok)
    assert.deepEqual(
      modules.map(({ module }) => module?.function),
      ['system_part', 'user_part'],
    )
  })

  it('tests each module against what is installed, not against the other', () => {
    const file = combineModules([
      systemPart({ ...versioned('b0@200') }),
      systemPart({ ...versioned('s1@2000(b0@200)') }),
    ])
    assert.equal(validateUpdate(file, linux, installed).result, updateResult.dependencyCheckFailed)
  })

  it('refuses more than two modules, and anything behind the last', () => {
    const three = combineModules([systemPart(), systemPart(), application()])
    assert.equal(validateUpdate(three, linux, installed).result, updateResult.unsupportedModule)
    const longer = Uint8Array.from([...application(), 0])
    assert.equal(validateUpdate(longer, linux, installed).result, updateResult.invalidFormat)
  })

  it('refuses files that are empty or larger than the OTA region', () => {
    assert.equal(validateUpdate(new Uint8Array(), linux, installed).result, updateResult.invalidSize)
    const large = new Uint8Array(linux.otaRegionSize + 1)
    assert.equal(validateUpdate(large, linux, installed).result, updateResult.invalidSize)
  })
})
