/** The open jobs of one device: out of the store when they are needed, and every change of them told. */
import type { HealingStop } from './healer.ts'
import { firstOf, isOpen, type JobDetail, type JobState, supersedes, type UpdateJob } from './job.ts'
import type { JobStore, NewJob } from './job-store.ts'
import type { Timeline, TimelineStep } from './timeline.ts'
import { named, type UpdateEvents } from './update-events.ts'

export interface DeviceJobsContext {
  readonly jobs: JobStore
  readonly timeline: Timeline
  readonly events: UpdateEvents
  readonly now: () => number
  /** A job is another than before. */
  readonly changed: (job: UpdateJob) => void
}

export class DeviceJobs {
  readonly #deviceId: string
  readonly #context: DeviceJobsContext
  #open: UpdateJob[] = []
  #loading: Promise<void> | undefined
  #loaded = false
  /** Where healing was given up. */
  stop: HealingStop | undefined

  constructor(deviceId: string, context: DeviceJobsContext) {
    this.#deviceId = deviceId
    this.#context = context
  }

  get open(): readonly UpdateJob[] {
    return this.#open
  }

  /** What is to be done first. */
  get first(): UpdateJob | undefined {
    return firstOf(this.#open)
  }

  /** @param patience how long a healing that stopped is not repeated, in milliseconds */
  async load(patience: number): Promise<void> {
    if (this.#loaded) return
    this.#loading ??= this.#load(patience)
    await this.#loading
  }

  async #load(patience: number): Promise<void> {
    const { jobs, now } = this.#context
    const found = await jobs.open(this.#deviceId)
    this.stop = await jobs.lastStop(this.#deviceId, now() - patience)
    this.#open = found
    for (const job of found) {
      const later = found.some((other) => other.createdAt > job.createdAt && supersedes[other.kind].includes(job.kind))
      if (job.detail.unaccepted)
        await this.end(job, 'failed', { reason: 'the cloud stopped before the device took it' })
      else if (later) await this.end(job, 'superseded')
    }
    this.#loaded = true
  }

  async create(job: Omit<NewJob, 'deviceId'>): Promise<UpdateJob> {
    const created = await this.#context.jobs.create({ deviceId: this.#deviceId, ...job })
    this.#open.push(created)
    const { plan = [], target, total, estimate, why, productVersion } = created.detail
    this.tell(created, 'queued', { modules: plan.map(named), target, bytes: total, estimate, why, productVersion })
    this.#context.changed(created)
    return created
  }

  async update(job: UpdateJob, change: { state?: JobState; detail?: Partial<JobDetail> }): Promise<void> {
    await this.#context.jobs.update(job, change)
    if (!isOpen(job)) this.#open = this.#open.filter((other) => other !== job)
    this.#context.changed(job)
  }

  /** Changes the job in memory alone: the next `update` takes it along. */
  keep(job: UpdateJob, { state, detail }: { readonly state: JobState; readonly detail: Partial<JobDetail> }): void {
    job.state = state
    job.detail = { ...job.detail, ...detail }
    this.#context.changed(job)
  }

  /** The job is over. @param detail `reason`, `code`, `next` */
  async end(
    job: UpdateJob,
    state: 'done' | 'failed' | 'cancelled' | 'superseded',
    detail: Partial<JobDetail> = {},
  ): Promise<void> {
    if (!isOpen(job)) return
    await this.update(job, { state, detail: { ...detail, wait: null, awaited: null } })
    const { module, sent, bytes = 0, resets = 0, code, reason, next } = job.detail
    const seconds = secondsSince(job.createdAt, this.#context.now())
    this.tell(job, state, {
      ...(module && { module: named(module) }),
      sent: sent.map(named),
      bytes,
      resets,
      seconds,
      ...(state === 'failed' && { code, reason, next, final: true }),
    })
  }

  /** What a new job makes needless. */
  async supersede(by: UpdateJob): Promise<void> {
    for (const job of this.#open) {
      if (job !== by && supersedes[by.kind].includes(job.kind)) await this.end(job, 'superseded')
    }
  }

  /** A step of the job's timeline, which is an event as well. */
  tell(job: UpdateJob, what: TimelineStep, detail: object): void {
    this.#context.timeline.record(job, what, detail)
    this.#context.events.step(job, what, detail)
  }

  /** For the timeline alone. */
  note(job: UpdateJob, what: TimelineStep, detail: object): void {
    this.#context.timeline.record(job, what, detail)
  }
}

export function secondsSince(since: number, now: number): number {
  return Math.round((now - since) / 10) / 100
}
