import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { acceptsUpdate } from '../dependencies/acceptance.ts'
import { bootCheck } from '../dependencies/boot-check.ts'
import { type InstalledModules, installedModules } from '../dependencies/installed.ts'
import { describeOf, release, short, versioned } from '../fixtures/notation.ts'
import { syntheticCatalogue } from '../fixtures/synthetic-releases.ts'
import { platformByName } from '../platforms/platforms.ts'
import type { CatalogueModule } from './catalogue.ts'
import { type DowngradeRequest, planDowngrade } from './downgrade.ts'
import { withModule } from './planner.ts'
import { withApplication } from './transfers.ts'

const catalogue = syntheticCatalogue()

/** The plan, carried out step by step under the device's rules. */
function downgrade(
  name: string,
  installed: string,
  request: DowngradeRequest,
  modules: readonly CatalogueModule[] = catalogue,
): string {
  const platform = platformByName(name)
  assert.ok(platform)
  const plan = planDowngrade(platform, describeOf(installed), modules, request)
  if (!plan.ok) return plan.reason
  let state: InstalledModules = installedModules(describeOf(installed))
  for (const step of plan.steps) {
    if (step.kind === 'asset') continue
    assert.ok(acceptsUpdate(platform, state, step.module), short(step.module))
    state = step.kind === 'application' ? withApplication(state, step.module) : withModule(state, step.module)
  }
  assert.equal(bootCheck(platform, state).mode, 'normal')
  return plan.steps.map((step) => (step.kind === 'asset' ? step.asset.name : short(step.module))).join(' ')
}

const photon29 = 'b0@29 s1@2901(s2@1901) s2@2901(s1@2901,b0@29)'
const photonApp = { ...versioned('u1@9(s2@1001)'), function: 'user_part' } as const

