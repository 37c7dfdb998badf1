/** What a world is made of, drawn from its seed: devices, what lies in them, what their owners want, and their luck. */
import { buildBundle, type Platform, readBundle } from '@aloe/firmware'
import type { BothWays, DatagramConditions, StreamConditions } from '../network/conditions.ts'
import type { Random } from '../network/random.ts'
import { applicationFor, fleetPlatforms, platformNamed, type Release, releasesOf } from './releases.ts'

export interface Conditions {
  readonly datagrams: BothWays<DatagramConditions>
  readonly streams: BothWays<StreamConditions>
}

/** An application that an owner has for a device. */
export interface Wish {
  readonly file: Uint8Array
  /** Milliseconds after the world's beginning. */
  readonly at: number
  /** No release of the catalogue can serve it. */
  readonly impossible: boolean
  /** The application with its assets, which is sent instead of the file alone. */
  readonly bundle?: Uint8Array
  /** By hand, or as the firmware of a product. */
  readonly way: 'flash' | 'delivery'
}

export interface Troubles {
  /** An external watchdog resets the device so often. */
  readonly watchdog?: number
  /** The power goes at one of the operations of the flash behind each boot, up to this number. */
  readonly cutWithin?: number
  /** The power goes on average so often, whatever happens. */
  readonly powerCuts?: number
  /** The connection breaks, or the NAT forgets, on average so often. */
  readonly disturbances?: number
}

export interface DeviceScenario {
  readonly id: string
  readonly platform: Platform
  /** Module files that lie in the flash at the beginning. */
  readonly modules: readonly Uint8Array[]
  readonly wish: Wish | undefined
  readonly troubles: Troubles
  readonly network: Conditions
  /** The application disables updates at its start, and enables them again after so many milliseconds. */
  readonly refusesFor: number | undefined
  readonly poweredAt: number
}

/** Behind it there are no troubles any more. */
export const troubleTime = 6 * 60_000

export const goodNetwork: Conditions = conditionsOf({ rate: 50_000, delay: 60 }, {})

export function drawDevices(random: Random, count: number): DeviceScenario[] {
  return Array.from({ length: count }, (_, index) => {
    const name = fleetPlatforms[index % fleetPlatforms.length] ?? 'photon'
    return drawDevice(random, name, index)
  })
}

function drawDevice(random: Random, name: string, index: number): DeviceScenario {
  const platform = platformNamed(name)
  const releases = releasesOf(name)
  const at = Math.floor(random() * releases.length)
  const installed = stateAfter(releases.slice(0, at + 1))
  // Somebody updated it by a cable, and left the bootloader as it was: the boot check will not have it.
  const byCable = random() < 0.1 && at > 0 && name !== 'linux'
  if (byCable) keepOld(installed, releases.slice(0, at), 'bootloader:0')
  const mark = Math.floor(random() * 2 ** 30)
  const modules = [...installed.values()]
  const system = systemVersion(releases[at])
  const unserved = random() < 0.04
  const wishes = random() < 0.75
  const target = releases[Math.floor(random() * releases.length)]
  const needs = unserved ? 60_000 : systemVersion(target)
  // Some have the application already, by a cable: they begin in safe mode. Some have none at all.
  const initially = random()
  if (initially < 0.25) modules.push(applicationFor(platform, needs, mark))
  else if (initially < 0.95) modules.push(applicationFor(platform, system, mark + 1))
  const wish: Wish | undefined = wishes
    ? {
        ...drawApplication(random, platform, needs, mark),
        at: 15_000 + random() * 150_000,
        impossible: unserved,
        way: random() < 0.3 ? 'delivery' : 'flash',
      }
    : undefined
  return {
    id: `${platform.id.toString(16).padStart(4, '0')}${(index + 1).toString(16).padStart(20, '0')}`,
    platform,
    modules,
    wish,
    troubles: drawTroubles(random),
    network: drawNetwork(random),
    refusesFor: random() < 0.15 ? 30_000 + random() * 300_000 : undefined,
    poweredAt: random() * 20_000,
  }
}

/** Device OS has assets from here on (modules-and-platforms.md 4.7). */
const firstWithAssets = 5_500

function drawApplication(
  random: Random,
  platform: Platform,
  needs: number,
  mark: number,
): { readonly file: Uint8Array; readonly bundle?: Uint8Array } {
  const file = applicationFor(platform, needs, mark)
  const withAssets = random() < 0.5
  if (!withAssets || !platform.assets || needs < firstWithAssets) return { file }
  const assets = ['sounds.bin', 'page.html'].slice(0, 1 + Math.floor(random() * 2)).map((name) => ({
    name,
    data: Uint8Array.from({ length: 500 + Math.floor(random() * 2_000) }, () => Math.floor(random() * 256)),
  }))
  const bundle = buildBundle({ application: { name: 'application.bin', data: file }, assets })
  return { file: readBundle(bundle).application.data, bundle }
}

function drawTroubles(random: Random): Troubles {
  const draw = random()
  if (draw < 0.2) return {}
  return {
    ...(draw < 0.35 && { watchdog: 15_000 }),
    ...(draw >= 0.35 && draw < 0.7 && { cutWithin: 4 + Math.floor(random() * 120) }),
    ...(draw >= 0.6 && { powerCuts: 20_000 + random() * 120_000 }),
    ...(random() < 0.5 && { disturbances: 10_000 + random() * 120_000 }),
  }
}

function drawNetwork(random: Random): Conditions {
  const rate = 700 * 2 ** (random() * 7)
  const delay = 20 + random() * 600
  const loss = random() < 0.5 ? random() * 0.15 : 0
  const outages = random() < 0.4 ? [{ at: random() * troubleTime, duration: random() * 90_000 }] : []
  return conditionsOf(
    {
      rate,
      delay,
      loss,
      outages,
      ...(random() < 0.3 && { jitter: random() * 300 }),
      ...(random() < 0.2 && { duplication: 0.05 }),
      ...(random() < 0.2 && { reorder: 0.05, holdBack: 100 }),
      ...(random() < 0.2 && { burst: { enter: 0.01, leave: 0.2 } }),
    },
    { outages },
  )
}

function conditionsOf(down: DatagramConditions, streams: StreamConditions): Conditions {
  const { rate = 50_000, delay = 0 } = down
  const up = { ...down, rate: Math.max(400, rate / 2) }
  const stream = { rate, delay, ...streams }
  return { datagrams: { down, up }, streams: { down: stream, up: { ...stream, rate: up.rate } } }
}

/** What a device has that went through these releases: of each module the last. */
function stateAfter(releases: readonly Release[]): Map<string, Uint8Array> {
  const state = new Map<string, Uint8Array>()
  for (const { modules } of releases) {
    for (const { module, bytes } of modules) state.set(`${module.function}:${module.index}`, bytes)
  }
  return state
}

function keepOld(state: Map<string, Uint8Array>, releases: readonly Release[], key: string): void {
  const old = stateAfter(releases).get(key)
  if (old) state.set(key, old)
}

function systemVersion(release: Release | undefined): number {
  return Math.max(
    0,
    ...(release?.modules ?? []).map(({ module }) => (module.function === 'system_part' ? module.version : 0)),
  )
}
