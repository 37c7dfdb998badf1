/**
 * The open event streams, and the way of an event to them.
 *
 * Streams with the same filter form a group. An event is framed once; each group it concerns collects the frames of one
 * turn of the event loop and writes them to all its streams as one shared buffer.
 */
import type { Bus } from '../bus/bus.ts'
import type { CloudEvent } from './event.ts'
import type { EventLog } from './event-log.ts'
import { frameEvent, frameProductEvent, heartbeat, streamOpening } from './framing.ts'
import { Replay, type StreamSink } from './replay.ts'
import { type StreamFilter, shows } from './stream-filter.ts'

export type { StreamSink } from './replay.ts'
export type { StreamFilter } from './stream-filter.ts'

export interface EventStreamsOptions {
  readonly bus: Bus
  /** Gives events their ids and keeps them for who comes back; without one there is no replay. */
  readonly log?: EventLog
  /**
   * Bytes that may wait for a client before it is dropped. The buffers are shared, so that many slow clients of one
   * filter cost little more than one.
   */
  readonly bufferLimit?: number
  /** Bytes that may wait for all clients together: beyond, those that are furthest behind are dropped. */
  readonly totalLimit?: number
  /** Milliseconds between heartbeats; particle-api-js gives up after 15 s of silence (cloud-api.md 1.4). */
  readonly heartbeatEvery?: number
  /** Milliseconds after which a client that has taken nothing of what waits for it is dropped. */
  readonly stalledAfter?: number
  readonly onDropped?: (filter: StreamFilter, reason: DropReason) => void
}

/** `slow`: too much waited for the client; `stalled`: it took nothing for too long. */
export type DropReason = 'slow' | 'stalled'

export interface StreamStatistics {
  /** Streams that are open now, and those of them that are shown what they missed. */
  readonly open: number
  readonly replaying: number
  /** Since the start. */
  readonly opened: number
  readonly replayed: number
  readonly dropped: Readonly<Record<DropReason, number>>
  /** Events, and how often one was written to a client. */
  readonly events: number
  readonly delivered: number
}

/** Text collected beyond this is written at once instead of at the end of the turn. */
const batchLimit = 64 * 1024

interface Group {
  readonly key: string
  readonly filter: StreamFilter
  readonly sinks: Set<StreamSink>
  pending: string
  /** Events in `pending`. */
  count: number
  scheduled: boolean
}

/** A client that has not taken all: how many bytes it took, and for how many heartbeats no more. */
interface Stall {
  readonly taken: number
  beats: number
}

/** How many bytes are written between two looks at what waits in all. */
const lookAtTotalEvery = 8 * 1024 * 1024

export class EventStreams {
  readonly #groups = new Map<string, Group>()
  readonly #byOwner = new Map<string, Set<Group>>()
  readonly #byDevice = new Map<string, Set<Group>>()
  readonly #byProduct = new Map<number, Set<Group>>()
  readonly #due: Group[] = []
  readonly #replays = new Map<StreamSink, { readonly filter: StreamFilter; readonly replay: Replay }>()
  readonly #stalls = new Map<StreamSink, Stall>()
  readonly #log: EventLog | undefined
  readonly #bufferLimit: number
  readonly #totalLimit: number
  readonly #stalledBeats: number
  readonly #onDropped: (filter: StreamFilter, reason: DropReason) => void
  readonly #dropped: Record<DropReason, number> = { slow: 0, stalled: 0 }
  readonly #heartbeatTimer: NodeJS.Timeout
  readonly #unsubscribe: () => void
  #immediate: NodeJS.Immediate | undefined
  #size = 0
  #opened = 0
  #replayed = 0
  #events = 0
  #delivered = 0
  #writtenSinceLook = 0

  constructor(options: EventStreamsOptions) {
    const { bus, log, bufferLimit = 4 * 1024 * 1024, totalLimit = 256 * 1024 * 1024 } = options
    const { heartbeatEvery = 9_000, stalledAfter = 60_000, onDropped } = options
    this.#log = log
    this.#bufferLimit = bufferLimit
    this.#totalLimit = totalLimit
    this.#stalledBeats = Math.max(2, Math.ceil(stalledAfter / heartbeatEvery))
    this.#onDropped = onDropped ?? (() => undefined)
    this.#unsubscribe = bus.subscribe((event) => this.#distribute(event))
    this.#heartbeatTimer = setInterval(() => this.#beat(), heartbeatEvery).unref()
  }

