/**
 * Devices of rollouts, one after the other: whose turn it is, the hand-over to the updates, and what comes of it, until
 * the application runs or its device is given up.
 */
import type { OfferedApplication } from '@aloe/firmware'
import type { Logger } from 'pino'
import type { Clock, TimerHandle } from '../clock.ts'
import type { DeviceRegistry } from '../devices/registry.ts'
import type { Gateway } from '../gateway/gateway.ts'
import type { Products } from '../products/products.ts'
import type { Catalogue } from '../updates/catalogue.ts'
import { applicationIn, isBundle, openBundle } from '../updates/file-check.ts'
import { isOpen, type WaitCause } from '../updates/job.ts'
import { type UpdateJobView, UpdateRefusal, type Updates } from '../updates/updates.ts'
import { obstacleFor } from './feasible.ts'
import { Pacer } from './pacer.ts'
import { lasting, type RolloutDeviceState, type RolloutSettings } from './rollout.ts'
import type { RolloutStore } from './rollout-store.ts'
import type { Run, RunDevice } from './run.ts'
import type { RunIndex } from './run-index.ts'
import { isRunning } from './wanted.ts'

export interface ProgressContext {
  readonly clock: Clock
  /** 0 to 1, for the pauses between starts. */
  readonly random: () => number
  readonly registry: Pick<DeviceRegistry, 'get'>
  readonly products: Products
  readonly gateway: Pick<Gateway, 'isOnline'>
  readonly updates: Pick<Updates, 'deliver' | 'cancel' | 'active' | 'running'>
  readonly catalogue: Pick<Catalogue, 'modules'>
  readonly log: Logger
  readonly limits: RolloutLimits
  readonly store: RolloutStore
  readonly index: RunIndex
  readonly settings: (productId: number) => RolloutSettings
  /** On the product's stream. */
  readonly tell: (run: Run, what: string, detail?: object) => void
  /** Too many failed. */
  readonly halt: (run: Run, reason: string) => void
}

interface OfferedFirmware {
  readonly file: Uint8Array
  readonly application: OfferedApplication | undefined
}

export interface RolloutLimits {
  /** Devices of all products that are updated by releases at a time. */
  readonly concurrent: number
  /** A device that has not got on for so long makes room for another, in milliseconds. */
  readonly stuck: number
  /** How long a device may be in safe mode, online, with nothing that heals it, before it counts as failed. */
  readonly unhealed: number
}

/** Causes for which others may go first, since they may last for days. */
const holding: ReadonlySet<WaitCause> = new Set([
  'offline',
  'updates-disabled',
  'locked',
  'window',
  'data-budget',
  'battery',
  'consent',
])

const sweepEvery = 60_000
/** Starts are looked at no more often than this, in milliseconds. */
const shortestWait = 50
const filesInMemory = 4

export class Progress {
  readonly #context: ProgressContext
  readonly #pacers = new Map<number, Pacer>()
  readonly #files = new Map<string, Promise<OfferedFirmware>>()
  /** Devices that are updated, and those whose application waits for its Device OS. */
  readonly #counted = new Map<RunDevice, Run>()
  readonly #healing = new Map<RunDevice, Run>()
  #pumpTimer: TimerHandle | undefined
  #pumpAt = Number.POSITIVE_INFINITY
  #sweeper: TimerHandle | undefined
  #closed = false

  constructor(context: ProgressContext) {
    this.#context = context
    this.#sweepLater()
  }

  /** How many devices are updated at present. */
  get active(): number {
    return this.#counted.size
  }

  close(): void {
    this.#closed = true
    this.#context.clock.clearTimeout(this.#pumpTimer)
    this.#context.clock.clearTimeout(this.#sweeper)
  }

  // --- One after the other.

  /** @returns whether it waits for its turn now */
  queue(run: Run, device: RunDevice): boolean {
    if (!this.set(run, device, 'queued')) return false
    device.recalled = false
    const record = this.#context.registry.get(device.deviceId)
    const disabled = record && !record.updatesEnabled && !record.updatesForced
    // A device that has disabled updates is told at once that one is pending; it takes nobody's turn.
    if (disabled && run.goesOn) {
      this.#begin(run, device, 'held')
      return false
    }
    run.enqueue(device)
    return true
  }

