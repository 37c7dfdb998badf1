/**
 * For tests and the benchmark: a fleet of a product in simulated time, with the real store, registry, products, updates
 * and rollouts. Only what happens on the air and in the devices is modelled: a transfer takes its bytes over a rate, and
 * a device boots what it has by `firmware`'s rules. Devices in the same state share their describe, as they do in the
 * gateway.
 */
import {
  bootCheck,
  buildModule,
  decompressModule,
  type InstalledModule,
  installedModule,
  moduleFlags,
  parseModule,
  platformById,
  type SystemDescribe,
  splitModules,
  validateUpdate,
} from '@aloe/firmware'
import { helloFlag } from '@aloe/protocol'
import { pino } from 'pino'
import { createLocalBus } from '../bus/bus.ts'
import type { Clock } from '../clock.ts'
import { DeviceRegistry } from '../devices/registry.ts'
import type { CloudEvent } from '../events/event.ts'
import { linuxSystem } from '../gateway/fake-device.ts'
import type { ConnectionInfo, DeviceObserver, RunningUpdate, UpdateOutcome } from '../gateway/gateway.ts'
import { checkProductFirmware } from '../products/firmware-check.ts'
import { watchProducts } from '../products/product-watch.ts'
import { type ProductRecord, Products } from '../products/products.ts'
import { openStore, type Store } from '../store/store.ts'
import { type Catalogue, createCatalogue } from '../updates/catalogue.ts'
import { startUpdates, type Updates, type UpdatesOptions } from '../updates/updates.ts'
import { releaseOf } from '../updates/updates-fixture.ts'
import { type RolloutLimits, type Rollouts, startRollouts } from './rollouts.ts'

interface Timer {
  readonly at: number
  readonly order: number
  readonly callback: () => void
  gone: boolean
}

/** Time that passes when it is told to, for hundreds of thousands of timers. */
export class FleetClock implements Clock {
  #now: number
  #order = 0
  /** A binary heap, the next first. */
  readonly #heap: Timer[] = []

  constructor(now = Date.UTC(2026, 10, 21, 12)) {
    this.#now = now
  }

  now = (): number => this.#now

  setTimeout = (callback: () => void, ms: number): Timer => {
    const timer = { at: this.#now + Math.max(0, ms), order: this.#order++, callback, gone: false }
    const heap = this.#heap
    let at = heap.push(timer) - 1
    while (at > 0) {
      const up = (at - 1) >> 1
      const parent = heap[up]
      if (!parent || before(parent, timer)) break
      heap[at] = parent
      at = up
    }
    heap[at] = timer
    return timer
  }

  clearTimeout = (timer: unknown): void => {
    if (timer) (timer as Timer).gone = true
  }

  /**
   * Lets time pass, in steps of at least `grain` milliseconds, each with what follows from it.
   * @param until ends it earlier
   */
  async pass(ms: number, { grain = 0, until = () => false }: { grain?: number; until?: () => boolean } = {}) {
    const end = this.#now + ms
    await settle()
    for (let next = this.#heap[0]; next && next.at <= end && !until(); next = this.#heap[0]) {
      this.#now = Math.max(this.#now, Math.min(end, next.at + grain))
      for (let due = this.#heap[0]; due && due.at <= this.#now; due = this.#heap[0]) {
        this.#pop()
        if (!due.gone) due.callback()
      }
      await settle()
    }
    if (!until()) this.#now = end
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()
    if (!last || heap.length === 0) return
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      const right = heap[child + 1]
      const left = heap[child]
      if (!left) break
      if (right && before(right, left)) child++
      const smallest = heap[child]
      if (!smallest || before(last, smallest)) break
      heap[at] = smallest
      at = child
    }
    heap[at] = last
  }
}

function before(a: Timer, b: Timer): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}

/** What follows from what has just happened, the store included. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 12; turn++) await new Promise(setImmediate)
}

type Failure = Extract<UpdateOutcome, { ok: false }>

/** What devices in the same state have in common. */
interface State {
  readonly modules: readonly InstalledModule[]
  readonly describe: SystemDescribe
  readonly safeMode: boolean
  /** Files that were tried on it: what it says, and what it is then. */
  readonly after: Map<Uint8Array, { readonly result: number; readonly message: string; readonly state: State }>
}

export interface FleetDevice {
  readonly id: string
  state: State
  online: boolean
  serial: number
  updatesEnabled: boolean
  /** What it does with a file: takes it, or fails in this way. */
  onUpdate?: (file: Uint8Array) => Partial<Failure> | undefined
  /** Files that it took. */
  taken: number
  /** Applications among them. */
  applications: number
  running?: (failure: Failure) => void
}