describe('a downgrade', () => {
  it('sends the parts in reverse: first the one that depends on the others', () => {
    assert.equal(downgrade('photon', `${photon29} u1@4(s2@2301)`, { release: '2.3.0' }), 's2@2301 s1@2301')
  })

  it('sends the application first', () => {
    const request = { release: '2.3.0', application: photonApp }
    assert.equal(downgrade('photon', `${photon29} u1@4(s2@2901)`, request), 'u1@9 s2@2301 s1@2301')
  })

  it('goes down by stepping stones where the parts need each other', () => {
    const request = { release: '1.0.0', application: photonApp }
    assert.equal(downgrade('photon', `${photon29} u1@4(s2@2901)`, request), 'u1@9 s2@1901 s1@1901 s2@1001 s1@1001')
    const electron = 'b0@20 s1@2901(s3@2901) s2@2901(s1@2901,b0@20) s3@2901(s2@1901)'
    assert.equal(downgrade('electron', `${electron} u1@4(s2@2301)`, { release: '2.3.0' }), 's2@2301 s1@2301 s3@2301')
    const down = downgrade('electron', `${electron} u1@4(s2@1001)`, { release: '1.0.0' })
    assert.equal(down, 's2@1901 s1@1901 s3@1901 s2@1001 s1@1001 s3@1001')
  })

  it('is refused when the application needs the newer Device OS', () => {
    assert.match(
      downgrade('photon', `${photon29} u1@4(s2@2901)`, { release: '2.3.0' }),
      /^the application needs system_part 2@2901, .* safe mode: give one for 2.3.0 or older along with the downgrade$/,
    )
    const application = { ...versioned('u1@9(s2@2501)'), function: 'user_part' } as const
    assert.match(
      downgrade('photon', `${photon29} u1@4(s2@2901)`, { release: '2.3.0', application }),
      /^the application needs system_part 2@2501/,
    )
  })

  it('is refused when the older Device OS does not know the slot of the application', () => {
    const argon = 'b0@4 s1@2901(a0@202,b0@4) u2@6(s1@1901) a0@202'
    assert.match(downgrade('argon', argon, { release: '1.9.0' }), /knows no application with index 2/)
    const application = { ...versioned('u1@6(s1@1901)'), function: 'user_part' } as const
    assert.equal(downgrade('argon', argon, { release: '1.9.0', application }), 'u1@6 s1@1901')
  })

  it('is refused when a radio stack or NCP that stays would be orphaned', () => {
    const argon = 'b0@4 s1@2901(a0@202,b0@4) u1@6(s1@1001) a0@202'
    assert.match(
      downgrade('argon', argon, { release: '1.7.0' }),
      /^radio_stack 0@202 stays .* needs system_part 1@1801/,
    )
    const tracker = 'b0@13 s1@3901(b0@12,s1@3001) u1@6(s1@2001) c0@7 a0@202'
    assert.match(
      downgrade('tracker', tracker, { release: '2.9.0' }),
      /^ncp_firmware 0@7 stays .* needs system_part 1@3000/,
    )
  })

  it('leaves the oldest radio stack alone: the oldest releases have it, whatever putting it there takes', () => {
    const modules = [
      ...release('xenon', '1.2.0', 's1@1213 b0@1 u1@5(s1@1213)'),
      ...release('xenon', '1.3.0', 's1@1321 b0@1 u1@5(s1@1321)'),
      ...release('xenon', 'radio', 'a0@169(s1@1320) a0@202(s1@1321)'),
    ]
    const xenon = (radio: number) => `b0@1 s1@1321 u1@5(s1@1213) a0@${radio}`
    assert.equal(downgrade('xenon', xenon(169), { release: '1.2.0' }, modules), 's1@1213')
    assert.match(downgrade('xenon', xenon(202), { release: '1.2.0' }, modules), /^radio_stack 0@202 stays/)
  })

  it('is refused when a bootloader that stays would be orphaned', () => {
    const modules = [
      ...release('xenon', '1.0.0', 's1@1001 b0@1 u1@5(s1@1001)'),
      ...release('xenon', '1.5.0', 's1@1501(b0@3) b0@3(s1@1102) u1@5(s1@1501)'),
    ]
    assert.equal(
      downgrade('xenon', 'b0@3(s1@1102) s1@1501(b0@3) u1@5(s1@1001)', { release: '1.0.0' }, modules),
      'bootloader 0@3 needs system_part 1@1102: the device would stay in safe mode',
    )
  })

  it('is refused for what is no downgrade, and for releases that are not there', () => {
    assert.match(downgrade('photon', `${photon29} u1@4`, { release: '7.0.0' }), /the catalogue has no Device OS 7.0.0/)
    const older = 'b0@22 s1@2201(s2@1901) s2@2201(s1@2201,b0@22) u1@4(s2@2201)'
    assert.match(downgrade('photon', older, { release: '2.9.0' }), /^2.9.0 is no downgrade for this device/)
    assert.equal(downgrade('photon', older, { release: '2.2.0' }), '')
  })

  it('is refused to a protected device that would lose its protection', () => {
    const platform = platformByName('boron')
    assert.ok(platform)
    const modules = release('boron', '5.8.0', 'b0@2600 s1@5800(b0@2300)')
    const describe = { ...describeOf('b0@3100 s1@6200(b0@3100) u2@6(s1@5800)'), protectedState: true }
    const plan = planDowngrade(platform, describe, modules, { release: '5.8.0' })
    assert.match(plan.ok ? '' : plan.reason, /device protection is on/)
  })

  it('says what each part is for', () => {
    const platform = platformByName('photon')
    assert.ok(platform)
    const plan = planDowngrade(platform, describeOf(`${photon29} u1@4(s2@1001)`), catalogue, { release: '1.0.0' })
    assert.ok(plan.ok)
    const why = plan.steps.map((step) => (step.kind === 'module' ? step.why : step.kind))
    assert.deepEqual(why.slice(1, 3), [
      'on the way down: another part needs at least this one',
      'part of Device OS 1.0.0',
    ])
  })
})