  /** Begins with as many as may begin now, of all rollouts in turn. */
  pump(): void {
    if (this.#closed) return
    const { clock, random, limits, index, gateway, settings: settingsOf } = this.#context
    const now = clock.now()
    let soonest = Number.POSITIVE_INFINITY
    const going = [...index.all()].filter((run) => run.goesOn && run.queued > 0)
    for (let begun = true; begun && going.length > 0; ) {
      begun = false
      for (const run of going) {
        if (this.#counted.size >= limits.concurrent) return
        const settings = settingsOf(run.record.productId)
        const pacer = this.#pacer(run.record.productId)
        const wait = run.queued > 0 ? pacer.wait(now, settings) : undefined
        if (wait === undefined) continue
        if (wait > 0) {
          soonest = Math.min(soonest, wait)
          continue
        }
        const device = run.next()
        if (!device) continue
        begun = true
        if (!gateway.isOnline(device.deviceId)) {
          device.ready = false
          this.set(run, device, 'waiting')
          continue
        }
        pacer.begin(now, settings, random())
        this.#counted.set(device, run)
        this.#begin(run, device, 'updating')
      }
    }
    if (soonest < Number.POSITIVE_INFINITY) this.#pumpIn(Math.max(shortestWait, soonest))
  }

  /** Once more. */
  again(run: Run, device: RunDevice): void {
    device.retryAt = null
    device.ready = true
    device.jobId = null
    this.set(run, device, 'waiting')
    if (run.goesOn && this.#context.gateway.isOnline(device.deviceId)) this.queue(run, device)
  }

  /** The catalogue has changed: there may be a way now for devices that there was none for. */
  lookAgain(): void {
    const { index } = this.#context
    for (const run of index.all()) {
      if (run.counts.failed === 0 || run.record.state === 'stopped') continue
      for (const device of run.list('failed')) {
        if (!device.reason?.startsWith(notSent) || index.of(device.deviceId)?.run !== run) continue
        device.attempts = 0
        this.again(run, device)
      }
    }
    this.pump()
  }

  retryLater(run: Run, device: RunDevice): void {
    const { clock } = this.#context
    const wait = Math.max(1, (device.retryAt ?? 0) - clock.now())
    clock.setTimeout(() => {
      if (this.#closed || device.state !== 'retrying' || run.devices.get(device.deviceId) !== device) return
      if ((device.retryAt ?? 0) > clock.now()) return
      this.again(run, device)
      this.pump()
    }, wait)
  }

  /** The device is to have something else, or nothing. How it ended stays in the list. */
  leave(run: Run, device: RunDevice): void {
    const { jobId, state } = device
    if (jobId !== null && (state === 'held' || state === 'updating')) this.cancel(jobId)
    if (state === 'done' || state === 'failed') this.#context.index.unassign(device.deviceId, run)
    else this.untrack(run, device)
  }

  untrack(run: Run, device: RunDevice): void {
    this.#uncount(device)
    this.#healing.delete(device)
    run.remove(device)
    this.#context.index.unassign(device.deviceId, run)
    this.#context.store.removeDevice(run.id, device.deviceId)
  }

  /** Takes back what has not begun. */
  async recall(run: Run): Promise<void> {
    const { updates } = this.#context
    const recalled: Promise<unknown>[] = []
    for (const device of run.devices.values()) {
      if (device.state === 'queued') {
        this.set(run, device, 'waiting')
        continue
      }
      const { jobId } = device
      if (jobId === null || (device.state !== 'updating' && device.state !== 'held')) continue
      const active = updates.active(device.deviceId)
      if (active?.id === jobId && active.state !== 'planned' && active.state !== 'waiting') continue
      device.recalled = true
      recalled.push(updates.cancel(jobId))
    }
    await Promise.all(recalled)
  }

  #pumpIn(ms: number): void {
    const { clock } = this.#context
    const at = clock.now() + ms
    if (at >= this.#pumpAt) return
    clock.clearTimeout(this.#pumpTimer)
    this.#pumpAt = at
    this.#pumpTimer = clock.setTimeout(() => {
      this.#pumpAt = Number.POSITIVE_INFINITY
      this.pump()
    }, ms)
  }

  #begin(run: Run, device: RunDevice, state: 'updating' | 'held'): void {
    const { log } = this.#context
    this.set(run, device, state)
    device.jobId = null
    device.reason = null
    device.next = null
    this.#deliver(run, device).catch((error: unknown) => {
      if (this.#closed || run.devices.get(device.deviceId) !== device) return
      if (error instanceof UpdateRefusal) this.failed(run, device, error.message, undefined, error.status < 500)
      else {
        log.error({ error, deviceId: device.deviceId }, 'product firmware could not be sent')
        this.failed(run, device, 'the cloud could not begin the update', undefined, false)
      }
      this.pump()
    })
  }

  async #deliver(run: Run, device: RunDevice): Promise<void> {
    const { productId, version, startedBy } = run.record
    const { file, application } = await this.#file(productId, version)
    const isThere = () => run.devices.get(device.deviceId) === device
    if (this.#closed || !isThere() || !run.goesOn) {
      this.#uncount(device)
      if (isThere()) this.set(run, device, 'waiting')
      return
    }
    const { registry, catalogue, updates } = this.#context
    const record = registry.get(device.deviceId)
    const obstacle = record && application && obstacleFor(record, application, catalogue)
    if (obstacle !== undefined) {
      this.failed(run, device, `${notSent}${obstacle}`, catalogueAdvice, true)
      this.pump()
      return
    }
    const job = await updates.deliver(device.deviceId, {
      file,
      reason: device.why === 'locked' ? 'lock' : 'release',
      productVersion: version,
      ...(startedBy !== '' && { requestedBy: startedBy }),
    })
    if (!isThere()) this.cancel(job.id)
    else if (device.jobId === null) this.onJob(job)
  }

