import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import type { DescribedModule } from '../describe.ts'
import { described, ref, short } from '../fixtures/notation.ts'
import { publicCatalogue, publicReleasesMissing } from '../fixtures/public-releases.ts'
import { platformByName } from '../platforms/platforms.ts'
import type { CatalogueModule } from './catalogue.ts'
import { planHealing } from './planner.ts'

// The worked examples of modules-and-platforms.md 5.3, and the two traces of 5.5.
const examples: readonly [name: string, platform: string, installed: string, need: string, steps: string][] = [
  ['A', 'boron', 's1@5802 b0@2601 a0@202', 's1@6200', 'b0@3100 s1@6200'],
  ['B', 'argon', 's1@1512 b0@502 a0@202 c0@5', 's1@6305', 'b0@3100 s1@6305'],
  ['C', 'p2', 's1@5301 b0@2101 b2@5', 's1@6201', 'b2@10 b0@3101 s1@6201'],
  ['D', 'photon', 's1@109 s2@109 b0@11', 's2@1512', 'b0@400 s1@207 s2@207 s1@1512 s2@1512'],
  ['E', 'electron', 's1@108 s2@108 s3@108 b0@11', 's2@3302', 'b0@1003 s3@110 s1@110 s2@110 s3@3302 s1@3302 s2@3302'],
  ['F', 'tracker', 's1@2008 b0@1003 a0@202 c0@5', 's1@6200', 'b0@3100 s1@3000 c0@7 s1@3001 s1@6200'],
  ['G', 'boron', 's1@1321 b0@401 a0@169', 's1@1512', 'b0@501 a0@202 s1@1512'],
  ['H', 'xenon', 's1@1213 b0@311 a0@169', 's1@1512', 'b0@501 s1@1321 a0@202 s1@1512'],
  ['I', 'boron', 's1@6200 b0@2700 a0@202', '', 'b0@3100'],
  ['J', 'boron', 's1@6305 b0@3200 a0@202', 's1@4006', ''],
  ['K', 'photon', 's1@23 s2@23 b0@7', 's2@3302', 'b0@1003 s1@207 s2@207 s1@3302 s2@3302'],
  ['M', 'argon', 's1@403 b0@300 a0@169 c0@4', 's1@4006', 'b0@1101 s1@1321 a0@202 s1@4006'],
  ['N', 'msom', 's1@5501 b0@2300 b2@7', 's1@6305', 'b2@11 b0@3200 s1@6305'],
  ['Boron 4.0.2, official trace', 'boron', 's1@4006 b0@1101 a0@202', 's1@4200', 'b0@1200 s1@4200'],
  ['Photon 0.5.1, official trace', 'photon', 's1@15 s2@15 b0@7', 's2@17', 's1@17 s2@17'],
]

describe('plans over the public Device OS releases', { skip: publicReleasesMissing }, () => {
  let catalogue: CatalogueModule[] = []
  before(() => {
    catalogue = publicCatalogue()
  })

  for (const [name, platformName, installed, need, steps] of examples) {
    it(`${name}: ${platformName} with ${installed}, needs ${need || 'nothing'}`, () => {
      const platform = platformByName(platformName)
      assert.ok(platform)
      const modules = installed.split(' ').map((text) => describedAs(text, platform.id))
      if (need) modules.push({ ...described('u1@6'), dependencies: [ref(need)] })
      const plan = planHealing(platform, { modules }, catalogue)
      assert.equal(plan.ok ? plan.steps.map(short).join(' ') : plan.reason, steps)
    })
  }

  it('F without archived releases has no plan, and says so', () => {
    const platform = platformByName('tracker')
    assert.ok(platform)
    const modules = ['s1@2008', 'b0@1003', 'a0@202', 'c0@5'].map((text) => describedAs(text, platform.id))
    modules.push(described('u1@6(s1@6200)'))
    const current = catalogue.filter((module) => module.state !== 'archived')
    const plan = planHealing(platform, { modules }, current)
    assert.equal(plan.ok, false)
  })

  // A device describes a radio stack or NCP without dependencies (4.9).
  function describedAs(text: string, platformId: number): DescribedModule {
    const module = ref(text)
    const known = catalogue.find(
      (m) =>
        m.platformId === platformId &&
        m.function === module.function &&
        m.index === module.index &&
        m.version === module.version,
    )
    const dependencies = 'ac'.includes(text.charAt(0)) ? [] : (known?.dependencies ?? [])
    return { ...described(text), dependencies }
  }
})
