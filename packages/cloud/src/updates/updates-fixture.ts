/**
 * For tests: updates in simulated time, with the real store and engine, and devices that are reduced to what updates see
 * of them: what is installed, `firmware`'s rules for what they accept and boot, and a link that takes its time.
 */
import {
  type AssetRef,
  bootCheck,
  decompressModule,
  type InstalledModule,
  installedModule,
  moduleFlags,
  moduleLabel,
  parseModule,
  platformById,
  readAssetModule,
  type SystemDescribe,
  splitModules,
  validateUpdate,
} from '@aloe/firmware'
import { helloFlag, type Vital } from '@aloe/protocol'
import { pino } from 'pino'
import { createLocalBus } from '../bus/bus.ts'
import type { Clock } from '../clock.ts'
import { type DeviceRecord, newDevice } from '../devices/device.ts'
import type { CloudEvent } from '../events/event.ts'
import { linuxSystem } from '../gateway/fake-device.ts'
import type { ConnectionInfo, DeviceObserver, Gateway, RunningUpdate, UpdateOutcome } from '../gateway/gateway.ts'
import { openStore, type Store } from '../store/store.ts'
import { type CatalogueRelease, createCatalogue } from './catalogue.ts'
import type { Membership } from './policies.ts'
import { startUpdates, type UpdateLimits, type Updates } from './updates.ts'

interface SimulatedTimer {
  readonly at: number
  readonly order: number
  readonly callback: () => void
}

/** Time that passes when a test says so. */
export class SimulatedClock implements Clock {
  #now: number
  #order = 0
  readonly #timers = new Set<SimulatedTimer>()

  constructor(now = Date.UTC(2026, 10, 21, 12)) {
    this.#now = now
  }

  now = (): number => this.#now

  setTimeout = (callback: () => void, ms: number): SimulatedTimer => {
    const timer = { at: this.#now + Math.max(0, ms), order: this.#order++, callback }
    this.#timers.add(timer)
    return timer
  }

  clearTimeout = (timer: unknown): void => {
    this.#timers.delete(timer as SimulatedTimer)
  }

  /**
   * Lets time pass, timer by timer, with what each of them leads to.
   *
   * @param together what happens within so many milliseconds happens before its consequences: faster, for fleets
   */
  async pass(ms: number, together = 0): Promise<void> {
    const end = this.#now + ms
    await settle()
    for (let first = this.#next(end); first; first = this.#next(end)) {
      const until = Math.min(end, first.at + together)
      for (let next: SimulatedTimer | undefined = first; next; next = together > 0 ? this.#next(until) : undefined) {
        this.#now = next.at
        this.#timers.delete(next)
        next.callback()
      }
      await settle()
    }
    this.#now = end
  }

  #next(end: number): SimulatedTimer | undefined {
    let first: SimulatedTimer | undefined
    for (const timer of this.#timers) {
      if (timer.at > end) continue
      if (!first || timer.at < first.at || (timer.at === first.at && timer.order < first.order)) first = timer
    }
    return first
  }
}

/** Everything that follows from what has just happened, the store included. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 12; turn++) await new Promise(setImmediate)
}

/** A release of `linux` with modules of some kilobytes. @param text of content that can be compressed */
export function fixtureRelease(
  version: string,
  systemVersion: number,
  bootloaderVersion: number,
  size = 3_000,
  text = false,
) {
  return releaseOf(version, linuxSystem(systemVersion, bootloaderVersion, size, text))
}

/** A release of `linux` of these modules. */
export function releaseOf(version: string, modules: readonly Uint8Array[]) {
  const files = modules.map((bytes) => {
    const module = parseModule(bytes)
    return {
      filename: `${moduleLabel(module)}.bin`,
      function: module.function,
      index: module.index,
      version: module.version,
      dependencies: module.dependencies,
      size: bytes.length,
      sha256: module.sha256,
      bytes,
      module,
    }
  })
  const versionOf = (name: string) => files.findLast((file) => file.function === name)?.version ?? 0
  const release: CatalogueRelease = {
    version,
    platform: 'linux',
    platformId: 43,
    systemVersion: versionOf('system_part'),
    bootloaderVersion: versionOf('bootloader'),
    prerelease: false,
    state: 'ga',
    files,
    types: '',
    api: [],
  }
  return { release, files: files.map(({ bytes }) => bytes) }
}

type Failure = Extract<UpdateOutcome, { ok: false }>

