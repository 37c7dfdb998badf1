/**
 * What a release would do, asked before it is done: who gets it, what each way to it takes, and who does not get it and
 * why. Plans are made once for all devices that have the same modules, so a hundred thousand devices take about as long
 * as counting them.
 */
import {
  type CatalogueModule,
  type OfferedApplication,
  planUpdate,
  platformById,
  type SystemDescribe,
  type UpdatePlan,
} from '@aloe/firmware'
import { type DeviceRecord, firmwareVersionOf } from '../devices/device.ts'
import type { DeviceRegistry } from '../devices/registry.ts'
import type { Gateway } from '../gateway/gateway.ts'
import type { ProductRecord } from '../products/product.ts'
import type { FirmwareVersion } from '../products/product-firmware.ts'
import type { Products } from '../products/products.ts'
import { type ReleasedVersions, releasedTo, targetFor } from '../products/targeting.ts'
import type { Catalogue } from '../updates/catalogue.ts'
import type { DevicePolicy, PolicySubject } from '../updates/policy.ts'
import { blockedBy } from '../updates/policy.ts'
import type { RolloutSettings } from './rollout.ts'
import { runs } from './wanted.ts'

export interface PreviewWorld {
  readonly products: Products
  readonly registry: Pick<DeviceRegistry, 'get' | 'reporting'>
  readonly gateway: Pick<Gateway, 'isOnline'>
  readonly catalogue: Pick<Catalogue, 'modules'>
  readonly policies: { of(deviceId: string): DevicePolicy }
  readonly settings: RolloutSettings
  /** Unix milliseconds. */
  readonly now: number
}

export interface PreviewQuestion {
  readonly firmware: FirmwareVersion
  readonly application: OfferedApplication
  /** As it would be after the release. */
  readonly released: ReleasedVersions
  readonly intelligent: boolean
}

/** When a device that gets it is updated. */
export type When = 'now' | 'next-connection' | 'when-online' | 'when-enabled' | 'held'

/** Why a device does not get it. */
export type WhyNot =
  | 'current'
  | 'development'
  | 'locked'
  | 'another-release'
  | 'not-released-to'
  | 'platform'
  | 'quarantined'
  | 'denied'
  | 'impossible'

/** Devices for which the same is to be done. */
export interface WayTo {
  readonly devices: number
  /** What they run; null when it is not known. */
  readonly version: number | null
  readonly platform: string | null
  /** Module version of the system part. */
  readonly systemVersion: number | null
  /** What is sent, in order: labels with their release. Empty when the device has not said what it has. */
  readonly steps: readonly { readonly label: string; readonly release: string | null }[]
  readonly known: boolean
  /** For each of them. */
  readonly modules: number
  readonly bytes: number
  readonly resets: number
  readonly seconds: number
}

export interface ReleasePreview {
  readonly version: number
  readonly devices: number
  readonly when: Readonly<Record<When, number>>
  /** Causes of what is held, in words. */
  readonly held: readonly { readonly reason: string; readonly devices: number }[]
  readonly ways: readonly WayTo[]
  /** Of all devices together. */
  readonly total: { readonly modules: number; readonly bytes: number; readonly resets: number }
  /** Until the last of those that can be updated at once is done. */
  readonly seconds: number
  readonly excluded: readonly { readonly why: WhyNot; readonly reason: string; readonly devices: number }[]
  readonly warnings: readonly string[]
}

interface Way {
  readonly plan: UpdatePlan | undefined
  readonly subjects: readonly PolicySubject[]
}

export function previewRelease(world: PreviewWorld, product: ProductRecord, question: PreviewQuestion): ReleasePreview {
  const counting = new Counting(world, question)
  for (const deviceId of world.products.devices.members(product.id)) {
    const device = world.registry.get(deviceId)
    if (device) counting.count(device, product)
  }
  const denied = world.products.devices.denied(product.id)
  for (const deviceId of world.registry.reporting(product.id)) {
    if (world.products.devices.of(deviceId)) continue
    if (denied.has(deviceId)) counting.exclude('denied', 'the product does not have them')
    else counting.exclude('quarantined', 'they report the product, and nobody has approved them')
  }
  return counting.result()
}