export const linux = 43
const platform = platformById(linux)

/** Bytes a second on the air, and milliseconds from a file's end until the device is back. */
const rate = 50_000
const resetTime = 20_000

export class FleetGateway {
  readonly devices = new Map<string, FleetDevice>()
  readonly #clock: FleetClock
  readonly #registry: () => DeviceRegistry
  readonly #observers = new Set<DeviceObserver>()
  readonly #states = new Map<string, State>()
  sent = 0
  /** Transfers under way: now, and the most at a time. */
  running = 0
  most = 0
  told: string[] = []

  constructor(clock: FleetClock, registry: () => DeviceRegistry) {
    this.#clock = clock
    this.#registry = registry
  }

  /** @param files modules that it has */
  stateOf(files: readonly Uint8Array[]): State {
    return this.#stateOf(files.map((bytes) => installedModule(parseModule(bytes))))
  }

  add(id: string, state: State): FleetDevice {
    const device = { id, state, online: false, serial: 0, updatesEnabled: true, taken: 0, applications: 0 }
    this.devices.set(id, device)
    return device
  }

  connect(device: FleetDevice): void {
    device.online = true
    device.serial++
    const { describe, safeMode } = device.state
    const registry = this.#registry()
    registry.recordConnection(device.id, { platformId: linux, productId: linux, productVersion: 0 })
    for (const observer of this.#observers) observer.online?.(device.id, hello)
    registry.recordDescribe(device.id, { system: describe })
    registry.recordStatus(device.id, safeMode ? 'safe_mode' : 'normal')
    registry.recordUpdatesEnabled(device.id, device.updatesEnabled)
    for (const observer of this.#observers) observer.described?.(device.id, describe, safeMode)
  }

  drop(device: FleetDevice): void {
    if (!device.online) return
    device.online = false
    device.running?.({
      ok: false,
      stage: 'transfer',
      code: -150,
      message: 'the connection was lost',
      interrupted: true,
    })
    for (const observer of this.#observers) observer.offline?.(device.id, 'gone')
  }

  enableUpdates(device: FleetDevice, on: boolean): void {
    device.updatesEnabled = on
    this.#registry().recordUpdatesEnabled(device.id, on)
    for (const observer of this.#observers) observer.updatesFlag?.(device.id, 'enabled', on)
  }

  /** As at the end of a handshake: who watches is told. */
  tellDescribed(deviceId: string): void {
    const state = this.devices.get(deviceId)?.state
    if (!state) return
    for (const observer of this.#observers) observer.described?.(deviceId, state.describe, state.safeMode)
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
      hello,
      resumed: false,
      safeMode: device.state.safeMode,
      cancellableUpdates: true,
      describe: this.#registry().get(deviceId)?.describe ?? undefined,
    }
  }

  startUpdate(
    deviceId: string,
    file: Uint8Array,
    options: { progress?: (bytes: number, total: number) => void },
  ): RunningUpdate | undefined {
    const device = this.devices.get(deviceId)
    if (!device?.online) return undefined
    const outcome = Promise.withResolvers<UpdateOutcome>()
    this.running++
    this.most = Math.max(this.most, this.running)
    const { serial } = device
    let over = false
    const end = (result: UpdateOutcome): void => {
      if (over) return
      over = true
      this.running--
      delete device.running
      outcome.resolve(result)
    }
    device.running = end
    this.#clock.setTimeout(
      () => {
        if (over || device.serial !== serial) return
        const refused = device.onUpdate?.(file)
        if (refused) {
          end({ ok: false, stage: 'finish', code: -1390, message: 'refused', interrupted: false, ...refused })
          return
        }
        const { result, message, state } = this.#after(device.state, file)
        this.sent += file.length
        if (result !== 0) {
          end({ ok: false, stage: 'finish', code: result, message, interrupted: false })
          return
        }
        options.progress?.(file.length, file.length)
        device.taken++
        if (splitModules(file).some((part) => parseModule(part).function === 'user_part')) device.applications++
        end({ ok: true })
        device.state = state
        this.#clock.setTimeout(() => {
          this.drop(device)
          this.#clock.setTimeout(() => this.connect(device), resetTime)
        }, 100)
      },
      Math.ceil((1_000 * file.length) / rate),
    )
    return {
      accepted: Promise.resolve({ ok: true, offset: 0 }),
      outcome: outcome.promise,
      cancel: () => {
        end({ ok: false, stage: 'transfer', code: -140, message: 'cancelled', interrupted: false, cancelled: true })
        return true
      },
    }
  }

  /** A device that is told so comes back in a moment. */
  disconnect(deviceId: string): void {
    const device = this.devices.get(deviceId)
    if (!device?.online) return
    this.#clock.setTimeout(() => {
      this.drop(device)
      this.#clock.setTimeout(() => this.connect(device), 1_000)
    }, 1)
  }

  publishSystem(deviceId: string, name: string, data: string): boolean {
    this.told.push(`${deviceId} ${name} ${data}`)
    return this.isOnline(deviceId)
  }

  async requestDescribe() {
    return { ok: true, value: [] } as const
  }

  async call() {
    return { ok: false, error: 'not-found' } as const
  }

  ownerChanged(): void {}

  collectTraffic(): void {}

  observe(observer: DeviceObserver): () => void {
    this.#observers.add(observer)
    return () => this.#observers.delete(observer)
  }

  /** The connections end, with the cloud. */
  close(): void {
    for (const device of this.devices.values()) {
      device.serial++
      this.drop(device)
    }
    this.#observers.clear()
  }

  #after(state: State, file: Uint8Array) {
    let known = state.after.get(file)
    if (!known) {
      if (!platform) throw new Error('no such platform')
      const { result, message } = validateUpdate(file, platform, state.modules)
      const modules = new Map(state.modules.map((module) => [`${module.function} ${module.index}`, module]))
      for (const part of result === 0 ? splitModules(file) : []) {
        const sent = parseModule(part)
        const compressed = (sent.flags & moduleFlags.compressed) !== 0
        const module = installedModule(compressed ? parseModule(decompressModule(sent.bytes)) : sent)
        modules.set(`${module.function} ${module.index}`, module)
      }
      known = { result, message, state: this.#stateOf([...modules.values()]) }
      state.after.set(file, known)
    }
    return known
  }

  #stateOf(modules: readonly InstalledModule[]): State {
    const key = modules.map((m) => `${m.function} ${m.index} ${m.version} ${m.hash}`).join()
    let state = this.#states.get(key)
    if (!state) {
      if (!platform) throw new Error('no such platform')
      const boot = bootCheck(platform, modules)
      const describe = { platformId: linux, modules: boot.modules, assets: [] }
      state = { modules, describe, safeMode: boot.mode === 'safe', after: new Map() }
      this.#states.set(key, state)
    }
    return state
  }
}

