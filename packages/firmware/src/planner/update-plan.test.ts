import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { SystemDescribe } from '../describe.ts'
import { describeOf, release, short, versioned } from '../fixtures/notation.ts'
import type { AssetRef } from '../module-function.ts'
import type { Platform } from '../platforms/platform.ts'
import { platformByName } from '../platforms/platforms.ts'
import { linkOf, links } from './cost.ts'
import { explainServed } from './explain.ts'
import { planDocument } from './plan-document.ts'
import { planUpdate, releaseNeeds, type UpdatePlan, type UpdateRequest } from './update-plan.ts'
import type { OfferedApplication } from './update-step.ts'

function platform(name: string): Platform {
  const found = platformByName(name)
  assert.ok(found)
  return found
}

function application(text: string, more: Partial<OfferedApplication> = {}): OfferedApplication {
  return { ...versioned(text), function: 'user_part', ...more }
}

function stepsOf(plan: UpdatePlan): string {
  if (!plan.ok) return plan.reason
  return plan.steps.map((step) => (step.kind === 'asset' ? step.asset.name : short(step.module))).join(' ')
}

const boron = [
  ...release('boron', '5.8.0', 'b0@2600 s1@5800(b0@2300,a0@202) u2@6(s1@5800)'),
  ...release('boron', '6.2.0', 'b0@3100 s1@6200(b0@3100,a0@202) u2@6(s1@6200)'),
  ...release('boron', '6.2.1', 'b0@3101 s1@6201(b0@3100,a0@202) u2@6(s1@6201)'),
]
const on580 = 'b0@2600 s1@5800(b0@2300,a0@202) u2@6(s1@5800) a0@202'
const asset = (name: string, more: Partial<AssetRef> = {}): AssetRef => ({ name, hash: 'ab'.repeat(32), ...more })

function plan(request: UpdateRequest, installed: string | SystemDescribe = on580): UpdatePlan {
  return planUpdate(
    platform('boron'),
    typeof installed === 'string' ? describeOf(installed) : installed,
    boron,
    request,
  )
}

describe('the plan of an update', () => {
  it('sends the application first, then what it needs', () => {
    assert.equal(stepsOf(plan({ application: application('u2@7(s1@6200)') })), 'u2@7 b0@3100 s1@6200')
  })

  it('does not send an application that is there', () => {
    const there = describeOf(on580)
    const modules = there.modules.map((m) => (m.function === 'user_part' ? { ...m, hash: 'cd'.repeat(32) } : m))
    const same = application('u2@6(s1@5800)', { hash: 'cd'.repeat(32) })
    assert.equal(stepsOf(plan({ application: same }, { modules })), '')
    assert.equal(stepsOf(plan({ application: application('u2@6(s1@5800)') }, { modules })), 'u2@6')
  })

  it('brings a device to a release, and does nothing for one that is newer', () => {
    const needs = releaseNeeds(platform('boron'), '6.2.0', boron)
    assert.ok(needs)
    assert.equal(stepsOf(plan({ needs })), 'b0@3100 s1@6200')
    assert.equal(stepsOf(plan({ needs }, 'b0@3101 s1@6201(b0@3100,a0@202) a0@202')), '')
    assert.equal(releaseNeeds(platform('boron'), '9.0.0', boron), undefined)
    assert.equal(releaseNeeds(platform('argon'), '6.2.0', boron), undefined)
  })

  it('says what each step is for', () => {
    const healing = plan({ application: application('u2@7(s1@6200)') })
    assert.ok(healing.ok)
    const why = healing.steps.map((step) => (step.kind === 'module' ? explainServed(step.serves) : step.kind))
    assert.deepEqual(why, [
      'application',
      'system_part 1@6200 needs bootloader 0@3100',
      'user_part 2@7 needs system_part 1@6200',
    ])
    const asked = plan({ needs: [{ function: 'system_part', index: 1, version: 6200 }] })
    assert.ok(asked.ok && asked.steps[1]?.kind === 'module')
    assert.equal(explainServed(asked.steps[1].serves), 'system_part 1@6200 is asked for')
  })

  it('says exactly what is missing when it is impossible', () => {
    const result = plan({ needs: [{ function: 'system_part', index: 1, version: 7000 }] })
    assert.ok(!result.ok)
    assert.equal(result.reason, 'system_part 1@7000 for boron: the catalogue has no system_part 1@7000 or newer')
    const without = boron.filter((module) => module.function !== 'bootloader')
    const deeper = planUpdate(platform('boron'), describeOf(on580), without, {
      needs: [{ function: 'system_part', index: 1, version: 6200 }],
    })
    assert.ok(!deeper.ok)
    assert.match(deeper.reason, /no bootloader 0@3100 or newer, which system_part 1@6200 needs$/)
    assert.deepEqual(
      deeper.obstacles.map(({ dependency, neededBy, kind }) => [short(dependency), neededBy && short(neededBy), kind]),
      [
        ['s1@6200', undefined, 'refused'],
        ['b0@3100', 's1@6200', 'absent'],
      ],
    )
  })

  it('has no place for an application of another platform', () => {
    assert.match(stepsOf(plan({ application: application('u3@7') })), /boron has no place for user_part 3@7/)
  })
})

