import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { short } from '../fixtures/notation.ts'
import { publicCatalogue, publicReleasesMissing, unknownPublicReleases } from '../fixtures/public-releases.ts'
import { allFigures, healPair, releasesOf } from '../fixtures/release-pairs.ts'
import { syntheticCatalogue } from '../fixtures/synthetic-releases.ts'
import { platformByName } from '../platforms/platforms.ts'
import type { CatalogueModule } from './catalogue.ts'
import { createPlanner } from './planner.ts'

function heal(catalogue: readonly CatalogueModule[], name: string, from: string, to: string): string {
  const platform = platformByName(name)
  assert.ok(platform)
  const releases = releasesOf(platform, catalogue)
  const [start, target] = [from, to].map((version) => releases.find((release) => release.version === version))
  assert.ok(start && target)
  const outcome = healPair(platform, createPlanner(platform, catalogue), start, target)
  return outcome.kind === 'converged' ? outcome.steps.map(short).join(' ') : outcome.reason
}

describe('every pair of an older and a newer release of the synthetic catalogue', () => {
  const catalogue = syntheticCatalogue()

  it('is planned, and every device boots normally in the end', () => {
    for (const { platform, pairs, converged, failed, reasons, prerelease } of allFigures(catalogue)) {
      assert.deepEqual([...failed, ...reasons.keys()], [], platform)
      assert.equal(converged, pairs)
      // A pre-release that nothing names is taken only where there is no other way.
      assert.deepEqual(prerelease.unnamed, [], platform)
    }
  })

  const examples: readonly [string, string, string, string][] = [
    ['photon', '1.0.0', '2.3.0', 'b0@23 s1@1901 s2@1901 s1@2301 s2@2301'],
    ['electron', '1.0.0', '2.3.0', 'b0@20 s3@1901 s1@1901 s2@1901 s3@2301 s1@2301 s2@2301'],
    ['tracker', '2.0.0', '3.9.0', 'b0@12 s1@3000 c0@7 s1@3001 s1@3901'],
    ['argon', '1.0.0', '2.0.0', 's1@1801 b0@3 a0@202 s1@2001'],
    ['argon', '1.0.0', '2.9.0', 'b0@4 s1@1801 a0@202 s1@2901'],
    ['p2', '5.0.0', '5.9.0', 'b2@19 b0@59 s1@5901'],
  ]
  for (const [name, from, to, steps] of examples) {
    it(`${name} from ${from} to ${to}`, () => assert.equal(heal(catalogue, name, from, to), steps))
  }

  it('is impossible where a catalogue without archived releases has no way out of a circle', () => {
    const current = catalogue.filter((module) => module.state !== 'archived')
    assert.match(
      heal(current, 'tracker', '2.0.0', '3.1.0'),
      /^system_part 1@3101 for tracker: no order of updates is accepted by the device: system_part 1@3101 needs ncp_firmware 0@7, ncp_firmware 0@7 needs system_part 1@3000/,
    )
  })
})

describe('every pair of an older and a newer public Device OS release', { skip: publicReleasesMissing }, () => {
  it('is planned and converges, or the catalogue lacks a module that is named', () => {
    const figures = allFigures(publicCatalogue(), unknownPublicReleases())
    assert.ok(figures.length >= 15)
    for (const { platform, pairs, converged, impossible, failed, reasons, prerelease } of figures) {
      assert.deepEqual(failed, [], platform)
      assert.deepEqual(prerelease.unnamed, [], platform)
      assert.equal(converged + impossible, pairs)
      // The file has no radio stack for the X SoM, which newer releases need.
      if (platform !== 'xsom') assert.deepEqual([...reasons.keys()], [], platform)
      for (const reason of reasons.keys()) assert.match(reason, /the catalogue has no radio_stack 0@202 or newer/)
    }
  })
})
