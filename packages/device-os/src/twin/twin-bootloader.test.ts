import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { compressModule, parseModule, sha256 } from '@aloe/firmware'
import { MemoryStorage } from '../storage/memory-storage.ts'
import { readPending } from './pending-slots.ts'
import { runTwinBootloader, writesBootloaderInPlace } from './twin-bootloader.ts'
import { Cut, CuttingStorage, flashWith, intact, moduleOf, platformNamed } from './twin-fixture.ts'
import { TwinFlash } from './twin-flash.ts'
import { TwinUpdates } from './twin-updates.ts'

function stage(flash: TwinFlash, file: Uint8Array): void {
  const updates = new TwinUpdates(flash, {
    now: () => 0,
    allowed: () => true,
    resumes: () => true,
    applied: () => {},
    refused: () => {},
  })
  const begun = updates.begin({ size: file.length, sha256: sha256(file), discard: false, chunkSize: 1_024 })
  assert.ok(!('error' in begun))
  updates.write(0, file)
  assert.deepEqual(updates.finish(), { ok: true })
  updates.apply()
}

interface Outcome {
  readonly alive: boolean
  readonly bootable: boolean
  readonly modules: readonly string[]
}

/** What becomes of the board when the power goes at each of the writes of an update, from its first byte on. */
function cutEverywhere(name: string, before: string, sent: string): Outcome[] {
  const platform = platformNamed(name)
  const file = moduleOf(platform, sent)
  const outcomes: Outcome[] = []
  for (let operations = 0; ; operations++) {
    const inner = new MemoryStorage()
    flashWith(platform, before, inner)
    const cutting = new TwinFlash(new CuttingStorage(inner, operations), platform)
    let cut = false
    try {
      stage(cutting, file)
      runTwinBootloader(cutting)
    } catch (error) {
      if (!(error instanceof Cut)) throw error
      cut = true
    }
    const again = new TwinFlash(inner, platform)
    const run = runTwinBootloader(again)
    outcomes.push({ alive: run !== undefined, bootable: run?.bootable === true, modules: intact(again) })
    if (!cut) return outcomes
  }
}

describe('the bootloader of a board', () => {
  it('has the old module or the new one, wherever the power goes', () => {
    const outcomes = cutEverywhere('boron', 'b0@2601 s1@5802 a0@202', 's1@6200(b0@2600,a0@202)')
    assert.ok(outcomes.length > 15)
    const seen = new Set<string>()
    for (const { bootable, modules } of outcomes) {
      assert.ok(bootable)
      seen.add(modules.join())
    }
    const others = 'radio_stack 0@202'
    assert.deepEqual(
      [...seen],
      [`bootloader 0@2601,system_part 1@5802,${others}`, `bootloader 0@2601,system_part 1@6200,${others}`],
    )
  })

  it('is itself replaced at once where the board has help for it', () => {
    for (const name of ['boron', 'p2']) {
      const before = name === 'p2' ? 'b2@7 b0@2300(b2@7) s1@5501' : 'b0@2601 s1@5802 a0@202'
      for (const { alive } of cutEverywhere(name, before, 'b0@3100')) assert.ok(alive, name)
    }
  })

  it('dies when the power goes while it is written in place, as on older boards', () => {
    const photon = cutEverywhere('photon', 'b0@11 s1@1512 s2@1512', 'b0@502')
    const dead = photon.filter(({ alive }) => !alive).length
    assert.ok(dead > 0 && dead < photon.length / 2, `${dead} of ${photon.length}`)
    assert.equal(writesBootloaderInPlace(platformNamed('boron'), 501), true)
    assert.equal(writesBootloaderInPlace(platformNamed('boron'), 1_005), false)
    assert.equal(writesBootloaderInPlace(platformNamed('p2'), 2_300), false)
  })

  it('takes the smaller application out of the way of the larger one', () => {
    const boron = platformNamed('boron')
    const flash = flashWith(boron, 'b0@2601 s1@5802 a0@202 u1@6(s1@1512)')
    stage(flash, moduleOf(boron, 'u2@6(s1@5802)', 900))
    runTwinBootloader(flash)
    assert.deepEqual(
      intact(flash).filter((label) => label.startsWith('user')),
      ['user_part 2@6'],
    )
  })

  it('leaves out what is damaged, and has nothing more to do', () => {
    const boron = platformNamed('boron')
    const flash = flashWith(boron, 'b0@2601 s1@5802 a0@202')
    stage(flash, moduleOf(boron, 's1@6200(b0@2600,a0@202)'))
    flash.receive(5_000, Uint8Array.of(1, 2, 3, 4))
    assert.equal(runTwinBootloader(flash)?.applied.length, 0)
    assert.deepEqual(readPending(flash.storage), [])
    assert.equal(flash.module({ function: 'system_part', index: 1 })?.version, 5_802)
  })

  it('inflates what came compressed', () => {
    const boron = platformNamed('boron')
    const flash = flashWith(boron, 'b0@2601 s1@5802 a0@202')
    const plain = moduleOf(boron, 's1@6200(b0@2600,a0@202)')
    stage(flash, compressModule(plain))
    runTwinBootloader(flash)
    const installed = flash.module({ function: 'system_part', index: 1 })
    assert.equal(installed?.sha256, parseModule(plain).sha256)
  })
})
