/**
 * What devices cost on the air: bytes of updates and of messages, by device and month (UTC). Counted by the gateway as
 * they go out and come in, gathered here, and written in batches: a `kill -9` may lose ten minutes of messages, and of
 * an update what was sent since it last began or ended.
 */
import { sql } from 'kysely'
import type { Clock, TimerHandle } from '../clock.ts'
import type { Traffic } from '../gateway/gateway.ts'
import type { Store } from '../store/store.ts'
import type { DataUsageTable } from '../store/tables/updates.ts'
import type { GroupCommit } from './group-commit.ts'
import { type Membership, scopes } from './policies.ts'

/** Bytes in a month. */
export interface MonthlyData extends Traffic {
  /** `2026-11`. */
  readonly month: string
  /** What updates were expected to take. */
  readonly otaEstimated: number
  /** How many devices it is of. */
  readonly devices: number
}

export interface DataUsageOptions {
  readonly store: Store
  readonly commits: GroupCommit
  readonly clock: Clock
  readonly membership: (deviceId: string) => Membership | undefined
  /** Has the gateway say what it counted, by `add`. */
  readonly collect: () => void
  readonly onError: (error: unknown) => void
  /** Milliseconds between collections. */
  readonly every?: number
}

type Counts = Omit<DataUsageTable, 'device_id' | 'month' | 'product_id'>

const none: Counts = { ota_sent: 0, ota_received: 0, messages_sent: 0, messages_received: 0, ota_estimated: 0 }
const counted = Object.keys(none) as (keyof Counts)[]
const rowsAtOnce = 200
const defaultEvery = 10 * 60_000
/** A sum over a product is asked of the store this often at most, in milliseconds. */
const sumsKept = 60_000

export class DataUsage {
  readonly #options: DataUsageOptions
  /** Not written yet, by month and device. */
  #pending = new Map<string, Map<string, Counts>>()
  readonly #sums = new Map<string, { bytes: number; readonly at: number }>()
  /** By month and scope. */
  readonly #reserved = new Map<string, number>()
  #timer: TimerHandle | undefined
  #writing: Promise<void> = Promise.resolve()

  constructor(options: DataUsageOptions) {
    this.#options = options
    this.#arm()
  }

