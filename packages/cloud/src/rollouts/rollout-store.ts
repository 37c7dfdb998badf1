/**
 * Rollouts in the store. What an owner does is committed before it is answered; how it goes with the devices is written
 * in batches: what a `kill -9` takes of it is found again in their update jobs.
 */
import type { Selectable } from 'kysely'
import type { Clock, TimerHandle } from '../clock.ts'
import type { Target } from '../products/targeting.ts'
import type { Store } from '../store/store.ts'
import type { RolloutDeviceTable, RolloutTable } from '../store/tables/rollouts.ts'
import { type JobDetail, openStates } from '../updates/job.ts'
import {
  type DeviceCounts,
  lasting,
  noDevices,
  type RolloutDevice,
  type RolloutDeviceState,
  type RolloutRecord,
  type RolloutSettings,
  type RolloutState,
} from './rollout.ts'

/** A device's release job, as far as its rollout must know it. */
export interface ReleaseJob {
  readonly id: string
  readonly deviceId: string
  readonly state: string
  readonly version: number | undefined
  readonly reason: string | undefined
  readonly next: string | undefined
  readonly createdAt: number
}

export interface EndedRollout extends RolloutRecord {
  readonly counts: DeviceCounts
}

/** Rows that may wait, in milliseconds, and rows of one statement. */
const writeEvery = 200
const rowsAtOnce = 100
/** Older than this the rows of devices are certainly written. */
const slack = 60_000

export class RolloutStore {
  readonly #db: Store['db']
  readonly #clock: Clock
  readonly #onError: (error: unknown) => void
  /** By rollout and device; null to remove the row. */
  #devices = new Map<string, RolloutDeviceTable | null>()
  #rollouts = new Map<string, RolloutTable>()
  #timer: TimerHandle | undefined
  #writing: Promise<void> = Promise.resolve()

  constructor({ db }: Store, clock: Clock, onError: (error: unknown) => void) {
    this.#db = db
    this.#clock = clock
    this.#onError = onError
  }

  /** All that are not over, the oldest first. */
  async open(): Promise<RolloutRecord[]> {
    const rows = this.#db.selectFrom('rollouts').selectAll().where('state', '!=', 'superseded').orderBy('created_at')
    return (await rows.execute()).map(fromRow)
  }

  /** Of a product, the newest first. */
  async list(productId: number, limit = 100): Promise<EndedRollout[]> {
    const rows = this.#db.selectFrom('rollouts').selectAll().where('product_id', '=', productId)
    const found = await rows.orderBy('created_at', 'desc').limit(limit).execute()
    return found.map((row) => ({ ...fromRow(row), counts: countsOf(row) }))
  }

  async devices(rolloutId: string): Promise<RolloutDevice[]> {
    const rows = this.#db.selectFrom('rollout_devices').selectAll().where('rollout_id', '=', rolloutId)
    return (await rows.orderBy('updated_at').orderBy('device_id').execute()).map(deviceFromRow)
  }

  /** A page of the devices of a rollout that is over, the last changed first; and how many there are. */
  async page(rolloutId: string, state: string | undefined, page: number, size: number) {
    let query = this.#db.selectFrom('rollout_devices').where('rollout_id', '=', rolloutId)
    if (state !== undefined) query = query.where('state', '=', state)
    const { total } = await query.select((e) => e.fn.countAll<number>().as('total')).executeTakeFirstOrThrow()
    const rows = query.selectAll().orderBy('updated_at', 'desc').orderBy('device_id')
    const found = await rows
      .limit(size)
      .offset((page - 1) * size)
      .execute()
    return { total: Number(total), devices: found.map(deviceFromRow) }
  }

  async settings(): Promise<Map<number, Partial<RolloutSettings>>> {
    const rows = await this.#db.selectFrom('rollout_settings').selectAll().execute()
    return new Map(rows.map((row) => [row.product_id, JSON.parse(row.settings) as Partial<RolloutSettings>]))
  }

