/**
 * The open event streams, and the way of an event to them.
 *
 * Streams with the same filter form a group. An event is framed once; each group it concerns collects the frames of one
 * turn of the event loop and writes them to all its streams as one shared buffer.
 */
import type { Bus } from '../bus/bus.ts'
import type { CloudEvent } from './event.ts'
import { frameEvent, frameProductEvent, heartbeat, streamOpening } from './framing.ts'

/** Whose events a stream shows; `prefix` is compared with the name, in its case. */
export type StreamFilter =
  /** Of the owner's devices, and what the owner published. */
  | { readonly kind: 'owner'; readonly ownerId: string; readonly prefix: string }
  /** Of one device, as long as it is the owner's. */
  | { readonly kind: 'device'; readonly ownerId: string; readonly deviceId: string; readonly prefix: string }
  /** Of a product's devices, and what was published to it. */
  | { readonly kind: 'product'; readonly productId: number; readonly prefix: string }

/** A client's socket, of which a stream needs little. */
export interface StreamSink {
  write(chunk: Uint8Array | string): boolean
  /** Bytes that were written and have not left this process. */
  readonly writableLength: number
  destroy(): unknown
}

export interface EventStreamsOptions {
  readonly bus: Bus
  /**
   * Bytes that may wait for a client before it is dropped. The buffers are shared, so that many slow clients of one
   * filter cost little more than one.
   */
  readonly bufferLimit?: number
  /** Milliseconds between heartbeats; particle-api-js gives up after 15 s of silence (cloud-api.md 1.4). */
  readonly heartbeatEvery?: number
  readonly onDropped?: (filter: StreamFilter) => void
}

/** Text collected beyond this is written at once instead of at the end of the turn. */
const batchLimit = 64 * 1024

interface Group {
  readonly key: string
  readonly filter: StreamFilter
  readonly sinks: Set<StreamSink>
  pending: string
  scheduled: boolean
}

export class EventStreams {
  readonly #groups = new Map<string, Group>()
  readonly #byOwner = new Map<string, Set<Group>>()
  readonly #byDevice = new Map<string, Set<Group>>()
  readonly #byProduct = new Map<number, Set<Group>>()
  readonly #due: Group[] = []
  readonly #bufferLimit: number
  readonly #onDropped: (filter: StreamFilter) => void
  readonly #heartbeatTimer: NodeJS.Timeout
  readonly #unsubscribe: () => void
  #immediate: NodeJS.Immediate | undefined
  #size = 0

  constructor({ bus, bufferLimit = 4 * 1024 * 1024, heartbeatEvery = 9_000, onDropped }: EventStreamsOptions) {
    this.#bufferLimit = bufferLimit
    this.#onDropped = onDropped ?? (() => undefined)
    this.#unsubscribe = bus.subscribe((event) => this.#distribute(event))
    this.#heartbeatTimer = setInterval(() => this.#beat(), heartbeatEvery).unref()
  }

  /** How many streams are open. */
  get size(): number {
    return this.#size
  }

  /**
   * Opens a stream on a client whose response head was sent.
   * @returns a function to call when the client has gone
   */
  open(filter: StreamFilter, sink: StreamSink): () => void {
    const group = this.#groupFor(filter)
    // What was collected before belongs to those who were there.
    this.#flush(group)
    sink.write(streamOpening)
    group.sinks.add(sink)
    this.#size++
    return () => this.#leave(group, sink)
  }

  /** Ends the streams that `matches` says. */
  end(matches: (filter: StreamFilter) => boolean): void {
    for (const group of this.#groups.values()) {
      if (matches(group.filter)) this.#endGroup(group)
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
    let frame: string | undefined
    const take = (groups: Set<Group> | undefined): void => {
      if (groups === undefined) return
      for (const group of groups) {
        if (!event.name.startsWith(group.filter.prefix)) continue
        frame ??= frameEvent(event)
        this.#collect(group, frame)
      }
    }
    if (event.owner !== undefined) take(this.#byOwner.get(event.owner))
    if (event.deviceId !== undefined) {
      const groups = this.#byDevice.get(event.deviceId)
      for (const group of groups ?? []) {
        const { filter } = group
        if (filter.kind !== 'device' || filter.ownerId !== event.owner || !event.name.startsWith(filter.prefix))
          continue
        frame ??= frameEvent(event)
        this.#collect(group, frame)
      }
    }
    if (event.productId !== undefined) {
      let productFrame: string | undefined
      for (const group of this.#byProduct.get(event.productId) ?? []) {
        if (!event.name.startsWith(group.filter.prefix)) continue
        productFrame ??= frameProductEvent(event)
        this.#collect(group, productFrame)
      }
    }
  }

  #collect(group: Group, frame: string): void {
    group.pending += frame
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
    this.#write(group, chunk)
  }

  #beat(): void {
    const chunk = Buffer.from(heartbeat)
    for (const group of this.#groups.values()) {
      this.#flush(group)
      this.#write(group, chunk)
    }
  }

  #write(group: Group, chunk: Uint8Array): void {
    for (const sink of group.sinks) {
      // A client that does not read is dropped rather than waited for: the others must not feel it.
      if (sink.writableLength + chunk.length > this.#bufferLimit) {
        this.#leave(group, sink)
        sink.destroy()
        this.#onDropped(group.filter)
      } else {
        sink.write(chunk)
      }
    }
  }

  #leave(group: Group, sink: StreamSink): void {
    if (!group.sinks.delete(sink)) return
    this.#size--
    if (group.sinks.size > 0) return
    group.pending = ''
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
    const group: Group = { key, filter, sinks: new Set(), pending: '', scheduled: false }
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
