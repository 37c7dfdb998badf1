import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { buildBundle, buildModule, combineModules } from '@aloe/firmware'
import fc from 'fast-check'
import { checkProductFirmware, type FirmwareCheck } from './firmware-check.ts'
import { linux, productApplication } from './firmware-fixture.ts'

const product = { id: 10_000, platformId: linux }
const check = (file: Uint8Array, version = 3): FirmwareCheck => checkProductFirmware(file, product, version)
const reason = (file: Uint8Array, version?: number): string => {
  const result = check(file, version)
  return result.ok ? 'it is fine' : result.reason
}
const bundle = () =>
  buildBundle({
    application: { name: 'app.bin', data: productApplication({ id: linux, version: 3 }) },
    assets: [{ name: 'a', data: Buffer.from('asset') }],
  })

describe('the firmware of a product', () => {
  it('is an application for its platform, of no product, of the platform’s or of this one', () => {
    for (const said of [undefined, { id: linux, version: 3 }, { id: 10_000, version: 3 }, { id: 0xffff, version: 3 }]) {
      assert.equal(check(productApplication(said)).ok, true, JSON.stringify(said))
    }
    const zipped = check(bundle())
    assert.equal(zipped.ok && zipped.fileName, 'firmware.zip')
  })

  it('is nothing else', () => {
    const system = buildModule({
      platformId: linux,
      function: 'system_part',
      index: 1,
      version: 1,
      body: new Uint8Array(50),
    })
    assert.match(reason(system), /not an application/)
    assert.match(
      reason(combineModules([productApplication(), productApplication()])),
      /behind the application|trailing/,
    )
    assert.match(reason(productApplication({ id: linux, version: 4 })), /version 4, and not 3/)
    assert.match(reason(productApplication({ id: 10_001, version: 3 })), /product 10001/)
    assert.match(reason(new Uint8Array()), /no module/)
    assert.match(reason(Buffer.from('PK\u0003\u0004')), /no module/)
  })

  it('is never in doubt, whatever the bytes', () => {
    const files = [productApplication(), bundle()]
    fc.assert(
      fc.property(fc.constantFrom(...files), fc.nat(), fc.uint8Array({ maxLength: 20 }), (file, at, bytes) => {
        const damaged = Uint8Array.from(file)
        damaged.set(bytes.subarray(0, damaged.length - (at % damaged.length)), at % damaged.length)
        check(damaged)
        check(damaged.subarray(0, at % damaged.length))
        check(bytes)
      }),
      { numRuns: Number(process.env.ALOE_FUZZ_RUNS ?? 100) },
    )
  })
})
