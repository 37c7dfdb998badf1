import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { acceptsUpdate } from '../dependencies/acceptance.ts'
import { type InstalledModules, installedModules } from '../dependencies/installed.ts'
import { missingDependencies } from '../dependencies/missing.ts'
import type { DescribedModule, SystemDescribe } from '../describe.ts'
import { describeOf, release, short } from '../fixtures/notation.ts'
import { fuzzRuns } from '../fixtures/vectors.ts'
import type { Platform } from '../platforms/platform.ts'
import { platformByName } from '../platforms/platforms.ts'
import { deviceOsReleases } from '../versions/device-os-releases.ts'
import { breadths, findCandidates } from './candidates.ts'
import type { CatalogueModule } from './catalogue.ts'
import { indexCatalogue } from './catalogue-index.ts'
import { createPlanner, planHealing, withModule } from './planner.ts'

function platform(name: string): Platform {
  const found = platformByName(name)
  assert.ok(found)
  return found
}

function plan(on: string, installed: string | SystemDescribe, catalogue: readonly CatalogueModule[]): string {
  const describe = typeof installed === 'string' ? describeOf(installed) : installed
  const result = planHealing(platform(on), describe, catalogue)
  return result.ok ? result.steps.map(short).join(' ') : result.reason
}

/** What a device describes once a step is applied. */
function apply(describe: SystemDescribe, step: CatalogueModule): SystemDescribe {
  const module: DescribedModule = { ...step, store: 'main', maxSize: 0, checked: 30, passed: 30 }
  const rest = describe.modules.filter((m) => m.function !== step.function || m.index !== step.index)
  return { ...describe, modules: [...rest, module] }
}

const linux = deviceOsReleases.flatMap(({ version, systemVersion: s, bootloaderVersion: b, state }) =>
  release('linux', version, `b0@${b} s1@${s}(b0@${b}) s2@${s}(s1@${s})`, state),
)

describe('healing a linux device', () => {
  const on100 = 'b0@100 s1@1000(b0@100) s2@1000(s1@1000)'

  it('takes the shortest way to the release that the application needs', () => {
    assert.equal(plan('linux', `${on100} u1@1(s2@2000)`, linux), 'b0@200 s1@2000 s2@2000')
    assert.equal(plan('linux', `${on100} u1@1(s2@1101)`, linux), 'b0@101 s1@1101 s2@1101')
  })

  it('goes on where an interrupted update has left the device', () => {
    assert.equal(plan('linux', 'b0@200 s1@1000(b0@100) s2@1000(s1@1000) u1@1(s2@2000)', linux), 's1@2000 s2@2000')
    assert.equal(plan('linux', 'b0@200 s1@2000(b0@200) s2@1000(s1@1000) u1@1(s2@2000)', linux), 's2@2000')
    assert.equal(plan('linux', 'b0@200 s1@2000(b0@200) s2@2000(s1@2000) u1@1(s2@2000)', linux), '')
  })

  it('updates what is newer than the rest only as far as needed', () => {
    assert.equal(plan('linux', 'b0@200 s1@1000(b0@100) s2@1000(s1@1000) u1@1(s2@1101)', linux), 's1@1101 s2@1101')
  })

  it('takes a pre-release only for an application that was built for it', () => {
    assert.equal(plan('linux', `${on100} u1@1(s2@1100)`, linux), 'b0@101 s1@1100 s2@1100')
    assert.equal(plan('linux', `${on100} u1@1(s2@1001)`, linux), 'b0@101 s1@1101 s2@1101')
  })

  it('never downgrades, and leaves an older application alone', () => {
    assert.equal(plan('linux', 'b0@200 s1@2000(b0@200) s2@2000(s1@2000) u1@1(s2@1000)', linux), '')
    assert.equal(plan('linux', 'b0@200 s1@2000(b0@200) s2@1101(s1@1101) u1@1(s2@1101)', linux), '')
  })

  it('puts a damaged system part back', () => {
    const describe = describeOf(`${on100} u1@1(s2@1000)`)
    const modules = describe.modules.map((m) => (short(m) === 's2@1000' ? { ...m, passed: 28 } : m))
    assert.equal(plan('linux', { modules }, linux), 's2@1000')
  })

  it('has nothing to heal on a device without an application', () => {
    assert.equal(plan('linux', on100, linux), '')
    assert.equal(plan('linux', { modules: [] }, linux), '')
  })

  it('says why when there is no plan', () => {
    assert.equal(
      plan('linux', `${on100} u1@1(s2@3000)`, linux),
      'system_part 2@3000 for linux: the catalogue has no system_part 2@3000 or newer',
    )
    const withoutBootloader = linux.filter((m) => m.function !== 'bootloader')
    assert.match(plan('linux', `${on100} u1@1(s2@2000)`, withoutBootloader), /the catalogue has no bootloader 0@200/)
  })

  it('tells what is missing with every answer', () => {
    const result = planHealing(platform('linux'), describeOf(`${on100} u1@1(s2@2000)`), linux)
    assert.deepEqual(result.missing.map(short), ['s2@2000'])
  })
})

