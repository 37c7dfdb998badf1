/**
 * What devices said of their health, for a month (cloud-api.md 1.9). Telemetry: written in batches, and nobody waits for
 * it; a killed process loses the last second.
 */
import { type Clock, systemClock, type TimerHandle } from '../clock.ts'
import type { Store } from '../store/store.ts'
import type { VitalsTable } from '../store/tables/telemetry.ts'

/** `device` is what the device said, `service` what the cloud knows of the connection. */
export interface VitalsPayload {
  readonly device: Readonly<Record<string, unknown>>
  readonly service: Readonly<Record<string, unknown>>
}

export interface VitalsRecord {
  readonly deviceId: string
  /** User id: whose the device was. */
  readonly ownerId: string | null
  /** Unix milliseconds. */
  readonly updatedAt: number
  readonly payload: VitalsPayload
}

export interface VitalsOptions {
  readonly store: Store
  readonly clock?: Clock
  /** Milliseconds that vitals are kept; a month unless given. */
  readonly retention?: number
  /** How long a record waits for its batch, in milliseconds. */
  readonly batchAfter?: number
  /** A batch that could not be written; it is tried again. */
  readonly onError: (error: unknown) => void
}

const month = 31 * 24 * 60 * 60 * 1_000
const hour = 60 * 60 * 1_000
/** Rows in one statement. */
const rowsAtOnce = 200
/** Records that wait at most, should the store not be writable: the oldest go first. */
const waitingLimit = 20_000

export class Vitals {
  readonly #options: VitalsOptions
  readonly #clock: Clock
  #waiting: VitalsRecord[] = []
  #timer: TimerHandle | undefined
  #cleanedAt: number
  #working: Promise<void> = Promise.resolve()

  constructor(options: VitalsOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#cleanedAt = Number.NEGATIVE_INFINITY
  }

  /** Records that are not written yet. */
  get waiting(): number {
    return this.#waiting.length
  }

  record(record: VitalsRecord): void {
    this.#waiting.push(record)
    if (this.#waiting.length > waitingLimit) this.#waiting.shift()
    this.#timer ??= this.#clock.setTimeout(() => {
      this.#timer = undefined
      this.flush().catch(this.#options.onError)
    }, this.#options.batchAfter ?? 1_000)
  }

  /** @param ownerId only what the device said while it was theirs; whosever it was when left out */
  async last(deviceId: string, ownerId?: string | null): Promise<VitalsRecord | undefined> {
    await this.flush()
    const row = await this.#options.store.db
      .selectFrom('vitals')
      .selectAll()
      .where('device_id', '=', deviceId)
      .$if(ownerId !== undefined, (query) => query.where('owner_id', '=', ownerId ?? null))
      .where('updated_at', '>=', this.#oldest())
      .orderBy('updated_at', 'desc')
      .limit(1)
      .executeTakeFirst()
    return row && fromRow(row)
  }

  /**
   * The records between two times (Unix milliseconds), newest first.
   * @param limit most records
   * @param ownerId as for `last`
   */
  async between(
    deviceId: string,
    from: number,
    to: number,
    limit: number,
    ownerId?: string | null,
  ): Promise<VitalsRecord[]> {
    await this.flush()
    const rows = await this.#options.store.db
      .selectFrom('vitals')
      .selectAll()
      .where('device_id', '=', deviceId)
      .$if(ownerId !== undefined, (query) => query.where('owner_id', '=', ownerId ?? null))
      .where('updated_at', '>=', Math.max(from, this.#oldest()))
      .where('updated_at', '<=', to)
      .orderBy('updated_at', 'desc')
      .limit(limit)
      .execute()
    return rows.map(fromRow)
  }

  /** Writes what waits, and removes what is too old. */
  flush(): Promise<void> {
    const work = this.#working.then(() => this.#write())
    this.#working = work.catch(() => undefined)
    return work
  }

  async close(): Promise<void> {
    this.#clock.clearTimeout(this.#timer)
    this.#timer = undefined
    await this.flush()
  }

  #oldest(): number {
    return this.#clock.now() - (this.#options.retention ?? month)
  }

  async #write(): Promise<void> {
    const { db } = this.#options.store
    const records = this.#waiting
    this.#waiting = []
    try {
      while (records.length > 0) {
        const rows = records.slice(0, rowsAtOnce).map(({ deviceId, ownerId, updatedAt, payload }) => ({
          device_id: deviceId,
          owner_id: ownerId,
          updated_at: updatedAt,
          payload: JSON.stringify(payload),
        }))
        await db.insertInto('vitals').values(rows).execute()
        records.splice(0, rows.length)
      }
    } catch (error) {
      this.#waiting = [...records, ...this.#waiting].slice(-waitingLimit)
      throw error
    }
    if (this.#clock.now() - this.#cleanedAt < hour) return
    this.#cleanedAt = this.#clock.now()
    await db.deleteFrom('vitals').where('updated_at', '<', this.#oldest()).execute()
  }
}

function fromRow(row: VitalsTable): VitalsRecord {
  return {
    deviceId: row.device_id,
    ownerId: row.owner_id,
    updatedAt: row.updated_at,
    payload: JSON.parse(row.payload) as VitalsPayload,
  }
}
