/**
 * Updates of devices: owners' flashes, Device OS updates and downgrades, product firmware, and the healer
 * (docs/updates.md).
 *
 * "The cloud never updates a Device OS unless an application needs it or an owner says so": the only things that start
 * a transfer are the calls below and a device whose own modules say that something is missing.
 */
import {
  type AssetFile,
  environmentAsset,
  environmentAssetName,
  missingAssets,
  missingDependencies,
  type Platform,
  platformById,
  type SystemDescribe,
  sha256Hex,
} from '@aloe/firmware'
import { type Clock, systemClock } from '../clock.ts'
import type { DeviceRecord } from '../devices/device.ts'
import { defaultBackOff } from './back-off.ts'
import { DataUsage } from './data-usage.ts'
import { DeviceUpdates, type DeviceUpdatesContext } from './device-updates.ts'
import type { FlashResult } from './failure.ts'
import { applicationIn, type CheckedFile, checkFile, isBundle, openBundle } from './file-check.ts'
import { FileStore } from './file-store.ts'
import { GroupCommit } from './group-commit.ts'
import { healingLimits } from './healer.ts'
import { isMetered } from './holds.ts'
import { freshDetail, type UpdateJob } from './job.ts'
import type { UpdateLimits } from './job-runner.ts'
import { JobStore, type NewJob } from './job-store.ts'
import { type costOf, roughCost } from './next-step.ts'
import { Policies } from './policies.ts'
import { type Preview, type PreviewRequest, previewOf } from './preview.ts'
import { Timeline, type TimelineEntry } from './timeline.ts'
import { TransferSlots } from './transfer-slots.ts'
import { UpdateEvents } from './update-events.ts'
import { UpdateRefusal } from './update-refusal.ts'
import type {
  Delivery,
  DeviceOsOrder,
  DowngradeOrder,
  FlashOptions,
  UpdateJobView,
  Updates,
  UpdatesOptions,
} from './update-service.ts'

export type { FlashResult } from './failure.ts'
export type { UpdateLimits } from './job-runner.ts'
export { UpdateRefusal } from './update-refusal.ts'
export type {
  Delivery,
  DeviceOsOrder,
  DowngradeOrder,
  FlashOptions,
  UpdateJobView,
  Updates,
  UpdatesOptions,
} from './update-service.ts'

export const defaultUpdateLimits: UpdateLimits = {
  settle: 500,
  accept: 60_000,
  patience: 24 * 60 * 60 * 1_000,
  restart: 40_000,
  backOff: defaultBackOff,
  healing: healingLimits,
}

const sweepEvery = 60 * 60_000

interface PreparedFile {
  readonly content: Uint8Array
  readonly check: CheckedFile
  readonly hash: string
}

/** Takes up the jobs of the last run and begins to watch the gateway; call it before devices can connect. */
export async function startUpdates(options: UpdatesOptions): Promise<Updates> {
  const { store, gateway, clock = systemClock, log, membership = () => undefined } = options
  const commits = new GroupCommit(store)
  const failed = (error: unknown) => log.error({ error }, 'what updates told could not be stored')
  const policies = await Policies.open(store, clock.now, membership)
  const collect = () => gateway.collectTraffic()
  const data = new DataUsage({ store, commits, clock, membership, collect, onError: failed })
  const timeline = new Timeline(store, commits, clock, failed)
  const updates = new AllUpdates(options, commits, policies, data, timeline)
  await updates.restore()
  return updates
}

class AllUpdates implements Updates {
  readonly policies: Policies
  readonly data: DataUsage
  readonly #options: UpdatesOptions
  readonly #clock: Clock
  readonly #context: DeviceUpdatesContext
  readonly #jobs: JobStore
  readonly #files: FileStore
  readonly #timeline: Timeline
  /** Files of deliveries, ready to be sent. */
  readonly #deliveries = new WeakMap<Uint8Array, { platformId: number; prepared: Promise<PreparedFile> }>()
  /** Devices that are worked on. */
  readonly #devices = new Map<string, DeviceUpdates>()
  /** Devices with open jobs in the store, that are not in memory. */
  readonly #parked = new Set<string>()
  readonly #listeners = new Set<(job: UpdateJobView) => void>()
  readonly #unobserve: () => void
  #sweeper: ReturnType<Clock['setTimeout']> | undefined
  #closing = false

