import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  type CatalogueModule,
  type DescribedModule,
  describeChecks,
  type ModuleDependency,
  type ModuleFunction,
  type SystemDescribe,
} from '@aloe/firmware'
import { decideHealing, healingSignature } from './healer.ts'

const fresh = { failures: {}, interruptions: 0 }
const need = (name: ModuleFunction, index: number, version: number): ModuleDependency => ({
  function: name,
  index,
  version,
})

function described(name: ModuleFunction, index: number, version: number, dependencies: ModuleDependency[] = []) {
  const flags = { checked: describeChecks, passed: describeChecks }
  return { function: name, index, version, store: 'main', maxSize: 1, ...flags, dependencies } as DescribedModule
}

function offered(name: ModuleFunction, index: number, version: number, dependencies: ModuleDependency[] = []) {
  const release = { release: '2.0.0', prerelease: false, state: 'ga' as const }
  return { platformId: 43, function: name, index, version, dependencies, ...release } satisfies CatalogueModule
}

const catalogue = [
  offered('bootloader', 0, 200),
  offered('system_part', 1, 2_000, [need('bootloader', 0, 200)]),
  offered('system_part', 2, 2_000, [need('system_part', 1, 2_000)]),
]

/** A device on 1.0.0 with an application for `version`. */
function device(version: number): SystemDescribe {
  return {
    modules: [
      described('bootloader', 0, 100),
      described('system_part', 1, 1_000, [need('bootloader', 0, 100)]),
      described('system_part', 2, 1_000, [need('system_part', 1, 1_000)]),
      described('user_part', 1, 6, [need('system_part', 2, version)]),
    ],
  }
}

describe('the healer', () => {
  it('has nothing to do while nothing is missing, whatever is newer', () => {
    assert.deepEqual(decideHealing(43, device(1_000), catalogue, fresh), { kind: 'healthy' })
  })

  it('sends the first module of the plan', () => {
    const decision = decideHealing(43, device(2_000), catalogue, fresh)
    assert.ok(decision.kind === 'send')
    assert.deepEqual(
      decision.plan.map((module) => [module.function, module.index]),
      [
        ['bootloader', 0],
        ['system_part', 1],
        ['system_part', 2],
      ],
    )
  })

  it('stops after three failures of the same module, or ten broken connections', () => {
    const failures = { 'bootloader 0@200': 3, 'system_part 1@2000': 1 }
    const refused = decideHealing(43, device(2_000), catalogue, { ...fresh, failures, reason: 'Flash error' })
    assert.ok(refused.kind === 'stop')
    assert.match(refused.reason, /bootloader 0@200 was tried 3 times: Flash error/)
    const broken = decideHealing(43, device(2_000), catalogue, { ...fresh, interruptions: 10 })
    assert.equal(broken.kind, 'stop')
  })

  it('stops when there is no way', () => {
    const decision = decideHealing(43, device(3_000), catalogue, fresh)
    assert.ok(decision.kind === 'stop')
    assert.deepEqual(decision.missing, [need('system_part', 2, 3_000)])
  })

  it('leaves devices alone whose platform has no known rules', () => {
    assert.equal(decideHealing(9_999, device(2_000), catalogue, fresh).kind, 'healthy')
  })

  it('knows a state again, in whatever order it is told, and a new release for a new state', () => {
    const state = device(2_000)
    const shuffled = { modules: state.modules.toReversed() }
    assert.equal(healingSignature(state, catalogue), healingSignature(shuffled, catalogue.toReversed()))
    assert.notEqual(healingSignature(state, catalogue), healingSignature(device(3_000), catalogue))
    const more = [...catalogue, { ...offered('bootloader', 0, 201), release: '2.0.1' }]
    assert.notEqual(healingSignature(state, catalogue), healingSignature(state, more))
  })
})
