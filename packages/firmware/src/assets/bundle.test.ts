import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { fuzzRuns, patternBody, vector } from '../fixtures/vectors.ts'
import { ModuleFormatError, ModuleSpecError } from '../module/error.ts'
import { parseModule } from '../module/parse.ts'
import { type Bundle, buildBundle, readBundle } from './bundle.ts'
import { environmentAsset } from './environment.ts'
import { readZip, writeZip } from './zip.ts'

const application = { name: 'app.bin', data: vector('v1-') }
const asset = { name: 'a.txt', data: new TextEncoder().encode('hello asset\n') }

describe('bundles', () => {
  it('made by another tool are read', () => {
    const bundle = readBundle(vector('bundle'))
    assert.equal(bundle.application.name, 'app.bin')
    assert.deepEqual(bundle.assets, [asset, environmentAsset({ FOO: 'bar' })])
    assert.deepEqual(bundle.environment, { FOO: 'bar' })
    const names = parseModule(bundle.application.data).assetDependencies.map(({ name }) => name)
    assert.deepEqual([...names].sort(), ['a.txt', 'env'])
  })

  it('come apart as they were put together, and are the same when put together again', () => {
    const bundle: Bundle = { application, assets: [asset], environment: { B_1: '2' } }
    const bytes = buildBundle(bundle)
    const read = readBundle(bytes)
    assert.deepEqual(read.assets, [asset, environmentAsset({ B_1: '2' })])
    assert.deepEqual(read.environment, { B_1: '2' })
    assert.deepEqual(buildBundle(read), bytes)
    const bare = buildBundle({ application, assets: [] })
    assert.deepEqual(readBundle(bare), { application, assets: [] })
  })

  it('are refused when something is missing or is not what the application names', () => {
    const { data } = readBundle(buildBundle({ application, assets: [asset] })).application
    const app = { path: 'app.bin', data }
    const cases: readonly [Uint8Array, RegExp][] = [
      [writeZip([]), /has 0/],
      [writeZip([app, { path: 'b.bin', data }]), /has 2/],
      [writeZip([app]), /a\.txt is not in the bundle/],
      [writeZip([app, { path: 'assets/a.txt', data: patternBody(3) }]), /is not the one/],
      [writeZip([app, { path: 'assets/x/a.txt', data: asset.data }]), /a\.txt is not in the bundle/],
      [writeZip([{ path: 'app.bin', data: patternBody(200) }]), /offset/],
      [
        writeZip([
          { path: 'app.bin', data: vector('v1-') },
          { path: 'env.json', data: patternBody(3) },
        ]),
        /env\.json/,
      ],
      [new TextEncoder().encode('not an archive'), /no zip archive/],
    ]
    for (const [bytes, message] of cases) {
      assert.throws(
        () => readBundle(bytes),
        (error) => error instanceof ModuleFormatError && message.test(error.message),
      )
    }
  })

  it('are not built of what cannot be read again', () => {
    assert.throws(() => buildBundle({ application, assets: [asset, asset] }), ModuleSpecError)
    assert.throws(() => buildBundle({ application, assets: [{ ...asset, name: 'a/b' }] }), ModuleSpecError)
    assert.throws(() => buildBundle({ application: { ...application, name: 'app' }, assets: [] }), ModuleSpecError)
    assert.throws(() => buildBundle({ application, assets: [], environment: { lower: '1' } }), ModuleSpecError)
  })

  it('do not unpack to more than allowed', () => {
    const bytes = writeZip([{ path: 'app.bin', data: new Uint8Array(1_000_000) }])
    assert.throws(
      () => readBundle(bytes, 999_999),
      (error) => error instanceof ModuleFormatError && error.code === 'too-large',
    )
    // The directory says 1 KB, the entry holds more.
    const liar = bytes.slice()
    new DataView(liar.buffer).setUint32(liar.length - 22 - 46 - 7 + 24, 1000, true)
    assert.throws(
      () => readZip(liar, 999_999),
      (error) => error instanceof ModuleFormatError && error.code === 'compression',
    )
  })

  it('throw nothing but their own error, however they are damaged', () => {
    const good = vector('bundle')
    const damage = fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 })
    fc.assert(
      fc.property(damage, fc.nat(100), (changes, cut) => {
        const bytes = good.slice()
        for (const [offset, value] of changes) bytes[offset] = value
        try {
          readBundle(bytes.subarray(0, bytes.length - cut))
        } catch (error) {
          assert.ok(error instanceof ModuleFormatError, String(error))
        }
      }),
      { numRuns: fuzzRuns * 2 },
    )
  })
})
