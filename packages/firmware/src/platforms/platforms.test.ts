import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { platformById, platformByName, platforms, slotEnd, slotOf } from './platforms.ts'

// modules-and-platforms.md 2.1
const table: Readonly<Record<number, string>> = {
  0: 'core',
  3: 'gcc',
  6: 'photon',
  8: 'p1',
  10: 'electron',
  11: 'esp32',
  12: 'argon',
  13: 'boron',
  14: 'xenon',
  15: 'esomx',
  22: 'asom',
  23: 'bsom',
  24: 'xsom',
  25: 'b5som',
  26: 'tracker',
  28: 'trackerm',
  31: 'raspi',
  32: 'p2',
  35: 'msom',
  37: 'electron2',
  38: 'sulu',
  42: 'tachyon',
  43: 'linux',
  82: 'oak',
  88: 'duo',
  103: 'bluz',
  60000: 'newhal',
}

describe('platforms', () => {
  it('are those of the public table', () => {
    assert.deepEqual(Object.fromEntries(platforms.map(({ id, name }) => [id, name])), table)
  })

  it('are found by id, name and alias, and no name means two', () => {
    const names = platforms.flatMap(({ name, aliases }) => [name, ...aliases])
    assert.equal(new Set(names).size, names.length)
    assert.equal(platformById(13)?.name, 'boron')
    assert.equal(platformById(1), undefined)
    assert.equal(platformByName('assetTracker')?.id, 26)
    assert.equal(platformByName('photon2')?.id, 32)
    assert.equal(platformByName('x')?.id, 14)
    assert.equal(platformByName('vacuum'), undefined)
  })

  it('have slots that are as large as their bounds allow, one for each module', () => {
    for (const platform of platforms) {
      const keys = platform.slots.map((slot) => `${slot.function} ${slot.index}`)
      assert.equal(new Set(keys).size, keys.length, platform.name)
      for (const slot of platform.slots) {
        assert.ok(slot.start < slot.end, platform.name)
        assert.ok(slot.maxSize <= slot.end - slot.start, platform.name)
      }
    }
  })

  it('lay nothing over each other, except a monolithic image, the two user parts of nRF52840 and the co-processor', () => {
    for (const platform of platforms) {
      // The virtual device keeps no flash map.
      if (platform.name === 'gcc') continue
      const slots = platform.slots.filter(
        (slot) =>
          slot.function !== 'mono_firmware' &&
          slot.mcuTarget === undefined &&
          !(slot.function === 'user_part' && slot.index === 1 && platform.prefixRule === 'nrf52840'),
      )
      for (const a of slots) {
        for (const b of slots) {
          assert.ok(a === b || a.end <= b.start || b.end <= a.start, `${platform.name}: ${a.function}, ${b.function}`)
        }
      }
    }
  })

  it('give linux the chain bootloader, system part 1, system part 2, user part', () => {
    const linux = platformById(43)
    assert.ok(linux)
    assert.deepEqual(
      linux.slots.map((slot) => [slot.function, slot.index, slot.start]),
      [
        ['bootloader', 0, 0],
        ['system_part', 1, 0x10_0000],
        ['system_part', 2, 0x50_0000],
        ['user_part', 1, 0x90_0000],
      ],
    )
    assert.equal(linux.otaRegionSize, 0x100_0000)
    assert.ok(linux.otaV3)
  })

  it('move the end of a slot with the Device OS version', () => {
    const boron = platformByName('boron')
    const slot = boron && slotOf(boron, { function: 'system_part', index: 1 })
    assert.ok(slot)
    assert.equal(slotEnd(slot, 1512), 0xd4000)
    assert.equal(slotEnd(slot, 3100), 0xb4000)
    assert.equal(slotEnd(slot), 0xb4000)
  })

  it('have the asset limits of the public table', () => {
    assert.deepEqual(platformByName('boron')?.assets, { total: 1_138_688, maxSingle: 606_208 })
    assert.deepEqual(platformByName('tracker')?.assets, { total: 2_056_192, maxSingle: 1_572_864 })
    assert.deepEqual(platformByName('p2')?.assets, { total: 1_138_688, maxSingle: 1_179_648 })
    assert.equal(platformByName('photon')?.assets, undefined)
  })
})
