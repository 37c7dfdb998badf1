/**
 * A world from a seed: a cloud as it is, on a store that outlives it, and devices of all platforms on bad networks, whose
 * power goes, whose watchdogs bite, and whose owners flash applications. At first there is trouble; then there is not,
 * and whatever can come right must.
 */
import {
  type Clock,
  type CloudCore,
  type CloudCoreOptions,
  type CoreModule,
  coreOwner,
  type Gateway,
  openCoreStore,
  startCloudCore,
} from '@aloe/cloud'
import {
  bootCheck,
  type CatalogueModule,
  type FirmwareModule,
  installedModule,
  parseModule,
  planHealing,
} from '@aloe/firmware'
import { PowerCut } from '../faulty-storage.ts'
import { type Random, randomBytesOf, seeded } from '../network/random.ts'
import { SimulatedDatagrams } from '../network/simulated-datagrams.ts'
import { SimulatedStreams } from '../network/simulated-streams.ts'
import { Simulation } from '../network/simulation.ts'
import {
  createFleetDevice,
  type DeviceChanges,
  type FleetDevice,
  type FleetWorld,
  LinuxDevice,
} from './fleet-device.ts'
import { type FleetKeySet, fleetKeys } from './fleet-keys.ts'
import { wholeCatalogue } from './releases.ts'
import { type DeviceScenario, drawDevices, troubleTime } from './scenario.ts'
import { simulatedPorts } from './sim-ports.ts'
import type { Violation } from './violation.ts'
import { name, Watch, type WatchCounts } from './watch.ts'

export interface WorldOptions {
  /** At least 20. */
  readonly devices?: number
  /** What a test changes, to see that it is found. */
  readonly changes?: WorldChanges
  /** Simulated milliseconds of trouble; six minutes unless given. */
  readonly troubleTime?: number
  /** Simulated milliseconds without trouble in which everything must come right. */
  readonly calmTime?: number
  /** Told what happens, a line at a time. */
  readonly trace?: (line: string) => void
}

export interface WorldChanges extends DeviceChanges {
  /** Stands between the updates and the gateway. */
  readonly gateway?: (gateway: Gateway, core: () => CloudCore | undefined) => Gateway
  readonly modules?: readonly CoreModule[]
  /** Changes the drawn devices. */
  readonly devices?: (devices: DeviceScenario[]) => readonly DeviceScenario[]
}

export interface WorldResult {
  readonly seed: number
  readonly violation: Violation | undefined
  /** Simulated milliseconds. */
  readonly duration: number
  /** When everything had come right, in simulated milliseconds. */
  readonly settledAt: number
  readonly boots: number
  readonly powerCuts: number
  readonly cloudRestarts: number
  readonly counts: WatchCounts
  /** Devices that run what their owner wants, and those that cannot and whose owner knows why. */
  readonly converged: number
  readonly explained: number
}

/** A point on the wall's clock at which every world begins. */
const beginning = Date.UTC(2026, 0, 1)
const ownerEvery = 20_000
/** How long the troubles may take to be forgotten: a cellular device that is lost pings every 23 minutes. */
const calmTime = 2 * 60 * 60_000
const quietTime = 90_000
/** What owners of devices that cannot be reached do after so long in calm: switch them off and on. */
const patience = 3 * 60_000
/** How often an owner, in calm, flashes again what did not arrive. */
const maxReflashes = 3

export async function runWorld(seed: number, options: WorldOptions = {}): Promise<WorldResult> {
  const world = new World(seed, options, await fleetKeys())
  try {
    return await world.run()
  } finally {
    await world.end()
  }
}

interface Owner {
  /** The cloud said yes. */
  accepted: boolean
  asking: boolean
  reflashes: number
  /** The cloud said no the last time, and why. */
  refused: string | undefined
}

