/**
 * The replay log: the last events of the cloud, so that a client that was away can be shown what it missed.
 *
 * The whole window is in memory, in groups that are sealed after 50 ms; the store has the same for the next start.
 * Nobody waits for either: an event that was published is shown at once, and a killed process loses what was not
 * committed yet (architecture.md). That is told to those whom it may concern.
 */
import { type Clock, systemClock, type TimerHandle } from '../clock.ts'
import type { Store } from '../store/store.ts'
import type { CloudEvent } from './event.ts'
import { decodeGroup, encodeGroup } from './event-group.ts'

export interface EventLogLimits {
  /** Events kept. */
  readonly count: number
  /** Bytes kept, in memory and in the store. */
  readonly bytes: number
  /** Milliseconds that an event is kept. */
  readonly age: number
}

export const defaultEventLogLimits: EventLogLimits = {
  count: 100_000,
  bytes: 32 * 1024 * 1024,
  age: 24 * 60 * 60 * 1_000,
}

export interface EventLogOptions {
  readonly store: Store
  readonly clock?: Clock
  readonly limits?: Partial<EventLogLimits>
  /** How long a group waits for more events before it is sealed and committed, in milliseconds. */
  readonly commitAfter?: number
  /** A group that could not be written; it is tried again with the next. */
  readonly onError: (error: unknown) => void
}

export interface LoggedEvent {
  readonly id: number
  readonly event: CloudEvent
}

/** What comes after an id. */
export interface LogPage {
  readonly events: readonly LoggedEvent[]
  /** The reader is now behind this id. */
  readonly through: number
  /** Events before these are not kept any more, or may have been lost with a process that was killed. */
  readonly gap: boolean
  /** There is nothing after this page. */
  readonly complete: boolean
}

/** Sealed: it does not change any more. */
interface Group {
  readonly first: number
  readonly last: number
  /** 0 marks a place where events may be missing. */
  readonly count: number
  readonly sealedAt: number
  readonly content: Uint8Array
}

/** A group is sealed early when it has about so many bytes, so that one can be read in a moment. */
const groupBytes = 128 * 1024
/** What an event has besides its data, about. */
const eventOverhead = 160
/** What a group costs besides its content. */
const groupOverhead = 200
/** Rows in one statement. */
const rowsAtOnce = 50
/**
 * The database may block this thread while it syncs: commits rest this many times as long as the last took, so that a
 * slow disk costs a fifth of the time and not all of it.
 */
const pause = 4

export class EventLog {
  readonly #store: Store
  readonly #clock: Clock
  readonly #limits: EventLogLimits
  readonly #commitAfter: number
  readonly #onError: (error: unknown) => void
  /** Oldest first. */
  #groups: Group[] = []
  #count = 0
  #bytes = 0
  /** Events up to this id are not kept any more. */
  #floor: number
  #last: number
  #open: CloudEvent[] = []
  #openBytes = 0
  #unsaved: Group[] = []
  /** The store may have groups that are not kept any more. */
  #evicted = false
  /** Milliseconds of the last commit. */
  #took = 0
  #timer: TimerHandle | undefined
  #working: Promise<void> = Promise.resolve()
  #closed = false

  private constructor({ store, clock = systemClock, limits, commitAfter = 50, onError }: EventLogOptions) {
    this.#store = store
    this.#clock = clock
    this.#limits = { ...defaultEventLogLimits, ...limits }
    this.#commitAfter = commitAfter
    this.#onError = onError
    // No earlier process has come so far, unless it published a million events a second or the clock was set back.
    this.#last = clock.now() * 1_024
    this.#floor = this.#last
  }

  /** Reads what the last process kept. */
  static async open(options: EventLogOptions): Promise<EventLog> {
    const log = new EventLog(options)
    await log.#restore()
    return log
  }

