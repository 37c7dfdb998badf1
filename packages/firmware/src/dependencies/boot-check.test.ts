import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { short, versioned } from '../fixtures/notation.ts'
import { platformByName } from '../platforms/platforms.ts'
import { type BootOptions, bootCheck } from './boot-check.ts'
import type { InstalledModule } from './installed.ts'

const whole = 'b0@200 s1@2000(b0@200) s2@2000(s1@2000) u1@1(s2@2000)'

function modules(text: string): InstalledModule[] {
  return text.split(' ').filter(Boolean).map(versioned)
}

function check(text: string | readonly InstalledModule[], platform = 'linux', options: BootOptions = {}) {
  const found = platformByName(platform)
  assert.ok(found)
  return bootCheck(found, typeof text === 'string' ? modules(text) : text, options)
}

function changed(name: string, changes: Partial<InstalledModule>): InstalledModule[] {
  return modules(whole).map((m) => (short(m).startsWith(name) ? { ...m, ...changes } : m))
}

describe('the boot decision', () => {
  it('is normal when everything is there', () => {
    const { mode, reason, missing, modules } = check(whole)
    assert.deepEqual([mode, reason, missing], ['normal', undefined, []])
    assert.deepEqual(
      modules.map((m) => [short(m), m.checked, m.passed, m.store]),
      [
        ['b0@200', 30, 30, 'main'],
        ['s1@2000', 30, 30, 'main'],
        ['s2@2000', 30, 30, 'main'],
        ['u1@1', 30, 30, 'main'],
      ],
    )
  })

  it('is safe mode for an application that needs a newer system, and says so in its flags', () => {
    const { mode, reason, missing, modules } = check('b0@100 s1@1000(b0@100) s2@1000(s1@1000) u1@1(s2@2000)')
    assert.deepEqual([mode, reason, missing.map(short)], ['safe', 'application', ['s2@2000']])
    assert.deepEqual(
      modules.map((m) => m.passed),
      [30, 30, 30, 26],
    )
  })

  it('is safe mode for a system part or bootloader that lacks something', () => {
    assert.deepEqual(check('b0@100 s1@2000(b0@200) s2@2000(s1@2000) u1@1(s2@2000)').reason, 'system')
    assert.deepEqual(check('b0@200 s1@1000(b0@100) s2@2000(s1@2000) u1@1(s2@2000)').reason, 'system')
    assert.deepEqual(check('s1@2000(b0@200) s2@2000(s1@2000) u1@1(s2@2000)').reason, 'bootloader')
    assert.deepEqual(check('b0@3101(b2@10) b2@5 s1@6201(b0@3101) u1@6(s1@6201)', 'p2').reason, 'bootloader')
  })

  it('enforces a second dependency on a bootloader', () => {
    const { mode, missing } = check('b0@502 s1@6305(a0@202,b0@3100) u2@6(s1@6305) a0@202', 'argon')
    assert.deepEqual([mode, missing.map(short)], ['safe', ['b0@3100']])
  })

  it('is safe mode without an application, and when asked for', () => {
    assert.equal(check('b0@200 s1@2000(b0@200) s2@2000(s1@2000)').reason, 'no-application')
    assert.equal(check(whole, 'linux', { safeModeRequested: true }).reason, 'requested')
  })

  it('tells a damaged application as an empty slot', () => {
    const { reason, modules } = check(changed('u', { intact: false }))
    assert.equal(reason, 'application')
    const last = modules.at(-1)
    assert.deepEqual([last?.function, last?.checked, last?.passed], ['none', 30, 0])
  })

  it('does not run what is damaged, of another platform, or not where it belongs', () => {
    assert.equal(check(changed('s1', { intact: false })).reason, 'system')
    assert.equal(check(changed('s1', { platformId: 13 })).modules[1]?.passed, 30 - 16)
    assert.equal(check(changed('u', { startAddress: 0, endAddress: 100 })).modules[3]?.passed, 30 - 8)
    assert.equal(check(changed('u', { startAddress: 0x90_0000, endAddress: 0x110_0000 })).modules[3]?.passed, 30 - 8)
    assert.equal(check(changed('u', { startAddress: 0x90_0000, endAddress: 0x10f_fffc })).mode, 'normal')
  })

  it('waits for the assets of the application', () => {
    const asset = { name: 'a.txt', hash: 'ab'.repeat(32) }
    const needing = changed('u', { assetDependencies: [asset], hash: 'cd'.repeat(32), size: 99 })
    const { reason, missingAssets, modules } = check(needing)
    assert.deepEqual([reason, missingAssets], ['assets', [asset]])
    assert.deepEqual(
      [modules[3]?.hash, modules[3]?.size, modules[3]?.assetDependencies],
      ['cd'.repeat(32), 99, [asset]],
    )
    assert.equal(check(needing, 'linux', { assets: [{ ...asset, hash: 'ff'.repeat(32) }] }).mode, 'safe')
    assert.equal(check(needing, 'linux', { assets: [{ ...asset, size: 12 }] }).mode, 'normal')
  })

  it('runs the old application slot of nRF52840 boards while it is valid, else the new one', () => {
    const system = 'b0@3100 s1@6200(b0@3100,a0@202) a0@202'
    const names = (text: string) =>
      check(`${system} ${text}`, 'boron')
        .modules.filter((m) => m.function === 'user_part')
        .map(short)
    assert.deepEqual(names('u1@5(s1@312) u2@6(s1@6200)'), ['u1@5'])
    assert.deepEqual(names('u1@5(s1@9000) u2@6(s1@6200)'), ['u2@6'])
    assert.deepEqual(names('u1@5(s1@9000)'), ['u1@5'])
    assert.deepEqual(names('u2@6(s1@6200)'), ['u2@6'])
  })

  it('lets a monolithic image be system and application', () => {
    assert.equal(check('m0@207', 'core').mode, 'normal')
    assert.equal(check('b0@1000 m0@6200(b0@1000)', 'gcc').mode, 'normal')
    assert.equal(check('b0@900 m0@6200(b0@1000)', 'gcc').mode, 'safe')
  })

  it('does not ask an old Electron for the third system part', () => {
    assert.equal(check('b0@7 s1@23 s2@23(s1@23) u1@3(s2@23)', 'electron').mode, 'normal')
    assert.equal(check('b0@11 s1@110 s2@110(s1@110) u1@3(s2@110)', 'electron').reason, 'system')
  })
})
