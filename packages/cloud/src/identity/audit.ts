/**
 * Who did what to what, and when. Entries are written in batches: a handler never waits for them, and a `kill -9` may
 * lose those of the last 50 ms.
 */
import { randomBytes } from 'node:crypto'
import type { Selectable } from 'kysely'
import type { Clock, TimerHandle } from '../clock.ts'
import type { Store } from '../store/store.ts'
import type { AuditTable } from '../store/tables/identity.ts'
import type { Actor } from './caller.ts'

export interface AuditEvent {
  readonly actor: Actor
  /** What was done: `device.rename`, `token.revoke`. */
  readonly action: string
  /** What it was done to: an id or a name. */
  readonly target: string
  /** The person whom it concerns, if that is another than the actor. */
  readonly userId?: string | null
  readonly productId?: number | null
  readonly ip?: string | null
  readonly requestId?: string | null
  /** What else is to be known of it. Values under names of secrets are left out. */
  readonly detail?: Readonly<Record<string, unknown>>
}

export interface AuditEntry {
  /** Sorts by time. */
  readonly id: string
  /** Unix milliseconds. */
  readonly at: number
  readonly actor: Actor
  readonly action: string
  readonly target: string
  readonly userId: string | null
  readonly productId: number | null
  readonly ip: string | null
  readonly requestId: string | null
  readonly detail: Readonly<Record<string, unknown>>
}

export interface AuditQuery {
  /** Only what this person did, or what concerns them. */
  readonly userId?: string
  readonly productId?: number
  readonly action?: string
  /** Only entries before the one with this id: the last of the page before. */
  readonly before?: string
  readonly limit: number
}

export interface AuditLimits {
  /** Milliseconds for which entries are kept. */
  readonly age: number
  /** Entries kept at most; the oldest go first. */
  readonly entries: number
  /** Milliseconds after which what was recorded is in the store. */
  readonly batchAfter: number
}

export const defaultAuditLimits: AuditLimits = {
  age: 365 * 24 * 60 * 60 * 1_000,
  entries: 200_000,
  batchAfter: 50,
}

export interface AuditOptions {
  readonly store: Store
  readonly clock: Clock
  readonly limits?: Partial<AuditLimits>
  readonly onError?: (error: unknown) => void
}

const rowsPerInsert = 500
/** Entries that wait while the store cannot be written; what comes then is lost. */
const longestQueue = 20_000
const longestText = 500
const longestDetail = 4_096
/** Entries written between two looks for those that are too old. */
const pruneEvery = 1_000
const secretName = /pass|secret|token|authorization|otp|credential/i

export class AuditLog {
  readonly #store: Store
  readonly #clock: Clock
  readonly #limits: AuditLimits
  readonly #onError: (error: unknown) => void
  #queue: AuditTable[] = []
  #timer: TimerHandle | undefined
  #writing: Promise<void> = Promise.resolve()
  #sincePruned = pruneEvery
  #lastAt = 0
  #sequence = 0

  constructor({ store, clock, limits, onError }: AuditOptions) {
    this.#store = store
    this.#clock = clock
    this.#limits = { ...defaultAuditLimits, ...limits }
    this.#onError = onError ?? (() => undefined)
  }

  record(event: AuditEvent): void {
    if (this.#queue.length >= longestQueue) return
    const { actor } = event
    const at = this.#clock.now()
    this.#queue.push({
      id: this.#newId(at),
      at,
      actor_kind: actor.kind,
      actor_id: actor.id,
      actor_name: actor.name,
      action: event.action,
      target: event.target.slice(0, longestText),
      user_id: event.userId ?? null,
      product_id: event.productId ?? null,
      ip: event.ip ?? null,
      request_id: event.requestId?.slice(0, longestText) ?? null,
      detail: detailText(event.detail),
    })
    this.#timer ??= this.#clock.setTimeout(() => {
      this.flush().catch(this.#onError)
    }, this.#limits.batchAfter)
  }

  /** The newest first; with all that was recorded before the call. */
  async list({ userId, productId, action, before, limit }: AuditQuery): Promise<AuditEntry[]> {
    await this.flush()
    let query = this.#store.db.selectFrom('audit_log').selectAll()
    if (userId !== undefined) {
      query = query.where((row) => row.or([row('actor_id', '=', userId), row('user_id', '=', userId)]))
    }
    if (productId !== undefined) query = query.where('product_id', '=', productId)
    if (action !== undefined) query = query.where('action', '=', action)
    if (before !== undefined) query = query.where('id', '<', before)
    const rows = await query.orderBy('id', 'desc').limit(limit).execute()
    return rows.map(fromRow)
  }

  /** Writes what waits. @throws what the store throws; the entries then wait on */
  flush(): Promise<void> {
    this.#clock.clearTimeout(this.#timer)
    this.#timer = undefined
    const result = this.#writing.then(() => this.#write())
    this.#writing = result.catch(() => undefined)
    return result
  }

  close(): Promise<void> {
    return this.flush()
  }

  async #write(): Promise<void> {
    const rows = this.#queue
    this.#queue = []
    let written = 0
    try {
      while (written < rows.length) {
        const some = rows.slice(written, written + rowsPerInsert)
        await this.#store.db.insertInto('audit_log').values(some).execute()
        written += some.length
      }
    } catch (error) {
      this.#queue = [...rows.slice(written), ...this.#queue].slice(0, longestQueue)
      throw error
    }
    this.#sincePruned += written
    if (written > 0 && this.#sincePruned >= pruneEvery) await this.#prune()
  }

  async #prune(): Promise<void> {
    this.#sincePruned = 0
    const { db } = this.#store
    await db
      .deleteFrom('audit_log')
      .where('at', '<', this.#clock.now() - this.#limits.age)
      .execute()
    const surplus = await db
      .selectFrom('audit_log')
      .select('id')
      .orderBy('id', 'desc')
      .offset(this.#limits.entries)
      .limit(1)
      .executeTakeFirst()
    if (surplus) await db.deleteFrom('audit_log').where('id', '<=', surplus.id).execute()
  }

  /** 24 hex digits: the time, a number within it, and chance, for several nodes. */
  #newId(at: number): string {
    // A clock that is set back must not bring entries out of their order.
    this.#sequence = at > this.#lastAt ? 0 : this.#sequence + 1
    this.#lastAt = Math.max(this.#lastAt, at)
    const time = this.#lastAt.toString(16).padStart(12, '0')
    return time + this.#sequence.toString(16).padStart(6, '0') + randomBytes(3).toString('hex')
  }
}

function detailText(detail: Readonly<Record<string, unknown>> = {}): string {
  const text = JSON.stringify(detail, (key, value) => (secretName.test(key) ? undefined : value))
  return text.length <= longestDetail ? text : JSON.stringify({ shortened: text.slice(0, longestDetail / 2) })
}

function fromRow(row: Selectable<AuditTable>): AuditEntry {
  return {
    id: row.id,
    at: row.at,
    actor: { kind: row.actor_kind as Actor['kind'], id: row.actor_id, name: row.actor_name },
    action: row.action,
    target: row.target,
    userId: row.user_id,
    productId: row.product_id,
    ip: row.ip,
    requestId: row.request_id,
    detail: JSON.parse(row.detail) as Record<string, unknown>,
  }
}