export class SimulatedDevice {
  readonly id: string
  readonly platformId: number
  readonly modules = new Map<string, InstalledModule>()
  readonly assets: AssetRef[] = []
  /** What happened, in words. */
  readonly log: string[] = []
  /** Events that the cloud sent to the device alone. */
  readonly told: string[] = []
  online = false
  serial = 0
  resumed = false
  otaV3 = true
  updatesEnabled = true
  /** Milliseconds from its Hello until its describe is there. */
  describeTime = 0
  /** Milliseconds between taking a file and being back. */
  resetTime = 5_000
  /** Bytes a second. */
  rate = 10_000
  battery: number | undefined
  functions: string[] = []
  onCall: (name: string, argument: string) => number = () => 1
  /** A failure by which an update ends: at its start, in the middle, or at its end. */
  onUpdate: (stage: 'start' | 'transfer' | 'finish', file: Uint8Array) => Partial<Failure> | number | undefined = () =>
    undefined
  /** What it takes once is lost at once, and it does not show that it restarted: Device OS 3.1 to 3.3. */
  forgetful = false
  /** What is sent to it does not arrive. */
  unreachable = false
  /** False: what was taken is not there after the restart. */
  installs: (module: InstalledModule) => boolean = () => true

  constructor(id: string, modules: readonly Uint8Array[], platformId = 43) {
    this.id = id
    this.platformId = platformId
    for (const bytes of modules) this.install(bytes)
  }

  install(bytes: Uint8Array): void {
    const sent = parseModule(bytes)
    if (sent.function === 'asset') {
      const { name, hash, data } = readAssetModule(bytes)
      this.assets.push({ name, hash, size: data.length })
      this.log.push(`asset ${name}`)
      return
    }
    const compressed = (sent.flags & moduleFlags.compressed) !== 0
    const module = installedModule(compressed ? parseModule(decompressModule(sent.bytes)) : sent)
    const installs = this.installs(module)
    if (installs) this.modules.set(`${module.function} ${module.index}`, module)
    if (this.serial > 0) {
      this.log.push(`${installs ? 'took' : 'lost'} ${module.function} ${module.index}@${module.version}`)
    }
  }

  get installed(): InstalledModule[] {
    return [...this.modules.values()]
  }

  get versions(): string {
    return this.installed.map((m) => `${m.function} ${m.index}@${m.version}`).join(', ')
  }

  get boot() {
    const platform = platformById(this.platformId)
    if (!platform) throw new Error('no such platform')
    return bootCheck(platform, this.installed, { assets: this.assets })
  }

  describe(): SystemDescribe {
    return { platformId: this.platformId, modules: this.boot.modules, assets: this.assets }
  }
}

/** The gateway, for such devices. */
export class SimulatedGateway implements Gateway {
  readonly tcpPort = 0
  readonly udpPort = null
  readonly devices = new Map<string, SimulatedDevice>()
  readonly records = new Map<string, DeviceRecord>()
  readonly #clock: SimulatedClock
  readonly #observers = new Set<DeviceObserver>()
  readonly #running = new Map<string, (failure: Failure) => void>()
  readonly #described = new Set<string>()

  constructor(clock: SimulatedClock) {
    this.#clock = clock
  }

  get connected(): number {
    return [...this.devices.values()].filter(({ online }) => online).length
  }

  add(device: SimulatedDevice): void {
    this.devices.set(device.id, device)
    this.records.set(device.id, { ...newDevice(device.id, 0), ownerId: 'ann', platformId: device.platformId })
  }

