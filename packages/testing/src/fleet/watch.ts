/**
 * Looks at everything that a world does, and knows what is in every flash: so it can tell what nobody in the world can,
 * whether the cloud is right.
 */
import type { Gateway, RunningUpdate, UpdateOptions } from '@aloe/cloud'
import { findInstalled, type InstalledModule, type InstalledModules, moduleLabel, satisfies } from '@aloe/firmware'
import type { FleetDevice } from './fleet-device.ts'
import { modulesOfFile } from './sent-modules.ts'
import { type Invariant, Violation } from './violation.ts'

/** The same module is refused, or gets lost, so often before somebody must have noticed. */
const maxFruitless = 12

/** System errors from here on are a device's verdict on a file (modules-and-platforms.md 4.3). */
const firstUpdateCode = -1_300

interface Sent {
  running: boolean
  /** How the last transfer ended nobody could tell the cloud: it may ask once more whether the device has it. */
  uncertain: boolean
  /** Transfers that came to an end that the device decided, and yet did not help. */
  fruitless: number
}

export interface WatchCounts {
  transfers: number
  bytes: number
  finished: number
  /** Bytes of modules that were installed in the end. */
  needed: number
}

export class Watch {
  readonly counts: WatchCounts = { transfers: 0, bytes: 0, finished: 0, needed: 0 }
  readonly #seed: number
  readonly #devices: ReadonlyMap<string, FleetDevice>
  readonly #wishes: (device: FleetDevice) => readonly Uint8Array[]
  readonly #trace: (device: FleetDevice, words: string) => void
  readonly #sent = new Map<string, Sent>()
  /** How often each device's owner asked for a file, and how often it was sent to the end for that. */
  readonly #asked = new Map<string, number>()
  violation: Violation | undefined

  constructor(
    seed: number,
    devices: ReadonlyMap<string, FleetDevice>,
    wishes: (device: FleetDevice) => readonly Uint8Array[],
    trace: (device: FleetDevice, words: string) => void,
  ) {
    this.#seed = seed
    this.#devices = devices
    this.#wishes = wishes
    this.#trace = trace
  }

  /** The first that is found stays. */
  report(invariant: Invariant, message: string): void {
    this.violation ??= new Violation(invariant, this.#seed, message)
  }

  asked(device: FleetDevice): void {
    this.#asked.set(device.id, (this.#asked.get(device.id) ?? 0) + 1)
    for (const [key, sent] of this.#sent) {
      if (key.startsWith(`${device.id} user_part`)) sent.fruitless = 0
    }
  }

  /** A device has booted. */
  booted(device: FleetDevice): void {
    if (device.mode === 'unbootable') this.report('unbootable', `${name(device)} does not boot any more`)
    if (device.mode !== 'normal') return
    for (const module of device.installed) {
      const unmet = unmetOf(device.installed, module)
      const [first] = unmet
      // Of two applications that are there one runs; the other's needs do not matter.
      if (!first || (module.function === 'user_part' && hasOther(device.installed, module))) continue
      this.report('dependencies', `${name(device)} runs although ${moduleLabel(module)} needs ${moduleLabel(first)}`)
    }
  }

  /** Looks at every transfer before it begins. */
  gateway(gateway: Gateway): Gateway {
    return new Proxy(gateway, {
      get: (target, property) => {
        if (property === 'startUpdate') {
          return (deviceId: string, file: Uint8Array, options: UpdateOptions) => {
            const update = target.startUpdate(deviceId, file, options)
            const device = this.#devices.get(deviceId)
            if (update && device) this.#began(device, file, update)
            return update
          }
        }
        const value: unknown = Reflect.get(target, property, target)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
  }

  #began(device: FleetDevice, file: Uint8Array, update: RunningUpdate): void {
    const modules = modulesOfFile(file)
    const labels = modules.map((module) => moduleLabel(module)).join(' and ')
    this.counts.transfers++
    this.counts.bytes += file.length
    this.#trace(device, `is sent ${labels}`)
    const { installed } = device
    const key = `${device.id} ${labels}`
    const uncertain = this.#sent.get(key)?.uncertain === true
    for (const module of modules) {
      if (module.function === 'user_part') this.#application(device, module, installed, uncertain)
      else if (module.function !== 'asset') this.#system(device, module, installed, modules, uncertain)
    }
    const sent = this.#sent.get(key) ?? { running: false, uncertain: false, fruitless: 0 }
    this.#sent.set(key, sent)
    sent.running = true
    sent.uncertain = false
    if (sent.fruitless > maxFruitless) this.report('repetition', `${name(device)} is sent ${labels} again and again`)
    update.outcome.then((outcome) => {
      sent.running = false
      sent.uncertain = !outcome.ok && outcome.interrupted
      this.#trace(device, `${labels}: ${outcome.ok ? 'sent' : `${outcome.code} ${outcome.message}`}`)
      if (outcome.ok) {
        this.counts.finished++
        this.counts.needed += file.length
        if (modules.some((module) => module.function === 'user_part')) {
          this.#asked.set(device.id, Math.max(0, (this.#asked.get(device.id) ?? 0) - 1))
        }
      }
      // Where nobody answered nothing was decided.
      if (outcome.ok || outcome.code <= firstUpdateCode) sent.fruitless++
    }, ignore)
  }

  /** The cloud ends: what it was sending may have arrived, and the next cloud cannot know. */
  cloudEnds(): void {
    for (const sent of this.#sent.values()) {
      if (sent.running) sent.uncertain = true
      sent.running = false
    }
  }

  #application(device: FleetDevice, module: InstalledModule, installed: InstalledModules, uncertain: boolean): void {
    const has = [...installed, ...device.accepted].some((other) => other.hash === module.hash && other.intact !== false)
    if (!has || uncertain) return
    if ((this.#asked.get(device.id) ?? 0) > 0) return
    this.report('repetition', `${name(device)} is sent ${moduleLabel(module)}, which it has`)
  }

  #system(
    device: FleetDevice,
    module: InstalledModule,
    installed: InstalledModules,
    together: readonly InstalledModule[],
    uncertain: boolean,
  ): void {
    const present = findInstalled(installed, module) ?? findInstalled(device.accepted, module)
    if (present && present.version > module.version) {
      this.report('downgrade', `${name(device)} has ${moduleLabel(present)} and is sent ${moduleLabel(module)}`)
    } else if (present && present.version === module.version && !uncertain) {
      this.report('repetition', `${name(device)} is sent ${moduleLabel(module)}, which it has`)
    }
    const wanted = [...this.#wishes(device).flatMap((file) => modulesOfFile(file)), ...together]
    const needing = [...installed, ...wanted.filter((other) => other.function === 'user_part')]
    if (needing.every((other) => unmetOf(installed, other).length === 0)) {
      this.report('uninvited', `${name(device)} lacks nothing and is sent ${moduleLabel(module)}`)
    }
  }
}

export function name(device: FleetDevice): string {
  return `${device.platform.name} ${device.id.slice(-2)}`
}

function unmetOf(installed: InstalledModules, module: InstalledModule) {
  if (module.intact === false) return []
  return module.dependencies.filter((needed) => needed.function !== 'none' && !satisfies(installed, needed))
}

function hasOther(installed: InstalledModules, module: InstalledModule): boolean {
  return installed.some((m) => m.function === 'user_part' && m.index !== module.index && m.intact !== false)
}

const ignore = (): void => {}
