import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type AssetRef, assetRef, buildAssetModule, updateResult } from '@aloe/firmware'
import { MemoryStorage } from '../storage/memory-storage.ts'
import { AssetStore } from './asset-store.ts'

const limits = { total: 64 * 1024, maxSingle: 20_000 }
const asset = (name: string, size = 1_000) => ({ name, data: Buffer.alloc(size, name) })

function store(): { storage: MemoryStorage; assets: AssetStore } {
  const storage = new MemoryStorage()
  return { storage, assets: new AssetStore(storage, limits) }
}

describe('the asset store', () => {
  it('keeps assets as they came, and gives back their files', () => {
    const { storage, assets } = store()
    const [a, b] = [asset('a.txt'), asset('b.txt')]
    assert.equal(assets.add(buildAssetModule(a), []), updateResult.ok)
    assert.equal(assets.add(buildAssetModule(b, { compress: false }), [assetRef(a)]), updateResult.ok)
    const again = new AssetStore(storage, limits)
    assert.deepEqual(
      again.list().map(({ name, hash, size }) => ({ name, hash, size })),
      [assetRef(a), assetRef(b)],
    )
    assert.deepEqual(Buffer.from(again.read('a.txt') ?? []), a.data)
    assert.deepEqual(Buffer.from(again.read('b.txt') ?? []), b.data)
    assert.equal(again.read('c.txt'), undefined)
  })

  it('lets go of what the application does not need', () => {
    const { storage, assets } = store()
    const [a, b] = [asset('a.txt'), asset('b.txt')]
    const needed: AssetRef[] = [assetRef(b)]
    assets.add(buildAssetModule(a), needed)
    assets.add(buildAssetModule(b), needed)
    assert.deepEqual(
      assets.list().map(({ name }) => name),
      ['b.txt'],
    )
    assert.equal(storage.list('asset-').length, 1)
  })

  it('replaces an asset by one of the same name', () => {
    const { assets } = store()
    assets.add(buildAssetModule(asset('a.txt')), [])
    assets.add(buildAssetModule(asset('a.txt', 2_000)), [])
    assert.deepEqual(
      assets.list().map(({ size }) => size),
      [2_000],
    )
  })

  it('refuses what is too large, what is no asset, and what a platform has no place for', () => {
    const { storage, assets } = store()
    assert.equal(assets.add(buildAssetModule(asset('a', 30_000)), []), updateResult.tooLarge)
    assert.equal(assets.add(Buffer.from('no module'), []), updateResult.invalidFormat)
    const damaged = Uint8Array.from(buildAssetModule(asset('a')))
    damaged[30] = (damaged[30] ?? 0) ^ 1
    assert.equal(assets.add(damaged, []), updateResult.invalidFormat)
    assert.equal(
      new AssetStore(storage, undefined).add(buildAssetModule(asset('a')), []),
      updateResult.unsupportedModule,
    )
    const needed = ['a', 'b', 'c', 'd'].map((name) => assetRef(asset(name, 18_000)))
    const results = ['a', 'b', 'c', 'd'].map((name) =>
      assets.add(buildAssetModule(asset(name, 18_000), { compress: false }), needed),
    )
    assert.deepEqual(results, [0, 0, 0, updateResult.tooLarge])
  })
})
