/**
 * The work on the jobs of one device, one thing at a time: looks whether what was taken is there, finds what is next,
 * asks whether it may be sent, sends it, and decides what a failure means.
 */
import { missingAssets, missingDependencies, platformById, type SystemDescribe, updateResult } from '@aloe/firmware'
import type { Logger } from 'pino'
import type { DeviceRegistry } from '../devices/registry.ts'
import type { ConnectionInfo, Gateway, UpdateOutcome } from '../gateway/gateway.ts'
import { hasArrived } from './arrival.ts'
import { type BackOff, pauseAfter } from './back-off.ts'
import type { Catalogue } from './catalogue.ts'
import { type DeviceJobs, type DeviceJobsContext, secondsSince } from './device-jobs.ts'
import { type DeviceLink, type DeviceLinkContext, restartTime } from './device-link.ts'
import { disabled, type Failure, type FlashResult, gone, refusal, startRefusal } from './failure.ts'
import type { FileStore } from './file-store.ts'
import { type HealingLimits, healingSignature } from './healer.ts'
import { type HoldContext, holdOf, isMetered, updatesDisabled } from './holds.ts'
import { afterInterruption, afterStart, isLoop, loopReason, noInterruptions } from './interruptions.ts'
import {
  type Awaited,
  freshDetail,
  isOpen,
  type JobDetail,
  labelOf,
  type SentModule,
  type UpdateJob,
  type Wait,
} from './job.ts'
import { labels, type NextStep, nextStep, type Parcel } from './next-step.ts'
import { nextStepFor, reactionTo } from './results.ts'
import { Transfer } from './transfer.ts'
import type { TransferSlots } from './transfer-slots.ts'
import { named } from './update-events.ts'

export interface JobRunnerContext extends DeviceJobsContext, DeviceLinkContext, HoldContext {
  readonly gateway: Gateway
  readonly registry: Pick<DeviceRegistry, 'get'>
  readonly catalogue: Catalogue
  readonly files: FileStore
  readonly slots: TransferSlots
  readonly log: Logger
  readonly limits: UpdateLimits
  /** The cloud is closing: what breaks now is nobody's fault and goes on after the restart. */
  readonly closing: () => boolean
}

/** What the runner asks of whoever calls it. */
export interface JobRunnerHooks {
  /** Answers the owner who waits for a flash to begin; without effect when nobody does. */
  settle(result: FlashResult): void
  /** Something will have changed at that time, Unix milliseconds. */
  wakeAt(at: number): void
}

export interface UpdateLimits {
  /** A device that has just connected is left to finish its greetings, in milliseconds. */
  readonly settle: number
  /** How long a flash may wait for the device to take its start. */
  readonly accept: number
  /** How long an accepted flash is kept for a device that does not come back, and a stopped healing is not repeated. */
  readonly patience: number
  /** A device that resumed its session may not have restarted yet: for so long its describe proves nothing. */
  readonly restart: number
  readonly backOff: BackOff
  readonly healing: HealingLimits
}

type SendStep = Extract<NextStep, { kind: 'send' }>
type StopStep = Extract<NextStep, { kind: 'stop' }>

/** Parts of a file after which the timeline gets an entry. */
const notedShare = 0.1

export class JobRunner {
  /** What is being sent. */
  transfer: Transfer | undefined
  readonly #deviceId: string
  readonly #context: JobRunnerContext
  readonly #link: DeviceLink
  readonly #jobs: DeviceJobs
  readonly #hooks: JobRunnerHooks
  /** Its file was taken while this process watched. */
  #watched: UpdateJob | undefined

  constructor(context: JobRunnerContext, link: DeviceLink, jobs: DeviceJobs, hooks: JobRunnerHooks) {
    this.#deviceId = link.deviceId
    this.#context = context
    this.#link = link
    this.#jobs = jobs
    this.#hooks = hooks
  }