const hello = {
  productId: linux,
  productVersion: 0,
  flags: helloFlag.otaV3,
  platformId: linux,
} as ConnectionInfo['hello']

/** An application of some bytes. @param system the system part 2 that it needs */
export function application(seed: number, system = 1_000, size = 20_000): Uint8Array {
  const body = new Uint8Array(size)
  let word = seed + 1
  for (let at = 0; at < size; at++) {
    word = (Math.imul(word, 1_103_515_245) + 12_345) >>> 0
    body[at] = word >>> 24
  }
  const dependencies = [{ function: 'system_part' as const, index: 2, version: system }]
  return buildModule({ platformId: linux, function: 'user_part', index: 1, version: 1, dependencies, body })
}

export interface FleetOptions {
  /** A folder; in memory without. */
  readonly dataDir?: string
  readonly limits?: Partial<RolloutLimits>
  readonly updates?: Pick<UpdatesOptions, 'limits' | 'slots'>
}

export interface Fleet {
  readonly clock: FleetClock
  readonly gateway: FleetGateway
  readonly releases: { readonly old: readonly Uint8Array[]; readonly current: readonly Uint8Array[] }
  store: Store
  registry: DeviceRegistry
  products: Products
  updates: Updates
  rollouts: Rollouts
  readonly catalogue: Catalogue
  product: ProductRecord
  readonly events: CloudEvent[]
  /** Makes devices known and members. They are offline. */
  addDevices(count: number, state: State): Promise<FleetDevice[]>
  /** A release comes into the catalogue. */
  importRelease(version: string, modules: readonly Uint8Array[]): void
  upload(version: number, file: Uint8Array): Promise<void>
  /** The cloud ends, in good order or not, and starts again. Those that were online come back. */
  restart(killed?: boolean): Promise<void>
  close(): Promise<void>
}

export const owner = 'a'.repeat(24)