  async #restore(): Promise<void> {
    const { db } = this.#store
    for (const row of await db.selectFrom('event_log').selectAll().orderBy('first_id').execute()) {
      this.#keep({
        first: row.first_id,
        last: row.last_id,
        count: row.count,
        sealedAt: row.sealed_at,
        content: row.content,
      })
    }
    const oldest = this.#groups[0]
    const newest = this.#groups.at(-1)
    if (oldest) this.#floor = oldest.first - 1
    // Some room for what was published and not committed, should the clock have been set back.
    if (newest) this.#last = Math.max(this.#last, newest.last + 1_000_000)
    const state = await db.selectFrom('event_log_state').select('clean').where('id', '=', 1).executeTakeFirst()
    if (state?.clean === 0) {
      const id = ++this.#last
      this.#seal({ first: id, last: id, count: 0, sealedAt: this.#clock.now(), content: new Uint8Array(0) })
    }
    const values = { id: 1, clean: 0 }
    await db
      .insertInto('event_log_state')
      .values(values)
      .onConflict((conflict) => conflict.column('id').doUpdateSet({ clean: 0 }))
      .execute()
    this.#evict()
    await this.#commit()
  }

  /** Events that are kept. */
  get size(): number {
    return this.#count + this.#open.length
  }

  get bytes(): number {
    return this.#bytes + this.#openBytes
  }

  /** Events that are not in the store yet. */
  get uncommitted(): number {
    return this.#unsaved.reduce((sum, { count }) => sum + count, this.#open.length)
  }

  /** Id of the last event; of one that never was while there is none. */
  get lastId(): number {
    return this.#last
  }

  /** Takes an event in, and gives it its id: greater than all before. */
  append(event: CloudEvent): number {
    this.#open.push(event)
    this.#openBytes += eventOverhead + (event.data?.length ?? 0)
    const id = ++this.#last
    if (this.#openBytes >= groupBytes) this.#sealOpen()
    this.#timer ??= this.#clock.setTimeout(() => this.#due(), Math.max(this.#commitAfter, pause * this.#took))
    return id
  }

  /**
   * The next events behind `after` that `wanted` lets through: those of one group, so that a reader takes as many steps
   * as there are groups and nobody waits for it.
   */
  read(after: number, wanted: (event: CloudEvent) => boolean): LogPage {
    this.#evict()
    const gap = after < this.#floor
    const from = Math.max(after, this.#floor)
    const at = this.#firstBehind(from)
    const group = this.#groups[at]
    if (!group) {
      const first = this.#last - this.#open.length + 1
      return { events: pick(this.#open, first, from, wanted), through: this.#last, gap, complete: true }
    }
    if (group.count === 0) return { events: [], through: group.last, gap: true, complete: false }
    let events: readonly CloudEvent[] = []
    try {
      events = decodeGroup(group.content)
    } catch (error) {
      this.#onError(error)
      return { events: [], through: group.last, gap: true, complete: false }
    }
    return { events: pick(events, group.first, from, wanted), through: group.last, gap, complete: false }
  }

  /** Writes what is to be written; nothing is taken in afterwards. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#clock.clearTimeout(this.#timer)
    this.#timer = undefined
    this.#sealOpen()
    await this.#commit()
    if (this.#unsaved.length > 0) return
    await this.#store.db.updateTable('event_log_state').set({ clean: 1 }).where('id', '=', 1).execute()
  }

  #firstBehind(id: number): number {
    let low = 0
    let high = this.#groups.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#groups[middle]?.last ?? 0) > id) high = middle
      else low = middle + 1
    }
    return low
  }

  #due(): void {
    this.#timer = undefined
    this.#sealOpen()
    this.#commit().catch(this.#onError)
  }

  #sealOpen(): void {
    const events = this.#open
    if (events.length === 0) return
    this.#open = []
    this.#openBytes = 0
    const first = this.#last - events.length + 1
    const content = encodeGroup(events)
    this.#seal({ first, last: this.#last, count: events.length, sealedAt: this.#clock.now(), content })
    this.#evict()
  }

  #seal(group: Group): void {
    this.#keep(group)
    this.#unsaved.push(group)
  }

  #keep(group: Group): void {
    this.#groups.push(group)
    this.#count += group.count
    this.#bytes += group.content.length + groupOverhead
  }

  /** The newest group stays however old it is: by its id those who missed nothing can be told from the others. */
  #evict(): void {
    const { count, bytes, age } = this.#limits
    const oldest = this.#clock.now() - age
    let out = 0
    for (const group of this.#groups) {
      const over = this.#count > count || this.#bytes > bytes || group.sealedAt < oldest
      if (!over || out === this.#groups.length - 1) break
      out++
      this.#count -= group.count
      this.#bytes -= group.content.length + groupOverhead
      this.#floor = group.last
    }
    if (out === 0) return
    this.#groups = this.#groups.slice(out)
    this.#evicted = true
  }

  #commit(): Promise<void> {
    this.#working = this.#working.then(() => this.#write()).catch(this.#onError)
    return this.#working
  }

  async #write(): Promise<void> {
    const floor = this.#floor
    // What has left the window while the store could not be written needs no place in it.
    this.#unsaved = this.#unsaved.filter(({ last }) => last > floor)
    const groups = this.#unsaved
    const evicted = this.#evicted
    if (groups.length === 0 && !evicted) return
    this.#evicted = false
    const start = this.#clock.now()
    try {
      await this.#store.db.transaction().execute(async (tx) => {
        for (let at = 0; at < groups.length; at += rowsAtOnce) {
          await tx
            .insertInto('event_log')
            .values(
              groups.slice(at, at + rowsAtOnce).map(({ first, last, count, sealedAt, content }) => ({
                first_id: first,
                last_id: last,
                count,
                sealed_at: sealedAt,
                content,
              })),
            )
            .execute()
        }
        if (evicted) await tx.deleteFrom('event_log').where('last_id', '<=', floor).execute()
      })
      this.#took = this.#clock.now() - start
      const written = new Set(groups)
      this.#unsaved = this.#unsaved.filter((group) => !written.has(group))
    } catch (error) {
      this.#evicted ||= evicted
      throw error
    }
  }
}

function pick(
  events: readonly CloudEvent[],
  first: number,
  after: number,
  wanted: (event: CloudEvent) => boolean,
): LoggedEvent[] {
  const picked: LoggedEvent[] = []
  for (let at = Math.max(0, after - first + 1); at < events.length; at++) {
    const event = events[at]
    if (event && wanted(event)) picked.push({ id: first + at, event })
  }
  return picked
}
