/**
 * Brings one client from the last event that it has seen to the present: group after group of the log, so that nobody
 * waits for it, and no faster than the client reads. Then it joins the others, in the same turn of the event loop, so
 * that it gets every event once.
 */
import { type Clock, systemClock, type TimerHandle } from '../clock.ts'
import { type CloudEvent, eventLimits } from './event.ts'
import type { EventLog } from './event-log.ts'
import { caughtUp, frameEvent, frameProductEvent, gapEventName } from './framing.ts'
import { type StreamFilter, shows } from './stream-filter.ts'

/** A client's socket, of which a stream needs little. */
export interface StreamSink {
  write(chunk: Uint8Array | string): boolean
  /** Bytes that were written and have not left this process. */
  readonly writableLength: number
  /** Bytes that were written in all, those that wait included. */
  readonly bytesWritten: number
  destroy(): unknown
}

export interface ReplayOptions {
  readonly log: EventLog
  readonly filter: StreamFilter
  readonly sink: StreamSink
  /** `Last-Event-ID` as the client sent it. */
  readonly lastEventId: string
  readonly clock?: Clock
  /** The client has everything: what comes now is live. */
  readonly join: () => void
}

/** A client with so many bytes to read waits for the next group. */
const writeAhead = 256 * 1024
/** How long until a client is looked after that has not read yet. */
const lookAgain = 20

export class Replay {
  readonly #options: ReplayOptions
  readonly #clock: Clock
  #after: number
  #timer: TimerHandle | undefined
  #immediate: NodeJS.Immediate | undefined
  #stopped = false

  constructor(options: ReplayOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    const { log, lastEventId } = options
    const id = /^\d{1,16}$/.test(lastEventId) ? Number(lastEventId) : Number.NaN
    // An id that this cloud has not given says nothing about what was missed.
    const known = id <= log.lastId
    this.#after = known ? id : log.lastId
    if (!known) this.#tellGap()
  }

  start(): void {
    this.#step()
  }

  stop(): void {
    this.#stopped = true
    this.#clock.clearTimeout(this.#timer)
    clearImmediate(this.#immediate)
  }

  #step(): void {
    if (this.#stopped) return
    const { log, filter, sink, join } = this.#options
    if (sink.writableLength > writeAhead) {
      this.#timer = this.#clock.setTimeout(() => this.#step(), lookAgain)
      return
    }
    const { events, through, gap, complete } = log.read(this.#after, (event) => shows(filter, event))
    if (gap) this.#tellGap()
    const frame = filter.kind === 'product' ? frameProductEvent : frameEvent
    const text = events.map(({ id, event }) => frame(event, id)).join('')
    this.#after = through
    if (complete) {
      sink.write(text + caughtUp)
      join()
      return
    }
    if (text.length > 0) sink.write(text)
    this.#immediate = setImmediate(() => this.#step())
  }

  #tellGap(): void {
    const event: CloudEvent = {
      name: gapEventName,
      data: `Events after ${this.#options.lastEventId.slice(0, 32)} may be missing here`,
      ttl: eventLimits.defaultTtl,
      publishedAt: this.#clock.now(),
      coreid: 'particle-internal',
    }
    this.#options.sink.write(frameEvent(event))
  }
}
