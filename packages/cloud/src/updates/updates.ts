/**
 * Updates of devices: owners' flashes and the healer (docs/updates.md).
 *
 * "The cloud never updates a Device OS unless an application needs it or an owner says so": the only things that start
 * a transfer are `flash` and a device whose own modules say that something is missing.
 */
import { missingDependencies, type SystemDescribe } from '@aloe/firmware'
import type { Logger } from 'pino'
import type { Bus } from '../bus/bus.ts'
import type { DeviceRegistry } from '../devices/registry.ts'
import type { Gateway } from '../gateway/gateway.ts'
import type { Store } from '../store/store.ts'
import type { Catalogue } from './catalogue.ts'
import { DeviceUpdates, type DeviceUpdatesContext, defaultUpdateLimits, type UpdateLimits } from './device-updates.ts'
import type { FlashResult } from './failure.ts'
import { checkFile } from './file-check.ts'
import { healingLimits } from './healer.ts'
import { isOpen, type JobDetail, type JobKind, type JobState, JobStore, type UpdateJob } from './job.ts'
import { TransferSlots } from './transfer-slots.ts'
import { UpdateEvents } from './update-events.ts'

export type { FlashResult } from './failure.ts'

/** A job as its owner may see it. */
export interface UpdateJobView {
  readonly id: string
  readonly deviceId: string
  readonly kind: JobKind
  readonly state: JobState
  readonly requestedBy: string | null
  readonly detail: JobDetail
  /** Unix milliseconds. */
  readonly createdAt: number
  readonly updatedAt: number
  readonly finishedAt: number | null
}

export interface Updates {
  /**
   * Sends a file to the device. Resolves once the device has taken the start (or refused it); from then on the update
   * is durable, and events tell of its progress.
   *
   * Status 400: the file or the device refuses; 408: offline, or no answer; 409: another flash is under way.
   * @param by user id
   */
  flash(deviceId: string, file: Uint8Array, by: string): Promise<FlashResult>
  /** A device's jobs, newest first. */
  jobs(deviceId: string): Promise<UpdateJobView[]>
  /** The job that is under way, the owner's before the healer's. */
  active(deviceId: string): UpdateJobView | undefined
  /** Ends after `gateway.close()`; what is under way goes on after the next start. */
  close(): Promise<void>
}

export interface UpdatesOptions {
  readonly store: Store
  readonly registry: Pick<DeviceRegistry, 'get'>
  readonly gateway: Gateway
  readonly catalogue: Catalogue
  readonly bus: Bus
  readonly log: Logger
  /** Unix milliseconds. */
  readonly now?: () => number
  readonly limits?: Partial<UpdateLimits>
  /** Transfers at a time. */
  readonly slots?: number
}

/** Takes up the jobs of the last run and begins to watch the gateway; call it before devices can connect. */
export async function startUpdates(options: UpdatesOptions): Promise<Updates> {
  const updates = new AllUpdates(options)
  await updates.restore()
  return updates
}

class AllUpdates implements Updates {
  readonly #options: UpdatesOptions
  readonly #context: DeviceUpdatesContext
  readonly #jobs: JobStore
  readonly #devices = new Map<string, DeviceUpdates>()
  readonly #unobserve: () => void
  #closing = false

  constructor(options: UpdatesOptions) {
    const { store, registry, gateway, catalogue, bus, log, now = Date.now } = options
    this.#options = options
    this.#jobs = new JobStore(store, now)
    this.#context = {
      gateway,
      registry,
      catalogue,
      log,
      now,
      jobs: this.#jobs,
      events: new UpdateEvents(bus, registry, now),
      slots: new TransferSlots(options.slots ?? 64),
      limits: { ...defaultUpdateLimits, healing: healingLimits, ...options.limits },
      closing: () => this.#closing,
    }
    this.#unobserve = gateway.observe({
      offline: (deviceId) => this.#offline(deviceId),
      described: (deviceId, describe) => this.#described(deviceId, describe),
      safeMode: (deviceId) => this.#device(deviceId).soon(),
      updatesFlag: (deviceId, _flag, on) => {
        if (on) this.#devices.get(deviceId)?.soon()
      },
    })
  }

  async restore(): Promise<void> {
    const { now, limits } = this.#context
    await this.#jobs.forgetOld()
    for (const job of await this.#jobs.open()) {
      if (job.state === 'starting') {
        // Nobody was told that this one would happen.
        await this.#jobs.update(job, {
          state: 'failed',
          detail: { reason: 'the cloud stopped before the device took it' },
        })
        continue
      }
      const device = this.#device(job.deviceId)
      const other = job.kind === 'flash' ? device.flashJob : device.healJob
      if (other) await this.#jobs.update(other, { state: 'superseded' })
      if (job.kind === 'flash') device.flashJob = job
      else device.healJob = job
    }
    for (const { deviceId, detail, updatedAt } of await this.#jobs.stoppedSince(now() - limits.patience)) {
      if (detail.signature) this.#device(deviceId).stop = { signature: detail.signature, at: updatedAt }
    }
  }

  async flash(deviceId: string, file: Uint8Array, by: string): Promise<FlashResult> {
    const { gateway, registry } = this.#options
    const device = registry.get(deviceId)
    if (this.#closing) return { ok: false, status: 503, error: 'The cloud is closing' }
    if (!device) return { ok: false, status: 404, error: 'The device is not known' }
    const restarting = this.#devices.get(deviceId)?.restarting ?? false
    if (!gateway.isOnline(deviceId) && !restarting) return { ok: false, status: 408, error: 'Timed out.' }
    const check = checkFile(file, device.platformId ?? -1, device.describe)
    if (!check.ok) return { ok: false, status: 400, error: `The file cannot be used: ${check.reason}` }
    return await this.#device(deviceId).flash(Uint8Array.from(file), check, by)
  }

  async jobs(deviceId: string): Promise<UpdateJobView[]> {
    return (await this.#jobs.list(deviceId)).map(view)
  }

  active(deviceId: string): UpdateJobView | undefined {
    const device = this.#devices.get(deviceId)
    const job = device?.flashJob ?? device?.healJob
    return job && isOpen(job) ? view(job) : undefined
  }

  async close(): Promise<void> {
    if (this.#closing) return
    this.#closing = true
    this.#unobserve()
    await Promise.all([...this.#devices.values()].map((device) => device.end()))
  }

  #offline(deviceId: string): void {
    const device = this.#devices.get(deviceId)
    if (device?.idle) this.#devices.delete(deviceId)
    else device?.look()
  }

  #described(deviceId: string, describe: SystemDescribe): void {
    const device = this.#devices.get(deviceId)
    if (device) device.soon()
    else if (missingDependencies(describe).length > 0) this.#device(deviceId).soon()
  }

  #device(deviceId: string): DeviceUpdates {
    let device = this.#devices.get(deviceId)
    if (!device) {
      device = new DeviceUpdates(deviceId, this.#context)
      this.#devices.set(deviceId, device)
    }
    return device
  }
}

function view({ file: _, ...job }: UpdateJob): UpdateJobView {
  return job
}
