/**
 * Deliveries as they lie in the store. Writes go in groups, within 50 ms: what is delivered sooner is never written at
 * all, and what a kill -9 catches in that window is lost (house.md, "Nothing durable is lost").
 *
 * A row is leased to a node, which says so again as long as it lives: when it does no longer, another takes the row.
 */
import type { Insertable } from 'kysely'
import type { Clock, TimerHandle } from '../clock.ts'
import type { Store } from '../store/store.ts'
import type { WebhookDeliveryTable } from '../store/tables/integrations.ts'
import { type DeadLetter, type Delivery, deadLetterFromRow, deliveryFromRow } from './delivery.ts'

export interface DeliveryStoreOptions {
  readonly store: Store
  readonly clock: Clock
  /** This process, as no other calls itself. */
  readonly node: string
  /**
   * Other nodes use the same store: only what nobody has a lease of is taken over. SQLite is this process's alone, so
   * that what is found at the start belongs to nobody who lives.
   */
  readonly shared?: boolean
  /** A group that could not be written; it is tried again. */
  readonly onError: (error: unknown) => void
}

interface Change {
  readonly delivery: Delivery
  readonly state: 'waiting' | 'dead'
}

/** Milliseconds that a group waits for more. */
const commitAfter = 25
const retryAfter = 1_000
/** Milliseconds of a lease; it is said again after a third of it. */
export const leaseLength = 60_000
const rowsAtOnce = 50
/** Rows taken over at once. */
const adoptedAtOnce = 500

export class DeliveryStore {
  readonly #options: DeliveryStoreOptions
  /** What is to be written, as it is then; null deletes. */
  #changes = new Map<string, Change | null>()
  /** What may be in the store. */
  readonly #stored = new Set<string>()
  #timer: TimerHandle | undefined
  #renewal: TimerHandle | undefined
  #working: Promise<void> = Promise.resolve()
  #closed = false

  constructor(options: DeliveryStoreOptions) {
    this.#options = options
    if (options.shared) this.#renewLater()
  }

  /** Writes it with the next group. */
  save(delivery: Delivery): void {
    this.#change(delivery.id, { delivery, state: 'waiting' })
  }

  /** It is tried no more: `dueAt` says since when. */
  bury(delivery: Delivery): void {
    this.#change(delivery.id, { delivery, state: 'dead' })
  }

  /** It is done. */
  remove(id: string): void {
    if (this.#stored.has(id)) this.#change(id, null)
    else this.#changes.delete(id)
  }

  /** Deliveries that are nobody's, from now on this node's: the oldest first, some hundred at a time. */
  async adopt(): Promise<Delivery[]> {
    const { store, clock, node, shared } = this.#options
    const now = clock.now()
    const rows = await store.db
      .updateTable('webhook_deliveries')
      .set({ lease_by: node, lease_until: now + leaseLength })
      .where(({ and, eb }) =>
        and([
          eb('state', '=', 'waiting'),
          eb.or([eb('lease_by', 'is', null), eb('lease_by', '!=', node)]),
          ...(shared ? [eb('lease_until', '<', now)] : []),
          eb('id', 'in', (select) =>
            select
              .selectFrom('webhook_deliveries')
              .select('id')
              .where('state', '=', 'waiting')
              .where((where) => where.or([where('lease_by', 'is', null), where('lease_by', '!=', node)]))
              .$if(shared === true, (query) => query.where('lease_until', '<', now))
              .orderBy('due_at')
              .limit(adoptedAtOnce),
          ),
        ]),
      )
      .returningAll()
      .execute()
    for (const { id } of rows) this.#stored.add(id)
    return rows.map(deliveryFromRow).sort((a, b) => a.dueAt - b.dueAt)
  }

  /** How many dead letters each integration has. */
  async countDead(): Promise<Map<string, number>> {
    const rows = await this.#options.store.db
      .selectFrom('webhook_deliveries')
      .select(({ fn }) => ['integration_id', fn.countAll<number>().as('count')])
      .where('state', '=', 'dead')
      .groupBy('integration_id')
      .execute()
    return new Map(rows.map((row) => [row.integration_id, Number(row.count)]))
  }

  /** The newest first. */
  async deadLetters(integrationId: string, limit: number, offset: number): Promise<DeadLetter[]> {
    await this.flush()
    const rows = await this.#dead(integrationId)
      .selectAll()
      .orderBy('due_at', 'desc')
      .orderBy('id')
      .limit(limit)
      .offset(offset)
      .execute()
    return rows.map(deadLetterFromRow)
  }

  async deadLetter(integrationId: string, id: string): Promise<DeadLetter | undefined> {
    await this.flush()
    const row = await this.#dead(integrationId).selectAll().where('id', '=', id).executeTakeFirst()
    return row && deadLetterFromRow(row)
  }

  /**
   * Makes deliveries of dead letters, the oldest first: due now, with all their tries before them.
   *
   * @param id one of them, or undefined for as many as `limit` says
   */
  async revive(integrationId: string, id: string | undefined, limit: number): Promise<Delivery[]> {
    await this.flush()
    const { store, clock, node } = this.#options
    const now = clock.now()
    const chosen = this.#dead(integrationId)
      .select('id')
      .$if(id !== undefined, (query) => query.where('id', '=', id ?? ''))
      .orderBy('due_at')
      .limit(limit)
    const rows = await store.db
      .updateTable('webhook_deliveries')
      .set({ state: 'waiting', attempts: 0, due_at: now, lease_by: node, lease_until: now + leaseLength })
      .where('id', 'in', chosen)
      .where('state', '=', 'dead')
      .returningAll()
      .execute()
    for (const row of rows) this.#stored.add(row.id)
    return rows.map(deliveryFromRow).sort((a, b) => a.createdAt - b.createdAt)
  }

  /**
   * @param id one of them, or undefined for all
   * @returns how many there were
   */
  async deleteDead(integrationId: string, id?: string): Promise<number> {
    await this.flush()
    const { numDeletedRows } = await this.#options.store.db
      .deleteFrom('webhook_deliveries')
      .where('integration_id', '=', integrationId)
      .where('state', '=', 'dead')
      .$if(id !== undefined, (query) => query.where('id', '=', id ?? ''))
      .executeTakeFirstOrThrow()
    return Number(numDeletedRows)
  }

  /** Deletes the oldest dead letters beyond so many. @returns how many that were */
  async trimDead(integrationId: string, keep: number): Promise<number> {
    await this.flush()
    const kept = this.#dead(integrationId).select('id').orderBy('due_at', 'desc').orderBy('id').limit(keep)
    const { numDeletedRows } = await this.#options.store.db
      .deleteFrom('webhook_deliveries')
      .where('integration_id', '=', integrationId)
      .where('state', '=', 'dead')
      .where('id', 'not in', kept)
      .executeTakeFirstOrThrow()
    return Number(numDeletedRows)
  }

  /** Deletes all that there is of an integration. */
  async forget(integrationId: string): Promise<void> {
    await this.flush()
    await this.#options.store.db.deleteFrom('webhook_deliveries').where('integration_id', '=', integrationId).execute()
  }

  /** Resolves when everything that was to be written is, or has failed. */
  flush(): Promise<void> {
    this.#options.clock.clearTimeout(this.#timer)
    this.#timer = undefined
    this.#working = this.#working.then(() => this.#write())
    return this.#working
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.flush()
    this.#options.clock.clearTimeout(this.#timer)
    this.#options.clock.clearTimeout(this.#renewal)
  }

  #dead(integrationId: string) {
    return this.#options.store.db
      .selectFrom('webhook_deliveries')
      .where('integration_id', '=', integrationId)
      .where('state', '=', 'dead')
  }