class Counting {
  readonly #world: PreviewWorld
  readonly #question: PreviewQuestion
  readonly #plans = new Map<string, Way>()
  readonly #keys = new WeakMap<SystemDescribe, string>()
  readonly #ways = new Map<string, { -readonly [K in keyof WayTo]: WayTo[K] }>()
  readonly #when: Record<When, number> = { now: 0, 'next-connection': 0, 'when-online': 0, 'when-enabled': 0, held: 0 }
  readonly #held = new Map<string, number>()
  readonly #excluded = new Map<string, { why: WhyNot; reason: string; devices: number }>()
  readonly #prereleases = new Set<string>()
  #devices = 0
  /** Of those that can be updated at once. */
  #seconds = 0
  #longest = 0
  #ready = 0

  constructor(world: PreviewWorld, question: PreviewQuestion) {
    this.#world = world
    this.#question = question
  }

  count(device: DeviceRecord, product: ProductRecord): void {
    const not = this.#whyNot(device, product)
    if (not) {
      this.exclude(not.why, not.reason)
      return
    }
    const platformId = device.platformId ?? product.platformId
    const key = `${platformId} ${this.#keyOf(device.describe)}`
    const way = this.#wayOf(key, platformId, device.describe)
    if (way.plan && !way.plan.ok) {
      this.exclude('impossible', way.plan.reason)
      return
    }
    this.#devices++
    const runsNow = firmwareVersionOf(device)
    this.#add(`${runsNow} ${key}`, way, device, platformId, runsNow)
    this.#time(device, way)
  }

