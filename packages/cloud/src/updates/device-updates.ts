/**
 * The updates of one device: one transfer at a time, the owner's word before any healing, and everything that must not
 * be forgotten in the store before it is done.
 *
 * It works step by step: look at the device, do the one thing that is next, look again. Every change (a describe, a
 * file, a flag, the end of a transfer, a timer) only starts the looking, so no order of events can confuse it.
 */
import type { TimerHandle } from '../clock.ts'
import { DeviceJobs } from './device-jobs.ts'
import { DeviceLink } from './device-link.ts'
import { type FlashResult, gone, refusal } from './failure.ts'
import type { CheckedFile } from './file-check.ts'
import { freshDetail, isOpen, type UpdateJob } from './job.ts'
import { JobRunner, type JobRunnerContext } from './job-runner.ts'
import type { NewJob } from './job-store.ts'

export interface DeviceUpdatesContext extends JobRunnerContext {
  /** The device needs no memory any more. @param work there are open jobs in the store */
  readonly forget: (device: DeviceUpdates, work: boolean) => void
}

/** Milliseconds until an update is looked at again that failed in the cloud itself. */
const afterError = 60_000

export class DeviceUpdates {
  readonly deviceId: string
  readonly link: DeviceLink
  readonly #context: DeviceUpdatesContext
  readonly #jobs: DeviceJobs
  readonly #runner: JobRunner
  #answer: ((result: FlashResult) => void) | undefined
  #working: Promise<void> | undefined
  #again = false
  #asking = 0
  #settling: TimerHandle | undefined
  #timer: TimerHandle | undefined
  #wakesAt = Number.POSITIVE_INFINITY
  #ended = false

