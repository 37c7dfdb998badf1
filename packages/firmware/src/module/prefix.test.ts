import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { patternBody, patternVectorTable, vector } from '../fixtures/vectors.ts'
import { platformById } from '../platforms/platforms.ts'
import { buildModule } from './build.ts'
import { locatePrefix, locatePrefixOnDevice } from './prefix.ts'

function systemPart(platformId: number, vectorTable: Uint8Array): Uint8Array {
  return buildModule({
    function: 'system_part',
    index: 1,
    platformId,
    version: 1000,
    startAddress: 0x0802_0000,
    vectorTable,
    body: patternBody(100),
  })
}

describe('the search for the prefix', () => {
  it('finds it behind the vector table of every family, and anywhere on a multiple of four', () => {
    for (const size of [0, 0x10c, 0xc0, 0x184, 0x200, 0x20, 8, 1000, 8192]) {
      const table = size === 0 ? new Uint8Array() : patternVectorTable(size, 0x2000_4000, 0x0802_0101)
      assert.equal(locatePrefix(systemPart(6, table)), size)
    }
  })

  it('finds it in front of other bytes', () => {
    assert.equal(locatePrefix(vector('v10-')), 512)
  })

  it('takes the best candidate for a module of an unknown platform and function', () => {
    const strange = buildModule({
      function: 'none',
      functionCode: 129,
      index: 99,
      platformId: 129,
      version: 9999,
      startAddress: 0x2000_3000,
      flags: 0x80,
      dependencyFields: [
        { functionCode: 129, index: 99, version: 999 },
        { functionCode: 129, index: 29, version: 129 },
      ],
      vectorTable: patternVectorTable(0x10c, 0x2000_4000, 0x0800_5101),
      product: null,
      body: patternBody(500),
    })
    assert.equal(locatePrefix(strange), 0x10c)
  })

  it('says 0 when there is none', () => {
    assert.equal(locatePrefix(new Uint8Array(10_000)), 0)
    assert.equal(locatePrefix(new Uint8Array()), 0)
  })
})

describe('the prefix on a device', () => {
  it('of an nRF52840 lies behind a vector table, which begins with a stack pointer', () => {
    assert.equal(locatePrefixOnDevice(patternVectorTable(1024, 0x2003_fc00, 0x2_8001), 'nrf52840'), 0x200)
    assert.equal(locatePrefixOnDevice(vector('v3-'), 'nrf52840'), 0x200)
    assert.equal(locatePrefixOnDevice(vector('v1-'), 'nrf52840'), 0)
  })

  it('of an RTL872x lies behind an image header with the signature of Realtek', () => {
    const image = Uint8Array.from([0x99, 0x99, 0x96, 0x96, 0x3f, 0xcc, 0x66, 0xfc, ...patternBody(100)])
    assert.equal(locatePrefixOnDevice(image, 'rtl872x'), 0x20)
    image[7] = 0
    assert.equal(locatePrefixOnDevice(image, 'rtl872x'), 0)
    assert.equal(locatePrefixOnDevice(vector('v4-'), 'rtl872x'), 0)
  })

  it('is where the host tools find it, for every vector', () => {
    for (const name of ['v1-', 'v2-', 'v3-', 'v4-', 'v5-', 'v6-', 'v9-', 'v10-', 'v11-']) {
      const bytes = vector(name)
      const offset = locatePrefix(bytes)
      const platform = platformById(new DataView(bytes.buffer).getUint16(offset + 12, true))
      assert.equal(locatePrefixOnDevice(bytes, platform?.prefixRule ?? 'none'), offset, name)
    }
  })

  it('comes first on linux, and where there is nothing to read', () => {
    assert.equal(locatePrefixOnDevice(vector('v3-'), 'none'), 0)
    assert.equal(locatePrefixOnDevice(vector('v3-'), 'scan'), 512)
    assert.equal(locatePrefixOnDevice(new Uint8Array(7), 'nrf52840'), 0)
  })
})