  constructor(options: UpdatesOptions, commits: GroupCommit, policies: Policies, data: DataUsage, timeline: Timeline) {
    const { store, registry, gateway, catalogue, bus, log, clock = systemClock } = options
    const now = clock.now
    this.#options = options
    this.#clock = clock
    this.policies = policies
    this.data = data
    this.#timeline = timeline
    this.#jobs = new JobStore(store, commits, now)
    this.#files = new FileStore(store, commits, now)
    this.#context = {
      clock,
      gateway,
      registry,
      catalogue,
      log,
      now,
      policies,
      data,
      timeline,
      jobs: this.#jobs,
      files: this.#files,
      events: new UpdateEvents(bus, registry, now),
      slots: new TransferSlots(options.slots ?? 64),
      limits: { ...defaultUpdateLimits, ...options.limits },
      changed: (job) => this.#changed(job),
      closing: () => this.#closing,
      forget: (device, work) => this.#forget(device, work),
    }
    policies.onChange(() => {
      for (const device of this.#devices.values()) device.look()
    })
    // A release that was imported may be what a device waits for.
    catalogue.onChange?.(() => {
      for (const { id, describe } of registry.all()) {
        if (describe && gateway.isOnline(id) && needsHealing(describe)) this.#device(id).soon()
      }
    })
    this.#unobserve = gateway.observe({
      online: (deviceId) => this.#taskOf(deviceId)?.soon(),
      offline: (deviceId) => this.#devices.get(deviceId)?.look(),
      described: (deviceId, describe) => {
        const device = this.#taskOf(deviceId) ?? (needsHealing(describe) ? this.#device(deviceId) : undefined)
        device?.soon()
      },
      updatesFlag: (deviceId, _flag, on) => {
        if (on) this.#taskOf(deviceId)?.soon()
      },
      traffic: (deviceId, traffic) => data.add(deviceId, traffic),
    })
  }

  async restore(): Promise<void> {
    await this.#forgetOld()
    for (const deviceId of await this.#jobs.devicesWithWork()) this.#parked.add(deviceId)
    this.#sweepLater()
  }

  // What owners and products ask for.

  async flash(deviceId: string, file: Uint8Array, by: string, options: FlashOptions = {}): Promise<FlashResult> {
    const { registry } = this.#options
    const device = registry.get(deviceId)
    if (this.#closing) return { ok: false, status: 503, error: 'The cloud is closing' }
    if (!device) return { ok: false, status: 404, error: 'The device is not known' }
    if (!this.reachable(deviceId)) return { ok: false, status: 408, error: 'Timed out.' }
    try {
      const { content, check } = await this.#checked(device, file)
      const hash = await this.#files.keep(content)
      return await this.#device(deviceId).flash(hash, content.length, check, by, options.force === true)
    } catch (error) {
      if (error instanceof UpdateRefusal) return { ok: false, status: error.status, error: error.message }
      throw error
    }
  }

  reachable(deviceId: string): boolean {
    if (this.#options.gateway.isOnline(deviceId)) return true
    return this.#devices.get(deviceId)?.link.expectedUntil !== undefined
  }

  async deliver(deviceId: string, delivery: Delivery): Promise<UpdateJobView> {
    const device = this.#known(deviceId)
    const { reason, productVersion, notBefore, requestedBy = null } = delivery
    const { content, check, hash } = await this.#prepared(device.platformId ?? -1, delivery.file)
    const fileHash = await this.#files.keep(content, hash)
    const [module] = check.modules
    const estimate = this.#estimate(device, content, check)
    return await this.#enqueue(deviceId, {
      kind: 'release',
      state: 'planned',
      requestedBy,
      fileHash,
      detail: {
        ...freshDetail,
        ...(module && { module }),
        ...(check.hash !== undefined && { hash: check.hash }),
        ...(productVersion !== undefined && { productVersion }),
        ...(notBefore !== undefined && { notBefore }),
        total: content.length,
        plan: check.modules,
        why: reason,
        estimate,
      },
    })
  }

  running(job: Pick<UpdateJobView, 'id' | 'deviceId' | 'kind'>, detail: object): void {
    this.#timeline.record(job, 'running', detail)
    this.#context.events.step(job, 'running', detail)
  }

  async update(deviceId: string, { target, by, force }: DeviceOsOrder): Promise<UpdateJobView> {
    const release = this.#release(deviceId, target)
    const { plan, cost } = this.preview(deviceId, { target: release })
    if (!plan.ok) throw new UpdateRefusal(409, `There is no way to ${release}: ${plan.reason}`)
    if (plan.steps.length === 0) throw new UpdateRefusal(409, `The device has Device OS ${release} or a newer one`)
    const detail = { ...freshDetail, target: release, ...(force && { force }), ...(cost && { estimate: cost }) }
    return await this.#enqueue(deviceId, {
      kind: 'update',
      state: 'planned',
      requestedBy: by,
      fileHash: null,
      detail,
    })
  }

  async downgrade(deviceId: string, { target, by, force, file }: DowngradeOrder): Promise<UpdateJobView> {
    const device = this.#known(deviceId)
    const release = this.#release(deviceId, target)
    const checked = file && (await this.#checked(device, file))
    const application = checked && applicationIn(checked.content)
    if (checked && !application) throw new UpdateRefusal(400, 'The file of a downgrade must be an application')
    const { plan, cost } = this.preview(deviceId, {
      target: release,
      downgrade: true,
      ...(application && { application }),
    })
    if (!plan.ok) throw new UpdateRefusal(409, `The device is not taken back to ${release}: ${plan.reason}`)
    if (plan.steps.length === 0) throw new UpdateRefusal(409, `The device has Device OS ${release}`)
    return await this.#enqueue(deviceId, {
      kind: 'downgrade',
      state: 'planned',
      requestedBy: by,
      fileHash: checked ? await this.#files.keep(checked.content) : null,
      detail: {
        ...freshDetail,
        target: release,
        ...(force && { force }),
        ...(cost && { estimate: cost }),
        ...(checked?.check.hash !== undefined && { hash: checked.check.hash }),
      },
    })
  }

  async cancel(jobId: string): Promise<UpdateJobView | undefined> {
    const job = await this.#jobs.get(jobId)
    if (!job || this.#closing) return undefined
    const cancelled = await this.#device(job.deviceId).cancel(jobId)
    return cancelled ? await this.job(jobId) : undefined
  }

  preview(deviceId: string, { file, ...request }: PreviewRequest & { readonly file?: Uint8Array }): Preview {
    const { platform, describe } = this.#described(deviceId)
    const { target } = request
    const application = file === undefined ? request.application : this.#offered(deviceId, file)
    const policy = this.policies.of(deviceId)
    const world = {
      platform,
      describe,
      catalogue: this.#options.catalogue,
      policy,
      metered: isMetered(policy, platform.id),
      now: this.#clock.now(),
    }
    return previewOf(world, {
      ...request,
      ...(application && { application }),
      ...(target !== undefined && { target: this.#release(deviceId, target) }),
    })
  }

  // What is seen.

  async jobs(deviceId: string): Promise<UpdateJobView[]> {
    const active = this.active(deviceId)
    return (await this.#jobs.list(deviceId)).map((job) => (job.id === active?.id ? active : view(job)))
  }

  async job(jobId: string): Promise<UpdateJobView | undefined> {
    const job = await this.#jobs.get(jobId)
    if (!job) return undefined
    const active = this.active(job.deviceId)
    return active?.id === jobId ? active : view(job)
  }

  async timeline(jobId: string): Promise<TimelineEntry[]> {
    return await this.#timeline.of(jobId)
  }

  active(deviceId: string): UpdateJobView | undefined {
    const active = this.#devices.get(deviceId)?.active
    if (!active) return undefined
    const { job, bytes, total } = active
    return { ...view(job), ...(total > 0 && { progress: { bytes, total } }) }
  }

  onJob(listener: (job: UpdateJobView) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async keepAssets(assets: readonly AssetFile[]): Promise<void> {
    for (const { data } of assets) await this.#files.keepAsset(data)
  }

  async close(): Promise<void> {
    if (this.#closing) return
    this.#closing = true
    this.#clock.clearTimeout(this.#sweeper)
    await Promise.all([...this.#devices.values()].map((device) => device.end()))
    await this.data.close()
    await this.#timeline.close()
    this.#unobserve()
  }

  // Files.

  /**
   * A file that goes to a fleet is checked, hashed and unpacked once, and not for each device: what one device has that
   * another has not, the device itself checks.
   */
  #prepared(platformId: number, file: Uint8Array): Promise<PreparedFile> {
    const known = this.#deliveries.get(file)
    if (known?.platformId === platformId) return known.prepared
    const prepared = this.#checked({ platformId, describe: null }, file).then(({ content, check }) => {
      return { content, check, hash: sha256Hex(content) }
    })
    this.#deliveries.set(file, { platformId, prepared })
    prepared.catch(() => this.#deliveries.delete(file))
    return prepared
  }

  /** The module file that is sent, of a module file or a bundle, whose assets are kept. */
  async #checked(
    device: Pick<DeviceRecord, 'platformId' | 'describe'>,
    file: Uint8Array,
  ): Promise<{ content: Uint8Array; check: CheckedFile }> {
    let content = file
    if (isBundle(file)) {
      const bundle = openBundle(file)
      if (typeof bundle === 'string') throw new UpdateRefusal(400, `The bundle cannot be used: ${bundle}`)
      content = bundle.application.data
      const { environment } = bundle
      const isThere = bundle.assets.some(({ name }) => name === environmentAssetName)
      await this.keepAssets(bundle.assets)
      if (environment && !isThere) await this.keepAssets([environmentAsset(environment)])
    }
    // A view of a request's body would hold the whole of it.
    content = Uint8Array.from(content)
    const check = checkFile(content, device.platformId ?? -1, device.describe)
    if (!check.ok) throw new UpdateRefusal(400, `The file cannot be used: ${check.reason}`)
    return { content, check }
  }

  #offered(deviceId: string, file: Uint8Array) {
    const device = this.#known(deviceId)
    let content = file
    if (isBundle(file)) {
      const bundle = openBundle(file)
      if (typeof bundle === 'string') throw new UpdateRefusal(400, `The bundle cannot be used: ${bundle}`)
      content = bundle.application.data
    }
    const check = checkFile(content, device.platformId ?? -1, device.describe)
    if (!check.ok) throw new UpdateRefusal(400, `The file cannot be used: ${check.reason}`)
    const application = applicationIn(content)
    if (!application) throw new UpdateRefusal(400, 'The file is no application')
    return application
  }

  #estimate(device: DeviceRecord, content: Uint8Array, check: CheckedFile) {
    const platform = platformById(device.platformId ?? -1)
    if (!platform) return { modules: 1, bytes: content.length, resets: 1, seconds: 0 }
    const application = applicationIn(content)
    if (!application || !device.describe) return roughCost(platform, check.modules.length, content.length)
    const { plan } = this.preview(device.id, { application })
    return plan.ok ? briefly(plan.cost) : roughCost(platform, check.modules.length, content.length)
  }

  // Devices.

  async #enqueue(deviceId: string, job: Omit<NewJob, 'deviceId'>): Promise<UpdateJobView> {
    if (this.#closing) throw new UpdateRefusal(503, 'The cloud is closing')
    const { gateway } = this.#options
    const inMemory = this.#devices.has(deviceId) || this.#parked.has(deviceId) || gateway.isOnline(deviceId)
    if (inMemory) return view(await this.#device(deviceId).enqueue(job))
    // A fleet that is offline costs the store, and no memory.
    this.#parked.add(deviceId)
    const wait = { cause: 'offline', reason: 'the device is offline' } as const
    const created = await this.#jobs.create({ ...job, deviceId, state: 'waiting', detail: { ...job.detail, wait } })
    this.#timeline.record(created, 'queued', { why: job.detail.why, target: job.detail.target, ...job.detail.estimate })
    this.#changed(created)
    // It may have come in the meantime.
    if (gateway.isOnline(deviceId)) this.#taskOf(deviceId)?.soon()
    return view(created)
  }

  #known(deviceId: string): DeviceRecord {
    const device = this.#options.registry.get(deviceId)
    if (!device) throw new UpdateRefusal(404, 'The device is not known')
    return device
  }

  #described(deviceId: string): { platform: Platform; describe: SystemDescribe } {
    const { platformId, describe } = this.#known(deviceId)
    const platform = platformId === null ? undefined : platformById(platformId)
    if (platform && describe) return { platform, describe }
    throw new UpdateRefusal(404, 'The device has not said yet what it has: it must connect first')
  }

  #release(deviceId: string, target: string): string {
    const { platform } = this.#described(deviceId)
    const release = this.#options.catalogue.release(target, platform.id)
    if (release) return release.version
    throw new UpdateRefusal(404, `There is no Device OS ${target} for ${platform.name} in the catalogue`)
  }

  /** The device's updates, if there are any. */
  #taskOf(deviceId: string): DeviceUpdates | undefined {
    const device = this.#devices.get(deviceId)
    return device ?? (this.#parked.has(deviceId) ? this.#device(deviceId) : undefined)
  }

  #device(deviceId: string): DeviceUpdates {
    let device = this.#devices.get(deviceId)
    if (!device) {
      device = new DeviceUpdates(deviceId, this.#context)
      this.#devices.set(deviceId, device)
      this.#parked.delete(deviceId)
    }
    return device
  }

  #forget(device: DeviceUpdates, work: boolean): void {
    if (this.#devices.get(device.deviceId) !== device) return
    this.#devices.delete(device.deviceId)
    if (work) this.#parked.add(device.deviceId)
  }

  #changed(job: UpdateJob): void {
    if (this.#listeners.size === 0) return
    const shown = view(job)
    for (const listener of this.#listeners) {
      try {
        listener(shown)
      } catch (error) {
        this.#options.log.error({ error, job: job.id }, 'a listener to update jobs failed')
      }
    }
  }

  #sweepLater(): void {
    this.#sweeper = this.#clock.setTimeout(() => {
      this.#forgetOld().catch((error: unknown) => {
        this.#options.log.error({ error }, 'old updates could not be removed')
      })
      this.#sweepLater()
    }, sweepEvery)
  }

  async #forgetOld(): Promise<void> {
    await this.#jobs.forgetOld()
    await this.#timeline.forgetOld()
    await this.#files.sweep()
  }
}

/** By the describe, which devices in the same state share. */
const lacking = new WeakMap<SystemDescribe, boolean>()

function needsHealing(describe: SystemDescribe): boolean {
  let lacks = lacking.get(describe)
  if (lacks === undefined) {
    const damaged = describe.modules.some(
      ({ store, checked, passed }) => store === 'main' && (checked & ~passed & 2) !== 0,
    )
    lacks = damaged || missingDependencies(describe).length > 0 || missingAssets(describe).length > 0
    lacking.set(describe, lacks)
  }
  return lacks
}

function briefly({ modules, bytes, resets, seconds }: ReturnType<typeof costOf>) {
  return { modules, bytes, resets, seconds }
}

function view({ fileHash: _, ...job }: UpdateJob): UpdateJobView {
  return { ...job }
}
