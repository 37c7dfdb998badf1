/**
 * What a windowed sender may have on its way, and what of it was lost (device-protocol.md 3.19).
 *
 * Device OS leaves this to the server. The rules are those of today's transport protocols (RFC 9002): every
 * transmission has a number of its own; a chunk is lost when one sent three transmissions later has arrived; silence is
 * met with a probe after the learned round trip, twice as late each time; loss halves what may be on its way.
 */
import type { Millis } from '../time.ts'
import { ReceivedChunks } from './received-chunks.ts'
import type { UpdateAck } from './windowed-messages.ts'

/** Transmissions by which a chunk may be overtaken without being lost. */
const reorderThreshold = 3
/** Before any round trip is known, silence is met after 3 s (device-protocol.md 3.19). */
const firstProbe = 3_000
const maxProbe = 10_000
/** The device delays an ack by up to 200 ms. */
const ackDelay = 200
const minProbe = 100
const initialLimit = 16
const minLimit = 4
/** Message ids of chunks that are remembered to know a late reset by. */
const rememberedIds = 512

interface Transmission {
  /** Counts transmissions, not chunks. */
  readonly number: number
  readonly sentAt: Millis
  readonly repeated: boolean
}

export class SendWindow {
  readonly count: number
  readonly #window: number
  readonly #reliable: boolean
  readonly #chunks: ReceivedChunks
  /** Chunks on their way. */
  readonly #inFlight = new Map<number, Transmission>()
  readonly #lost = new Set<number>()
  readonly #ids = new Set<number>()
  #nextNew = 1
  #transmissions = 0
  #newestArrived = 0
  #resent = 0
  #limit: number
  #threshold = Number.POSITIVE_INFINITY
  /** Losses of transmissions up to this number belong to a reduction that was made. */
  #reducedAt = 0
  #roundTrip: { smooth: Millis; variation: Millis } | undefined
  #quietSince: Millis = 0
  #probes = 0
  #probing = false

  /**
   * @param count chunks to send
   * @param window chunks that may be sent beyond those that have arrived without a gap
   * @param reliable nothing is ever lost: the window is the only limit
   */
  constructor(count: number, window: number, reliable: boolean) {
    this.count = count
    this.#window = window
    this.#reliable = reliable
    this.#chunks = new ReceivedChunks(count)
    this.#limit = reliable ? window : Math.min(window, initialLimit)
  }

  /** Chunks that the device has without a gap. */
  get received(): number {
    return this.#chunks.contiguous
  }

  get complete(): boolean {
    return this.#chunks.complete
  }

  /** Transmissions beyond one for each chunk. */
  get resent(): number {
    return this.#resent
  }

  /** When to call `probe`; undefined over a reliable link, and while nothing is on its way. */
  get probeAt(): Millis | undefined {
    if (this.#reliable || this.#inFlight.size === 0) return undefined
    return this.#quietSince + this.#probeAfter()
  }

  /** True for the message id of a chunk that was sent not long ago. */
  isChunk(id: number): boolean {
    return this.#ids.has(id)
  }

  /** The chunk to send now, which counts as on its way from here on; undefined while there is no room. */
  next(now: Millis): number | undefined {
    if (this.#inFlight.size >= this.#limit && !this.#probing) return undefined
    this.#probing = false
    const [lost] = this.#lost
    if (lost !== undefined) {
      this.#lost.delete(lost)
      this.#resent += 1
      this.#track(lost, now, true)
      return lost
    }
    if (this.#nextNew > this.count || this.#nextNew > this.#chunks.contiguous + this.#window) return undefined
    this.#track(this.#nextNew, now, false)
    return this.#nextNew++
  }

  /** Tells under which message id the chunk of `next` was sent. */
  sent(id: number): void {
    this.#ids.add(id)
    if (this.#ids.size <= rememberedIds) return
    const [oldest] = this.#ids
    if (oldest !== undefined) this.#ids.delete(oldest)
  }

  /** Takes the device's word. @returns true when it told something new */
  acknowledge(ack: UpdateAck, now: Millis): boolean {
    // More than was ever sent cannot have arrived; less than known is an old ack that was overtaken.
    if (ack.cumulative >= this.#nextNew || ack.cumulative < this.#chunks.contiguous) return false
    let arrived = 0
    let newest: Transmission | undefined
    const note = (index: number): void => {
      if (!this.#chunks.add(index)) return
      arrived += 1
      this.#lost.delete(index)
      const transmission = this.#inFlight.get(index)
      this.#inFlight.delete(index)
      if (transmission && transmission.number > (newest?.number ?? 0)) newest = transmission
    }
    for (let index = this.#chunks.contiguous + 1; index <= ack.cumulative; index++) note(index)
    for (let bit = 0; bit < ack.bits; bit++) {
      const index = ack.cumulative + 1 + bit
      if (index >= this.#nextNew) break
      if (ack.received(bit)) note(index)
    }
    if (arrived === 0) return false
    this.#quietSince = now
    this.#probes = 0
    if (!this.#reliable) this.#learn(arrived, newest, now)
    return true
  }

  /** Meets silence: what was first sent counts as lost. Without effect before `probeAt`. */
  probe(now: Millis): void {
    const due = this.probeAt
    if (due === undefined || now < due) return
    const [first] = this.#inFlight.keys()
    if (first === undefined) return
    this.#probes += 1
    this.#quietSince = now
    this.#inFlight.delete(first)
    this.#lost.add(first)
    if (this.#probes > 1) this.#reduce(minLimit)
    // The probe goes out even if other chunks fill what may be on its way: they are probably lost as well.
    this.#probing = true
  }

  #track(index: number, now: Millis, repeated: boolean): void {
    this.#transmissions += 1
    if (this.#inFlight.size === 0) this.#quietSince = now
    this.#inFlight.set(index, { number: this.#transmissions, sentAt: now, repeated })
  }

  #learn(arrived: number, newest: Transmission | undefined, now: Millis): void {
    if (newest) {
      this.#newestArrived = Math.max(this.#newestArrived, newest.number)
      // The ack of a repeated chunk may belong to either transmission (Karn).
      if (!newest.repeated) this.#measure(now - newest.sentAt)
    }
    this.#limit =
      this.#limit < this.#threshold ? this.#limit + arrived : this.#limit + Math.min(1, arrived / this.#limit)
    this.#limit = Math.min(this.#limit, this.#window)
    let newestLost = 0
    for (const [index, { number }] of this.#inFlight) {
      if (number + reorderThreshold > this.#newestArrived) continue
      this.#inFlight.delete(index)
      this.#lost.add(index)
      newestLost = Math.max(newestLost, number)
    }
    if (newestLost > this.#reducedAt) this.#reduce(Math.max(minLimit, this.#limit / 2))
  }

  #reduce(limit: number): void {
    this.#threshold = limit
    this.#limit = limit
    this.#reducedAt = this.#transmissions
  }

  /** RFC 6298, section 2. */
  #measure(sample: Millis): void {
    const known = this.#roundTrip
    if (!known) {
      this.#roundTrip = { smooth: sample, variation: sample / 2 }
      return
    }
    known.variation += (Math.abs(known.smooth - sample) - known.variation) / 4
    known.smooth += (sample - known.smooth) / 8
  }

  #probeAfter(): Millis {
    const known = this.#roundTrip
    const once = known ? known.smooth + Math.max(minProbe, 4 * known.variation) + ackDelay : firstProbe
    return Math.min(maxProbe, once * 2 ** this.#probes)
  }
}
