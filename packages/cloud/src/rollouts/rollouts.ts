/**
 * Product firmware on its way to devices (docs/releases.md): who should run what is decided by `products/targeting.ts`,
 * how a device comes to run it by `updates/`. Here is when: at the device's next connection or at once, some at a time,
 * not again and again where it fails, and with the owner's word over all of them.
 *
 * What should happen follows at any time from what is released and what devices run; only how it went is stored. So a
 * cloud that was killed decides anew, and neither forgets a device nor sends to one twice.
 */
import { randomUUID } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Bus } from '../bus/bus.ts'
import { type Clock, systemClock } from '../clock.ts'
import type { DeviceRegistry } from '../devices/registry.ts'
import type { Gateway } from '../gateway/gateway.ts'
import type { ProductDevice } from '../products/product-devices.ts'
import type { FirmwareVersion, Release } from '../products/product-firmware.ts'
import type { Products } from '../products/products.ts'
import type { Store } from '../store/store.ts'
import type { Catalogue } from '../updates/catalogue.ts'
import { isOpen } from '../updates/job.ts'
import type { UpdateJobView, Updates } from '../updates/updates.ts'
import { Progress, type RolloutLimits } from './progress.ts'
import {
  type DeviceCounts,
  defaultSettings,
  type RolloutDevice,
  RolloutError,
  type RolloutRecord,
  type RolloutSettings,
  type RolloutState,
} from './rollout.ts'
import { type ReleaseJob, RolloutStore } from './rollout-store.ts'
import { Run } from './run.ts'
import { RunIndex } from './run-index.ts'
import { runs, type Wanted, wantedBy } from './wanted.ts'

export type { RolloutLimits } from './progress.ts'

export const defaultRolloutLimits: RolloutLimits = {
  concurrent: 1_000,
  stuck: 30 * 60_000,
  unhealed: 10 * 60_000,
}

export interface RolloutsOptions {
  readonly store: Store
  readonly registry: Pick<DeviceRegistry, 'get'>
  readonly products: Products
  readonly gateway: Pick<Gateway, 'observe' | 'isOnline' | 'connection'>
  readonly updates: Pick<Updates, 'deliver' | 'cancel' | 'active' | 'onJob' | 'running'>
  readonly catalogue: Pick<Catalogue, 'modules' | 'onChange'>
  readonly bus: Bus
  readonly log: Logger
  readonly clock?: Clock
  /** 0 to 1, for the pauses between starts. */
  readonly random?: () => number
  readonly limits?: Partial<RolloutLimits>
}

/** A rollout as its owner sees it. */
export interface RolloutView extends RolloutRecord {
  readonly counts: DeviceCounts
  /** It goes on, and no device is on its way. */
  readonly complete: boolean
  /** To whom the version is released at present: groups, null for all. */
  readonly releasedTo: readonly (string | null)[]
  readonly intelligent: boolean
}

/** Devices that are decided on before others get their turn. */
const atOnce = 2_000

/** Takes up what was going on; call it after `watchProducts` and `startUpdates`, before devices can connect. */
export async function startRollouts(options: RolloutsOptions): Promise<Rollouts> {
  const rollouts = new Rollouts(options)
  await rollouts.restore()
  return rollouts
}

export class Rollouts {
  readonly #options: RolloutsOptions
  readonly #clock: Clock
  readonly #store: RolloutStore
  readonly #index = new RunIndex()
  readonly #progress: Progress
  readonly #settings = new Map<number, Partial<RolloutSettings>>()
  readonly #ends: (() => void)[] = []
  #deciding: Promise<void> = Promise.resolve()
  #closed = false