  /** How many streams are open. */
  get size(): number {
    return this.#size + this.#replays.size
  }

  statistics(): StreamStatistics {
    return {
      open: this.size,
      replaying: this.#replays.size,
      opened: this.#opened,
      replayed: this.#replayed,
      dropped: { ...this.#dropped },
      events: this.#events,
      delivered: this.#delivered,
    }
  }

  /**
   * Opens a stream on a client whose response head was sent.
   *
   * @param lastEventId id of the last event that the client has seen: it is shown what came since, then what comes
   * @returns a function to call when the client has gone
   */
  open(filter: StreamFilter, sink: StreamSink, lastEventId?: string): () => void {
    sink.write(streamOpening)
    this.#opened++
    if (lastEventId === undefined || !this.#log) return this.#join(filter, sink)
    this.#replayed++
    let leave: (() => void) | undefined
    const replay = new Replay({
      log: this.#log,
      filter,
      sink,
      lastEventId,
      join: () => {
        this.#replays.delete(sink)
        leave = this.#join(filter, sink)
      },
    })
    this.#replays.set(sink, { filter, replay })
    replay.start()
    return () => {
      if (leave) leave()
      else this.#endReplay(sink)
    }
  }

  #join(filter: StreamFilter, sink: StreamSink): () => void {
    const group = this.#groupFor(filter)
    // What was collected before belongs to those who were there.
    this.#flush(group)
    group.sinks.add(sink)
    this.#size++
    return () => this.#leave(group, sink)
  }

  #endReplay(sink: StreamSink): void {
    this.#replays.get(sink)?.replay.stop()
    this.#replays.delete(sink)
    this.#stalls.delete(sink)
  }

  /** Ends the streams that `matches` says. */
  end(matches: (filter: StreamFilter) => boolean): void {
    for (const group of this.#groups.values()) {
      if (matches(group.filter)) this.#endGroup(group)
    }
    for (const [sink, { filter }] of this.#replays) {
      if (!matches(filter)) continue
      this.#endReplay(sink)
      sink.destroy()
    }
  }

  close(): void {
    this.#unsubscribe()
    clearInterval(this.#heartbeatTimer)
    clearImmediate(this.#immediate)
    this.end(() => true)
  }

  #endGroup(group: Group): void {
    this.#flush(group)
    for (const sink of group.sinks) {
      this.#leave(group, sink)
      sink.destroy()
    }
  }

  #distribute(event: CloudEvent): void {
    this.#events++
    const id = this.#log?.append(event)
    let frame: string | undefined
    let productFrame: string | undefined
    const take = (groups: Set<Group> | undefined): void => {
      if (groups === undefined) return
      for (const group of groups) {
        const { filter } = group
        if (!shows(filter, event)) continue
        if (filter.kind === 'product') {
          productFrame ??= frameProductEvent(event, id)
          this.#collect(group, productFrame)
        } else {
          frame ??= frameEvent(event, id)
          this.#collect(group, frame)
        }
      }
    }
    if (event.owner !== undefined) take(this.#byOwner.get(event.owner))
    if (event.deviceId !== undefined) take(this.#byDevice.get(event.deviceId))
    if (event.productId !== undefined) take(this.#byProduct.get(event.productId))
  }

  #collect(group: Group, frame: string): void {
    group.pending += frame
    group.count++
    if (group.pending.length > batchLimit) {
      this.#flush(group)
    } else if (!group.scheduled) {
      group.scheduled = true
      this.#due.push(group)
      this.#immediate ??= setImmediate(() => this.#flushDue())
    }
  }

  #flushDue(): void {
    this.#immediate = undefined
    for (const group of this.#due.splice(0)) {
      group.scheduled = false
      this.#flush(group)
    }
  }

  #flush(group: Group): void {
    if (group.pending.length === 0) return
    const chunk = Buffer.from(group.pending, 'utf8')
    group.pending = ''
    this.#delivered += group.count * group.sinks.size
    group.count = 0
    this.#write(group, chunk)
    this.#writtenSinceLook += chunk.length
    if (this.#writtenSinceLook > lookAtTotalEvery) this.#lookAtTotal()
  }

  #beat(): void {
    this.#dropStalled()
    const chunk = Buffer.from(heartbeat)
    for (const group of this.#groups.values()) {
      this.#flush(group)
      this.#write(group, chunk)
    }
  }

