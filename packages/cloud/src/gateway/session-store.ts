/**
 * Sessions on UDP as they lie in the store, so that a device goes on with its next datagram after the cloud was
 * restarted or killed (device-protocol.md 2.6.3).
 *
 * In memory is only an index from connection id, or address, to device. Reads and writes go in groups, and nobody on
 * the path of a message waits for them: what a device must not repeat is acknowledged once its group is committed (see
 * `save`), everything else may be some seconds old after a kill.
 */
import type { Subscription } from '@aloe/protocol'
import type { Insertable, Selectable } from 'kysely'
import { type Clock, systemClock, type TimerHandle } from '../clock.ts'
import type { DeviceSessionTable } from '../store/schema.ts'
import type { Store } from '../store/store.ts'
import { decodeSubscriptions, encodeSubscriptions } from './stored-subscriptions.ts'

export interface StoredSession {
  readonly deviceId: string
  /** 16 hex digits; undefined for devices before Device OS 3.1. */
  readonly connectionId: string | undefined
  /** Host and port of the last datagram that was authentic. */
  readonly address: string
  /** The DTLS session as it serializes itself. */
  readonly secrets: Uint8Array
  /** Payload of the device's Hello. */
  readonly hello: Uint8Array
  readonly subscriptions: readonly Subscription[]
  /** The session said that it is in safe mode. */
  readonly safeMode: boolean
  /** The system describe in the registry is of this session. */
  readonly described: boolean
  /** It was online when this was written. */
  readonly online: boolean
  /** It said goodbye, just before this was written. */
  readonly left: boolean
  /** Unix milliseconds. */
  readonly usedAt: number
}

export interface SessionStoreOptions {
  readonly store: Store
  /** Writes what these devices told of themselves: it must not be older than their sessions. */
  readonly beforeCommit?: (deviceIds: readonly string[]) => Promise<void>
  /** A group that could not be read or written; writing is tried again. */
  readonly onError: (error: unknown) => void
  /** How long a group of changes waits for more, in milliseconds. */
  readonly commitAfter?: number
  /** How long sequence numbers alone may wait. */
  readonly touchAfter?: number
  /** How long what could not be written waits to be tried again. */
  readonly retryAfter?: number
  readonly clock?: Clock
}

/** A session in memory, as the store sees it. */
export interface Storable {
  readonly deviceId: string
  /** What is to be written, made when it is written; undefined when there is nothing any more. */
  snapshot(): StoredSession | undefined
  /** The last snapshot is durable. */
  stored(): void
}

interface Change {
  /** Undefined removes the session. */
  session: Storable | undefined
  waiting: (() => void)[]
}

type Loaded = (session: StoredSession | undefined) => void

/** Rows read or written at once: SQLite blocks this thread meanwhile, for some milliseconds. */
const groupSize = 200
/** Rows in one statement. */
const rowsAtOnce = 50

export class SessionStore {
  /** Devices that were online when the last process ended. */
  readonly wereOnline: string[] = []
  readonly #options: SessionStoreOptions
  readonly #clock: Clock
  readonly #deviceOf = new Map<string, string>()
  /** Its key under which each device's session is found. */
  readonly #keyOf = new Map<string, string>()
  #changes = new Map<string, Change>()
  readonly #touched = new Map<string, Storable>()
  readonly #wanted = new Map<string, Loaded[]>()
  #commitTimer: TimerHandle | undefined
  #touchTimer: TimerHandle | undefined
  #working: Promise<void> = Promise.resolve()
  #committing: ReadonlyMap<string, Change> = new Map()

  private constructor(options: SessionStoreOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
  }

  /** Reads the index. */
  static async open(options: SessionStoreOptions): Promise<SessionStore> {
    const sessions = new SessionStore(options)
    const rows = await options.store.db
      .selectFrom('device_sessions')
      .select(['device_id', 'connection_id', 'address', 'state'])
      .execute()
    for (const row of rows) {
      sessions.#index(row.device_id, row.connection_id ?? undefined, row.address)
      if (row.state & stateBit.online) sessions.wereOnline.push(row.device_id)
    }
    return sessions
  }

  get size(): number {
    return this.#keyOf.size
  }

  /** Whose session it is, by its connection id (16 hex digits). */
  byConnectionId(connectionId: string): string | undefined {
    return this.#deviceOf.get(connectionId)
  }

