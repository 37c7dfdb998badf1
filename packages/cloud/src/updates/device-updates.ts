/**
 * The updates of one device: one transfer at a time, the owner's file before any healing, and everything that must not
 * be forgotten in the store before it is done.
 *
 * It works step by step: look at the device, do the one thing that is next, look again. Every change (a describe, a
 * file, a flag, the end of a transfer) only starts the looking, so no order of events can confuse it.
 */
import { type CatalogueModule, moduleLabel, type SystemDescribe, updateResult } from '@aloe/firmware'
import type { Logger } from 'pino'
import type { DeviceRegistry } from '../devices/registry.ts'
import type { ConnectionInfo, Gateway, RunningUpdate, UpdateOutcome } from '../gateway/gateway.ts'
import type { Catalogue } from './catalogue.ts'
import { disabled, type Failure, type FlashResult, gone, reasonOf, refusal, startRefusal } from './failure.ts'
import type { CheckedFile } from './file-check.ts'
import { decideHealing, type HealingLimits, healingSignature } from './healer.ts'
import { afterInterruption, afterStart, isInterruption, isLoop, loopReason, noInterruptions } from './interruptions.ts'
import type { JobDetail, JobStore, SentModule, UpdateJob } from './job.ts'
import type { TransferSlots } from './transfer-slots.ts'
import type { UpdateEvents } from './update-events.ts'

export interface DeviceUpdatesContext {
  readonly gateway: Gateway
  readonly registry: Pick<DeviceRegistry, 'get'>
  readonly catalogue: Catalogue
  readonly jobs: JobStore
  readonly events: UpdateEvents
  readonly slots: TransferSlots
  readonly log: Logger
  /** Unix milliseconds. */
  readonly now: () => number
  readonly limits: UpdateLimits
  /** The cloud is closing: what breaks now is nobody's fault and goes on after the restart. */
  readonly closing: () => boolean
}

export interface UpdateLimits {
  /** A device that has just connected is left to finish its greetings, in milliseconds. */
  readonly settle: number
  /** How long a flash may wait for the device to take its start. */
  readonly accept: number
  /** How long an accepted flash is kept for a device that does not come back, and a stopped healing is not repeated. */
  readonly patience: number
  readonly healing: HealingLimits
}

export const defaultUpdateLimits: Omit<UpdateLimits, 'healing'> = {
  settle: 500,
  accept: 60_000,
  patience: 24 * 60 * 60 * 1_000,
}

/** A device that took a module is expected back within this time: it may keep its application for 30 s (4.4). */
const restartTime = 120_000

/** What the device kept was of no use. */
const fromZero = { resumedAt: 0 } as const

export const freshDetail: JobDetail = { sent: [], failures: {}, interruptions: 0 }

export class DeviceUpdates {
  readonly deviceId: string
  flashJob: UpdateJob | undefined
  healJob: UpdateJob | undefined
  /** Where healing was given up. */
  stop: { readonly signature: string; readonly at: number } | undefined

  readonly #context: DeviceUpdatesContext
  #running: { readonly job: UpdateJob; readonly update: RunningUpdate; cancelled: boolean } | undefined
  /** The connection in which a module was taken: the device restarts, nothing more happens in it. */
  #sentIn: number | undefined
  #sentAt = 0
  /** Bytes that have arrived in the present or last transfer. */
  #reached = 0
  #answer: ((result: FlashResult) => void) | undefined
  #pendingTold = false
  #working: Promise<void> | undefined
  #again = false
  #settling: NodeJS.Timeout | undefined

  constructor(deviceId: string, context: DeviceUpdatesContext) {
    this.deviceId = deviceId
    this.#context = context
  }

  /** Nothing to do and nothing to remember. */
  get idle(): boolean {
    const job = this.flashJob ?? this.healJob ?? this.#answer ?? this.stop
    return !job && !this.#working && !this.#settling && !this.#pendingTold && !this.restarting
  }

