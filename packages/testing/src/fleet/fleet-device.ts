/**
 * A device of a simulated world: a twin of a real board, or one of Aloe's own platform, on a flash that loses its power,
 * with a watchdog that bites and a network that breaks.
 */
import type { KeyObject } from 'node:crypto'
import { createTwin, Flash, type Storage, type Twin, twinSlotFile, writesBootloaderInPlace } from '@aloe/device-os'
import { type AcceptanceRules, bootCheck, type InstalledModules, installedModule, type Platform } from '@aloe/firmware'
import { PowerCut } from '../faulty-storage.ts'
import { type Random, randomBytesOf } from '../network/random.ts'
import type { SimulatedDatagrams } from '../network/simulated-datagrams.ts'
import type { SimulatedStreams } from '../network/simulated-streams.ts'
import type { Simulation, Timer } from '../network/simulation.ts'
import { UpdateDevice } from '../transfer/update-device.ts'
import { CutStorage } from './cut-storage.ts'
import { type Conditions, type DeviceScenario, goodNetwork } from './scenario.ts'
import { SimHal } from './sim-hal.ts'

/** Keys as the devices of a world share them: making one for each would cost more than the world. */
export interface FleetKeys {
  /** PKCS#1 and SEC1 DER. */
  readonly device: { readonly tcp: Uint8Array; readonly udp: Uint8Array }
  readonly deviceEc: KeyObject
  /** Public, SPKI DER. */
  readonly server: { readonly tcp: Uint8Array; readonly udp: Uint8Array }
  readonly serverEc: KeyObject
}

export interface FleetWorld {
  readonly simulation: Simulation
  readonly datagrams: SimulatedDatagrams
  readonly streams: SimulatedStreams
  readonly keys: FleetKeys
  /** A device has booted, into whatever. */
  booted(device: FleetDevice): void
  trace(device: FleetDevice, words: string): void
  /** What a test changes about the devices. */
  readonly changes: DeviceChanges
}

export interface DeviceChanges {
  readonly rules?: AcceptanceRules
  /** Stands between a device and its flash. */
  readonly storage?: (storage: Storage) => Storage
  readonly bootCheck?: typeof bootCheck
}

export type DeviceMode = 'normal' | 'safe' | 'starting' | 'off' | 'unbootable'

export abstract class FleetDevice {
  readonly scenario: DeviceScenario
  readonly storage: CutStorage
  /** The flash as the device sees it. */
  protected readonly seen: Storage
  protected readonly world: FleetWorld
  protected readonly random: Random
  /** What it has accepted and not yet installed. */
  accepted: InstalledModules = []
  powerCuts = 0
  #calm = false
  #running: { readonly boot: number; readonly hash: string | undefined } | undefined
  #lastInstalled: InstalledModules = []
  #timers: Timer[] = []

  constructor(world: FleetWorld, scenario: DeviceScenario, spared: (name: string) => boolean) {
    this.world = world
    this.scenario = scenario
    this.random = world.simulation.fork()
    this.storage = new CutStorage(spared)
    this.seen = world.changes.storage?.(this.storage) ?? this.storage
  }

  get id(): string {
    return this.scenario.id
  }

  get platform(): Platform {
    return this.scenario.platform
  }

  abstract readonly mode: DeviceMode
  abstract readonly boots: number
  /** As the cloud would have to read it from the flash; the last known while the power is off. */
  get installed(): InstalledModules {
    try {
      this.#lastInstalled = this.readInstalled()
    } catch (error) {
      if (!(error instanceof PowerCut)) throw error
    }
    return this.#lastInstalled
  }

  /** The application that runs. */
  get application(): string | undefined {
    if (this.mode !== 'normal') return undefined
    // Another one runs only after a reset.
    if (this.#running?.boot !== this.boots) {
      const { modules } = bootCheck(this.platform, this.installed)
      const hash = modules.find((module) => module.function === 'user_part')?.hash
      this.#running = { boot: this.boots, hash }
    }
    return this.#running.hash
  }

  protected abstract readInstalled(): InstalledModules
  protected abstract powerOn(): void
  protected abstract powerOff(): void
  protected abstract bite(): void
  protected abstract disturb(): void
  protected abstract networkChanged(): void
  protected abstract allowUpdates(on: boolean): void

