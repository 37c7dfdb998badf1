import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { described, describeOf, short } from '../fixtures/notation.ts'
import { missingAssets, missingDependencies } from './missing.ts'

describe('missing dependencies', () => {
  it('are those that nothing installed satisfies, with the version that is needed', () => {
    // modules-and-platforms.md 5.4
    const text = 'b0@2601 s1@5802(b0@2600,a0@202) u2@6(s1@6200) a0@202'
    assert.deepEqual(missingDependencies(describeOf(text)), [{ function: 'system_part', index: 1, version: 6200 }])
    assert.deepEqual(missingDependencies(describeOf(text.replace(/ s1@5802\S+/, ''))).map(short), ['s1@6200'])
  })

  it('are told once, in the order of the modules, second dependencies included', () => {
    const missing = missingDependencies(describeOf('b0@1 s1@5(b0@2,a0@3) s2@5(b0@2,s1@6) u1@1(s2@5)'))
    assert.deepEqual(missing.map(short), ['b0@2', 'a0@3', 's1@6'])
  })

  it('come neither from factory images nor from damaged or empty modules, and those do not satisfy', () => {
    const bootloader = { ...described('b0@9'), store: 'factory' } as const
    const application = { ...described('u1@1(s1@9)'), passed: 28 }
    const empty = { ...described('u1@1(s1@9)'), function: 'none' } as const
    const system = described('s1@5(b0@2)')
    const modules = [bootloader, application, empty, system]
    assert.deepEqual(missingDependencies({ modules }).map(short), ['b0@2'])
  })

  it('are told for modules of old devices, which were never checked', () => {
    const modules = [{ ...described('s1@5(b0@2)'), checked: 0, passed: 0 }]
    assert.deepEqual(missingDependencies({ modules }).map(short), ['b0@2'])
  })
})

describe('missing assets', () => {
  const asset = { name: 'a', hash: '11'.repeat(32) }
  const other = { name: 'b', hash: '22'.repeat(32) }
  const modules = [{ ...described('u1@1'), assetDependencies: [asset, other] }]

  it('are those that the device does not have by name and hash', () => {
    assert.deepEqual(missingAssets({ modules }), [asset, other])
    assert.deepEqual(
      missingAssets({
        modules,
        assets: [
          { ...other, size: 7 },
          { ...asset, name: 'c' },
        ],
      }),
      [asset],
    )
    assert.deepEqual(missingAssets({ modules: [] }), [])
  })
})