  #row({ delivery, state }: Change): Insertable<WebhookDeliveryTable> {
    const waits = state === 'waiting'
    return {
      id: delivery.id,
      integration_id: delivery.integrationId,
      state,
      event: JSON.stringify(delivery.event),
      attempts: delivery.attempts,
      due_at: delivery.dueAt,
      error: delivery.error,
      lease_by: waits ? this.#options.node : null,
      lease_until: waits ? this.#options.clock.now() + leaseLength : 0,
      created_at: delivery.createdAt,
    }
  }

  #change(id: string, change: Change | null): void {
    this.#changes.set(id, change)
    this.#timer ??= this.#options.clock.setTimeout(() => void this.flush(), commitAfter)
  }

  async #write(): Promise<void> {
    const changes = this.#changes
    if (changes.size === 0) return
    this.#changes = new Map()
    const rows: Insertable<WebhookDeliveryTable>[] = []
    const removed: string[] = []
    for (const [id, change] of changes) {
      if (change) {
        rows.push(this.#row(change))
        this.#stored.add(id)
      } else removed.push(id)
    }
    try {
      await this.#writeGroup(rows, removed)
      for (const id of removed) if (!this.#changes.get(id)) this.#stored.delete(id)
      for (const { id, state } of rows) if (state === 'dead') this.#stored.delete(id)
    } catch (error) {
      this.#options.onError(error)
      for (const [id, change] of changes) if (!this.#changes.has(id)) this.#changes.set(id, change)
      this.#options.clock.clearTimeout(this.#timer)
      this.#timer = this.#options.clock.setTimeout(() => void this.flush(), retryAfter)
    }
  }

  async #writeGroup(rows: readonly Insertable<WebhookDeliveryTable>[], removed: readonly string[]): Promise<void> {
    await this.#options.store.db.transaction().execute(async (tx) => {
      for (let at = 0; at < removed.length; at += rowsAtOnce) {
        await tx
          .deleteFrom('webhook_deliveries')
          .where('id', 'in', removed.slice(at, at + rowsAtOnce))
          .execute()
      }
      for (let at = 0; at < rows.length; at += rowsAtOnce) {
        await tx
          .insertInto('webhook_deliveries')
          .values(rows.slice(at, at + rowsAtOnce))
          .onConflict((conflict) =>
            conflict.column('id').doUpdateSet(({ ref }) => ({
              state: ref('excluded.state'),
              attempts: ref('excluded.attempts'),
              due_at: ref('excluded.due_at'),
              error: ref('excluded.error'),
              lease_by: ref('excluded.lease_by'),
              lease_until: ref('excluded.lease_until'),
            })),
          )
          .execute()
      }
    })
  }

  #renewLater(): void {
    this.#renewal = this.#options.clock.setTimeout(() => {
      this.#renew()
        .catch(this.#options.onError)
        .finally(() => {
          if (!this.#closed) this.#renewLater()
        })
    }, leaseLength / 3)
  }

  async #renew(): Promise<void> {
    const { store, clock, node } = this.#options
    await store.db
      .updateTable('webhook_deliveries')
      .set({ lease_until: clock.now() + leaseLength })
      .where('lease_by', '=', node)
      .where('state', '=', 'waiting')
      .execute()
  }
}