class World implements FleetWorld {
  readonly simulation: Simulation
  readonly datagrams: SimulatedDatagrams
  readonly streams: SimulatedStreams
  readonly keys: FleetKeySet
  readonly changes: WorldChanges
  readonly #seed: number
  readonly #options: WorldOptions
  readonly #random: Random
  readonly #devices = new Map<string, FleetDevice>()
  readonly #linux: LinuxDevice[] = []
  readonly #owners = new Map<string, Owner>()
  readonly #modulesWanted = new Map<DeviceScenario, { readonly module: FirmwareModule | undefined }>()
  readonly #catalogues = new Map<number, readonly CatalogueModule[]>()
  readonly #watch: Watch
  readonly #clock: Clock
  #core: CloudCore | undefined
  #store: Awaited<ReturnType<typeof openCoreStore>> | undefined
  #restarts = 0
  #failure: unknown

  constructor(seed: number, options: WorldOptions, keys: FleetKeySet) {
    this.#seed = seed
    this.#options = options
    this.changes = options.changes ?? {}
    this.keys = keys
    this.#random = seeded(seed)
    const simulation = new Simulation(seed)
    this.simulation = simulation
    this.datagrams = new SimulatedDatagrams(simulation)
    this.streams = new SimulatedStreams(simulation)
    this.#clock = {
      now: () => beginning + Math.floor(simulation.now()),
      setTimeout: (callback, ms) => simulation.setTimer(ms, callback),
      clearTimeout: (timer) => (timer as { cancel(): void } | undefined)?.cancel(),
    }
    this.#watch = new Watch(
      seed,
      this.#devices,
      (device) => {
        const owner = this.#owners.get(device.id)
        return device.scenario.wish && (owner?.accepted || owner?.asking) ? [device.scenario.wish.file] : []
      },
      (device, words) => this.trace(device, words),
    )
    const drawn = drawDevices(this.#random, options.devices ?? 20)
    for (const scenario of this.changes.devices?.(drawn) ?? drawn) {
      const device = createFleetDevice(this, scenario)
      this.#devices.set(device.id, device)
      if (device instanceof LinuxDevice) this.#linux.push(device)
      this.#owners.set(device.id, { accepted: false, asking: false, reflashes: 0, refused: undefined })
    }
  }

  booted(device: FleetDevice): void {
    this.#watch.booted(device)
  }

  trace(device: FleetDevice, words: string): void {
    this.#options.trace?.(`${this.#time()} ${name(device)} ${words}`)
  }

  #time(): string {
    return `${(this.simulation.now() / 1000).toFixed(1).padStart(8)} s`
  }

  async run(): Promise<WorldResult> {
    this.#store = await openCoreStore()
    await this.#startCloud()
    await this.#provision()
    for (const device of this.#devices.values()) {
      device.begin()
      this.#mind(device)
    }
    this.#troubleCloud()
    await this.#pass(this.#options.troubleTime ?? troubleTime, () => false)
    this.#say('calm')
    // Most owners do not wait for 23 minutes until a cellular device notices that it is cut off.
    const patient = this.#random() < 0.2
    for (const device of this.#devices.values()) {
      device.calm()
      if (!patient) this.simulation.setTimer(patience, () => this.#restart(device))
    }
    // Devices whose owner was content are looked at again: trouble may have undone what was done.
    const settled = await this.#pass(this.#options.calmTime ?? calmTime, () => this.#unsettled() === undefined)
    const settledAt = this.simulation.now()
    const unsettled = this.#unsettled()
    if (!settled && unsettled) await this.#unconverged(unsettled)
    if (!this.#watch.violation) await this.#pass(quietTime, () => false)
    const devices = [...this.#devices.values()]
    const converged = devices.filter((device) => this.#converged(device)).length
    return {
      seed: this.#seed,
      violation: this.#watch.violation,
      duration: this.simulation.now(),
      settledAt,
      boots: sum(devices.map((device) => device.boots)),
      powerCuts: sum(devices.map((device) => device.powerCuts)),
      cloudRestarts: this.#restarts,
      counts: this.#watch.counts,
      converged,
      explained: devices.length - converged,
    }
  }

  async end(): Promise<void> {
    this.#core?.kill()
    this.#store?.close()
  }

  /** Lets time pass. False when the condition did not become so. */
  async #pass(span: number, condition: () => boolean): Promise<boolean> {
    const end = this.simulation.now() + span
    let found = false
    let lookAt = 0
    const done = () => {
      for (const device of this.#linux) device.look()
      if (this.#failure) throw this.#failure
      if (this.#watch.violation) return true
      // The condition looks at all devices: once a second is enough.
      if (this.simulation.now() < lookAt) return false
      lookAt = this.simulation.now() + 1_000
      found = condition()
      return found
    }
    for (;;) {
      try {
        await this.simulation.advanceUntil(done, Math.max(0, end - this.simulation.now()))
        return found
      } catch (error) {
        if (!(error instanceof PowerCut)) throw error
        // It was thrown where nobody knows whose power went.
        for (const device of this.#devices.values()) if (device.storage.dead) device.powerLost()
      }
    }
  }

  // The cloud.

  async #startCloud(): Promise<void> {
    const store = this.#store
    if (!store) return
    const options: CloudCoreOptions = {
      store,
      clock: this.#clock,
      random: randomBytesOf(this.simulation.fork()),
      ports: simulatedPorts(this.simulation, this.datagrams, this.streams),
      serverKeys: this.keys.serverPrivate,
      modules: this.changes.modules ?? wholeCatalogue(),
      tick: 1_000,
      beforeGateway: (gateway) => {
        const changed = this.changes.gateway?.(this.#watch.gateway(gateway), () => this.#core)
        return changed ?? this.#watch.gateway(gateway)
      },
    }
    this.#core = await startCloudCore(options)
  }

  #troubleCloud(): void {
    const random = this.simulation.fork()
    const next = () => {
      this.simulation.setTimer(40_000 + random() * 200_000, () => {
        if (this.simulation.now() > troubleTime) return
        this.#restartCloud(random() < 0.7)
        next()
      })
    }
    if (random() < 0.7) next()
  }

  #restartCloud(killed: boolean): void {
    const core = this.#core
    if (!core) return
    this.#restarts++
    this.#say(killed ? 'the cloud is killed' : 'the cloud is restarted')
    this.#core = undefined
    this.#watch.cloudEnds()
    for (const owner of this.#owners.values()) owner.asking = false
    const back = () => {
      this.simulation.setTimer(2_000, () => {
        this.#startCloud().catch((error: unknown) => {
          this.#failure = error
        })
      })
    }
    if (killed) {
      core.kill()
      back()
    } else {
      core.close().then(back, (error: unknown) => {
        this.#failure = error
      })
    }
  }

  #say(words: string): void {
    this.#options.trace?.(`${this.#time()} ${words}`)
  }

  // The owners.

  async #provision(): Promise<void> {
    const core = this.#core
    if (!core) return
    for (const { id, platform } of this.#devices.values()) {
      const udp = platform.features.includes('udp') || platform.name === 'linux'
      const key = udp ? this.keys.devicePublic.udp : this.keys.devicePublic.tcp
      await core.registry.provision(id, key, coreOwner, platform.id)
      await core.registry.claim(id, coreOwner.id)
    }
  }

  #mind(device: FleetDevice): void {
    const { wish } = device.scenario
    const look = () => {
      this.simulation.setTimer(ownerEvery, look)
      this.#ask(device)
    }
    if (wish) this.simulation.setTimer(wish.at, look)
    // Without a wish it is looked at in calm, as the others are: it may have begun in safe mode.
    else this.simulation.setTimer(troubleTime + ownerEvery, look)
  }

  /** The owner wants the application to run: asks until the cloud has said yes, and in calm again when it is not there. */
  #ask(device: FleetDevice): void {
    const core = this.#core
    const owner = this.#owners.get(device.id)
    const file = this.#wanted(device)
    if (!core || !owner || !file || owner.asking || this.#converged(device)) return
    if (owner.accepted && !this.#givenUp(device, owner)) return
    if (!core.gateway.isOnline(device.id)) return
    owner.asking = true
    this.#watch.asked(device)
    this.trace(device, owner.accepted ? 'is flashed again' : 'is flashed')
    this.#send(core, device, file, owner.accepted).then(
      (result) => {
        owner.asking = false
        if (result.ok && owner.accepted) owner.reflashes++
        if (result.ok) owner.accepted = true
        else owner.refused = result.error
        if (!result.ok) this.trace(device, `is not flashed: ${result.status} ${result.error}`)
      },
      (error: unknown) => {
        this.#failure = error
      },
    )
  }

  #restart(device: FleetDevice): void {
    if (!this.#converged(device)) device.powerLost()
  }

  /** What is there already is not delivered again, but an owner who flashes it means it. */
  async #send(core: CloudCore, device: FleetDevice, file: Uint8Array, again: boolean) {
    const { wish } = device.scenario
    const sent = wish?.bundle ?? file
    if (wish?.way !== 'delivery' || again) return await core.updates.flash(device.id, sent, coreOwner.id)
    await core.updates.deliver(device.id, { file: sent, reason: 'release', requestedBy: coreOwner.id })
    return { ok: true } as const
  }

  /** What its owner wants on it: the wish, or, where there is none, what lies on it and does not run. */
  #wanted(device: FleetDevice): Uint8Array | undefined {
    return this.#wantedModule(device)?.bytes
  }

  #wantedModule({ scenario }: FleetDevice): FirmwareModule | undefined {
    const { wish } = scenario
    let known = this.#modulesWanted.get(scenario)
    if (!known) {
      const files = wish ? [wish.file] : scenario.modules
      known = { module: files.map((bytes) => parseModule(bytes)).find((module) => module.function === 'user_part') }
      this.#modulesWanted.set(scenario, known)
    }
    return known.module
  }

  /** In calm, when nothing is under way for the device. */
  #givenUp(device: FleetDevice, owner: Owner): boolean {
    if (!device.isCalm || owner.reflashes >= maxReflashes) return false
    const active = this.#core?.updates.active(device.id)
    return active === undefined
  }

  // The end.

  #unsettled(): FleetDevice | undefined {
    if (!this.#core) return [...this.#devices.values()][0]
    for (const device of this.#devices.values()) {
      if (this.#converged(device)) continue
      if (this.#core.updates.active(device.id) || this.#owners.get(device.id)?.asking) return device
      if (this.#impossible(device)) continue
      return device
    }
    return undefined
  }

  /** The application that is wanted runs. */
  #converged(device: FleetDevice): boolean {
    const module = this.#wantedModule(device)
    if (!module) return device.mode === 'safe'
    return device.application !== undefined && device.application === module.sha256
  }

  /** By what lies on it and what the cloud has, it cannot be done: a plan of nobody's could. */
  #impossible(device: FleetDevice): boolean {
    const wanted = this.#wantedModule(device)
    if (!wanted) return false
    const application = installedModule(wanted)
    const installed = [...device.installed.filter((module) => module.function !== 'user_part'), application]
    const { modules } = bootCheck(device.platform, installed)
    const { id } = device.platform
    const plan = planHealing(device.platform, { platformId: id, modules }, this.#catalogueOf(id))
    return !plan.ok
  }

  #catalogueOf(platformId: number): readonly CatalogueModule[] {
    let modules = this.#catalogues.get(platformId)
    if (!modules) {
      const all = (this.changes.modules ?? wholeCatalogue()).map(({ module }) => module)
      modules = all.filter((module) => module.platformId === platformId)
      this.#catalogues.set(platformId, modules)
    }
    return modules
  }

  async #unconverged(device: FleetDevice): Promise<void> {
    const jobs = (await this.#core?.updates.jobs(device.id)) ?? []
    const told = jobs.slice(0, 3).map((job) => `${job.state}: ${JSON.stringify(job.detail).slice(0, 300)}`)
    const lies = device.installed.map((m) => `${m.function} ${m.index}@${m.version}${m.intact === false ? '!' : ''}`)
    const connection = this.#core?.gateway.connection(device.id)
    const link = connection
      ? `online since ${connection.since - beginning}, ${connection.describe ? 'described' : 'not described'}, safe mode ${connection.safeMode}`
      : 'offline'
    this.#watch.report(
      'convergence',
      `${name(device)} is ${device.mode} with ${lies.join(', ')}, ${link}; ${told.join('; ') || 'no job'}; owner ${JSON.stringify(this.#owners.get(device.id))}`,
    )
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