  /** The device restarts to install what it was sent. */
  get restarting(): boolean {
    return this.#sentIn !== undefined && this.#context.now() - this.#sentAt < restartTime
  }

  /** Looks at the device once it has had the time to settle. */
  soon(): void {
    this.#settling ??= setTimeout(() => {
      this.#settling = undefined
      this.look()
    }, this.#context.limits.settle)
  }

  /** Looks at the device now. */
  look(): void {
    this.#again = true
    this.#working ??= this.#work().finally(() => {
      this.#working = undefined
    })
  }

  /** Resolves once nothing is under way any more; the gateway must be closed for that. */
  async end(): Promise<void> {
    clearTimeout(this.#settling)
    this.#settling = undefined
    this.#answer?.({ ok: false, status: 503, error: 'The cloud is closing' })
    await this.#working
  }

  /** Puts an owner's file first. Resolves when the device took the start, or will not. */
  flash(file: Uint8Array, check: CheckedFile, by: string): Promise<FlashResult> {
    if (this.#answer || this.#running?.job.kind === 'flash') {
      return Promise.resolve(refusal(409, 'Another update of this device is under way'))
    }
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#settle(refusal(408, 'Timed out.'))
        this.#cancel()
      }, this.#context.limits.accept)
      this.#answer = (result) => {
        clearTimeout(timer)
        this.#answer = undefined
        resolve(result)
      }
      this.#begin(file, check, by).catch((error: unknown) => {
        this.#context.log.error({ deviceId: this.deviceId, error }, 'the flash could not be begun')
        this.#settle(refusal(500, 'The update could not be stored'))
      })
    })
  }

  async #begin(file: Uint8Array, { modules, hash }: CheckedFile, by: string): Promise<void> {
    const { jobs } = this.#context
    const earlier = this.flashJob
    const [module] = modules
    const job = await jobs.create({
      deviceId: this.deviceId,
      kind: 'flash',
      state: 'starting',
      requestedBy: by,
      file,
      detail: {
        ...freshDetail,
        ...(module && { module }),
        ...(hash !== undefined && { hash }),
        total: file.length,
        plan: modules,
      },
    })
    if (earlier) await jobs.update(earlier, { state: 'superseded' })
    this.flashJob = job
    // A healing in progress makes room where the protocol can say so; otherwise its module is sent to the end.
    if (this.#running?.job.kind === 'heal') this.#cancel()
    this.look()
  }

  #cancel(): void {
    if (this.#running) this.#running.cancelled = this.#running.update.cancel() || this.#running.cancelled
  }

  #settle(result: FlashResult): void {
    this.#answer?.(result)
  }

  async #work(): Promise<void> {
    const { closing, log } = this.#context
    while (this.#again && !closing()) {
      this.#again = false
      try {
        while (!closing() && (await this.#step())) {
          // One more step may be possible at once.
        }
      } catch (error) {
        log.error({ deviceId: this.deviceId, error }, 'an update failed in the cloud')
        this.#settle(refusal(500, 'The update failed in the cloud'))
      }
    }
  }

  /** Does what is next. True when there may be more to do at once. */
  async #step(): Promise<boolean> {
    const connection = this.#context.gateway.connection(this.deviceId)
    if (!connection) {
      // Nobody is there to take a start; after a restart for an update it will be back in a moment.
      if (this.flashJob?.state === 'starting' && !this.restarting) await this.#flashEnds(this.flashJob, gone)
      return false
    }
    if (connection.serial === this.#sentIn) return false
    this.#sentIn = undefined
    if (this.flashJob) return await this.#flash(connection, this.flashJob)
    if (connection.describe) return await this.#heal(connection, connection.describe)
    return false
  }

  // An owner's file.

  async #flash(connection: ConnectionInfo, job: UpdateJob): Promise<boolean> {
    const { limits, now } = this.#context
    const resumed = job.state !== 'starting'
    if (resumed && !connection.describe) return false
    if (resumed && now() - job.createdAt > limits.patience) {
      await this.#flashEnds(job, { ...gone, message: 'the device did not come back in time' })
      return true
    }
    if (job.file === null || (resumed && isInstalled(job, connection.describe))) {
      await this.#flashDone(job)
      return true
    }
    if (!this.#updatesAllowed()) {
      if (!resumed) await this.#flashEnds(job, disabled)
      else await this.#wait(job)
      return !resumed
    }
    const outcome = await this.#transfer(job, job.file)
    if (outcome.ok) {
      this.#taken(connection)
      await this.#flashDone(job)
      return false
    }
    if (this.#context.closing()) return false
    return await this.#flashFailed(connection, job, outcome)
  }

  async #flashFailed(connection: ConnectionInfo, job: UpdateJob, failure: Failure): Promise<boolean> {
    const { jobs, gateway, limits, events } = this.#context
    const accepted = job.state !== 'starting'
    if (accepted && failure.code === updateResult.updatesDisabled) {
      await this.#wait(job)
      return false
    }
    const again = accepted && (failure.interrupted || failure.stage === 'transfer')
    const resume = failure.code === updateResult.resumedUpdateFailed
    if (again || resume) {
      await jobs.update(job, {
        detail: { ...reasonOf(failure), ...this.#interrupted(job), ...(resume && fromZero), discard: resume },
      })
      const resumable = connection.cancellableUpdates
      if (!isLoop(job.detail, resumable, limits.healing)) {
        // A new connection is the one state in which both sides have forgotten the transfer (device-protocol.md 3.18).
        if (!failure.interrupted) gateway.disconnect(this.deviceId, 'the update broke off')
        return false
      }
      await this.#flashEnds(job, { ...failure, message: loopReason(job.detail, job.detail.module, resumable) })
      events.loop(job, resumable)
      return !failure.interrupted
    }
    await this.#flashEnds(job, failure)
    return !failure.interrupted
  }

  /** The device has the file. Whatever was to be healed is planned anew from what it says next. */
  async #flashDone(job: UpdateJob): Promise<void> {
    const { jobs, events } = this.#context
    const { detail } = job
    await jobs.update(job, { state: 'done', detail: { sent: detail.module ? [detail.module] : [] } })
    this.flashJob = undefined
    if (this.healJob) await jobs.update(this.healJob, { state: 'superseded' })
    this.healJob = undefined
    this.stop = undefined
    this.#settle({ ok: true })
    events.flashStatus(this.deviceId, 'success')
    this.#tellPending(false)
  }

  async #flashEnds(job: UpdateJob, failure: Failure): Promise<void> {
    const { jobs, events, log } = this.#context
    const wasAccepted = job.state !== 'starting'
    await jobs.update(job, { state: 'failed', detail: reasonOf(failure) })
    if (this.flashJob === job) this.flashJob = undefined
    log.warn({ deviceId: this.deviceId, job: job.id, code: failure.code, reason: failure.message }, 'flash failed')
    this.#settle(startRefusal(failure))
    if (wasAccepted) events.flashStatus(this.deviceId, 'failed')
    events.failed(job, true)
    this.#tellPending(false)
  }

  // Healing.

  async #heal(connection: ConnectionInfo, describe: SystemDescribe): Promise<boolean> {
    const { catalogue, jobs, events, limits, registry } = this.#context
    const platformId = describe.platformId ?? registry.get(this.deviceId)?.platformId
    if (platformId === null || platformId === undefined) return false
    const modules = catalogue.modules(platformId)
    await this.#noteArrival(describe)
    const job = this.healJob
    const resumable = connection.cancellableUpdates
    const history = job?.detail ?? freshDetail
    const decision = decideHealing(platformId, describe, modules, history, limits.healing, resumable)
    if (decision.kind === 'healthy') {
      if (job) {
        await jobs.update(job, { state: 'done', detail: { plan: [] } })
        this.healJob = undefined
        events.healed(job)
      }
      this.stop = undefined
      this.#tellPending(false)
      return false
    }
    const signature = healingSignature(describe, modules)
    if (!job && this.#stoppedAt(signature)) return false
    if (decision.kind === 'stop') {
      const stopped = await this.#stopHealing(decision.reason, signature, decision.missing)
      if (decision.loop) events.loop(stopped, resumable)
      return false
    }
    const plan = decision.plan.map(sentModule)
    const [module] = decision.plan
    const other = job?.detail.module !== undefined && moduleLabel(job.detail.module) !== moduleLabel(module)
    const detail = {
      module: sentModule(module),
      plan,
      ...(module.size !== undefined && { total: module.size }),
      ...(other && noInterruptions),
    }
    const healing = job ?? (await this.#newHealing(detail))
    const changed = labels(healing.detail.plan) !== labels(plan)
    await jobs.update(healing, { detail })
    if (!job || changed) events.planned(healing, decision.missing)
    if (!this.#updatesAllowed()) {
      await this.#wait(healing)
      return false
    }
    return await this.#send(connection, healing, module)
  }

  async #newHealing(detail: Partial<JobDetail>): Promise<UpdateJob> {
    const job = await this.#context.jobs.create({
      deviceId: this.deviceId,
      kind: 'heal',
      state: 'running',
      requestedBy: null,
      file: null,
      detail: { ...freshDetail, ...detail },
    })
    this.healJob = job
    return job
  }

  /** Did what was sent last arrive in its slot? A device can take a module and then not install it. */
  async #noteArrival(describe: SystemDescribe): Promise<void> {
    const job = this.healJob
    const awaited = job?.detail.awaited
    if (!job || !awaited) return
    const there = describe.modules.some(
      (m) =>
        m.function === awaited.function &&
        m.index === awaited.index &&
        m.store === 'main' &&
        m.version >= awaited.version,
    )
    const reason = `${moduleLabel(awaited)} was taken by the device, but is not installed`
    const detail = there ? {} : { failures: oneMore(job, awaited), reason }
    await this.#context.jobs.update(job, { detail: { ...detail, awaited: null } })
  }

  async #send(connection: ConnectionInfo, job: UpdateJob, module: CatalogueModule): Promise<boolean> {
    const { jobs, events, catalogue, closing } = this.#context
    const sending = sentModule(module)
    const bytes = catalogue.moduleBytes(module)
    await jobs.update(job, { state: 'running' })
    if (this.flashJob) return true
    events.updating(this.deviceId, sending)
    const outcome = await this.#transfer(job, bytes)
    if (outcome.ok) {
      this.#taken(connection)
      await jobs.update(job, {
        detail: { sent: [...job.detail.sent, sending], awaited: sending, discard: false, ...noInterruptions },
      })
      events.flashStatus(this.deviceId, 'success')
      return false
    }
    if (closing()) return false
    return await this.#sendFailed(job, sending, outcome)
  }

  /** Result codes as in modules-and-platforms.md 5.2. */
  async #sendFailed(job: UpdateJob, module: SentModule, failure: Failure): Promise<boolean> {
    const { jobs, events, gateway } = this.#context
    // The owner's file comes first; nothing failed.
    if (failure.cancelled) return true
    if (failure.code === updateResult.updatesDisabled) {
      await this.#wait(job)
      return false
    }
    if (isInterruption(failure)) {
      await jobs.update(job, { detail: { ...this.#interrupted(job), ...reasonOf(failure) } })
      if (!failure.interrupted) gateway.disconnect(this.deviceId, 'the update broke off')
      return false
    }
    const discard = failure.code === updateResult.resumedUpdateFailed
    await jobs.update(job, {
      detail: { failures: oneMore(job, module), ...(discard && fromZero), discard, ...reasonOf(failure) },
    })
    events.flashStatus(this.deviceId, 'failed')
    events.failed(job, false)
    if (failure.code === updateResult.dependencyCheckFailed && gateway.isOnline(this.deviceId)) {
      // The device knows better what it has: its describe, when it comes, starts the next look.
      const asked = await gateway.requestDescribe(this.deviceId, 'system')
      if (asked.ok) return true
    }
    gateway.disconnect(this.deviceId, 'the update failed')
    return false
  }

  async #stopHealing(
    reason: string,
    signature: string,
    missing: Parameters<UpdateEvents['stopped']>[1],
  ): Promise<UpdateJob> {
    const { jobs, events, log, now } = this.#context
    const job = this.healJob ?? (await this.#newHealing({}))
    await jobs.update(job, { state: 'stopped', detail: { reason, signature } })
    this.healJob = undefined
    this.stop = { signature, at: now() }
    log.warn({ deviceId: this.deviceId, job: job.id, reason }, 'the device cannot be healed')
    events.stopped(job, missing)
    this.#tellPending(false)
    return job
  }

  #stoppedAt(signature: string): boolean {
    const { now, limits } = this.#context
    return this.stop?.signature === signature && now() - this.stop.at < limits.patience
  }

  // Both.

  async #transfer(job: UpdateJob, file: Uint8Array): Promise<UpdateOutcome> {
    const { gateway, jobs, events, slots } = this.#context
    const release = await slots.take()
    const progress = events.progressOf(job)
    this.#reached = 0
    try {
      const update = gateway.startUpdate(this.deviceId, file, {
        progress: (bytes, total) => {
          this.#reached = bytes
          progress(bytes, total)
        },
        ...(job.detail.discard && { discard: true }),
      })
      if (!update) return gone
      const running = { job, update, cancelled: false }
      this.#running = running
      const accepted = await update.accepted
      if (accepted.ok) {
        const kept = afterStart(job.detail, accepted.offset)
        if (job.state !== 'running' || kept.resumedAt) await jobs.update(job, { state: 'running', detail: kept })
        if (job.kind === 'flash') this.#settle({ ok: true })
        events.flashStatus(this.deviceId, 'started')
        this.#tellPending(false)
      }
      const outcome = await update.outcome
      return running.cancelled && !outcome.ok ? { ...outcome, cancelled: true } : outcome
    } finally {
      this.#running = undefined
      release()
    }
  }

  #interrupted(job: UpdateJob): Partial<JobDetail> {
    return afterInterruption(job.detail, this.#reached)
  }

  #taken(connection: ConnectionInfo): void {
    this.#sentIn = connection.serial
    this.#sentAt = this.#context.now()
  }

  #updatesAllowed(): boolean {
    const device = this.#context.registry.get(this.deviceId)
    return device ? device.updatesEnabled || device.updatesForced : false
  }

  /** The device refuses updates at present: it is told that one waits, and asked again when it says otherwise. */
  async #wait(job: UpdateJob): Promise<void> {
    if (job.state !== 'waiting') await this.#context.jobs.update(job, { state: 'waiting' })
    this.#tellPending(true)
  }

  #tellPending(on: boolean): void {
    if (this.#pendingTold === on) return
    this.#pendingTold = on
    this.#context.gateway.publishSystem(this.deviceId, 'particle/device/updates/pending', String(on))
    this.#context.events.pending(this.deviceId, on)
  }
}

function oneMore(job: UpdateJob, module: SentModule): Record<string, number> {
  const label = moduleLabel(module)
  return { ...job.detail.failures, [label]: (job.detail.failures[label] ?? 0) + 1 }
}

function sentModule({ function: name, index, version, release }: CatalogueModule): SentModule {
  return { function: name, index, version, release }
}

function labels(plan: readonly SentModule[] = []): string {
  return plan.map(moduleLabel).join()
}

/** After a restart of the cloud: the device may have the file already. Only applications tell it by their hash. */
function isInstalled(job: UpdateJob, describe: SystemDescribe | undefined): boolean {
  const { hash } = job.detail
  return hash !== undefined && (describe?.modules.some((m) => m.store === 'main' && m.hash === hash) ?? false)
}