describe('the planner', () => {
  // Shapes that have occurred on real boards, with numbers of our own.
  it('finds the stepping stone of system parts that need each other (Gen 2)', () => {
    const catalogue = [
      ...release('photon', '0.7.0', 'b0@101 s1@207 s2@207(s1@207,b0@101)'),
      ...release('photon', '1.0.0', 'b0@201 s1@1000(s2@207) s2@1000(s1@1000,b0@201)'),
    ]
    const installed = 'b0@11 s1@109 s2@109(s1@109) u1@4(s2@1000)'
    assert.equal(plan('photon', installed, catalogue), 'b0@201 s1@207 s2@207 s1@1000 s2@1000')
  })

  it('leaves the circle of system part and NCP by the only release without it', () => {
    const catalogue = [
      ...release('tracker', '2.0.0', 'b0@1003 s1@2008'),
      ...release('tracker', '3.0.0-alpha.1', 'b0@1005 s1@3000(b0@1005)'),
      ...release('tracker', '3.0.0', 'b0@1005 s1@3005(b0@1005,c0@7)'),
      ...release('tracker', 'ncp', 'c0@7(s1@3000)'),
    ]
    const installed = 'b0@1003 s1@2008 a0@202 c0@5 u1@6(s1@3005)'
    assert.equal(plan('tracker', installed, catalogue), 'b0@1005 s1@3000 c0@7 s1@3005')
    const withoutArchived = catalogue.filter((m) => m.state !== 'archived')
    assert.match(plan('tracker', installed, withoutArchived), /no order of updates is accepted/)
  })

  it('does not leave a device with a bootloader that the boot check wants newer', () => {
    const catalogue = release('argon', '6.0.0', 'b0@3000 s1@6000(a0@202,b0@3000)')
    const installed = 'b0@502 s1@1512(b0@501,a0@202) a0@202 c0@5 u1@6(s1@6000)'
    assert.equal(plan('argon', installed, catalogue), 'b0@3000 s1@6000')
  })

  it('takes the floor of a dependency, not the newest of the release', () => {
    const catalogue = [
      ...release('boron', '6.0.0', 'b0@3000 s1@6000(b0@3000)'),
      ...release('boron', '6.1.0', 'b0@3100 s1@6100(b0@3000)'),
    ]
    assert.equal(plan('boron', 'b0@2000 s1@5000 u2@6(s1@6100)', catalogue), 'b0@3000 s1@6100')
  })

  it('prefers a final release to a newer preview, and a preview to what is archived', () => {
    const catalogue = [
      ...release('boron', '6.0.0-rc.1', 's1@6000', 'archived'),
      ...release('boron', '6.0.0-rc.2', 's1@6001', 'preview'),
      ...release('boron', '6.0.0', 's1@6002', 'ga'),
    ]
    assert.equal(plan('boron', 's1@5000 u2@6(s1@5999)', catalogue), 's1@6002')
    assert.equal(plan('boron', 's1@5000 u2@6(s1@5999)', catalogue.slice(0, 2)), 's1@6001')
    assert.equal(plan('boron', 's1@5000 u2@6(s1@5999)', catalogue.slice(0, 1)), 's1@6000')
  })

  it('names the final release when several carry one version', () => {
    const catalogue = [...release('boron', '5.0.0-rc.2', 's1@5013'), ...release('boron', '5.0.0', 's1@5013')]
    const result = planHealing(platform('boron'), describeOf('s1@5000 u2@6(s1@5013)'), catalogue)
    assert.equal(result.ok && result.steps[0]?.release, '5.0.0')
  })

  it('sends part 1 of an RTL872x before its bootloader, and never the MBR', () => {
    const catalogue = release('p2', '6.2.1', 'b0@3101(b2@10) b1@3 b2@10 s1@6201(b0@3101)')
    assert.equal(
      plan('p2', 'b0@2101(b2@5) b1@2 b2@5 s1@5301(b0@2100) u1@6(s1@6201)', catalogue),
      'b2@10 b0@3101 s1@6201',
    )
    assert.match(plan('p2', 'b0@2101 b1@2 u1@6(b1@3)', catalogue), /the catalogue has no bootloader 1@3/)
  })

  it('uses no module of another platform, and no application', () => {
    const catalogue = [...release('argon', '6.0.0', 's1@6000'), ...release('boron', '6.0.0', 'u2@7')]
    assert.match(plan('boron', 's1@5000 u2@6(s1@6000)', catalogue), /the catalogue has no system_part 1@6000/)
    assert.match(plan('boron', 's1@5000(u2@7) u2@6', catalogue), /the catalogue has no user_part 2@7/)
  })

  it('sends protected devices only what they take', () => {
    const open = release('boron', '6.1.0', 'b0@3001 s1@6100(b0@3001)')
    const secured = open.map((m) => (m.function === 'bootloader' ? { ...m, protected: true } : m))
    const describe = { ...describeOf('b0@3000 s1@6000(b0@3000) u2@6(s1@6100)'), protectedState: true }
    assert.match(plan('boron', describe, open), /no bootloader 0@3001/)
    assert.equal(plan('boron', describe, secured), 'b0@3001 s1@6100')
    const old = { ...describeOf('b0@3001 s1@5000 u2@6(s1@5800)'), protectedState: true }
    assert.match(plan('boron', old, release('boron', '5.8.0', 's1@5800')), /no system_part 1@5800/)
  })

  it('takes a newer module when the one that is named leads nowhere', () => {
    const catalogue = [...release('linux', '1.0.0', 's1@2 s2@3'), ...release('linux', '1.0.1', 's2@2(b0@2)')]
    assert.equal(plan('linux', 'b0@1 s1@2 s2@1 u1@1(s2@2)', catalogue), 's2@3')
  })

  it('replaces a module whose need is not to be had by a newer one without it', () => {
    const catalogue = release('argon', '6.0.0', 'b0@3000 s1@6000(a0@202,b0@3000)')
    const installed = 'b0@502 s1@1512(a0@202,b0@9999) a0@202 u1@6(s1@1512)'
    assert.equal(plan('argon', installed, catalogue), 'b0@3000 s1@6000')
  })

  it('answers at once where a search through all combinations would take forever', () => {
    // Three parts in 200 versions each, and an application that needs a bootloader which needs itself.
    const parts = [1, 2, 3].flatMap((index) =>
      Array.from({ length: 200 }, (_, i) => release('electron', `1.${index}.${i}`, `s${index}@${i + 10}`)).flat(),
    )
    const catalogue = [...parts, ...release('electron', '2.0.0', 'b0@9(b0@9)')]
    assert.match(
      plan('electron', 'b0@1 s1@1 s2@1 s3@1 u1@1(b0@9,s1@10,s2@10,s3@10)', catalogue),
      /no order of updates is accepted by the device: bootloader 0@9 needs bootloader 0@9$/,
    )
  })

  it('finds a plan through a hundred stepping stones', () => {
    // Each part needs the version of the other one before it.
    const catalogue = Array.from({ length: 50 }, (_, i) => i + 2).flatMap((v) =>
      release('linux', `1.0.${v}`, `s1@${v}(s2@${v - 1}) s2@${v}(s1@${v})`),
    )
    const result = planHealing(platform('linux'), describeOf('b0@1 s1@1 s2@1 u1@1(s2@51)'), catalogue)
    assert.equal(result.ok && result.steps.length, 100)
  })

  it('leaves a damaged part nothing older, and heals it even when nothing needs it', () => {
    const damagedAs = (text: string, damaged: string) => ({
      modules: describeOf(text).modules.map((m) => (short(m) === damaged ? { ...m, passed: 28 } : m)),
    })
    assert.equal(plan('linux', damagedAs('b0@100 s1@1000(b0@100) s2@1000(s1@1000)', 's2@1000'), linux), 's2@1000')
    const withNewer = damagedAs('b0@101 s1@1101(b0@101) s2@1101(s1@1101) u1@1(s2@1000)', 's2@1101')
    assert.equal(plan('linux', withNewer, linux), 's2@1101')
  })

  it('plans whenever there is a plan, by steps that a device accepts, and anew after each', () => {
    const version = fc.integer({ min: 1, max: 4 })
    const target = fc.constantFrom('b0', 's1', 's2')
    const dependency = fc.tuple(target, version).map(([name, v]) => `${name}@${v}`)
    const dependencies = fc.uniqueArray(dependency, { maxLength: 2, selector: (text) => text.slice(0, 2) })
    const module = fc.tuple(target, version, dependencies).map(([name, v, deps]) => `${name}@${v}(${deps.join()})`)
    const releases = fc.array(fc.uniqueArray(module, { minLength: 1, maxLength: 3 }), { maxLength: 6 })
    const tags = fc.array(fc.constantFrom('', '-rc.1'), { minLength: 6, maxLength: 6 })
    const device = fc.tuple(dependencies, dependencies, dependencies, dependencies)
    fc.assert(
      fc.property(releases, tags, device, (lists, pre, [ofB, of1, of2, needs]) => {
        const catalogue = lists.flatMap((list, i) => release('linux', `1.0.${i}${pre[i]}`, list.join(' ')))
        let describe = describeOf(`b0@1(${ofB.join()}) s1@1(${of1.join()}) s2@1(${of2.join()}) u1@1(${needs.join()})`)
        const first = planHealing(platform('linux'), describe, catalogue)
        assert.equal(first.ok, canHeal(platform('linux'), installedModules(describe), catalogue))
        if (!first.ok) return
        // Three modules of four versions: no more steps than that.
        for (let sent = 0; sent <= 9; sent++) {
          const now = planHealing(platform('linux'), describe, catalogue)
          assert.ok(now.ok)
          const [step] = now.steps
          if (!step) break
          const installed = installedModules(describe)
          assert.ok(acceptsUpdate(platform('linux'), installed, step))
          const current = installed.find((m) => m.function === step.function && m.index === step.index)
          assert.ok(!current || current.version < step.version)
          describe = apply(describe, step)
        }
        assert.deepEqual(missingDependencies(describe), [])
      }),
      { numRuns: fuzzRuns },
    )
  })

  it('plans the fewest steps that there are, among the narrowest choice of modules that has a plan', () => {
    const version = fc.integer({ min: 2, max: 4 })
    const target = fc.constantFrom('b0', 's1', 's2')
    const dependency = fc.tuple(target, version).map(([name, v]) => `${name}@${v}`)
    const dependencies = fc.uniqueArray(dependency, { maxLength: 2, selector: (text) => text.slice(0, 2) })
    const module = fc.tuple(target, version, dependencies).map(([name, v, deps]) => `${name}@${v}(${deps.join()})`)
    const modules = fc.uniqueArray(module, { minLength: 1, maxLength: 9, selector: (text) => text.slice(0, 4) })
    fc.assert(
      fc.property(modules, dependencies, (list, needs) => {
        const linuxPlatform = platform('linux')
        const catalogue = list.flatMap((text, i) => release('linux', `1.${i % 3}.0`, text))
        const installed = installedModules(describeOf(`b0@1 s1@1 s2@1 u1@1(${needs.join()})`))
        const missing = missingDependencies(describeOf(`b0@1 s1@1 s2@1 u1@1(${needs.join()})`))
        const index = indexCatalogue(linuxPlatform, catalogue, { protected: false })
        const result = createPlanner(linuxPlatform, catalogue).plan({ installed })
        const fewest = breadths
          .map((breadth) => findCandidates(installed, missing, index, breadth).map((entry) => entry.module))
          .map((candidates) => fewestSteps(linuxPlatform, installed, candidates))
          .find((steps) => steps !== undefined)
        assert.equal(result.ok ? result.steps.length : undefined, fewest)
      }),
      { numRuns: fuzzRuns },
    )
  })
})

/** Whether any order of upgrades leaves nothing missing, by trying all of them. */
function canHeal(on: Platform, installed: InstalledModules, catalogue: readonly CatalogueModule[]): boolean {
  return fewestSteps(on, installed, catalogue) !== undefined
}

function fewestSteps(on: Platform, start: InstalledModules, catalogue: readonly CatalogueModule[]): number | undefined {
  const seen = new Set<string>()
  let front = [start]
  for (let steps = 0; front.length > 0; steps++) {
    const next: InstalledModules[] = []
    for (const installed of front) {
      if (missingDependencies({ modules: installed.map(asDescribed) }).length === 0) return steps
      for (const module of catalogue) {
        const current = installed.find((m) => m.function === module.function && m.index === module.index)
        if (current && current.version >= module.version) continue
        if (!acceptsUpdate(on, installed, module)) continue
        const after = withModule(installed, module)
        const key = JSON.stringify(after.map((m) => [m.function, m.index, m.version, m.dependencies]))
        if (seen.has(key)) continue
        seen.add(key)
        next.push(after)
      }
    }
    front = next
  }
  return undefined
}

function asDescribed(module: InstalledModules[number]): DescribedModule {
  return { ...describeOf('b0@1').modules[0], ...module } as DescribedModule
}