  async putSettings(productId: number, settings: Partial<RolloutSettings>, by: string | null): Promise<void> {
    const changed = { settings: JSON.stringify(settings), updated_by: by, updated_at: this.#clock.now() }
    await this.#db
      .insertInto('rollout_settings')
      .values({ product_id: productId, ...changed })
      .onConflict((conflict) => conflict.column('product_id').doUpdateSet(changed))
      .execute()
  }

  /** Jobs of releases that are under way, and those that ended when the last rows may not have been written yet. */
  async jobs(): Promise<ReleaseJob[]> {
    const last = await this.#db
      .selectFrom('rollout_devices')
      .select((e) => e.fn.max('updated_at').as('at'))
      .executeTakeFirst()
    const since = Number(last?.at ?? 0) - slack
    const rows = await this.#db
      .selectFrom('update_jobs')
      .select(['id', 'device_id', 'state', 'detail', 'created_at'])
      .where('kind', '=', 'release')
      .where((e) => e.or([e('state', 'in', [...openStates]), e('finished_at', '>=', since)]))
      .orderBy('created_at')
      .execute()
    return rows.map(({ id, device_id, state, detail, created_at }) => {
      const { productVersion, reason, next } = JSON.parse(detail) as JobDetail
      return { id, deviceId: device_id, state, version: productVersion, reason, next, createdAt: Number(created_at) }
    })
  }

  /** At once. */
  async save(rollout: RolloutRecord, counts?: DeviceCounts): Promise<void> {
    this.#rollouts.set(rollout.id, toRow(rollout, counts))
    await this.flush()
  }

  /** With the next batch. */
  saveLater(rollout: RolloutRecord, counts?: DeviceCounts): void {
    this.#rollouts.set(rollout.id, toRow(rollout, counts))
    this.#later()
  }

  /** With the next batch; a device that is on its way has no row. */
  device(rolloutId: string, device: RolloutDevice): void {
    const { deviceId, state } = device
    this.#devices.set(`${rolloutId} ${deviceId}`, lasting.has(state) ? deviceToRow(rolloutId, device) : null)
    this.#later()
  }

  removeDevice(rolloutId: string, deviceId: string): void {
    this.#devices.set(`${rolloutId} ${deviceId}`, null)
    this.#later()
  }

  /** The product is gone. */
  async forget(productId: number): Promise<void> {
    const ids = await this.#db.selectFrom('rollouts').select('id').where('product_id', '=', productId).execute()
    const gone = new Set(ids.map(({ id }) => id))
    for (const [id, row] of this.#rollouts) if (row.product_id === productId) this.#rollouts.delete(id) && gone.add(id)
    for (const key of this.#devices.keys()) if (gone.has(key.slice(0, key.indexOf(' ')))) this.#devices.delete(key)
    await this.#db.deleteFrom('rollouts').where('product_id', '=', productId).execute()
    await this.#db.deleteFrom('rollout_settings').where('product_id', '=', productId).execute()
  }

  async flush(): Promise<void> {
    this.#clock.clearTimeout(this.#timer)
    this.#timer = undefined
    const rollouts = this.#rollouts
    const devices = this.#devices
    this.#rollouts = new Map()
    this.#devices = new Map()
    const written = this.#writing.then(() => this.#write(rollouts, devices))
    this.#writing = written.catch(() => {
      // Whatever is newer stays as it is.
      for (const [key, row] of rollouts) if (!this.#rollouts.has(key)) this.#rollouts.set(key, row)
      for (const [key, row] of devices) if (!this.#devices.has(key)) this.#devices.set(key, row)
    })
    await written
  }

  async close(): Promise<void> {
    await this.flush()
    this.#clock.clearTimeout(this.#timer)
  }

  #later(): void {
    this.#timer ??= this.#clock.setTimeout(() => this.flush().catch(this.#onError), writeEvery)
  }

  async #write(
    rollouts: ReadonlyMap<string, RolloutTable>,
    devices: ReadonlyMap<string, RolloutDeviceTable | null>,
  ): Promise<void> {
    if (rollouts.size === 0 && devices.size === 0) return
    await this.#db.transaction().execute(async (tx) => {
      for (const row of rollouts.values()) {
        const { id: _, ...changed } = row
        const insert = tx.insertInto('rollouts').values(row)
        await insert.onConflict((conflict) => conflict.column('id').doUpdateSet(changed)).execute()
      }
    })
    const all = [...devices]
    for (let at = 0; at < all.length; at += rowsAtOnce) {
      const some = all.slice(at, at + rowsAtOnce)
      const rows = some.flatMap(([, row]) => row ?? [])
      await this.#db.transaction().execute(async (tx) => {
        for (const [key, row] of some) {
          if (row) continue
          const [rolloutId = '', deviceId = ''] = key.split(' ')
          const gone = tx.deleteFrom('rollout_devices').where('rollout_id', '=', rolloutId)
          await gone.where('device_id', '=', deviceId).execute()
        }
        if (rows.length === 0) return
        await tx
          .insertInto('rollout_devices')
          .values(rows)
          .onConflict((conflict) =>
            conflict.columns(['rollout_id', 'device_id']).doUpdateSet((e) => ({
              state: e.ref('excluded.state'),
              why: e.ref('excluded.why'),
              attempts: e.ref('excluded.attempts'),
              job_id: e.ref('excluded.job_id'),
              reason: e.ref('excluded.reason'),
              next: e.ref('excluded.next'),
              retry_at: e.ref('excluded.retry_at'),
              updated_at: e.ref('excluded.updated_at'),
            })),
          )
          .execute()
      })
    }
  }
}

function fromRow(row: Selectable<RolloutTable>): RolloutRecord {
  return {
    id: row.id,
    productId: row.product_id,
    version: row.version,
    state: row.state as RolloutState,
    reason: row.reason,
    startedBy: row.started_by,
    createdAt: Number(row.created_at),
    updatedAt: Number(row.updated_at),
    finishedAt: row.finished_at === null ? null : Number(row.finished_at),
  }
}

function countsOf({ counts }: Pick<Selectable<RolloutTable>, 'counts'>): DeviceCounts {
  return { ...noDevices(), ...(counts === null ? {} : (JSON.parse(counts) as Partial<DeviceCounts>)) }
}

function toRow(rollout: RolloutRecord, counts?: DeviceCounts): RolloutTable {
  return {
    id: rollout.id,
    product_id: rollout.productId,
    version: rollout.version,
    state: rollout.state,
    reason: rollout.reason,
    started_by: rollout.startedBy,
    created_at: rollout.createdAt,
    updated_at: rollout.updatedAt,
    finished_at: rollout.finishedAt,
    counts: counts ? JSON.stringify(counts) : null,
  }
}

function deviceFromRow(row: Selectable<RolloutDeviceTable>): RolloutDevice {
  return {
    deviceId: row.device_id,
    why: row.why as Target['why'],
    state: row.state as RolloutDeviceState,
    attempts: row.attempts,
    jobId: row.job_id,
    reason: row.reason,
    next: row.next,
    retryAt: row.retry_at === null ? null : Number(row.retry_at),
    updatedAt: Number(row.updated_at),
  }
}

function deviceToRow(rolloutId: string, device: RolloutDevice): RolloutDeviceTable {
  return {
    rollout_id: rolloutId,
    device_id: device.deviceId,
    state: device.state,
    why: device.why,
    attempts: device.attempts,
    job_id: device.jobId,
    reason: device.reason,
    next: device.next,
    retry_at: device.retryAt,
    updated_at: device.updatedAt,
  }
}