  /** @param resumed in the session of before, without restarting */
  connect(device: SimulatedDevice, resumed = false): void {
    device.online = true
    device.serial++
    device.resumed = resumed
    for (const observer of this.#observers) observer.online?.(device.id, this.#hello(device))
    const { serial } = device
    const described = (): void => {
      if (device.serial !== serial) return
      this.#described.add(device.id)
      const { mode } = device.boot
      if (!resumed || !this.records.get(device.id)?.describe) this.#record(device)
      const describe = this.records.get(device.id)?.describe
      if (describe) for (const observer of this.#observers) observer.described?.(device.id, describe, mode === 'safe')
    }
    if (device.describeTime > 0) this.#clock.setTimeout(described, device.describeTime)
    else described()
  }

  drop(device: SimulatedDevice): void {
    if (!device.online) return
    device.online = false
    this.#described.delete(device.id)
    const running = this.#running.get(device.id)
    this.#running.delete(device.id)
    running?.({ ok: false, stage: 'transfer', code: -150, message: 'the connection was lost', interrupted: true })
    for (const observer of this.#observers) observer.offline?.(device.id, 'gone')
  }

  enableUpdates(device: SimulatedDevice, on: boolean): void {
    device.updatesEnabled = on
    this.#record(device)
    for (const observer of this.#observers) observer.updatesFlag?.(device.id, 'enabled', on)
  }

  #record(device: SimulatedDevice): void {
    const before = this.records.get(device.id) ?? newDevice(device.id, 0)
    this.records.set(device.id, {
      ...before,
      ownerId: 'ann',
      platformId: device.platformId,
      describe: device.describe(),
      functions: device.functions,
      updatesEnabled: device.updatesEnabled,
    })
  }

  #hello(device: SimulatedDevice): ConnectionInfo['hello'] {
    return {
      productId: 0xffff,
      productVersion: 0xffff,
      flags: device.otaV3 ? helloFlag.otaV3 : 0,
      platformId: device.platformId,
    } as ConnectionInfo['hello']
  }

  statistics() {
    return { online: this.connected, udp: null }
  }

  isOnline(deviceId: string): boolean {
    return this.devices.get(deviceId)?.online === true
  }

  connection(deviceId: string): ConnectionInfo | undefined {
    const device = this.devices.get(deviceId)
    if (!device?.online) return undefined
    return {
      serial: device.serial,
      address: '192.0.2.1',
      since: 0,
      hello: this.#hello(device),
      resumed: device.resumed,
      safeMode: device.boot.mode === 'safe',
      cancellableUpdates: device.otaV3,
      describe: this.#described.has(deviceId) ? (this.records.get(deviceId)?.describe ?? undefined) : undefined,
    } as ConnectionInfo
  }

  startUpdate(
    deviceId: string,
    file: Uint8Array,
    options: Parameters<Gateway['startUpdate']>[2],
  ): RunningUpdate | undefined {
    const device = this.devices.get(deviceId)
    if (!device?.online) return undefined
    const accepted = Promise.withResolvers<Awaited<RunningUpdate['accepted']>>()
    const outcome = Promise.withResolvers<UpdateOutcome>()
    const { serial } = device
    const fail = (failure: Failure): void => {
      this.#running.delete(deviceId)
      accepted.resolve(failure)
      outcome.resolve(failure)
    }
    this.#running.set(deviceId, fail)
    const isThere = () => device.serial === serial && this.#running.get(deviceId) === fail
    const refusedAt = (stage: Failure['stage']): boolean => {
      const answer = device.onUpdate(stage, file)
      if (answer === undefined) return false
      const failure = typeof answer === 'number' ? { code: answer } : answer
      fail({ ok: false, stage, code: -1390, message: 'refused by the test', interrupted: false, ...failure })
      // Devices make a new connection after a failure (device-protocol.md 3.19).
      if (stage !== 'start') this.#restart(device, 1_000, false)
      return true
    }
    this.#clock.setTimeout(() => {
      if (!isThere() || device.unreachable) return
      if (refusedAt('start')) return
      device.log.push(`begin ${file.length}`)
      accepted.resolve({ ok: true, offset: 0 })
      const half = (500 * file.length) / device.rate
      this.#clock.setTimeout(() => {
        if (!isThere() || refusedAt('transfer')) return
        options.progress?.(Math.floor(file.length / 2), file.length)
        this.#clock.setTimeout(() => {
          if (!isThere() || refusedAt('finish')) return
          const platform = platformById(device.platformId)
          if (!platform) throw new Error('no such platform')
          const { result, message } = validateUpdate(file, platform, device.installed)
          if (result !== 0) {
            fail({ ok: false, stage: 'finish', code: result, message, interrupted: false })
            this.#restart(device, 1_000, false)
            return
          }
          options.progress?.(file.length, file.length)
          this.#running.delete(deviceId)
          for (const observer of this.#observers) {
            observer.traffic?.(deviceId, {
              otaSent: file.length,
              otaReceived: 100,
              messagesSent: 10,
              messagesReceived: 20,
            })
          }
          outcome.resolve({ ok: true })
          if (device.forgetful) {
            device.forgetful = false
            device.log.push('forgot')
            return
          }
          for (const part of splitModules(file)) device.install(part)
          this.#restart(device, device.resetTime, true)
        }, half)
      }, half)
    }, 10)
    const cancel = (): boolean => {
      if (!device.otaV3 || this.#running.get(deviceId) !== fail) return false
      device.log.push('cancelled')
      fail({ ok: false, stage: 'transfer', code: -140, message: 'cancelled', interrupted: false, cancelled: true })
      return true
    }
    return { accepted: accepted.promise, outcome: outcome.promise, cancel }
  }

  /** The device is gone, and back after a while. */
  #restart(device: SimulatedDevice, after: number, orderly: boolean): void {
    const { serial } = device
    this.#clock.setTimeout(
      () => {
        if (device.serial !== serial) return
        this.drop(device)
        this.#clock.setTimeout(() => {
          if (device.serial === serial && !device.online) this.connect(device)
        }, after)
      },
      orderly ? 100 : 1,
    )
  }

  async call(deviceId: string, name: string, argument: string) {
    const device = this.devices.get(deviceId)
    if (!device?.functions.includes(name)) return { ok: false, error: 'not-found' } as const
    return { ok: true, value: device.onCall(name, argument) } as const
  }

  async readVariable() {
    return { ok: false, error: 'not-found' } as const
  }

  async ping(): Promise<boolean> {
    return true
  }

  async signal() {
    return { ok: true, value: undefined } as const
  }

  setUpdatesForced(): boolean {
    return true
  }

  publishSystem(deviceId: string, name: string, data: string): boolean {
    this.devices.get(deviceId)?.told.push(`${name} ${data}`)
    return this.isOnline(deviceId)
  }

  async requestDescribe(deviceId: string, kind: Parameters<Gateway['requestDescribe']>[1]) {
    const device = this.devices.get(deviceId)
    if (!device?.online) return { ok: false, error: 'closed' } as const
    if (kind !== 'metrics') return { ok: true, value: [] } as const
    const vitals: Vital[] = device.battery === undefined ? [] : [{ id: 3, name: 'batt:soc', value: device.battery }]
    return { ok: true, value: [{ kind: 'metrics', vitals }] } as unknown as Awaited<
      ReturnType<Gateway['requestDescribe']>
    >
  }

  disconnect(deviceId: string): void {
    const device = this.devices.get(deviceId)
    if (!device?.online) return
    const { serial } = device
    this.#clock.setTimeout(() => {
      if (device.serial !== serial) return
      this.drop(device)
      this.#clock.setTimeout(() => {
        if (device.serial === serial && !device.online) this.connect(device)
      }, 1_000)
    }, 1)
  }

  ownerChanged(): void {}

  collectTraffic(): void {}

  observe(observer: DeviceObserver): () => void {
    this.#observers.add(observer)
    return () => this.#observers.delete(observer)
  }

  async close(): Promise<void> {
    for (const device of this.devices.values()) this.drop(device)
  }
}