  /** Whose session it is, by the address of a device that has no connection id. */
  byAddress(address: string): string | undefined {
    return this.#deviceOf.get(address)
  }

  has(deviceId: string): boolean {
    return this.#keyOf.has(deviceId)
  }

  /** Reads a session. Many that are asked for at once are read at once. */
  load(deviceId: string): Promise<StoredSession | undefined> {
    return new Promise((resolve) => {
      const waiting = this.#wanted.get(deviceId)
      if (waiting) {
        waiting.push(resolve)
        return
      }
      this.#wanted.set(deviceId, [resolve])
      if (this.#wanted.size === 1) setImmediate(() => this.#read().catch(this.#options.onError))
    })
  }

  async #read(): Promise<void> {
    while (this.#wanted.size > 0) {
      const ids = [...this.#wanted.keys()].slice(0, groupSize)
      let rows: Selectable<DeviceSessionTable>[] = []
      try {
        // What is being written or waits for it is newer than what would be read.
        if (ids.some((id) => this.#pending(id))) await this.flush()
        rows = await this.#options.store.db
          .selectFrom('device_sessions')
          .selectAll()
          .where('device_id', 'in', ids)
          .execute()
      } catch (error) {
        this.#options.onError(error)
      }
      const found = new Map(rows.map((row) => [row.device_id, row]))
      for (const id of ids) {
        const row = found.get(id)
        const waiting = this.#wanted.get(id) ?? []
        this.#wanted.delete(id)
        for (const loaded of waiting) loaded(row && fromRow(row))
      }
    }
  }

  #pending(deviceId: string): boolean {
    return this.#changes.has(deviceId) || this.#touched.has(deviceId) || this.#committing.has(deviceId)
  }

  /**
   * Writes a session with the next group, within 50 ms.
   *
   * @param committed called once it is durable: only then may the device be told that what it said is known
   */
  save(session: Storable, committed?: () => void): void {
    this.#touched.delete(session.deviceId)
    const change = this.#change(session.deviceId)
    change.session = session
    if (committed) change.waiting.push(committed)
  }

  /** Only sequence numbers have changed: they are written with some later group. */
  touch(session: Storable): void {
    this.#touched.set(session.deviceId, session)
    this.#touchTimer ??= this.#clock.setTimeout(() => {
      this.#touchTimer = undefined
      this.#saveTouched()
    }, this.#options.touchAfter ?? 1_000)
  }

  #saveTouched(): void {
    for (const [id, session] of this.#touched) {
      if (!this.#changes.has(id)) this.#change(id).session = session
    }
    this.#touched.clear()
  }

  /** The session is at an end. */
  remove(deviceId: string): void {
    this.#unindex(deviceId)
    this.#touched.delete(deviceId)
    this.#change(deviceId).session = undefined
  }

  /** Where the session is found from now on; `save` stores it. */
  index({ deviceId, connectionId, address }: Pick<StoredSession, 'deviceId' | 'connectionId' | 'address'>): void {
    this.#index(deviceId, connectionId, address)
  }

  /** Resolves when everything that was to be written is, or has failed. */
  async flush(): Promise<void> {
    this.#clock.clearTimeout(this.#touchTimer)
    this.#touchTimer = undefined
    this.#saveTouched()
    await this.#commit()
  }

  async close(): Promise<void> {
    await this.flush()
    this.#clock.clearTimeout(this.#commitTimer)
    this.#clock.clearTimeout(this.#touchTimer)
  }

  #change(deviceId: string): Change {
    let change = this.#changes.get(deviceId)
    if (!change) {
      change = { session: undefined, waiting: [] }
      this.#changes.set(deviceId, change)
    }
    this.#commitTimer ??= this.#clock.setTimeout(() => void this.#commit(), this.#options.commitAfter ?? 25)
    return change
  }