  async mayNeedHealing(connection: ConnectionInfo, describe: SystemDescribe): Promise<boolean> {
    const { now, limits } = this.#context
    const lacks = missingDependencies(describe).length > 0 || missingAssets(describe).length > 0
    if (!lacks && !hasDamage(describe)) {
      this.#jobs.stop = undefined
      this.#link.tellPending(false)
      return false
    }
    const { stop } = this.#jobs
    if (stop && stop.signature === this.signature(describe) && now() - stop.at < limits.patience) return false
    const world = this.#world(connection)
    if (!world) return false
    // The job comes into being with something to do, or with a reason why not.
    const draft: UpdateJob = {
      id: '',
      deviceId: this.#deviceId,
      kind: 'heal',
      state: 'planned',
      requestedBy: null,
      fileHash: null,
      detail: freshDetail,
      createdAt: 0,
      updatedAt: 0,
      finishedAt: null,
    }
    const next = await nextStep(world, draft, describe)
    if (next.kind === 'done') return false
    const detail = next.kind === 'send' ? { ...freshDetail, plan: next.plan, estimate: next.cost } : freshDetail
    const job = await this.#jobs.create({ kind: 'heal', state: 'planned', requestedBy: null, fileHash: null, detail })
    if (next.kind === 'send') {
      this.#context.events.planned(job, next.missing)
      this.#jobs.tell(job, 'planned', plannedDetail(next))
    }
    return true
  }