  constructor(deviceId: string, context: DeviceUpdatesContext) {
    this.deviceId = deviceId
    this.#context = context
    this.link = new DeviceLink(deviceId, context)
    this.#jobs = new DeviceJobs(deviceId, context)
    this.#runner = new JobRunner(context, this.link, this.#jobs, {
      settle: (result) => this.#answer?.(result),
      wakeAt: (at) => this.#wakeAt(at),
    })
  }

  /** The job that is under way, and how far its transfer is. */
  get active(): { job: UpdateJob; bytes: number; total: number } | undefined {
    const job = this.#runner.transfer?.job ?? this.#jobs.first
    if (!job || !isOpen(job)) return undefined
    const transfer = this.#runner.transfer?.job === job ? this.#runner.transfer : undefined
    return { job, bytes: transfer?.reached ?? 0, total: transfer?.total ?? job.detail.total ?? 0 }
  }

  /** Looks at the device once it has had the time to settle. */
  soon(): void {
    const { clock, limits } = this.#context
    this.#settling ??= clock.setTimeout(() => {
      this.#settling = undefined
      this.look()
    }, limits.settle)
  }

  /** Looks at the device now. */
  look(): void {
    if (this.#ended) return
    this.#again = true
    this.#working ??= this.#work().finally(() => {
      this.#working = undefined
      this.#rest()
    })
  }

  /** Resolves once nothing is under way any more; the gateway must be closed for that. */
  async end(): Promise<void> {
    this.#ended = true
    this.#context.clock.clearTimeout(this.#settling)
    this.#context.clock.clearTimeout(this.#timer)
    this.#answer?.(refusal(503, 'The cloud is closing'))
    await this.#working
  }

  /** Puts an owner's file first. Resolves when the device took the start, or will not. */
  flash(fileHash: string, size: number, check: CheckedFile, by: string, force: boolean): Promise<FlashResult> {
    if (this.#answer || this.#runner.transfer?.job.kind === 'flash') {
      return Promise.resolve(refusal(409, 'Another update of this device is under way'))
    }
    const { clock, limits, log } = this.#context
    return new Promise((resolve) => {
      const timer = clock.setTimeout(() => {
        this.#answer?.(refusal(408, 'Timed out.'))
        if (this.#runner.transfer?.job.kind === 'flash') this.#runner.transfer.cancel()
      }, limits.accept)
      this.#answer = (result) => {
        clock.clearTimeout(timer)
        this.#answer = undefined
        resolve(result)
      }
      const { modules, hash } = check
      const [module] = modules
      this.enqueue({
        kind: 'flash',
        state: 'planned',
        requestedBy: by,
        fileHash,
        detail: {
          ...freshDetail,
          ...(module && { module }),
          ...(hash !== undefined && { hash }),
          ...(force && { force }),
          total: size,
          plan: modules,
          unaccepted: true,
        },
      }).catch((error: unknown) => {
        log.error({ deviceId: this.deviceId, error }, 'the flash could not be begun')
        this.#answer?.(refusal(500, 'The update could not be stored'))
      })
    })
  }

  /** Takes a job up. */
  async enqueue(job: Omit<NewJob, 'deviceId'>): Promise<UpdateJob> {
    return await this.#asked(() => this.#enqueue(job))
  }

  /** Keeps its memory while somebody asks something of it. */
  async #asked<T>(work: () => Promise<T>): Promise<T> {
    this.#asking++
    try {
      return await work()
    } finally {
      this.#asking--
      this.look()
    }
  }

  async #enqueue(job: Omit<NewJob, 'deviceId'>): Promise<UpdateJob> {
    await this.#jobs.load(this.#context.limits.patience)
    const created = await this.#jobs.create(job)
    await this.#jobs.supersede(created)
    // What is sent for a job that is over, or a healing before an owner's file, makes room where the protocol can say
    // so; otherwise it is sent to its end.
    const running = this.#runner.transfer
    if (running && (!isOpen(running.job) || (job.kind === 'flash' && running.job.kind === 'heal'))) running.cancel()
    return created
  }

  /** Ends a job. What the device takes at the moment it may still install. False when there is no such open job. */
  async cancel(jobId: string): Promise<boolean> {
    return await this.#asked(() => this.#cancel(jobId))
  }

  async #cancel(jobId: string): Promise<boolean> {
    await this.#jobs.load(this.#context.limits.patience)
    const job = this.#jobs.open.find(({ id }) => id === jobId)
    if (!job) return false
    const describe = this.#context.registry.get(this.deviceId)?.describe
    const signature = job.kind === 'heal' && describe ? this.#runner.signature(describe) : undefined
    await this.#jobs.end(job, 'cancelled', {
      reason: 'its owner ended it',
      ...(signature !== undefined && { signature }),
    })
    if (signature !== undefined) this.#jobs.stop = { signature, at: this.#context.now() }
    if (this.#runner.transfer?.job === job) this.#runner.transfer.cancel()
    if (job.detail.unaccepted) this.#answer?.(refusal(409, 'The update was cancelled'))
    this.link.tellPending(false)
    return true
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
        // A disk that is full, or a release that cannot be read, may be mended meanwhile.
        this.#wakeAt(this.#context.now() + afterError)
        this.#answer?.(refusal(500, 'The update failed in the cloud'))
      }
    }
  }

  /** Gives its memory back where nothing is to be remembered that the store does not know. */
  #rest(): void {
    if (this.#ended || this.#asking > 0 || this.#answer || this.#runner.transfer || this.#settling !== undefined) return
    if (this.link.expectedUntil !== undefined || this.link.pendingTold) return
    const work = this.#jobs.open.length > 0
    if (work && this.link.connection) return
    this.#ended = true
    this.#context.clock.clearTimeout(this.#timer)
    this.#context.forget(this, work)
  }

  /** Looks again at that time, or earlier. */
  #wakeAt(at: number): void {
    if (at >= this.#wakesAt) return
    const { clock } = this.#context
    clock.clearTimeout(this.#timer)
    this.#wakesAt = at
    this.#timer = clock.setTimeout(
      () => {
        this.#wakesAt = Number.POSITIVE_INFINITY
        this.look()
      },
      // Timers count in 32 bits.
      Math.min(Math.max(1, at - clock.now()), 2 ** 31 - 1),
    )
  }

  /** Does what is next. True when there may be more to do at once. */
  async #step(): Promise<boolean> {
    await this.#jobs.load(this.#context.limits.patience)
    const { connection, expectedUntil } = this.link
    const job = this.#jobs.first
    if (expectedUntil !== undefined) this.#wakeAt(expectedUntil + 1)
    if (!connection) {
      if (job && expectedUntil === undefined) await this.#absent(job)
      return false
    }
    if (this.link.rests(connection)) return false
    if (!job) return connection.describe ? await this.#runner.mayNeedHealing(connection, connection.describe) : false
    if (job.detail.awaited && !(await this.#runner.verify(connection, job, job.detail.awaited))) return false
    return isOpen(job) ? await this.#runner.advance(connection, job) : true
  }

  /** Nobody is there to take it. */
  async #absent(job: UpdateJob): Promise<void> {
    if (job.detail.unaccepted) await this.#runner.fail(job, gone)
    else if (job.detail.wait?.cause !== 'offline') {
      await this.#runner.waits(job, { cause: 'offline', reason: 'the device is offline' })
    }
  }
}