  #file(productId: number, version: number): Promise<OfferedFirmware> {
    const key = `${productId}/${version}`
    const known = this.#files.get(key)
    if (known) return known
    const file = this.#context.products.firmware.content(productId, version).then(read)
    this.#files.set(key, file)
    file.catch(() => this.#files.delete(key))
    if (this.#files.size > filesInMemory) this.#files.delete(this.#files.keys().next().value ?? '')
    return file
  }

  cancel(jobId: string): void {
    this.#context.updates.cancel(jobId).catch((error: unknown) => {
      this.#context.log.error({ error, job: jobId }, 'an update could not be taken back')
    })
  }

  // --- How it goes.

  onJob(job: UpdateJobView): void {
    const found = this.#closed ? undefined : this.#context.index.of(job.deviceId)
    if (!found) return
    const { run, device } = found
    if (job.kind === 'heal') {
      if (device.state === 'healing') this.#onHealing(run, device, job)
      return
    }
    if (job.kind !== 'release' || job.detail.productVersion !== run.record.version) return
    if (device.state !== 'updating' && device.state !== 'held') return
    device.jobId ??= job.id
    if (device.jobId !== job.id) return
    if (isOpen(job)) {
      this.#underWay(run, device, job)
      return
    }
    if (job.state === 'done') this.arrived(run, device)
    else if (job.state === 'failed') {
      this.failed(run, device, job.detail.reason ?? 'the update failed', job.detail.next, false)
    } else if (device.recalled || !run.goesOn) {
      this.#uncount(device)
      device.jobId = null
      this.set(run, device, 'waiting')
    } else this.failed(run, device, job.detail.reason ?? `the update was ${job.state}`, undefined, true)
    this.pump()
  }

  /** Others may go first while a device is not to be updated. */
  #underWay(run: Run, device: RunDevice, { state, detail }: UpdateJobView): void {
    device.updatedAt = this.#context.clock.now()
    if (state === 'waiting' && detail.wait && holding.has(detail.wait.cause)) {
      device.reason = detail.wait.reason
      this.set(run, device, 'held')
      this.#uncount(device)
      this.pump()
      return
    }
    device.reason = null
    this.set(run, device, 'updating')
    if (this.#counted.has(device)) return
    this.#counted.set(device, run)
    this.#pacer(run.record.productId).join()
  }

  #onHealing(run: Run, device: RunDevice, job: UpdateJobView): void {
    device.updatedAt = this.#context.clock.now()
    if (job.state === 'failed' || job.state === 'cancelled') {
      const reason = `the application is installed, and its Device OS could not be: ${job.detail.reason ?? job.state}`
      this.failed(run, device, reason, job.detail.next, true)
      this.pump()
      return
    }
    const { wait } = job.detail
    device.reason = wait?.reason ?? null
    if (job.state === 'waiting' && wait && holding.has(wait.cause)) this.#uncount(device)
    if (job.state === 'done') this.mayRun(run, device)
  }

  /** The application lies in its slot. */
  arrived(run: Run, device: RunDevice): void {
    this.set(run, device, 'healing')
    this.#healing.set(device, run)
    this.mayRun(run, device)
  }

  /** Looks whether the application runs. */
  mayRun(run: Run, device: RunDevice): void {
    const { clock, registry, products, updates, tell } = this.#context
    const { productId, version } = run.record
    const record = registry.get(device.deviceId)
    const firmware = products.firmware.get(productId, version)
    if (!record || !firmware || !isRunning(record, firmware)) return
    this.#healing.delete(device)
    this.#uncount(device)
    device.reason = null
    device.next = null
    device.retryAt = null
    this.set(run, device, 'done')
    const { deviceId, jobId } = device
    if (jobId !== null) {
      const job = { id: jobId, deviceId, kind: 'release' } as const
      // After the job itself has said that it is done.
      clock.setTimeout(() => updates.running(job, { version, hash: firmware.appHash, rollout: run.id }), 0)
    }
    if (run.goesOn && run.open === 0) tell(run, 'complete', { devices: run.counts })
    this.pump()
  }

  /** @param final trying again is of no use */
  failed(run: Run, device: RunDevice, reason: string, next: string | undefined, final: boolean): void {
    const { clock, random, settings: settingsOf, tell, halt } = this.#context
    const settings = settingsOf(run.record.productId)
    this.#uncount(device)
    this.#healing.delete(device)
    device.attempts++
    device.reason = reason
    device.next = next ?? null
    if (!final && device.attempts < settings.attempts) {
      const pause = settings.retryAfter * 1_000 * 2 ** Math.min(10, device.attempts - 1)
      device.retryAt = clock.now() + Math.round(pause * (1 + random() / 10))
      this.set(run, device, 'retrying')
      this.retryLater(run, device)
      return
    }
    this.set(run, device, 'failed')
    tell(run, 'device-failed', { device: device.deviceId, reason })
    const { failed, percent } = run.failures
    const { haltAtFailures, haltAfter } = settings
    if (!run.goesOn || haltAtFailures === null || failed < haltAfter || percent < haltAtFailures) return
    halt(run, `${failed} devices failed, ${Math.round(percent)} % of those that ended; the last: ${reason}`)
  }

  set(run: Run, device: RunDevice, state: RolloutDeviceState): boolean {
    const { state: before } = device
    if (!run.change(device, state, this.#context.clock.now())) return false
    if (lasting.has(state) || lasting.has(before)) this.#context.store.device(run.id, device)
    return true
  }

  #uncount(device: RunDevice): void {
    const run = this.#counted.get(device)
    if (!run) return
    this.#counted.delete(device)
    this.#pacer(run.record.productId).end()
  }

  #pacer(productId: number): Pacer {
    let pacer = this.#pacers.get(productId)
    if (!pacer) {
      pacer = new Pacer()
      this.#pacers.set(productId, pacer)
    }
    return pacer
  }

  #sweepLater(): void {
    this.#sweeper = this.#context.clock.setTimeout(() => {
      this.#sweep()
      this.#sweepLater()
    }, sweepEvery)
  }

  /** Devices that went away in the middle hold nobody up; one that nothing heals has failed. */
  #sweep(): void {
    const { clock, gateway, updates, limits } = this.#context
    const now = clock.now()
    for (const device of [...this.#counted.keys()]) {
      if (now - device.updatedAt > limits.stuck) this.#uncount(device)
    }
    for (const [device, run] of [...this.#healing]) {
      if (now - device.updatedAt < limits.unhealed || !gateway.isOnline(device.deviceId)) continue
      this.mayRun(run, device)
      if (device.state !== 'healing' || updates.active(device.deviceId)) continue
      this.failed(run, device, 'the application is installed, but the device does not run it', undefined, true)
    }
    this.pump()
  }
}

const notSent = 'it was not sent: '
const catalogueAdvice = 'Import the Device OS release that it needs (aloe device-os import): it is tried again then.'

function read(content: Uint8Array): OfferedFirmware {
  const file = new Uint8Array(content)
  if (!isBundle(file)) return { file, application: applicationIn(file) }
  const bundle = openBundle(file)
  return { file, application: typeof bundle === 'string' ? undefined : applicationIn(bundle.application.data) }
}