  /** Looks whether the device installed what it took. True when the job can go on. */
  async verify(connection: ConnectionInfo, job: UpdateJob, awaited: Awaited): Promise<boolean> {
    const { now, limits } = this.#context
    const { describe } = connection
    const told = { modules: awaited.modules.map(named), seconds: secondsSince(awaited.since, now()) }
    const isNews = job.state !== 'verifying'
    if (isNews) this.#jobs.tell(job, 'reset', told)
    if (describe && hasArrived(awaited, describe, job.kind)) {
      this.#jobs.tell(job, 'verified', told)
      // Not written by itself: after a crash it is looked at again.
      this.#jobs.keep(job, { state: 'planned', detail: { awaited: null, wait: null, ...noReason } })
      if (job.kind === 'flash' || job.kind === 'release') await this.#done(job)
      return true
    }
    if (isNews) await this.#jobs.update(job, { state: 'verifying', detail: { wait: null } })
    if (!describe) return false
    const grace = awaited.since + limits.restart
    if ((connection.resumed || this.#watched !== job) && now() < grace) {
      this.#hooks.wakeAt(grace)
      return false
    }
    const reason = `${labels(awaited.modules)} was taken by the device, but is not installed`
    const failures = oneMore(job, awaited.modules)
    await this.#jobs.update(job, { state: 'planned', detail: { awaited: null, failures, reason } })
    this.#jobs.tell(job, 'failed', { modules: told.modules, reason, final: false })
    return true
  }

  async advance(connection: ConnectionInfo, job: UpdateJob): Promise<boolean> {
    const { now, limits, registry } = this.#context
    const { unaccepted, plan } = job.detail
    const world = this.#world(connection)
    if (!world) return false
    if (job.kind === 'flash' && !unaccepted && now() - job.createdAt > limits.patience) {
      await this.fail(job, { ...gone, message: 'the device did not come back in time' })
      return true
    }
    const known = connection.describe ?? (unaccepted ? registry.get(this.#deviceId)?.describe : undefined)
    const describe = known ?? (unaccepted ? { modules: [] } : undefined)
    if (!describe) return false
    const next = await nextStep(world, job, describe)
    if (!isOpen(job)) return true
    if (next.kind === 'done') {
      await this.#done(job)
      return true
    }
    if (next.kind === 'stop') {
      await this.#stopped(connection, job, next)
      return true
    }
    const isNew = job.kind === 'heal' || job.kind === 'update' || job.kind === 'downgrade'
    if (isNew && (labels(plan) !== labels(next.plan) || !job.detail.estimate)) {
      const detail = { plan: next.plan, estimate: job.detail.estimate ?? next.cost }
      await this.#jobs.update(job, { detail })
      if (job.kind === 'heal') this.#context.events.planned(job, next.missing)
      this.#jobs.tell(job, 'planned', plannedDetail(next))
    }
    const hold = await this.#holdOf(connection, job, next.parcel)
    if (!isOpen(job) || this.#jobs.first !== job) return true
    if (hold) return await this.#hold(job, hold)
    return await this.#send(connection, job, next)
  }

  async #holdOf(connection: ConnectionInfo, job: UpdateJob, parcel: Parcel): Promise<Wait | undefined> {
    const platformId = this.#context.registry.get(this.#deviceId)?.platformId ?? connection.hello.platformId
    return await holdOf(this.#context, this.#link, job, parcel, platformId, connection.safeMode)
  }

  /** @returns whether something else may be next */
  async #hold(job: UpdateJob, wait: Wait): Promise<boolean> {
    if (!job.detail.unaccepted) {
      await this.waits(job, wait)
      return false
    }
    if (wait.cause === 'updates-disabled') {
      await this.fail(job, disabled)
      return true
    }
    const next = 'Flash it with force (aloe flash --force), or change the update policy.'
    this.#hooks.settle(refusal(409, `The update is held back: ${wait.reason}. ${next}`))
    await this.#jobs.end(job, 'failed', { reason: wait.reason, next })
    return true
  }

  /** The job goes on later: at a known time, or when the device, its owner or its policy says something else. */
  async waits(job: UpdateJob, wait: Wait): Promise<void> {
    const before = job.detail.wait
    if (job.state !== 'waiting' || before?.cause !== wait.cause || before.reason !== wait.reason) {
      await this.#jobs.update(job, { state: 'waiting', detail: { wait } })
      this.#jobs.tell(job, 'waiting', wait)
    }
    if (wait.until !== undefined) this.#hooks.wakeAt(wait.until)
    if (wait.cause === 'updates-disabled' || wait.cause === 'consent') this.#link.tellPending(true)
  }

  async #send(connection: ConnectionInfo, job: UpdateJob, { parcel, plan }: SendStep): Promise<boolean> {
    const { clock, events, gateway, closing, data, now } = this.#context
    const module = parcel.modules.at(-1)
    const [first] = parcel.modules
    if (!module || !first) return false
    const counted = data.reserve(this.#deviceId, parcel.file.length, this.#budgets(connection, job))
    // Others were faster: it is asked again whether it may be sent.
    if (!counted) return true
    const other = job.detail.module !== undefined && labelOf(job.detail.module) !== labelOf(module)
    const keepsPlan = job.kind === 'flash' || job.kind === 'release'
    job.detail = {
      ...job.detail,
      module,
      total: parcel.file.length,
      ...(!keepsPlan && { plan }),
      ...(other && noInterruptions),
    }
    if (job.kind === 'heal' && parcel.asset === undefined) events.updating(this.#deviceId, first)
    if (job.kind === 'release') events.autoUpdate(this.#deviceId)
    const transfer = new Transfer(job, parcel)
    this.transfer = transfer
    const begun = now()
    const modules = parcel.modules.map(named)
    const progress = events.progressOf(job)
    let noted = 0
    let outcome: UpdateOutcome
    try {
      outcome = await transfer.run(this.#context, {
        waits: async () => {
          if (!job.detail.unaccepted) await this.waits(job, { cause: 'slots', reason: 'other devices are sent to' })
        },
        accepted: async (offset) => {
          if (!isOpen(job)) return
          const kept = afterStart(job.detail, offset)
          await this.#jobs.update(job, { state: 'sending', detail: { ...kept, unaccepted: false, wait: null } })
          if (job.kind === 'flash') this.#hooks.settle({ ok: true })
          events.flashStatus(this.#deviceId, 'started')
          this.#jobs.tell(job, 'started', { modules, module: named(module), bytes: offset, total: transfer.total })
          this.#link.tellPending(false)
          data.estimate(this.#deviceId, transfer.total - offset)
        },
        progress: (bytes, total) => {
          progress(bytes, total)
          if (bytes < total && bytes - noted < notedShare * total) return
          noted = bytes
          this.#jobs.note(job, 'progress', { module: named(module), bytes, total, seconds: secondsSince(begun, now()) })
        },
      })
    } finally {
      this.transfer = undefined
      gateway.collectTraffic(this.#deviceId)
      counted()
    }
    const bytes = (job.detail.bytes ?? 0) + Math.max(0, transfer.reached - transfer.offset)
    const coprocessor = parcel.modules.some((sent) => sent.function === 'ncp_firmware')
    if (outcome.ok) this.#link.taken(connection, coprocessor)
    if (closing() || !isOpen(job)) return !outcome.ok
    if (!outcome.ok) {
      job.detail = { ...job.detail, bytes }
      return await this.#sendFailed(connection, job, transfer, outcome)
    }
    this.#watched = job
    await this.#jobs.update(job, {
      state: 'resetting',
      detail: {
        ...noInterruptions,
        bytes,
        resets: (job.detail.resets ?? 0) + 1,
        sent: [...job.detail.sent, ...parcel.modules],
        awaited: awaitedOf(parcel, clock.now()),
        discard: false,
        unaccepted: false,
        wait: null,
        backoffs: 0,
        retryAt: 0,
      },
    })
    this.#hooks.settle({ ok: true })
    const seconds = secondsSince(begun, now())
    this.#jobs.tell(job, 'finished', { modules, module: named(module), bytes: transfer.total, seconds })
    events.flashStatus(this.#deviceId, 'success')
    if (job.kind === 'flash') await this.#newWill()
    this.#hooks.wakeAt(now() + restartTime + 1)
    return false
  }

  /** The device has what its owner wanted. Whatever was to be healed is planned anew from what it says next. */
  async #newWill(): Promise<void> {
    for (const job of this.#jobs.open) if (job.kind === 'heal') await this.#jobs.end(job, 'superseded')
    this.#jobs.stop = undefined
    this.#link.tellPending(false)
  }

  /** Result codes as in modules-and-platforms.md 5.2. @returns whether something can be done at once */
  async #sendFailed(
    connection: ConnectionInfo,
    job: UpdateJob,
    transfer: Transfer,
    failure: Failure,
  ): Promise<boolean> {
    const { gateway, limits, now, events } = this.#context
    const { parcel } = transfer
    if (failure.cancelled) {
      // Another job came first, and nothing failed; or the device did not take it in time, as its owner was told.
      if (job.detail.unaccepted && isOpen(job)) await this.fail(job, gone)
      return true
    }
    if (failure === gone) {
      if (!job.detail.unaccepted) return false
      await this.fail(job, gone)
      return true
    }
    this.#link.expectBack()
    const { unaccepted = false } = job.detail
    const reaction = reactionTo(failure, parcel.squeezed)
    const told = { code: failure.code, reason: failure.message }
    // An owner who waits is told at once; the healer has patience.
    const patient = job.kind !== 'flash'
    const again = { failures: oneMore(job, parcel.modules), ...told }
    switch (reaction) {
      case 'wait':
        return await this.#hold(job, updatesDisabled)
      case 'again': {
        if (unaccepted) break
        await this.#jobs.update(job, { detail: { ...afterInterruption(job.detail, transfer.reached), ...told } })
        const resumable = connection.cancellableUpdates
        if (isLoop(job.detail, resumable, limits.healing)) {
          const reason = loopReason(job.detail, job.detail.module, resumable)
          if (patient) await this.#stopped(connection, job, { kind: 'stop', reason, loop: true, missing: [] })
          else {
            await this.fail(job, { ...failure, message: reason })
            events.loop(job, resumable)
          }
          return !failure.interrupted
        }
        // A new connection is the one state in which both sides have forgotten the transfer (device-protocol.md 3.18).
        if (!failure.interrupted) gateway.disconnect(this.#deviceId, 'the update broke off')
        return false
      }
      case 'restart':
        return await this.#retry(job, { ...again, resumedAt: 0, discard: true }, parcel, unaccepted)
      case 'plain':
        return await this.#retry(job, { ...told, plain: true, resumedAt: 0 }, parcel, unaccepted)
      case 'replan': {
        if (!patient) break
        await this.#retry(job, again, parcel, false, false)
        const asked = gateway.isOnline(this.#deviceId)
          ? await gateway.requestDescribe(this.#deviceId, 'system')
          : undefined
        if (asked?.ok) return true
        gateway.disconnect(this.#deviceId, 'the update failed')
        return false
      }
      case 'retry': {
        if (!patient) break
        const backoffs = (job.detail.backoffs ?? 0) + 1
        const retryAt = now() + pauseAfter(backoffs, limits.backOff)
        return await this.#retry(job, { ...again, backoffs, retryAt }, parcel, false)
      }
      case 'give-up':
        if (job.kind !== 'heal') break
        events.flashStatus(this.#deviceId, 'failed')
        await this.#stopped(connection, job, { kind: 'stop', reason: failure.message, missing: [] }, failure.code)
        return !failure.interrupted
    }
    await this.fail(job, failure)
    return !failure.interrupted
  }

  /** Once more, in a new session. */
  async #retry(
    job: UpdateJob,
    detail: Partial<JobDetail>,
    parcel: Parcel,
    quietly: boolean,
    reconnect = true,
  ): Promise<boolean> {
    const { events, gateway } = this.#context
    await this.#jobs.update(job, { state: 'planned', detail })
    if (!quietly) {
      const { code, reason } = job.detail
      events.flashStatus(this.#deviceId, 'failed')
      const modules = parcel.modules.map(named)
      const module = modules.at(-1)
      this.#jobs.tell(job, 'failed', { module, modules, code, reason, final: false })
    }
    if (reconnect) gateway.disconnect(this.#deviceId, 'the update failed')
    return false
  }

  /** It cannot be done, or was tried often enough. */
  async #stopped(connection: ConnectionInfo, job: UpdateJob, stop: StopStep, code = job.detail.code): Promise<void> {
    const { events, log, now } = this.#context
    const { reason, missing, loop } = stop
    const describe = connection.describe ?? this.#context.registry.get(this.#deviceId)?.describe ?? undefined
    const signature = describe && this.signature(describe)
    const next = stop.next ?? (loop ? loopAdvice : nextStepFor(code ?? updateResult.dependencyCheckFailed))
    log.warn({ deviceId: this.#deviceId, job: job.id, kind: job.kind, reason }, 'the update was given up')
    const detail = { reason, next, ...(code !== undefined && { code }), ...(signature !== undefined && { signature }) }
    if (job.kind !== 'heal') {
      const wasAccepted = !job.detail.unaccepted
      await this.#jobs.end(job, 'failed', detail)
      if (wasAccepted) events.flashStatus(this.#deviceId, 'failed')
      else this.#hooks.settle(refusal(400, reason))
    } else {
      await this.#jobs.end(job, 'failed', detail)
      if (signature !== undefined) this.#jobs.stop = { signature, at: now() }
      events.stopped(job, missing)
    }
    if (loop) events.loop(job, connection.cancellableUpdates)
    this.#link.tellPending(false)
  }

  async fail(job: UpdateJob, failure: Failure): Promise<void> {
    const { events, log } = this.#context
    const wasAccepted = !job.detail.unaccepted
    const { code, message } = failure
    log.warn({ deviceId: this.#deviceId, job: job.id, code, reason: message }, 'the update failed')
    await this.#jobs.end(job, 'failed', { code, reason: message, next: nextStepFor(code) })
    this.#hooks.settle(startRefusal(failure))
    if (wasAccepted) events.flashStatus(this.#deviceId, 'failed')
    this.#link.tellPending(false)
  }

  async #done(job: UpdateJob): Promise<void> {
    await this.#jobs.end(job, 'done', job.kind === 'heal' ? { plan: [] } : {})
    if (job.kind === 'heal') this.#context.events.healed(job)
    if (job.kind !== 'release') this.#jobs.stop = undefined
    this.#link.tellPending(false)
  }

  /** Of all devices together, where they hold. */
  #budgets(connection: ConnectionInfo, job: UpdateJob): [string, number][] {
    const { policies, registry } = this.#context
    const platformId = registry.get(this.#deviceId)?.platformId ?? connection.hello.platformId
    if (job.detail.force || !isMetered(policies.of(this.#deviceId), platformId)) return []
    return policies.sharedBudgets(this.#deviceId).filter(([scope]) => !scope.startsWith('device:'))
  }

  #world(connection: ConnectionInfo) {
    const { catalogue, files, limits, registry } = this.#context
    const id = connection.describe?.platformId ?? registry.get(this.#deviceId)?.platformId ?? undefined
    const platform = id === undefined ? undefined : platformById(id)
    if (!platform) return undefined
    // In a resumed session the describe may be of before a restart (device-protocol.md 2.6.2).
    const mayBeOld = connection.resumed && this.#jobs.open.some(({ detail }) => detail.awaited)
    const described = connection.describe !== undefined && !mayBeOld
    return { platform, catalogue, files, limits: limits.healing, resumable: connection.cancellableUpdates, described }
  }

  signature(describe: SystemDescribe): string {
    const { catalogue, registry } = this.#context
    const platformId = describe.platformId ?? registry.get(this.#deviceId)?.platformId ?? -1
    return healingSignature(describe, catalogue.modules(platformId))
  }
}

const noReason = { reason: undefined, code: undefined } as const

const loopAdvice =
  'Find out what resets the device (a watchdog?) or breaks its connection, and try again; by cable it goes without.'

function oneMore(job: UpdateJob, modules: readonly SentModule[]): Record<string, number> {
  const label = labels(modules.slice(0, 1))
  return { ...job.detail.failures, [label]: (job.detail.failures[label] ?? 0) + 1 }
}

function plannedDetail({ plan, cost, missing }: SendStep): object {
  return { plan: plan.map(named), missing: missing.map(labelOf), ...cost }
}

function awaitedOf({ modules, hash, asset }: Parcel, since: number): Awaited {
  return { modules, since, ...(hash !== undefined && { hash }), ...(asset !== undefined && { asset }) }
}

/** Damaged modules are healed as well: they count as absent, also where nothing names them. */
function hasDamage({ modules }: SystemDescribe): boolean {
  return modules.some(({ store, checked, passed }) => store === 'main' && (checked & ~passed & 2) !== 0)
}
