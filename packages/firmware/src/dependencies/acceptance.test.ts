import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { versioned } from '../fixtures/notation.ts'
import { platformByName } from '../platforms/platforms.ts'
import { acceptsUpdate, bootRules, updateRules } from './acceptance.ts'
import type { InstalledModules, VersionedModule } from './installed.ts'

const boron = platformByName('boron')
const linux = platformByName('linux')
assert.ok(boron && linux)

const installed: InstalledModules = 'b0@200 s1@2000(b0@200) s2@2000(s1@2000) u1@1(s2@2000)'.split(' ').map(versioned)
const noneField = { functionCode: 0, index: 0, version: 0 }

describe('the four variants of the dependency test', () => {
  const application = versioned('u1@1(s2@3000)')
  const secondBootloader = versioned('s2@2000(s1@2000,b0@300)')
  const downgrade = versioned('s1@1000(b0@100)')
  const firstBootloader = versioned('s1@3000(b0@300)')

  const expected: readonly [userOptional: boolean, full: boolean, VersionedModule, boolean][] = [
    [true, true, application, true],
    [true, false, application, true],
    [false, true, application, false],
    [false, false, application, false],
    [true, true, secondBootloader, true],
    [true, false, secondBootloader, true],
    [false, true, secondBootloader, false],
    [false, false, secondBootloader, false],
    [true, true, downgrade, false],
    [true, false, downgrade, true],
    [false, true, downgrade, false],
    [false, false, downgrade, true],
    [true, true, firstBootloader, false],
    [false, false, firstBootloader, false],
  ]
  for (const [userOptional, full, module, accepted] of expected) {
    const what = `${module.function} ${module.index}@${module.version}`
    it(`${accepted ? 'takes' : 'refuses'} ${what} with userOptional ${userOptional} and full ${full}`, () => {
      assert.equal(acceptsUpdate(linux, installed, module, { userOptional, full }), accepted)
    })
  }
})

describe('the dependency test', () => {
  it('does not look at a second dependency when the first is empty', () => {
    const second = { functionCode: 4, index: 1, version: 9999 }
    const hidden: VersionedModule = { ...versioned('s2@2001(s1@9999)'), dependencyFields: [noneField, second] }
    assert.ok(acceptsUpdate(linux, installed, hidden, bootRules))
    const seen: VersionedModule = { ...hidden, dependencyFields: [second, noneField] }
    assert.ok(!acceptsUpdate(linux, installed, seen, bootRules))
  })

  it('finds a dependency on an unknown function unmet', () => {
    const strange: VersionedModule = {
      ...versioned('s2@2001'),
      dependencyFields: [{ functionCode: 129, index: 0, version: 0 }, noneField],
    }
    assert.ok(!acceptsUpdate(linux, installed, strange))
  })

  it('wants a slot for what a module depends on, even at version 0', () => {
    assert.ok(!acceptsUpdate(linux, installed, versioned('s2@2001(s3@0)')))
    assert.ok(!acceptsUpdate(linux, [...installed, versioned('a0@202')], versioned('s2@2001(a0@202)')))
    assert.ok(acceptsUpdate(boron, [...installed, versioned('a0@202')], versioned('s1@2001(a0@0)')))
  })

  it('does not build on a damaged module', () => {
    const damaged = installed.map((m) => (m.function === 'bootloader' ? { ...m, intact: false } : m))
    assert.ok(!acceptsUpdate(linux, damaged, versioned('s1@2001(b0@1)')))
  })

  it('does not let a damaged system part hold back another', () => {
    const damaged = installed.map((m) => (m.index === 2 ? { ...m, intact: false } : m))
    assert.ok(acceptsUpdate(linux, damaged, versioned('s1@1000(b0@100)'), updateRules))
  })

  it('lets a module depend on its own earlier version', () => {
    const tracker = platformByName('tracker')
    assert.ok(tracker)
    const modules = ['b0@3100', 's1@3001'].map(versioned)
    assert.ok(acceptsUpdate(tracker, modules, versioned('s1@6200(b0@3100,s1@3001)')))
    assert.ok(!acceptsUpdate(tracker, ['b0@3100', 's1@3000'].map(versioned), versioned('s1@6200(b0@3100,s1@3001)')))
  })
})
