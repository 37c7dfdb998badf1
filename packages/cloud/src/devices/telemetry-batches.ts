/**
 * What devices tell of themselves goes to the store in batches: soon what they say, later the times at which they were
 * heard, which every message changes.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Updateable } from 'kysely'
import type { Clock, TimerHandle } from '../clock.ts'
import type { DeviceTable } from '../store/schema.ts'
import type { Store } from '../store/store.ts'
import { type DeviceRecord, telemetryToRow } from './device.ts'

export interface TelemetryOptions {
  readonly store: Store
  readonly clock: Clock
  /** The record as it is now. */
  readonly device: (id: string) => DeviceRecord
  /** Runs a change when those before it are done. */
  readonly change: <T>(work: () => Promise<T>) => Promise<T>
  /** A batch that could not be written; it is tried again. */
  readonly onError: (error: unknown) => void
  /** Milliseconds that telemetry may wait for its batch. */
  readonly batchAfter: number
  /** The same for the times. */
  readonly heardBatchAfter: number
}

/** Rows in one transaction: SQLite blocks this thread while it writes them, for some milliseconds. */
export const batchSize = 200

type Columns = (device: DeviceRecord) => Updateable<DeviceTable>

const timeOnly: Columns = (device) => ({ last_heard_at: device.lastHeardAt })

/** Ids that wait for their batch. */
class Waiting {
  readonly ids = new Set<string>()
  readonly columns: Columns
  readonly after: number
  timer: TimerHandle | undefined

  constructor(columns: Columns, after: number) {
    this.columns = columns
    this.after = after
  }
}

export class TelemetryBatches {
  readonly #options: TelemetryOptions
  readonly #told: Waiting
  readonly #heard: Waiting

  constructor(options: TelemetryOptions) {
    this.#options = options
    this.#told = new Waiting(telemetryToRow, options.batchAfter)
    this.#heard = new Waiting(timeOnly, options.heardBatchAfter)
  }

  /** The device has told something. */
  told(id: string): void {
    this.#mark(this.#told, id)
  }

  /** Only the time at which it was last heard has changed. On the hot path of every message. */
  heard(id: string): void {
    this.#mark(this.#heard, id)
  }

  /** Writes all that waits. */
  async flush(): Promise<void> {
    await this.#flush(this.#told)
    await this.#flush(this.#heard)
  }

  /** Writes what these devices told, without the times. */
  async flushOf(ids: readonly string[]): Promise<void> {
    const told = ids.filter((id) => this.#told.ids.delete(id))
    if (told.length > 0) await this.#write(this.#told, told)
  }

  async close(): Promise<void> {
    await this.flush()
    this.#options.clock.clearTimeout(this.#told.timer)
    this.#options.clock.clearTimeout(this.#heard.timer)
  }

  #mark(waiting: Waiting, id: string): void {
    waiting.ids.add(id)
    waiting.timer ??= this.#options.clock.setTimeout(() => {
      this.#flush(waiting).catch(this.#options.onError)
    }, waiting.after)
  }

  #flush(waiting: Waiting): Promise<void> {
    this.#options.clock.clearTimeout(waiting.timer)
    waiting.timer = undefined
    const ids = [...waiting.ids]
    waiting.ids.clear()
    return this.#write(waiting, ids)
  }

  async #write(waiting: Waiting, ids: readonly string[]): Promise<void> {
    const { change } = this.#options
    for (let at = 0; at < ids.length; at += batchSize) {
      if (at > 0) await nextTurn()
      try {
        await change(() => this.#writeBatch(ids.slice(at, at + batchSize), waiting.columns))
      } catch (error) {
        for (const id of ids.slice(at)) this.#mark(waiting, id)
        throw error
      }
    }
  }

  async #writeBatch(ids: readonly string[], columns: Columns): Promise<void> {
    const { store, device } = this.#options
    await store.db.transaction().execute(async (tx) => {
      for (const id of ids)
        await tx
          .updateTable('devices')
          .set(columns(device(id)))
          .where('id', '=', id)
          .execute()
    })
  }
}