  #whyNot(device: DeviceRecord, product: ProductRecord): { why: WhyNot; reason: string } | undefined {
    const { products } = this.#world
    const { firmware, released } = this.#question
    const member = products.devices.of(device.id)
    if (!member || member.development) return { why: 'development', reason: 'they are marked as development devices' }
    const target = targetFor(member, released)
    if (target?.version !== firmware.version) {
      if (target?.why === 'locked') return { why: 'locked', reason: `they are locked to version ${target.version}` }
      const other = releasedTo(member, released)
      if (!other) return { why: 'not-released-to', reason: 'the release is not for them' }
      const whom = other.why === 'group' ? 'a group of theirs' : 'all devices'
      return { why: 'another-release', reason: `version ${other.version} is released to ${whom}` }
    }
    if (runs(device, firmware)) return { why: 'current', reason: 'they run it' }
    if (device.platformId === null || device.platformId === product.platformId) return undefined
    const name = platformById(device.platformId)?.displayName ?? `platform ${device.platformId}`
    return { why: 'platform', reason: `they are ${name}, and the product is for another platform` }
  }

  exclude(why: WhyNot, reason: string): void {
    const key = `${why} ${reason}`
    const known = this.#excluded.get(key)
    if (known) known.devices++
    else this.#excluded.set(key, { why, reason, devices: 1 })
  }

  result(): ReleasePreview {
    const { firmware } = this.#question
    const { concurrent, perMinute } = this.#world.settings
    const ways = [...this.#ways.values()].sort((a, b) => b.devices - a.devices)
    const sum = (one: (way: WayTo) => number) => ways.reduce((total, way) => total + way.devices * one(way), 0)
    const starting = (this.#ready * 60) / perMinute
    const working = this.#seconds / concurrent
    const releases = [...this.#prereleases].sort()
    const unknown = ways.reduce((total, { known, devices }) => total + (known ? 0 : devices), 0)
    return {
      version: firmware.version,
      devices: this.#devices,
      when: this.#when,
      held: [...this.#held].map(([reason, devices]) => ({ reason, devices })),
      ways,
      total: { modules: sum((way) => way.modules), bytes: sum((way) => way.bytes), resets: sum((way) => way.resets) },
      seconds: this.#ready === 0 ? 0 : Math.ceil(Math.max(starting, working) + this.#longest),
      excluded: [...this.#excluded.values()].sort((a, b) => b.devices - a.devices),
      warnings: [
        ...releases.map((release) => `Device OS ${release}, which devices need for this version, is a pre-release`),
        ...(unknown > 0 ? [`${unknown} devices have not said yet what they have: what they need is not known`] : []),
      ],
    }
  }

  /** By which devices with the same modules are the same; describes are shared among devices. */
  #keyOf(describe: SystemDescribe | null): string {
    if (!describe) return '?'
    let key = this.#keys.get(describe)
    if (key === undefined) {
      const modules = describe.modules.map(
        (m) =>
          `${m.function}${m.index}/${m.store}@${m.version}:${m.passed}:${m.function === 'user_part' ? m.hash : ''}`,
      )
      const assets = (describe.assets ?? []).map(({ name, hash }) => `${name}=${hash}`)
      key = `${modules.join()} ${assets.join()}`
      this.#keys.set(describe, key)
    }
    return key
  }

  #wayOf(key: string, platformId: number, describe: SystemDescribe | null): Way {
    const known = this.#plans.get(key)
    if (known) return known
    const platform = platformById(platformId)
    const modules = this.#world.catalogue.modules(platformId)
    const { application } = this.#question
    const options = { application, combine: true, compress: true }
    const plan = platform && describe ? planUpdate(platform, describe, modules, options) : undefined
    const subjects: PolicySubject[] = ['application']
    if (plan?.ok) {
      for (const step of plan.steps) {
        if (step.kind !== 'module') continue
        if (!subjects.includes('device-os')) subjects.push('device-os')
        if (isPrerelease(step.module)) this.#prereleases.add(step.module.release)
      }
    }
    const way = { plan, subjects }
    this.#plans.set(key, way)
    return way
  }

  #add(key: string, { plan }: Way, device: DeviceRecord, platformId: number, version: number | null): void {
    const known = this.#ways.get(key)
    if (known) {
      known.devices++
      return
    }
    const cost = plan?.ok ? plan.cost : { modules: 0, bytes: 0, resets: 0, seconds: 0 }
    this.#ways.set(key, {
      devices: 1,
      version,
      platform: platformById(platformId)?.displayName ?? null,
      systemVersion: device.systemVersion,
      steps: plan?.ok ? stepsOf(plan) : [],
      known: plan !== undefined,
      modules: cost.modules,
      bytes: cost.bytes,
      resets: cost.resets,
      seconds: cost.seconds,
    })
  }

  #time(device: DeviceRecord, { plan, subjects }: Way): void {
    const { gateway, policies, now } = this.#world
    const block = blockedBy(policies.of(device.id), subjects, now)
    const seconds = plan?.ok ? plan.cost.seconds : 0
    this.#ready++
    this.#seconds += seconds
    this.#longest = Math.max(this.#longest, seconds)
    if (block) {
      this.#when.held++
      this.#held.set(block.reason, (this.#held.get(block.reason) ?? 0) + 1)
    } else if (!device.updatesEnabled && !device.updatesForced) this.#when['when-enabled']++
    else if (!gateway.isOnline(device.id)) this.#when['when-online']++
    else this.#when[this.#question.intelligent ? 'now' : 'next-connection']++
  }
}

function isPrerelease({ prerelease, state }: CatalogueModule): boolean {
  return prerelease || state === 'preview'
}

function stepsOf({ steps }: Extract<UpdatePlan, { ok: true }>): WayTo['steps'] {
  return steps.map((step) => {
    if (step.kind === 'asset') return { label: `asset ${step.asset.name}`, release: null }
    const { function: name, index, version } = step.module
    if (step.kind === 'application') return { label: 'application', release: null }
    return { label: `${name} ${index}@${version}`, release: step.module.release }
  })
}
