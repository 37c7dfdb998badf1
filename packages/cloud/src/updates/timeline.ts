/**
 * What happened in a job, step by step: published as events at once, and kept for later. Written in batches: a
 * `kill -9` may lose the last fifth of a second of it, and never anything of the jobs themselves.
 */
import type { Clock, TimerHandle } from '../clock.ts'
import type { Store } from '../store/store.ts'
import type { GroupCommit } from './group-commit.ts'
import type { UpdateJob } from './job.ts'
import { keptFor } from './job-store.ts'

export type TimelineStep =
  | 'queued'
  | 'planned'
  | 'started'
  | 'progress'
  | 'finished'
  | 'reset'
  | 'verified'
  | 'waiting'
  | 'failed'
  | 'done'
  | 'cancelled'
  | 'superseded'
  /** After a release: its application runs, and lacks nothing. */
  | 'running'

export interface TimelineEntry {
  /** Unix milliseconds. */
  readonly at: number
  readonly what: TimelineStep
  /** What it was about: `module`, `bytes`, `seconds`, `cause`, `reason`, … */
  readonly detail: Readonly<Record<string, unknown>>
}

/** Entries of one job in one run of the cloud; only its end is kept beyond. */
const longest = 400
const writeEvery = 200
const rowsAtOnce = 200
const ends: readonly TimelineStep[] = ['failed', 'done', 'cancelled', 'superseded', 'running']

interface Row {
  job_id: string
  sequence: number
  device_id: string
  at: number
  what: string
  detail: string
}

export class Timeline {
  readonly #db: Store['db']
  readonly #commits: GroupCommit
  readonly #clock: Clock
  readonly #onError: (error: unknown) => void
  #rows: Row[] = []
  readonly #lengths = new Map<string, number>()
  #last = 0
  #timer: TimerHandle | undefined
  #writing: Promise<void> = Promise.resolve()

  constructor({ db }: Store, commits: GroupCommit, clock: Clock, onError: (error: unknown) => void) {
    this.#db = db
    this.#commits = commits
    this.#clock = clock
    this.#onError = onError
  }

  record(job: Pick<UpdateJob, 'id' | 'deviceId'>, what: TimelineStep, detail: object): void {
    const at = this.#clock.now()
    const length = (this.#lengths.get(job.id) ?? 0) + 1
    const isEnd = ends.includes(what)
    if (isEnd) this.#lengths.delete(job.id)
    else this.#lengths.set(job.id, length)
    if (length > longest && !isEnd) return
    this.#last = Math.max(this.#last + 1, at * 1_000)
    const sequence = this.#last
    this.#rows.push({ job_id: job.id, sequence, device_id: job.deviceId, at, what, detail: JSON.stringify(detail) })
    this.#timer ??= this.#clock.setTimeout(() => {
      this.#timer = undefined
      this.flush().catch(this.#onError)
    }, writeEvery)
  }

  /** Oldest first. */
  async of(jobId: string): Promise<TimelineEntry[]> {
    await this.flush()
    const rows = await this.#db
      .selectFrom('update_timeline')
      .selectAll()
      .where('job_id', '=', jobId)
      .orderBy('sequence')
      .execute()
    return rows.map(({ at, what, detail }) => ({
      at: Number(at),
      what: what as TimelineStep,
      detail: JSON.parse(detail) as Record<string, unknown>,
    }))
  }

  async flush(): Promise<void> {
    const rows = this.#rows
    this.#rows = []
    this.#writing = this.#writing.then(async () => {
      const writes: Promise<void>[] = []
      for (let at = 0; at < rows.length; at += rowsAtOnce) {
        const some = rows.slice(at, at + rowsAtOnce)
        writes.push(this.#commits.write((db) => db.insertInto('update_timeline').values(some).execute()))
      }
      await Promise.all(writes)
    })
    await this.#writing
  }

  async forgetOld(): Promise<void> {
    const before = this.#clock.now() - keptFor
    await this.#commits.write((db) => db.deleteFrom('update_timeline').where('at', '<', before).execute())
  }

  async close(): Promise<void> {
    this.#clock.clearTimeout(this.#timer)
    await this.flush()
  }
}
