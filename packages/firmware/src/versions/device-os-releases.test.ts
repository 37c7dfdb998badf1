import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { deviceOsRelease, deviceOsReleaseOfModule, deviceOsReleases } from './device-os-releases.ts'
import { compareSemver, parseSemver } from './semver.ts'

describe('the releases of Aloe Device OS', () => {
  it('are in order, by version as well as by module numbers', () => {
    for (const [i, release] of deviceOsReleases.entries()) {
      const before = deviceOsReleases[i - 1]
      if (!before) continue
      assert.ok(compareSemver(before.version, release.version) < 0)
      assert.ok(before.systemVersion < release.systemVersion)
      assert.ok(before.bootloaderVersion <= release.bootloaderVersion)
    }
  })

  it('say truly whether they are pre-releases', () => {
    for (const { version, prerelease } of deviceOsReleases) {
      assert.equal(parseSemver(version)?.prerelease.length !== 0, prerelease, version)
    }
  })

  it('are found by version and by module number', () => {
    assert.equal(deviceOsRelease('v1.1.0')?.systemVersion, 1101)
    assert.equal(deviceOsRelease('1.1.0-rc.1')?.systemVersion, 1100)
    assert.equal(deviceOsRelease('9.0.0'), undefined)
    assert.equal(deviceOsReleaseOfModule(2000)?.version, '2.0.0')
    assert.equal(deviceOsReleaseOfModule(1), undefined)
  })

  it('prefer the final release, then the highest, where several carry one number', () => {
    const base = { bootloaderVersion: 7, state: 'ga', systemVersion: 13 } as const
    const rc1 = { ...base, version: '0.5.0-rc.1', prerelease: true }
    const rc2 = { ...base, version: '0.5.0-rc.2', prerelease: true }
    const final = { ...base, version: '0.5.0', prerelease: false }
    assert.equal(deviceOsReleaseOfModule(13, [rc2, final, rc1]), final)
    assert.equal(deviceOsReleaseOfModule(13, [rc1, rc2]), rc2)
    assert.equal(deviceOsReleaseOfModule(13, [rc2, rc1]), rc2)
  })
})
