import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { fuzzRuns } from '../fixtures/vectors.ts'
import { compareSemver, formatSemver, parseSemver } from './semver.ts'

const identifier = fc.oneof(fc.nat(1000).map(String), fc.stringMatching(/^[a-z][a-z0-9]{0,4}$/))
const version = fc
  .tuple(fc.nat(20), fc.nat(20), fc.nat(20), fc.array(identifier, { maxLength: 3 }))
  .map(([major, minor, patch, pre]) => `${major}.${minor}.${patch}${pre.length > 0 ? `-${pre.join('.')}` : ''}`)

describe('semantic versions', () => {
  it('are read with pre-release and build', () => {
    assert.deepEqual(parseSemver('1.1.0-rc.1+abc'), {
      major: 1,
      minor: 1,
      patch: 0,
      prerelease: ['rc', 1],
      build: ['abc'],
    })
    assert.deepEqual(parseSemver('v6.2.0')?.major, 6)
  })

  it('are not read from other text', () => {
    for (const text of ['', '1', '1.2', '1.2.3.4', '01.2.3', '1.2.3-', '1.2.3-rc.01', ' 1.2.3', '1.2.x', 'latest']) {
      assert.equal(parseSemver(text), undefined, text)
    }
  })

  it('are ordered as semver.org 11 orders them', () => {
    const ordered = [
      '1.0.0-alpha',
      '1.0.0-alpha.1',
      '1.0.0-alpha.beta',
      '1.0.0-beta',
      '1.0.0-beta.2',
      '1.0.0-beta.11',
      '1.0.0-rc.1',
      '1.0.0',
      '2.0.0-99999999999999999999',
      '2.0.0-999999999999999999990',
      '2.0.0',
      '2.1.0',
      '2.1.1',
      '10.0.0',
    ]
    assert.deepEqual([...ordered].reverse().sort(compareSemver), ordered)
    assert.equal(compareSemver('1.0.0+a', '1.0.0+b'), 0)
  })

  it('put text that is no version first', () => {
    assert.ok(compareSemver('latest', '0.0.1-a') < 0)
    assert.ok(compareSemver('0.0.1', 'latest') > 0)
    assert.equal(compareSemver('latest', 'latest'), 0)
  })

  it('are written as they were read, and their order is one', () => {
    fc.assert(
      fc.property(version, version, version, (a, b, c) => {
        const parsed = parseSemver(a)
        assert.ok(parsed)
        assert.equal(formatSemver(parsed), a)
        assert.equal(Math.sign(compareSemver(a, b)), -Math.sign(compareSemver(b, a)))
        if (compareSemver(a, b) <= 0 && compareSemver(b, c) <= 0) assert.ok(compareSemver(a, c) <= 0)
      }),
      { numRuns: fuzzRuns },
    )
  })
})
