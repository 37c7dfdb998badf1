/** Update jobs as they lie in the store. */
import { randomUUID } from 'node:crypto'
import type { Selectable } from 'kysely'
import type { UpdateJobTable } from '../store/schema.ts'
import type { Store } from '../store/store.ts'
import type { GroupCommit } from './group-commit.ts'
import { isOpen, type JobDetail, type JobKind, type JobState, openStates, type UpdateJob } from './job.ts'

/** Finished jobs are kept this long, for their owner to read. */
export const keptFor = 30 * 24 * 60 * 60 * 1_000

export type NewJob = Pick<UpdateJob, 'deviceId' | 'kind' | 'state' | 'requestedBy' | 'fileHash' | 'detail'>

export class JobStore {
  readonly #db: Store['db']
  readonly #commits: GroupCommit
  readonly #now: () => number

  /** @param now Unix milliseconds */
  constructor(store: Store, commits: GroupCommit, now: () => number) {
    this.#db = store.db
    this.#commits = commits
    this.#now = now
  }

  /** Makes a job durable. */
  async create(job: NewJob): Promise<UpdateJob> {
    const now = this.#now()
    const created: UpdateJob = {
      ...job,
      id: randomUUID(),
      createdAt: now,
      updatedAt: now,
      finishedAt: isOpen(job) ? null : now,
    }
    await this.#commits.write((db) => db.insertInto('update_jobs').values(toRow(created)).execute())
    return created
  }

  /** Changes the job, in the store first. A job that ends gives its file up. */
  async update(job: UpdateJob, change: { state?: JobState; detail?: Partial<JobDetail> }): Promise<void> {
    const now = this.#now()
    const state = change.state ?? job.state
    const detail = { ...job.detail, ...change.detail }
    const ended = !isOpen({ state })
    await this.#commits.write((db) =>
      db
        .updateTable('update_jobs')
        .set({
          state,
          detail: JSON.stringify(detail),
          updated_at: now,
          ...(ended && { file_hash: null, finished_at: now }),
        })
        .where('id', '=', job.id)
        .execute(),
    )
    job.state = state
    job.detail = detail
    job.updatedAt = now
    if (!ended) return
    job.fileHash = null
    job.finishedAt = now
  }

  /** Devices that have work which is not finished. */
  async devicesWithWork(): Promise<string[]> {
    const rows = await this.#db
      .selectFrom('update_jobs')
      .select('device_id')
      .distinct()
      .where('state', 'in', [...openStates])
      .execute()
    return rows.map(({ device_id }) => device_id)
  }

  /** A device's jobs that are not finished, oldest first. */
  async open(deviceId: string): Promise<UpdateJob[]> {
    const rows = await this.#db
      .selectFrom('update_jobs')
      .selectAll()
      .where('device_id', '=', deviceId)
      .where('state', 'in', [...openStates])
      .orderBy('created_at')
      .execute()
    return rows.map(fromRow)
  }

  /** Where the device's healing was last given up, since then. */
  async lastStop(deviceId: string, since: number): Promise<{ signature: string; at: number } | undefined> {
    const rows = await this.#db
      .selectFrom('update_jobs')
      .selectAll()
      .where('device_id', '=', deviceId)
      .where('kind', '=', 'heal')
      .where('state', 'in', ['failed', 'cancelled'])
      .where('updated_at', '>=', since)
      .orderBy('updated_at', 'desc')
      .limit(1)
      .execute()
    const [job] = rows.map(fromRow)
    const signature = job?.detail.signature
    return job && signature !== undefined ? { signature, at: job.updatedAt } : undefined
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

  async get(id: string): Promise<UpdateJob | undefined> {
    const row = await this.#db.selectFrom('update_jobs').selectAll().where('id', '=', id).executeTakeFirst()
    return row && fromRow(row)
  }

  async forgetOld(): Promise<void> {
    const before = this.#now() - keptFor
    await this.#commits.write(async (db) => {
      await db.deleteFrom('update_jobs').where('finished_at', '<', before).execute()
    })
  }
}

function toRow(job: UpdateJob): UpdateJobTable {
  return {
    id: job.id,
    device_id: job.deviceId,
    kind: job.kind,
    state: job.state,
    requested_by: job.requestedBy,
    file: null,
    file_hash: job.fileHash,
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
    fileHash: row.file_hash,
    detail: JSON.parse(row.detail) as JobDetail,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    finishedAt: row.finished_at,
  }
}