  /** Use `startRollouts`. */
  constructor(options: RolloutsOptions) {
    const { store, registry, products, gateway, updates, catalogue, log } = options
    const { clock = systemClock, random = Math.random, limits } = options
    this.#options = options
    this.#clock = clock
    this.#store = new RolloutStore(store, clock, (error) => log.error({ error }, 'rollouts could not be stored'))
    this.#progress = new Progress({
      clock,
      random,
      registry,
      products,
      gateway,
      updates,
      catalogue,
      log,
      limits: { ...defaultRolloutLimits, ...limits },
      store: this.#store,
      index: this.#index,
      settings: (productId) => this.settings(productId),
      tell: (run, what, detail) => this.#tell(run, what, detail),
      halt: (run, reason) => this.#later(this.#hold(run, 'halted', reason), 'the rollout could not be halted'),
    })
  }

  async restore(): Promise<void> {
    const { products, gateway, updates, catalogue } = this.#options
    for (const [productId, settings] of await this.#store.settings()) this.#settings.set(productId, settings)
    for (const record of await this.#store.open()) this.#index.put(new Run(record))
    const jobs = await this.#store.jobs()
    for (const run of this.#index.all()) {
      for (const device of await this.#store.devices(run.id)) this.#restoreDevice(run, device)
    }
    for (const { id } of products.all()) await this.#considerAll(id)
    for (const job of jobs) this.#restoreJob(job)
    for (const run of this.#index.all()) run.countFromHere()
    const unlisten = catalogue.onChange?.(() => this.#progress.lookAgain())
    if (unlisten) this.#ends.push(unlisten)
    this.#ends.push(
      gateway.observe({
        online: (deviceId) => {
          // Otherwise it still has to say what it runs now.
          if (gateway.connection(deviceId)?.describe) this.#connected(deviceId)
        },
        described: (deviceId) => this.#connected(deviceId),
        updatesFlag: (deviceId, _flag, on) => {
          if (on) this.#connected(deviceId)
        },
      }),
      updates.onJob((job) => this.#progress.onJob(job)),
      products.devices.observe((before, after) => this.#memberChanged(before, after)),
      products.firmware.observe({
        released: (firmware, releases) => this.#released(firmware, releases),
        withdrawn: (productId) => this.#soonAll(productId),
      }),
      products.observe((before, after) => {
        if (before && !after) this.#forget(before.id)
      }),
    )
  }

  // --- What owners ask for: answered after the commit.

  /** Newest first; also those that are over. */
  async list(productId: number): Promise<RolloutView[]> {
    await this.#store.flush()
    const found = await this.#store.list(productId)
    return found.map((ended) => {
      const run = this.#index.get(ended.id)
      return run ? this.#view(run) : { ...ended, complete: false, releasedTo: [], intelligent: false }
    })
  }

  /** @throws RolloutError 'unknown-rollout' */
  async get(productId: number, id: string): Promise<RolloutView> {
    const run = this.#index.get(id)
    if (run?.record.productId === productId) return this.#view(run)
    const found = (await this.list(productId)).find((rollout) => rollout.id === id)
    if (!found) throw new RolloutError('unknown-rollout', 'The product has no such rollout')
    return found
  }

  /** A page of devices, the last changed first, and how many there are. @throws RolloutError */
  async devices(
    productId: number,
    id: string,
    { state, page, size }: { state?: string; page: number; size: number },
  ): Promise<{ total: number; devices: RolloutDevice[] }> {
    await this.get(productId, id)
    const run = this.#index.get(id)
    if (!run) return await this.#store.page(id, state, page, size)
    const all = run.list(state)
    return { total: all.length, devices: all.slice((page - 1) * size, page * size) }
  }

  /** Nothing more begins; what is being sent goes on. @throws RolloutError */
  async pause(productId: number, id: string): Promise<RolloutView> {
    const run = this.#current(productId, id, ['running', 'halted'], 'paused')
    await this.#hold(run, 'paused', null)
    return this.#view(run)
  }

  /** @throws RolloutError */
  async resume(productId: number, id: string): Promise<RolloutView> {
    const run = this.#current(productId, id, ['paused', 'halted'], 'resumed')
    run.countFromHere()
    await this.#setState(run, 'running', null)
    for (const device of run.devices.values()) {
      const { deviceId, state, ready } = device
      if (state === 'waiting' && ready && this.#options.gateway.isOnline(deviceId)) this.#progress.queue(run, device)
    }
    this.#progress.pump()
    return this.#view(run)
  }

  /** For good: only another release of the version brings it to further devices. @throws RolloutError */
  async stop(productId: number, id: string): Promise<RolloutView> {
    const run = this.#current(productId, id, ['running', 'paused', 'halted'], 'stopped')
    await this.#setState(run, 'stopped', null, true)
    await this.#progress.recall(run)
    for (const device of [...run.devices.values()]) {
      if (!stays.has(device.state)) this.#progress.untrack(run, device)
    }
    return this.#view(run)
  }

  /** Devices that failed are tried again; a rollout that halted goes on. @throws RolloutError */
  async retry(productId: number, id: string): Promise<{ rollout: RolloutView; retried: number }> {
    const run = this.#current(productId, id, ['running', 'paused', 'halted'], 'retried')
    let retried = 0
    for (const device of [...run.devices.values()]) {
      const mine = this.#index.of(device.deviceId)?.run === run
      if (!mine || (device.state !== 'failed' && device.state !== 'retrying')) continue
      retried++
      device.attempts = 0
      this.#progress.again(run, device)
    }
    run.countFromHere()
    await this.#store.flush()
    if (run.record.state === 'halted') return { rollout: await this.resume(productId, id), retried }
    this.#progress.pump()
    return { rollout: this.#view(run), retried }
  }

  settings(productId: number): RolloutSettings {
    return { ...defaultSettings, ...this.#settings.get(productId) }
  }

  async putSettings(productId: number, change: Partial<RolloutSettings>, by: string | null = null) {
    const settings = { ...this.#settings.get(productId), ...change }
    await this.#store.putSettings(productId, settings, by)
    this.#settings.set(productId, settings)
    this.#progress.pump()
    return this.settings(productId)
  }

  /** Devices that are updated by releases at present. */
  get active(): number {
    return this.#progress.active
  }

  /** Resolves when what was released or changed so far is decided for every device. */
  async settled(): Promise<void> {
    await this.#deciding
  }

  /** Call it before the gateway closes: what breaks off then is nobody's failure. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    for (const end of this.#ends) end()
    this.#progress.close()
    await this.#deciding
    await this.#store.close()
  }

  // --- Who should get what.

  #released({ productId, version }: FirmwareVersion, releases: readonly Release[]): void {
    const run = this.#index.find(productId, version)
    if (!run || run.record.state === 'stopped') this.#create(productId, version, releases[0]?.releasedBy ?? '')
    // Its owner wants it all the same.
    else if (run.record.state === 'halted') this.#later(this.resume(productId, run.id), 'it could not be resumed')
    this.#soonAll(productId)
  }

  #soonAll(productId: number): void {
    this.#deciding = this.#deciding
      .then(() => this.#considerAll(productId))
      .catch((error: unknown) => {
        this.#options.log.error({ error, productId }, 'it could not be decided who gets a release')
      })
  }

  async #considerAll(productId: number): Promise<void> {
    const { products } = this.#options
    let count = 0
    for (const deviceId of [...products.devices.members(productId)]) {
      if (++count % atOnce === 0) await nextTurn()
      this.#consider(deviceId, false)
    }
    const { default: all, groups } = products.firmware.released(productId)
    const released = new Set([all, ...groups.values()])
    for (const run of this.#index.ofProduct(productId)) {
      const { state, version } = run.record
      if (released.has(version) || run.open > 0 || state === 'stopped') continue
      // Nobody is to run this version any more.
      this.#index.remove(run)
      await this.#setState(run, 'superseded', null, true)
    }
    this.#progress.pump()
  }

  #memberChanged(before: ProductDevice | undefined, after: ProductDevice | undefined): void {
    const deviceId = (after ?? before)?.deviceId
    if (deviceId === undefined) return
    // Importing a device and letting one out of development may bring it an update at once (cloud-api.md 1.7).
    const joins = after !== undefined && (!before || before.productId !== after.productId || before.development)
    if (this.#consider(deviceId, joins)) this.#progress.pump()
  }

  #connected(deviceId: string): void {
    const found = this.#index.of(deviceId)
    if (found?.device.state === 'healing') this.#progress.mayRun(found.run, found.device)
    else if (found?.device.state !== 'updating' && this.#consider(deviceId, true)) this.#progress.pump()
  }

  /**
   * Decides about one device.
   *
   * @param now it has connected, or need not: it may be updated at once
   * @returns whether it waits for its turn now
   */
  #consider(deviceId: string, now: boolean): boolean {
    const { registry, products, gateway } = this.#options
    const record = registry.get(deviceId)
    const wanted = record && wantedBy(record, products)
    const before = this.#index.of(deviceId)
    if (before && !(wanted && before.run === this.#runOf(wanted)) && this.#parts(before, !wanted)) return false
    if (!wanted) return false
    const { productId, version } = wanted.firmware
    const run = this.#runOf(wanted) ?? this.#create(productId, version, '')
    if (run.record.state === 'stopped') return false
    let device = run.devices.get(deviceId)
    if (device?.state === 'done') {
      // Somebody put something else on it since.
      this.#progress.untrack(run, device)
      device = undefined
    }
    device ??= run.add(deviceId, wanted.why, this.#clock.now())
    this.#index.assign(deviceId, run)
    device.why = wanted.why
    if (now || wanted.intelligent) device.ready = true
    if (device.state !== 'waiting' || !device.ready || !run.goesOn || !gateway.isOnline(deviceId)) return false
    return this.#progress.queue(run, device)
  }

  /** The rollout in which it is is not its any more. @returns whether all is said with that */
  #parts({ run, device }: NonNullable<ReturnType<RunIndex['of']>>, content: boolean): boolean {
    const { registry, products } = this.#options
    const { productId, version } = run.record
    const record = registry.get(device.deviceId)
    const firmware = products.firmware.get(productId, version)
    if (content && record?.memberOf === productId && firmware && runs(record, firmware)) {
      // It runs the version, by this rollout or in another way.
      if (device.state === 'failed' || device.state === 'retrying') this.#progress.arrived(run, device)
      else if (device.state === 'waiting' || device.state === 'queued') this.#progress.leave(run, device)
      return true
    }
    this.#progress.leave(run, device)
    return false
  }

  #runOf({ firmware }: Wanted): Run | undefined {
    return this.#index.find(firmware.productId, firmware.version)
  }

  // --- Rollouts.

  #create(productId: number, version: number, startedBy: string): Run {
    const now = this.#clock.now()
    const release = this.#options.products.firmware.releases(productId).find((each) => each.version === version)
    const run = new Run({
      id: randomUUID(),
      productId,
      version,
      state: 'running',
      reason: null,
      startedBy: startedBy || (release?.releasedBy ?? ''),
      createdAt: now,
      updatedAt: now,
      finishedAt: null,
    })
    this.#index.put(run)
    this.#store.saveLater(run.record)
    this.#tell(run, 'started')
    return run
  }

  #current(productId: number, id: string, states: readonly RolloutState[], what: string): Run {
    const run = this.#index.get(id)
    if (run?.record.productId !== productId) {
      throw new RolloutError('unknown-rollout', 'The product has no such rollout that could go on')
    }
    if (states.includes(run.record.state)) return run
    throw new RolloutError('wrong-state', `The rollout is ${run.record.state}: it cannot be ${what}`)
  }

  async #hold(run: Run, state: 'paused' | 'halted', reason: string | null): Promise<void> {
    await this.#setState(run, state, reason)
    await this.#progress.recall(run)
  }

  async #setState(run: Run, state: RolloutState, reason: string | null, over = false): Promise<void> {
    const { record } = run
    record.state = state
    record.reason = reason
    record.updatedAt = this.#clock.now()
    if (over) record.finishedAt = record.updatedAt
    await this.#store.save(record, over ? run.counts : undefined)
    this.#tell(run, state === 'running' ? 'resumed' : state, reason === null ? {} : { reason })
  }

  #forget(productId: number): void {
    for (const run of this.#index.ofProduct(productId)) {
      for (const device of [...run.devices.values()]) this.#progress.leave(run, device)
      this.#index.remove(run)
    }
    this.#settings.delete(productId)
    this.#later(this.#store.forget(productId), 'the rollouts of a removed product are still there')
  }

  #later(work: Promise<unknown>, message: string): void {
    work.catch((error: unknown) => this.#options.log.error({ error }, message))
  }

  // --- After a start.

  #restoreDevice(run: Run, stored: RolloutDevice): void {
    const before = this.#index.of(stored.deviceId)
    const device = run.add(stored.deviceId, stored.why, stored.updatedAt, stored)
    if (!before || before.device.updatedAt <= device.updatedAt) this.#index.assign(stored.deviceId, run)
    if (device.state === 'retrying') this.#progress.retryLater(run, device)
    if (device.state === 'healing') this.#progress.arrived(run, device)
  }

  #restoreJob(job: ReleaseJob): void {
    const open = isOpen({ state: job.state as UpdateJobView['state'] })
    const found = this.#index.of(job.deviceId) ?? this.#restoreArrival(job)
    if (!found || job.version !== found.run.record.version) {
      // The last thing that was committed is that the device is to have something else, or nothing.
      if (open) this.#progress.cancel(job.id)
      return
    }
    const { run, device } = found
    if (device.state !== 'waiting' && device.state !== 'retrying') return
    const known = device.jobId === job.id
    device.jobId = job.id
    if (open) {
      device.reason = 'the cloud started again'
      this.#progress.set(run, device, 'held')
    } else if (job.createdAt < run.record.createdAt) return
    else if (job.state === 'done') this.#progress.arrived(run, device)
    else if (job.state === 'failed' && !known) {
      this.#progress.failed(run, device, job.reason ?? 'the update failed', job.next, false)
    }
  }

  /** It took the version just before the cloud ended: it wants nothing, and still is on its way. */
  #restoreArrival({ deviceId, version, createdAt }: ReleaseJob) {
    const { registry, products } = this.#options
    const record = registry.get(deviceId)
    const run = this.#index.find(record?.memberOf ?? -1, version ?? -1)
    const firmware = run && products.firmware.get(run.record.productId, run.record.version)
    if (!run || !record || !firmware || createdAt < run.record.createdAt || !runs(record, firmware)) return undefined
    const device = run.add(deviceId, 'default', this.#clock.now())
    this.#index.assign(deviceId, run)
    return { run, device }
  }

  // --- What is seen.

  #view(run: Run): RolloutView {
    const { productId, version } = run.record
    const { firmware } = this.#options.products
    const releases = firmware.releases(productId).filter((release) => release.version === version)
    return {
      ...run.record,
      counts: run.counts,
      complete: run.goesOn && run.open === 0,
      releasedTo: releases.map(({ group }) => group),
      intelligent: releases.some(({ intelligent }) => intelligent),
    }
  }

  #tell({ record }: Run, what: string, detail: object = {}): void {
    const { id, productId, version } = record
    this.#options.bus.publish({
      name: `aloe/rollout/${what}`,
      data: JSON.stringify({ rollout: id, version, ...detail }),
      ttl: 60,
      publishedAt: this.#clock.now(),
      coreid: 'particle-internal',
      productId,
    })
  }
}

/** What a device is when a rollout is stopped: it had its end, or has begun. */
const stays: ReadonlySet<RolloutDevice['state']> = new Set(['done', 'failed', 'updating', 'healing'])