  #write(group: Group, chunk: Uint8Array): void {
    for (const sink of group.sinks) {
      // A client that does not read is dropped rather than waited for: the others must not feel it.
      if (sink.writableLength + chunk.length > this.#bufferLimit) this.#drop(group.filter, sink, 'slow', group)
      else sink.write(chunk)
    }
  }

  #drop(filter: StreamFilter, sink: StreamSink, reason: DropReason, group?: Group): void {
    if (group) this.#leave(group, sink)
    else this.#endReplay(sink)
    sink.destroy()
    this.#dropped[reason]++
    this.#onDropped(filter, reason)
  }

  /**
   * Clients that took nothing since the heartbeats began to wait for them: a process that hangs, or a connection that
   * nobody has closed. One that has nothing to take is noticed when a heartbeat is not acknowledged, by the system.
   */
  #dropStalled(): void {
    const look = (sink: StreamSink): boolean => {
      if (sink.writableLength === 0) {
        this.#stalls.delete(sink)
        return false
      }
      const taken = sink.bytesWritten - sink.writableLength
      const stall = this.#stalls.get(sink)
      if (stall?.taken === taken) return ++stall.beats >= this.#stalledBeats
      this.#stalls.set(sink, { taken, beats: 0 })
      return false
    }
    for (const group of this.#groups.values()) {
      for (const sink of group.sinks) if (look(sink)) this.#drop(group.filter, sink, 'stalled', group)
    }
    for (const [sink, { filter }] of this.#replays) if (look(sink)) this.#drop(filter, sink, 'stalled')
  }

  /** What waits for the clients of a group is the same memory, so that the slowest tells how much the group holds. */
  #lookAtTotal(): void {
    this.#writtenSinceLook = 0
    const behind: { group: Group; bytes: number }[] = []
    let total = 0
    for (const group of this.#groups.values()) {
      let bytes = 0
      for (const sink of group.sinks) bytes = Math.max(bytes, sink.writableLength)
      total += bytes
      if (bytes > 0) behind.push({ group, bytes })
    }
    if (total <= this.#totalLimit) return
    behind.sort((a, b) => b.bytes - a.bytes)
    for (const { group, bytes } of behind) {
      for (const sink of group.sinks) {
        if (sink.writableLength > bytes / 2) this.#drop(group.filter, sink, 'slow', group)
      }
      total -= bytes / 2
      if (total <= this.#totalLimit) return
    }
  }

  #leave(group: Group, sink: StreamSink): void {
    if (!group.sinks.delete(sink)) return
    this.#stalls.delete(sink)
    this.#size--
    if (group.sinks.size > 0) return
    group.pending = ''
    group.count = 0
    this.#groups.delete(group.key)
    const { filter } = group
    if (filter.kind === 'owner') removeFrom(this.#byOwner, filter.ownerId, group)
    else if (filter.kind === 'device') removeFrom(this.#byDevice, filter.deviceId, group)
    else removeFrom(this.#byProduct, filter.productId, group)
  }

  #groupFor(filter: StreamFilter): Group {
    const key = JSON.stringify(filter)
    const existing = this.#groups.get(key)
    if (existing) return existing
    const group: Group = { key, filter, sinks: new Set(), pending: '', count: 0, scheduled: false }
    this.#groups.set(key, group)
    if (filter.kind === 'owner') addTo(this.#byOwner, filter.ownerId, group)
    else if (filter.kind === 'device') addTo(this.#byDevice, filter.deviceId, group)
    else addTo(this.#byProduct, filter.productId, group)
    return group
  }
}

function addTo<K>(index: Map<K, Set<Group>>, key: K, group: Group): void {
  index.set(key, (index.get(key) ?? new Set()).add(group))
}

function removeFrom<K>(index: Map<K, Set<Group>>, key: K, group: Group): void {
  const groups = index.get(key)
  groups?.delete(group)
  if (groups?.size === 0) index.delete(key)
}
