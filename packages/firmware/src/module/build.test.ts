import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { moduleSpecs } from '../fixtures/arbitrary.ts'
import { fuzzRuns, patternBody } from '../fixtures/vectors.ts'
import { buildModule, type ModuleSpec, moduleSpec } from './build.ts'
import { ModuleSpecError } from './error.ts'
import { parseModule } from './parse.ts'

const application: ModuleSpec = {
  function: 'user_part',
  index: 1,
  platformId: 43,
  version: 1,
  dependencies: [{ function: 'system_part', index: 2, version: 1000 }],
  body: patternBody(10),
}

function refuses(spec: ModuleSpec, field: string): void {
  assert.throws(
    () => buildModule(spec),
    (error) => error instanceof ModuleSpecError && error.field === field,
  )
}

describe('building a module', () => {
  it('gives back, when read, what it was built from, and the same bytes when built again', () => {
    fc.assert(
      fc.property(moduleSpecs, (spec) => {
        const bytes = buildModule(spec)
        const module = parseModule(bytes, { prefixOffset: spec.vectorTable?.length ?? 0, intact: true })
        assert.deepEqual(moduleSpec(module), spec)
        assert.deepEqual(buildModule(moduleSpec(module)), bytes)
        assert.ok(module.sha256Valid)
        assert.equal(module.trailing, 0)
        assert.equal(module.endAddress - module.startAddress + 4, bytes.length)
      }),
      { numRuns: fuzzRuns },
    )
  })

  it('starts a module at the start of its slot unless told otherwise', () => {
    assert.equal(parseModule(buildModule(application)).startAddress, 0x90_0000)
    assert.equal(parseModule(buildModule({ ...application, startAddress: 0x90_1000 })).startAddress, 0x90_1000)
    assert.equal(parseModule(buildModule({ ...application, endAddress: 0xa0_0000 })).endAddress, 0xa0_0000)
  })

  it('takes the co-processor from the slot', () => {
    const ncp = buildModule({ function: 'ncp_firmware', index: 0, platformId: 26, version: 7, body: patternBody(9) })
    assert.equal(parseModule(ncp).mcuTarget, 0x21)
  })

  it('keeps an empty first dependency before a second one', () => {
    const module = parseModule(
      buildModule({
        ...application,
        dependencies: [
          { function: 'none', index: 0, version: 0 },
          { function: 'bootloader', index: 0, version: 7 },
        ],
      }),
    )
    assert.deepEqual(module.dependencyFields[1], { functionCode: 2, index: 0, version: 7 })
    assert.deepEqual(module.dependencies, [{ function: 'bootloader', index: 0, version: 7 }])
  })

  it('refuses what cannot be a module, and names the field', () => {
    refuses({ ...application, version: 65_536 }, 'version')
    refuses({ ...application, version: 1.5 }, 'version')
    refuses({ ...application, index: -1 }, 'index')
    refuses({ ...application, function: 'none' }, 'function')
    refuses({ ...application, functionCode: 4 }, 'functionCode')
    refuses({ ...application, platformId: 9999 }, 'startAddress')
    refuses({ ...application, startAddress: 0xffff_fff0 }, 'startAddress')
    refuses({ ...application, endAddress: 10 }, 'startAddress')
    refuses({ ...application, flags: 0x10 }, 'flags')
    refuses({ ...application, product: { id: 70_000, version: 1 } }, 'product')
    refuses({ ...application, body: new Uint8Array(8 * 1024 * 1024) }, 'body')
    refuses({ ...application, dependencies: [{ function: 'none', index: 1, version: 0 }] }, 'dependencies')
    refuses({ ...application, dependencies: Array(3).fill(application.dependencies?.[0]) }, 'dependencies')
    refuses({ ...application, suffixExtensions: [{ type: 'hash', hash: 'ab' }] }, 'extensions')
    refuses({ ...application, suffixExtensions: [{ type: 'name', name: 'x'.repeat(70_000) }] }, 'extensions')
    refuses(
      {
        ...application,
        prefixExtensions: [
          { type: 'end', padding: 0 },
          { type: 'name', name: 'x' },
        ],
      },
      'prefixExtensions',
    )
  })
})
