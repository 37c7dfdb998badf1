/** Power is cut at every storage operation while assets come: each is there as a whole, or not at all. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Flash } from '@aloe/device-os'
import { assetRef, buildAssetModule, platformByName } from '@aloe/firmware'
import { FaultyStorage, PowerCut } from './faulty-storage.ts'

const linux = platformByName('linux')
assert.ok(linux)
const platform = linux

const seeds = Number(process.env.ALOE_POWER_SEEDS ?? 6)
const older = { name: 'logo', data: Buffer.alloc(9_000, 'older ') }
const newer = { name: 'logo', data: Buffer.alloc(7_000, 'newer ') }
const other = { name: 'sound', data: Buffer.alloc(5_000, 'sound ') }

describe('assets and power failures', () => {
  for (let seed = 0; seed < seeds; seed++) {
    it(`leave whole assets behind, wherever the power is cut (seed ${seed})`, () => {
      const needed = [assetRef(newer), assetRef(other)]
      const fresh = new FaultyStorage()
      new Flash(fresh, platform).assets.add(buildAssetModule(older), [])
      let complete = false
      let cuts = 0
      for (let at = 0; !complete; at++) {
        const storage = fresh.clone()
        storage.cutAt(at)
        try {
          const { assets } = new Flash(storage, platform)
          assets.add(buildAssetModule(newer), needed)
          assets.add(buildAssetModule(other), needed)
          complete = true
        } catch (error) {
          if (!(error instanceof PowerCut)) throw error
          cuts++
        }
        storage.reboot(seed < 2 ? seed : at * seeds + seed)
        const flash = new Flash(storage, platform)
        flash.recover()
        const there = flash.assets.list()
        for (const { name, hash } of there) {
          const data = flash.assets.read(name)
          assert.ok(data, `${name} is listed and cannot be read after a cut at ${at}`)
          assert.equal(assetRef({ name, data }).hash, hash)
        }
        assert.ok(
          there.some(({ name }) => name === 'logo'),
          `no logo after a cut at ${at}`,
        )
        // And it goes on.
        assert.equal(flash.assets.add(buildAssetModule(newer), needed), 0)
        assert.equal(flash.assets.add(buildAssetModule(other), needed), 0)
        assert.equal(flash.assets.list().length, 2)
        assert.equal(flash.storage.list('asset-').length, 2)
      }
      assert.ok(cuts > 10, `${cuts} cuts`)
    })
  }
})