describe('assets in a plan', () => {
  it('come last, those that the device has not', () => {
    const app = application('u2@7(s1@6200)', { assetDependencies: [asset('a.txt'), asset('b.txt')] })
    const there = { ...describeOf(on580), assets: [asset('a.txt')] }
    assert.equal(stepsOf(plan({ application: app }, there)), 'u2@7 b0@3100 s1@6200 b.txt')
  })

  it('are sent for the application that is there as well', () => {
    const modules = describeOf(on580).modules.map((m) =>
      m.function === 'user_part' ? { ...m, assetDependencies: [asset('a.txt')] } : m,
    )
    assert.equal(stepsOf(plan({}, { modules })), 'a.txt')
  })

  it('are refused where the device takes none, or none so large', () => {
    const assetDependencies = [asset('a.txt')]
    const old = 'b0@2000 s1@5003(a0@202) a0@202'
    assert.match(stepsOf(plan({ application: application('u2@7', { assetDependencies }) }, old)), /from 5.5.0 on/)
    const photon = planUpdate(platform('photon'), describeOf('s1@1 s2@1'), [], {
      application: application('u1@7', { assetDependencies }),
    })
    assert.match(stepsOf(photon), /photon has no assets, and the application needs a.txt/)
    const large = application('u2@7', { assetDependencies: [asset('big', { size: 700_000 })] })
    assert.match(stepsOf(plan({ application: large })), /the asset big is larger than the 606208 bytes/)
  })
})

describe('the cost of a plan', () => {
  const sized = boron.map((module) => ({ ...module, size: module.function === 'bootloader' ? 40_000 : 500_000 }))

  it('counts modules, bytes, resets, and seconds on the link', () => {
    const link = { bytesPerSecond: 10_000, resetSeconds: 60, ncpSeconds: 0 }
    const request = { application: application('u2@7(s1@6200)', { size: 10_000 }), link }
    const result = planUpdate(platform('boron'), describeOf(on580), sized, request)
    assert.ok(result.ok)
    assert.deepEqual(result.cost, {
      modules: 3,
      transfers: 3,
      bytes: 550_000,
      exact: true,
      resets: 3,
      seconds: 55 + 3 * 60,
    })
  })

  it('is an upper bound while sizes are not known', () => {
    const result = plan({ needs: [{ function: 'system_part', index: 1, version: 6200 }] })
    assert.ok(result.ok)
    assert.equal(result.cost.exact, false)
    assert.equal(result.cost.bytes, 0xc000 + 0x8c000)
  })

  it('takes the link from the platform', () => {
    assert.equal(linkOf(platform('boron')), links.cellular)
    assert.equal(linkOf(platform('p2')), links.wifi)
    assert.equal(linkOf(platform('photon')), links['wifi-chunked'])
    assert.equal(linkOf(platform('electron')), links['cellular-chunked'])
    assert.equal(linkOf(platform('linux')), links.linux)
  })

  it('saves a reset where application and system part go as one file', () => {
    const app = application('u2@7(s1@5800)', { size: 10_000 })
    const from = (text: string, catalogue = sized) => {
      const result = planUpdate(platform('boron'), describeOf(text), catalogue, { application: app, combine: true })
      assert.ok(result.ok)
      return result.transfers.map(({ steps }) => steps.length)
    }
    // A device from 3.1.0 on, of which only the system part must change (modules-and-platforms.md 5.5).
    assert.deepEqual(from('b0@2600 s1@5501(b0@2300,a0@202) a0@202'), [2])
    assert.deepEqual(from('b0@1000 s1@5501(a0@202) a0@202'), [1, 1, 1], 'a bootloader is missing as well')
    assert.deepEqual(from('b0@2600 s1@3005(b0@1005,a0@202) a0@202'), [1, 1], 'the device is too old')
    const huge = sized.map((module) => ({ ...module, size: 1_530_000 }))
    assert.deepEqual(from('b0@2600 s1@5501(b0@2300,a0@202) a0@202', huge), [1, 1], 'it does not fit')
  })

  it('saves bytes where the device takes compressed files', () => {
    const from = (text: string) => {
      const needs = [{ function: 'system_part', index: 1, version: 5800 } as const]
      const result = planUpdate(platform('boron'), describeOf(text), sized, { needs, compress: true })
      assert.ok(result.ok)
      return result.transfers.map(({ compressed, bytes }) => (compressed ? -bytes : bytes))
    }
    assert.deepEqual(from('b0@2600 s1@5501(b0@2300,a0@202) a0@202'), [-330_000])
    // A bootloader cannot be compressed; the new one then inflates.
    assert.deepEqual(from('b0@502 s1@1512(b0@501,a0@202) a0@202'), [40_000, -330_000])
  })

  it('is part of the document that APIs and tools print', () => {
    const document = planDocument(plan({ application: application('u2@7(s1@6200)') }))
    assert.ok(document.ok)
    assert.deepEqual(
      document.steps.map((step) => step.label),
      ['user_part 2@7', 'bootloader 0@3100', 'system_part 1@6200'],
    )
    assert.deepEqual(
      document.transfers.map((transfer) => transfer.steps),
      [[0], [1], [2]],
    )
    assert.equal(document.cost.resets, 3)
    const none = planDocument(plan({ needs: [{ function: 'system_part', index: 1, version: 7000 }] }))
    assert.ok(!none.ok)
    assert.equal(none.obstacles[0]?.dependency.label, 'system_part 1@7000')
  })
})
