/** A piece of update work for one device, as it lies in the store: it survives a restart of the cloud. */
import { randomUUID } from 'node:crypto'
import type { ModuleRef } from '@aloe/firmware'
import type { Selectable } from 'kysely'
import type { UpdateJobTable } from '../store/schema.ts'
import type { Store } from '../store/store.ts'

/** `flash`: an owner's file. `heal`: Device OS modules that an application needs. */
export type JobKind = 'flash' | 'heal'

export type JobState =
  /** The device has not taken the start yet, and nobody was told that it has. */
  | 'starting'
  /** Under way: being sent, or to be sent (again) as soon as the device is there. */
  | 'running'
  /** The device refuses updates at present (`System.disableUpdates`). */
  | 'waiting'
  | 'done'
  | 'failed'
  /** The healer gave up; `detail.reason` says why. */
  | 'stopped'
  /** An owner's flash took its place. */
  | 'superseded'

export interface SentModule extends ModuleRef {
  readonly version: number
  /** Of the Device OS release that it comes from; absent for an owner's file. */
  readonly release?: string
}

export interface JobDetail {
  /** What is being sent, or was sent last. */
  readonly module?: SentModule
  /** Bytes of the file. */
  readonly total?: number
  /** What is still to be sent, `module` first. */
  readonly plan?: readonly SentModule[]
  /** What the device took, in order. */
  readonly sent: readonly SentModule[]
  /** By `moduleLabel`: how often a module was refused or did not arrive in its slot. */
  readonly failures: Readonly<Record<string, number>>
  /** How often the transfer of `module` was interrupted since the device last kept more of it. */
  readonly interruptions: number
  /** The furthest offset at which the device resumed it. */
  readonly resumedAt?: number
  /** The most of it that had arrived when an attempt ended, in bytes. */
  readonly reached?: number
  /** What the device took and has not shown as installed yet. */
  readonly awaited?: SentModule | null
  /** SHA-256 field of an application's file: a device that shows it has the file. */
  readonly hash?: string
  /** Begin at offset 0: what the device kept of the last attempt was of no use. */
  readonly discard?: boolean
  /** System error of the last failure (modules-and-platforms.md 4.3). */
  readonly code?: number
  readonly reason?: string
  /** What the device's state was when the healer stopped: while it is the same, trying again is of no use. */
  readonly signature?: string
}

export interface UpdateJob {
  readonly id: string
  readonly deviceId: string
  readonly kind: JobKind
  state: JobState
  /** User id; null for the healer. */
  readonly requestedBy: string | null
  /** An owner's file, while it is needed. */
  readonly file: Uint8Array | null
  detail: JobDetail
  /** Unix milliseconds. */
  readonly createdAt: number
  updatedAt: number
  finishedAt: number | null
}

export const openStates: readonly JobState[] = ['starting', 'running', 'waiting']

export function isOpen(job: UpdateJob): boolean {
  return openStates.includes(job.state)
}

/** Finished jobs are kept this long, for their owner to read. */
const keptFor = 30 * 24 * 60 * 60 * 1_000

export class JobStore {
  readonly #db: Store['db']
  readonly #now: () => number

  /** @param now Unix milliseconds */
  constructor(store: Store, now: () => number) {
    this.#db = store.db
    this.#now = now
  }

  /** Makes a job durable. */
  async create(job: Pick<UpdateJob, 'deviceId' | 'kind' | 'state' | 'requestedBy' | 'file' | 'detail'>) {
    const now = this.#now()
    const finishedAt = openStates.includes(job.state) ? null : now
    const created: UpdateJob = { ...job, id: randomUUID(), createdAt: now, updatedAt: now, finishedAt }
    await this.#db.insertInto('update_jobs').values(toRow(created)).execute()
    return created
  }

  /** Changes the job, in the store first. A job that ends gives its file up. */
  async update(job: UpdateJob, change: { state?: JobState; detail?: Partial<JobDetail> }): Promise<void> {
    const now = this.#now()
    const state = change.state ?? job.state
    const detail = { ...job.detail, ...change.detail }
    const ended = !openStates.includes(state)
    await this.#db
      .updateTable('update_jobs')
      .set({
        state,
        detail: JSON.stringify(detail),
        updated_at: now,
        ...(ended && { file: null, finished_at: now }),
      })
      .where('id', '=', job.id)
      .execute()
    job.state = state
    job.detail = detail
    job.updatedAt = now
    if (ended) job.finishedAt = now
  }

  /** Jobs that are not finished, oldest first. */
  async open(): Promise<UpdateJob[]> {
    const rows = await this.#db
      .selectFrom('update_jobs')
      .selectAll()
      .where('state', 'in', [...openStates])
      .orderBy('created_at')
      .execute()
    return rows.map(fromRow)
  }

  /** Healings that stopped since `since`, oldest first. */
  async stoppedSince(since: number): Promise<UpdateJob[]> {
    const rows = await this.#db
      .selectFrom('update_jobs')
      .selectAll()
      .where('state', '=', 'stopped')
      .where('updated_at', '>=', since)
      .orderBy('updated_at')
      .execute()
    return rows.map(fromRow)
  }

  /** A device's jobs, newest first. */
  async list(deviceId: string, limit = 20): Promise<UpdateJob[]> {
    const rows = await this.#db
      .selectFrom('update_jobs')
      .selectAll()
      .where('device_id', '=', deviceId)
      .orderBy('created_at', 'desc')
      .limit(limit)
      .execute()
    return rows.map(fromRow)
  }

  async forgetOld(): Promise<void> {
    await this.#db
      .deleteFrom('update_jobs')
      .where('finished_at', '<', this.#now() - keptFor)
      .execute()
  }
}

function toRow(job: UpdateJob): UpdateJobTable {
  return {
    id: job.id,
    device_id: job.deviceId,
    kind: job.kind,
    state: job.state,
    requested_by: job.requestedBy,
    file: job.file,
    detail: JSON.stringify(job.detail),
    created_at: job.createdAt,
    updated_at: job.updatedAt,
    finished_at: job.finishedAt,
  }
}

function fromRow(row: Selectable<UpdateJobTable>): UpdateJob {
  return {
    id: row.id,
    deviceId: row.device_id,
    kind: row.kind as JobKind,
    state: row.state as JobState,
    requestedBy: row.requested_by,
    file: row.file,
    detail: JSON.parse(row.detail) as JobDetail,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    finishedAt: row.finished_at,
  }
}