  protected get conditions(): Conditions {
    return this.#calm ? goodNetwork : this.scenario.network
  }

  /** Switches it on, and lets its troubles begin. */
  begin(): void {
    const { simulation } = this.world
    const { poweredAt, troubles } = this.scenario
    this.#later(poweredAt, () => {
      this.#arm()
      this.powerOn()
    })
    const { watchdog, powerCuts, disturbances } = troubles
    if (watchdog !== undefined) this.#timers.push(simulation.every(watchdog, () => this.bite()))
    if (powerCuts !== undefined) this.#sometimes(powerCuts, () => this.powerLost())
    if (disturbances !== undefined) this.#sometimes(disturbances, () => this.disturb())
  }

  #later(delay: number, act: () => void): void {
    this.#timers.push(this.world.simulation.setTimer(delay, act))
  }

  #sometimes(mean: number, act: () => void): void {
    this.#later(mean * (0.3 + 1.4 * this.random()), () => {
      act()
      this.#sometimes(mean, act)
    })
  }

  /** Its troubles are over, and its application refuses nothing any more. */
  calm(): void {
    this.#calm = true
    for (const timer of this.#timers) timer.cancel()
    this.#timers = []
    this.storage.cutAt(Number.POSITIVE_INFINITY)
    this.networkChanged()
    this.allowUpdates(true)
    if (this.mode === 'off') this.powerOn()
  }

  get isCalm(): boolean {
    return this.#calm
  }

  /** To be called when the system has started. */
  protected started(): void {
    const { refusesFor } = this.scenario
    if (refusesFor === undefined || this.#calm || this.mode !== 'normal') return
    if (this.world.simulation.now() > refusesFor) return
    this.allowUpdates(false)
    this.#later(refusesFor, () => this.allowUpdates(true))
  }

  /** The power goes, and comes back after some seconds. */
  powerLost(): void {
    if (this.mode === 'off') return
    this.powerCuts++
    this.world.trace(this, 'loses its power')
    this.powerOff()
    this.accepted = []
    this.storage.reboot(2 + Math.floor(this.random() * 1_000_000))
    const comesBack = () => {
      this.#arm()
      this.powerOn()
    }
    if (this.#calm) this.world.simulation.setTimer(1_000, comesBack)
    else this.#later(500 + this.random() * 8_000, comesBack)
  }

  #arm(): void {
    const { cutWithin } = this.scenario.troubles
    if (cutWithin !== undefined && !this.#calm) this.storage.cutAt(Math.floor(this.random() * cutWithin))
  }

  /** Runs what may lose the power in the middle. */
  protected run(act: () => void): void {
    try {
      act()
    } catch (error) {
      if (!(error instanceof PowerCut)) throw error
      this.powerLost()
    }
  }
}

export class TwinDevice extends FleetDevice {
  readonly twin: Twin
  readonly #hal: SimHal

  constructor(world: FleetWorld, scenario: DeviceScenario) {
    const bootloader = twinSlotFile({ function: 'bootloader', index: 0 })
    super(world, scenario, (name) => {
      if (name !== bootloader) return false
      const installed = this.twin?.modules.find((module) => module.function === 'bootloader' && module.index === 0)
      return writesBootloaderInPlace(scenario.platform, installed?.version ?? 0)
    })
    const { simulation, datagrams, streams, keys, changes } = world
    this.#hal = new SimHal({
      simulation,
      datagrams,
      streams,
      random: randomBytesOf(simulation.fork()),
      conditions: () => this.conditions,
      run: (act) => this.run(act),
    })
    const udp = scenario.platform.features.includes('udp')
    this.twin = createTwin({
      platform: scenario.platform,
      storage: this.seen,
      hal: this.#hal,
      deviceId: scenario.id,
      deviceKey: udp ? keys.device.udp : keys.device.tcp,
      serverKey: udp ? keys.server.udp : keys.server.tcp,
      server: { host: 'cloud', port: 1 },
      modules: scenario.modules,
      rules: { ...(changes.rules && { update: changes.rules }), ...(changes.bootCheck && { boot: changes.bootCheck }) },
      handlers: {
        booted: (twin) => {
          this.accepted = []
          world.trace(this, `boots: ${twin.state} ${twin.mode ?? ''} ${twin.check?.reason ?? ''}`)
          world.booted(this)
          this.started()
        },
        accepted: (modules) => {
          this.accepted = modules.map((module) => installedModule(module))
          world.trace(this, `accepts ${this.accepted.map((m) => `${m.function} ${m.index}@${m.version}`).join()}`)
        },
        failed: (error) => {
          if (!(error instanceof PowerCut)) throw error
          this.powerLost()
        },
      },
    })
  }

  get mode(): DeviceMode {
    const { state, mode } = this.twin
    if (state === 'dead' || state === 'dfu') return 'unbootable'
    if (state === 'off') return 'off'
    return mode ?? 'starting'
  }

  get boots(): number {
    return this.twin.boots
  }

  protected readInstalled(): InstalledModules {
    return this.twin.modules
  }

  protected powerOn(): void {
    this.run(() => this.twin.start())
  }

  protected powerOff(): void {
    this.#hal.cutOff()
    try {
      this.twin.stop()
    } catch (error) {
      if (!(error instanceof PowerCut)) throw error
    }
  }

  protected bite(): void {
    if (this.mode === 'off' || this.mode === 'unbootable') return
    this.#hal.cutOff()
    this.run(() => this.twin.reset('pin_reset'))
  }

  protected disturb(): void {
    this.run(() => this.#hal.disturb())
  }

  protected networkChanged(): void {
    this.#hal.changed()
  }

  protected allowUpdates(on: boolean): void {
    if (this.mode === 'normal') this.run(() => this.twin.setUpdatesEnabled(on))
  }
}

/** A device of Aloe's own platform: its real bootloader, flash and updates, and no application. */
export class LinuxDevice extends FleetDevice {
  readonly #device: UpdateDevice
  #on = false
  #bootsSeen = 0

  constructor(world: FleetWorld, scenario: DeviceScenario) {
    super(world, scenario, () => false)
    const { simulation, datagrams, streams, keys } = world
    const flash = new Flash(this.seen, scenario.platform)
    for (const bytes of scenario.modules) flash.install(bytes)
    flash.initialize({ deviceId: scenario.id, deviceKey: keys.device.tcp, startupMode: 'normal', flags: {} })
    this.storage.reboot(1)
    const conditions = () => this.conditions
    this.#device = new UpdateDevice(this.seen, {
      simulation,
      platform: scenario.platform,
      transport: 'udp',
      datagrams,
      streams,
      network: {
        get datagrams() {
          return conditions().datagrams
        },
        get streams() {
          return conditions().streams
        },
      },
      deviceKey: keys.deviceEc,
      serverKey: keys.serverEc,
      deviceId: scenario.id,
    })
  }

  get mode(): DeviceMode {
    if (!this.#on) return 'off'
    return this.#device.decision?.mode ?? 'starting'
  }

  get boots(): number {
    return this.#device.boots
  }

  /** It tells nobody when it has booted: looks whether it has. */
  look(): void {
    if (!this.#on || this.#device.boots === this.#bootsSeen || !this.#device.decision) return
    this.#bootsSeen = this.#device.boots
    this.world.trace(this, `boots: ${this.mode}`)
    this.world.booted(this)
  }

  protected readInstalled(): InstalledModules {
    return new Flash(this.storage, this.platform).installed().map((module) => installedModule(module))
  }

  protected powerOn(): void {
    this.#on = true
    this.#device.run().catch((error: unknown) => {
      if (!(error instanceof PowerCut)) throw error
      this.world.simulation.setTimer(0, () => {
        if (this.storage.dead) this.powerLost()
      })
    })
  }

  protected powerOff(): void {
    this.#on = false
    this.#device.stop({ kind: 'off' })
  }

  protected bite(): void {
    if (this.#on) this.#device.stop({ kind: 'reset', reason: 'pin_reset' })
  }

  protected disturb(): void {
    this.#device.socket?.rebind()
  }

  protected networkChanged(): void {
    const { socket } = this.#device
    if (!socket) return
    socket.up.conditions = this.conditions.datagrams.up
    socket.down.conditions = this.conditions.datagrams.down
  }

  protected allowUpdates(): void {}
}

export function createFleetDevice(world: FleetWorld, scenario: DeviceScenario): FleetDevice {
  return scenario.platform.name === 'linux' ? new LinuxDevice(world, scenario) : new TwinDevice(world, scenario)
}