  #arm(): void {
    const { clock, every = defaultEvery, onError } = this.#options
    this.#timer = clock.setTimeout(() => {
      this.#arm()
      this.flush().catch(onError)
    }, every)
  }

  add(deviceId: string, traffic: Traffic): void {
    const counts = this.#of(deviceId)
    counts.ota_sent += traffic.otaSent
    counts.ota_received += traffic.otaReceived
    counts.messages_sent += traffic.messagesSent
    counts.messages_received += traffic.messagesReceived
    const ota = traffic.otaSent + traffic.otaReceived
    if (ota === 0 || this.#sums.size === 0) return
    for (const scope of this.#scopesOf(deviceId)) {
      const sum = this.#sums.get(scope)
      if (sum) sum.bytes += ota
    }
  }

  /** An update is about to send so much. */
  estimate(deviceId: string, bytes: number): void {
    this.#of(deviceId).ota_estimated += bytes
  }

  /**
   * Bytes that are about to go out count at once, so that many devices together do not exceed what each of them could
   * have taken alone.
   *
   * @param budgets `[scope, bytes a month]`, which were asked about before: others may have been faster
   * @returns ends that, when they are counted; undefined when they do not fit any more
   */
  reserve(
    deviceId: string,
    bytes: number,
    budgets: readonly (readonly [string, number])[] = [],
  ): (() => void) | undefined {
    const month = this.month()
    for (const [scope, budget] of budgets) {
      const key = `${month} ${scope}`
      if ((this.#sums.get(key)?.bytes ?? 0) + (this.#reserved.get(key) ?? 0) + bytes > budget) return undefined
    }
    const held = this.#scopesOf(deviceId)
    for (const scope of held) this.#reserved.set(scope, (this.#reserved.get(scope) ?? 0) + bytes)
    return () => {
      for (const scope of held) {
        const left = (this.#reserved.get(scope) ?? 0) - bytes
        if (left > 0) this.#reserved.set(scope, left)
        else this.#reserved.delete(scope)
      }
    }
  }

  /** Bytes of updates of a device in this month. */
  async otaOf(deviceId: string): Promise<number> {
    const month = this.month()
    const row = await this.#options.store.db
      .selectFrom('data_usage')
      .select(['ota_sent', 'ota_received'])
      .where('device_id', '=', deviceId)
      .where('month', '=', month)
      .executeTakeFirst()
    const pending = this.#pending.get(month)?.get(deviceId)
    return Number(row?.ota_sent ?? 0) + Number(row?.ota_received ?? 0) + otaOf(pending)
  }

  /** Bytes of updates of everything that a policy's scope holds, in this month. */
  async otaOfScope(scope: string): Promise<number> {
    const [kind, id = '', name] = scope.split(':')
    if (kind === 'device') return await this.otaOf(id)
    const key = `${this.month()} ${scope}`
    const known = this.#sums.get(key)
    const now = this.#options.clock.now()
    const reserved = this.#reserved.get(key) ?? 0
    if (known && now - known.at < sumsKept) return known.bytes + reserved
    const bytes = await this.#sum(Number(id), name)
    this.#sums.set(key, { bytes, at: now })
    return bytes + reserved
  }

  /** By month, newest first. */
  async months(of: { readonly deviceId: string } | { readonly productId: number }): Promise<MonthlyData[]> {
    await this.flush()
    let query = this.#options.store.db
      .selectFrom('data_usage')
      .select('month')
      .select((eb) => eb.fn.count<number>('device_id').as('devices'))
      .select((eb) => counted.map((name) => eb.fn.sum<number>(name).as(name)))
      .groupBy('month')
      .orderBy('month', 'desc')
      .limit(24)
    if ('deviceId' in of) query = query.where('device_id', '=', of.deviceId)
    else query = query.where('product_id', '=', of.productId)
    return (await query.execute()).map((row) => ({
      month: row.month,
      devices: Number(row.devices),
      otaSent: Number(row.ota_sent),
      otaReceived: Number(row.ota_received),
      otaEstimated: Number(row.ota_estimated),
      messagesSent: Number(row.messages_sent),
      messagesReceived: Number(row.messages_received),
    }))
  }

  month(): string {
    return new Date(this.#options.clock.now()).toISOString().slice(0, 7)
  }

  /** When the next month begins, Unix milliseconds. */
  nextMonth(): number {
    const now = new Date(this.#options.clock.now())
    return Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1)
  }

  /** Writes what was counted. */
  async flush(): Promise<void> {
    this.#options.collect()
    const pending = this.#pending
    this.#pending = new Map()
    this.#writing = this.#writing.then(() => this.#write(pending))
    await this.#writing
  }

  async close(): Promise<void> {
    this.#options.clock.clearTimeout(this.#timer)
    await this.flush()
  }

  async #write(pending: ReadonlyMap<string, ReadonlyMap<string, Counts>>): Promise<void> {
    const { commits, membership } = this.#options
    const rows = [...pending].flatMap(([month, devices]) =>
      [...devices].map(([device_id, counts]) => {
        const product_id = membership(device_id)?.productId ?? null
        return { device_id, month, product_id, ...counts }
      }),
    )
    const writes: Promise<void>[] = []
    for (let at = 0; at < rows.length; at += rowsAtOnce) {
      const some = rows.slice(at, at + rowsAtOnce)
      writes.push(
        commits.write((db) =>
          db
            .insertInto('data_usage')
            .values(some)
            .onConflict((conflict) =>
              conflict.columns(['device_id', 'month']).doUpdateSet({
                product_id: sql`excluded.product_id`,
                ...Object.fromEntries(
                  counted.map((name) => [name, sql`data_usage.${sql.ref(name)} + excluded.${sql.ref(name)}`]),
                ),
              }),
            )
            .execute(),
        ),
      )
    }
    await Promise.all(writes)
  }

  async #sum(productId: number, group: string | undefined): Promise<number> {
    const { store, membership } = this.#options
    await this.flush()
    const rows = await store.db
      .selectFrom('data_usage')
      .select(['device_id', 'ota_sent', 'ota_received'])
      .where('product_id', '=', productId)
      .where('month', '=', this.month())
      .execute()
    let bytes = 0
    for (const { device_id, ota_sent, ota_received } of rows) {
      if (group !== undefined && membership(device_id)?.groups.includes(group) !== true) continue
      bytes += Number(ota_sent) + Number(ota_received)
    }
    return bytes
  }

  #scopesOf(deviceId: string): string[] {
    const member = this.#options.membership(deviceId)
    if (!member) return []
    const { productId, groups } = member
    const month = this.month()
    return [scopes.product(productId), ...groups.map((name) => scopes.group(productId, name))].map(
      (scope) => `${month} ${scope}`,
    )
  }

  #of(deviceId: string): Counts {
    const month = this.month()
    let devices = this.#pending.get(month)
    if (!devices) {
      devices = new Map()
      this.#pending.set(month, devices)
    }
    let counts = devices.get(deviceId)
    if (!counts) {
      counts = { ...none }
      devices.set(deviceId, counts)
    }
    return counts
  }
}

function otaOf(counts: Counts | undefined): number {
  return counts ? counts.ota_sent + counts.ota_received : 0
}