export async function startFleet(options: FleetOptions = {}): Promise<Fleet> {
  const clock = new FleetClock()
  const fleet = { clock, events: [] as CloudEvent[] } as unknown as Fleet & { gateway: FleetGateway }
  const random = numbers(7)
  fleet.gateway = new FleetGateway(clock, () => fleet.registry)
  const old = linuxSystem(1_000, 100, 3_000)
  const current = linuxSystem(2_000, 200, 3_000)
  Object.assign(fleet, { releases: { old, current } })
  const shipped = [releaseOf('1.0.0', old).release, releaseOf('2.0.0', current).release]
  let offered = createCatalogue(shipped)
  const listeners = new Set<() => void>()
  const catalogue: Catalogue = {
    problems: [],
    releases: (...args) => offered.releases(...args),
    release: (...args) => offered.release(...args),
    platformsOf: (...args) => offered.platformsOf(...args),
    defaultRelease: (...args) => offered.defaultRelease(...args),
    modules: (...args) => offered.modules(...args),
    file: (...args) => offered.file(...args),
    moduleBytes: (...args) => offered.moduleBytes(...args),
    types: (...args) => offered.types(...args),
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
  fleet.importRelease = (version, modules) => {
    offered = createCatalogue([...shipped, releaseOf(version, modules).release])
    for (const listener of listeners) listener()
  }
  const log = pino({ level: process.env.ALOE_LOG_LEVEL ?? 'silent' })
  const onError = (error: unknown) => log.error({ error }, 'not stored')
  const open = async (): Promise<void> => {
    const store = fleet.store
    const registry = await DeviceRegistry.open({ store, now: clock.now, onError, clock })
    const products = await Products.open({ store, registry, now: clock.now })
    fleet.registry = registry
    const bus = createLocalBus((error) => {
      throw error
    })
    bus.subscribe((event) => {
      if (event.name.startsWith('aloe/rollout')) fleet.events.push(event)
    })
    const { gateway } = fleet
    watchProducts({ products, registry, gateway, log, inTeam: () => true })
    const asGateway = gateway as unknown as UpdatesOptions['gateway']
    const membership = (id: string) => products.devices.of(id)
    const common = { store, registry, bus, log, clock }
    const updates = await startUpdates({ ...common, gateway: asGateway, catalogue, membership, ...options.updates })
    const rollouts = await startRollouts({
      ...{ ...common, gateway, products, updates, catalogue, random },
      ...(options.limits && { limits: options.limits }),
    })
    Object.assign(fleet, { products, updates, rollouts, catalogue })
  }
  fleet.store = await openStore(options.dataDir)
  await open()
  const person = { password_hash: '', account_info: '{}', is_administrator: 0, created_at: 0, updated_at: 0 }
  await fleet.store.db
    .insertInto('users')
    .values({ id: owner, username: 'ann', ...person })
    .execute()
  fleet.product = await fleet.products.create(owner, {
    name: 'lamps',
    platformId: linux,
    settings: { releaseUntested: true },
  })

  let number = 0
  fleet.addDevices = async (count, state) => {
    const ids = Array.from({ length: count }, () => `422b${(++number).toString(16).padStart(20, '0')}`)
    await fleet.registry.makeKnown(ids)
    await fleet.products.devices.import(fleet.product.id, ids)
    return ids.map((id) => fleet.gateway.add(id, state))
  }
  fleet.upload = async (version, content) => {
    const check = checkProductFirmware(content, fleet.product, version)
    if (!check.ok) throw new Error(check.reason)
    const { fileName, appHash } = check
    await fleet.products.firmware.upload(fleet.product.id, { version, content, fileName, appHash, uploadedBy: 'ann' })
  }
  const end = async (): Promise<void> => {
    await fleet.rollouts.close()
    const ended = fleet.updates.close()
    fleet.gateway.close()
    await ended
    await fleet.registry.close()
  }
  fleet.restart = async (killed = false) => {
    const online = [...fleet.gateway.devices.values()].filter((device) => device.online)
    if (killed) {
      // What was not committed is lost: of the old cloud nothing comes through any more.
      const dead = fleet.store
      fleet.gateway.close()
      if (!options.dataDir) throw new Error('a store in memory ends with its process')
      await dead.close()
      fleet.store = await openStore(options.dataDir)
    } else await end()
    await open()
    for (const device of online) fleet.gateway.connect(device)
  }
  fleet.close = async () => {
    await end()
    await fleet.store.close()
  }
  return fleet
}

/** Random numbers, the same each time. */
export function numbers(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let word = Math.imul(state ^ (state >>> 15), 1 | state)
    word = (word + Math.imul(word ^ (word >>> 7), 61 | word)) ^ word
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32
  }
}