export interface UpdatesWorld {
  readonly clock: SimulatedClock
  readonly gateway: SimulatedGateway
  readonly store: Store
  updates: Updates
  readonly events: CloudEvent[]
  readonly membership: Map<string, Membership>
  /** The cloud ends and starts again; devices that were online come back. */
  restart(): Promise<void>
  /** Only the events' data, by name. */
  told(name: string): (string | null)[]
  close(): Promise<void>
}

export async function startWorld(
  releases: readonly CatalogueRelease[],
  limits: Partial<UpdateLimits> = {},
  slots?: number,
): Promise<UpdatesWorld> {
  const clock = new SimulatedClock()
  const gateway = new SimulatedGateway(clock)
  const store = await openStore()
  const events: CloudEvent[] = []
  const membership = new Map<string, Membership>()
  const bus = createLocalBus((error) => {
    throw error
  })
  bus.subscribe((event) => events.push(event))
  const log = pino({ level: process.env.ALOE_LOG_LEVEL ?? 'silent' })
  const start = () =>
    startUpdates({
      store,
      registry: { get: (id) => gateway.records.get(id), all: () => gateway.records.values() },
      gateway,
      catalogue: createCatalogue(releases),
      bus,
      log,
      clock,
      limits,
      membership: (id) => membership.get(id),
      ...(slots !== undefined && { slots }),
    })
  const world: UpdatesWorld = {
    clock,
    gateway,
    store,
    updates: await start(),
    events,
    membership,
    async restart() {
      const online = [...gateway.devices.values()].filter((device) => device.online)
      const ended = world.updates.close()
      await gateway.close()
      await ended
      world.updates = await start()
      for (const device of online) gateway.connect(device)
    },
    told: (name) => events.filter((event) => event.name === name).map(({ data }) => data),
    async close() {
      const ended = world.updates.close()
      await gateway.close()
      await ended
      await store.close()
    },
  }
  return world
}