  #commit(): Promise<void> {
    this.#clock.clearTimeout(this.#commitTimer)
    this.#commitTimer = undefined
    this.#working = this.#working.then(() => this.#write())
    return this.#working
  }

  async #write(): Promise<void> {
    const changes = this.#changes
    if (changes.size === 0) return
    this.#changes = new Map()
    this.#committing = changes
    const ids = [...changes.keys()]
    for (let at = 0; at < ids.length; at += groupSize) {
      const group = ids.slice(at, at + groupSize)
      try {
        await this.#options.beforeCommit?.(group)
        await this.#writeGroup(group, changes)
      } catch (error) {
        this.#options.onError(error)
        this.#again(ids.slice(at), changes)
        break
      }
      for (const id of group) {
        const change = changes.get(id)
        change?.session?.stored()
        for (const committed of change?.waiting ?? []) committed()
      }
    }
    this.#committing = new Map()
  }

  async #writeGroup(ids: readonly string[], changes: ReadonlyMap<string, Change>): Promise<void> {
    await this.#options.store.db.transaction().execute(async (tx) => {
      const removed: string[] = []
      const rows: Insertable<DeviceSessionTable>[] = []
      for (const id of ids) {
        const session = changes.get(id)?.session
        const snapshot = session?.snapshot()
        if (snapshot) rows.push(toRow(snapshot))
        else if (!session) removed.push(id)
      }
      if (removed.length > 0) await tx.deleteFrom('device_sessions').where('device_id', 'in', removed).execute()
      for (let at = 0; at < rows.length; at += rowsAtOnce) {
        await tx
          .insertInto('device_sessions')
          .values(rows.slice(at, at + rowsAtOnce))
          .onConflict((conflict) =>
            conflict.column('device_id').doUpdateSet(({ ref }) => ({
              connection_id: ref('excluded.connection_id'),
              address: ref('excluded.address'),
              secrets: ref('excluded.secrets'),
              hello: ref('excluded.hello'),
              subscriptions: ref('excluded.subscriptions'),
              state: ref('excluded.state'),
              used_at: ref('excluded.used_at'),
            })),
          )
          .execute()
      }
    })
  }

  /** What could not be written is written later, unless something newer came meanwhile. */
  #again(ids: readonly string[], changes: ReadonlyMap<string, Change>): void {
    for (const id of ids) {
      const failed = changes.get(id)
      if (!failed) continue
      const newer = this.#changes.get(id)
      if (newer) newer.waiting.unshift(...failed.waiting)
      else this.#changes.set(id, failed)
    }
    this.#clock.clearTimeout(this.#commitTimer)
    this.#commitTimer = this.#clock.setTimeout(() => void this.#commit(), this.#options.retryAfter ?? 1_000)
  }

  #index(deviceId: string, connectionId: string | undefined, address: string): void {
    const key = connectionId ?? address
    if (this.#keyOf.get(deviceId) === key) return
    this.#unindex(deviceId)
    // Two devices cannot be at one address: the one that was authentic last is.
    const other = this.#deviceOf.get(key)
    if (other !== undefined) this.#keyOf.delete(other)
    this.#keyOf.set(deviceId, key)
    this.#deviceOf.set(key, deviceId)
  }

  #unindex(deviceId: string): void {
    const key = this.#keyOf.get(deviceId)
    if (key === undefined) return
    this.#keyOf.delete(deviceId)
    if (this.#deviceOf.get(key) === deviceId) this.#deviceOf.delete(key)
  }
}

const stateBit = { safeMode: 1, described: 2, online: 4, left: 8 } as const

function toRow(session: StoredSession): Insertable<DeviceSessionTable> {
  return {
    device_id: session.deviceId,
    connection_id: session.connectionId ?? null,
    address: session.address,
    secrets: session.secrets,
    hello: session.hello,
    subscriptions: encodeSubscriptions(session.subscriptions),
    state:
      (session.safeMode ? stateBit.safeMode : 0) |
      (session.described ? stateBit.described : 0) |
      (session.online ? stateBit.online : 0) |
      (session.left ? stateBit.left : 0),
    used_at: session.usedAt,
  }
}

function fromRow(row: Selectable<DeviceSessionTable>): StoredSession {
  return {
    deviceId: row.device_id,
    connectionId: row.connection_id ?? undefined,
    address: row.address,
    secrets: row.secrets,
    hello: row.hello,
    subscriptions: decodeSubscriptions(row.subscriptions),
    safeMode: (row.state & stateBit.safeMode) !== 0,
    described: (row.state & stateBit.described) !== 0,
    online: (row.state & stateBit.online) !== 0,
    left: (row.state & stateBit.left) !== 0,
    usedAt: row.used_at,
  }
}
