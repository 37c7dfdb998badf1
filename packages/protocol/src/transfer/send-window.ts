/**
 * What a windowed sender has on its way, and what of it was lost (device-protocol.md 3.19).
 *
 * Device OS leaves this to the server. Every transmission has a number of its own. A chunk is lost when one that was
 * sent three transmissions later has arrived; once the link was seen to reorder, when one that was sent later has
 * arrived and a part of a round trip has passed besides (RFC 8985, "RACK"). Silence is met with a probe after the
 * learned round trip, twice as late each time. How much may be on its way, and when, is `CongestionControl`'s to say.
 */
import type { Millis } from '../time.ts'
import { CongestionControl, type Pace } from './congestion.ts'
import { ReceivedChunks } from './received-chunks.ts'
import { RoundTrip } from './round-trip.ts'
import type { UpdateAck } from './windowed-messages.ts'

/** Transmissions by which a chunk may be overtaken without being lost. */
const reorderThreshold = 3
/** The end of an outage is noticed so soon, or after three round trips where that is longer. */
const maxProbe = 4_000
/** Message ids of chunks that are remembered to know a late reset by. */
const rememberedIds = 512

interface Transmission extends Pace {
  /** Counts transmissions, not chunks. */
  readonly number: number
  readonly repeated: boolean
}

export class SendWindow {
  readonly count: number
  readonly #window: number
  readonly #reliable: boolean
  readonly #chunks: ReceivedChunks
  readonly #roundTrip = new RoundTrip()
  readonly #control: CongestionControl
  /** Chunks on their way. */
  readonly #inFlight = new Map<number, Transmission>()
  readonly #lost = new Set<number>()
  readonly #ids = new Set<number>()
  #nextNew = 1
  #transmissions = 0
  #newestArrived: Transmission | undefined
  #resent = 0
  /** How many quarters of a round trip late chunks are given, 4 at most; 0 while nothing was ever late. */
  #patience = 0
  #patientSince = 0
  #quietSince: Millis = 0
  #probes = 0
  #probing = false

  /**
   * @param count chunks to send
   * @param window chunks that may be sent beyond those that have arrived without a gap
   * @param reliable nothing is ever lost: the window is the only limit
   * @param roundTrip what the start of the update took, if that is known
   */
  constructor(count: number, window: number, reliable: boolean, roundTrip?: Millis) {
    this.count = count
    this.#window = window
    this.#reliable = reliable
    this.#chunks = new ReceivedChunks(count)
    if (roundTrip !== undefined) this.#roundTrip.measure(roundTrip, 0)
    this.#control = new CongestionControl(this.#roundTrip)
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

  /** True for the message id of a chunk that was sent not long ago. */
  isChunk(id: number): boolean {
    return this.#ids.has(id)
  }

  /** When to look for what was lost, or to send the next chunk; undefined while only an ack can bring it on. */
  nextDeadline(): Millis | undefined {
    if (this.#reliable) return undefined
    let next = this.#hasNext ? this.#control.nextAt : Number.POSITIVE_INFINITY
    if (this.#inFlight.size > 0) next = Math.min(next, this.#probeAt, this.#lateAt)
    return next === Number.POSITIVE_INFINITY ? undefined : next
  }

  /** The chunk to send now, which counts as on its way from here on; undefined while there is none or no room. */
  next(now: Millis): number | undefined {
    if (!this.#reliable && !this.#probing) {
      if (this.#inFlight.size >= this.#limit || !this.#control.isDue(now)) return undefined
    }
    const [lost] = this.#lost
    if (lost !== undefined) {
      this.#probing = false
      this.#lost.delete(lost)
      this.#resent += 1
      this.#track(lost, now, true)
      return lost
    }
    if (!this.#hasNew) {
      this.#control.starved(this.#inFlight.size)
      return undefined
    }
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
    const before = this.#chunks.total
    let newest: Transmission | undefined
    const note = (index: number): void => {
      if (!this.#chunks.add(index)) return
      const transmission = this.#inFlight.get(index)
      this.#inFlight.delete(index)
      if (this.#lost.delete(index)) this.#wasLate()
      if (!transmission) return
      this.#control.arrived(transmission)
      this.#noteOrder(transmission, now)
      if (transmission.number > (newest?.number ?? 0)) newest = transmission
    }
    for (let index = this.#chunks.contiguous + 1; index <= ack.cumulative; index++) note(index)
    for (let bit = 0; bit < ack.bits; bit++) {
      const index = ack.cumulative + 1 + bit
      if (index >= this.#nextNew) break
      if (ack.received(bit)) note(index)
    }
    const arrived = this.#chunks.total - before
    if (arrived === 0) return false
    this.#quietSince = now
    this.#probes = 0
    this.#probing = false
    if (!this.#reliable) this.#learn(arrived, newest, now)
    return true
  }

  /** Finds what is lost by now, and meets silence with a probe. */
  poll(now: Millis): void {
    if (this.#reliable || this.#inFlight.size === 0) return
    if (now >= this.#lateAt) this.#findLost(now)
    if (now >= this.#probeAt) this.#probe(now)
  }

  get #limit(): number {
    return Math.min(this.#control.limit, this.#window)
  }

  get #hasNew(): boolean {
    return this.#nextNew <= this.count && this.#nextNew <= this.#chunks.contiguous + this.#window
  }

  get #hasNext(): boolean {
    return (this.#lost.size > 0 || this.#hasNew) && (this.#probing || this.#inFlight.size < this.#limit)
  }

  get #probeAt(): Millis {
    if (this.#inFlight.size === 0) return Number.POSITIVE_INFINITY
    const { timeout } = this.#roundTrip
    return this.#quietSince + Math.min(Math.max(maxProbe, 3 * timeout), timeout * 2 ** this.#probes)
  }

  /** When the first of those that were overtaken counts as lost. */
  get #lateAt(): Millis {
    const newest = this.#newestArrived
    if (!newest || this.#patience === 0) return Number.POSITIVE_INFINITY
    let first = Number.POSITIVE_INFINITY
    for (const { number, sentAt } of this.#inFlight.values()) {
      if (number < newest.number && sentAt < first) first = sentAt
    }
    return this.#lateTime(first)
  }

  /** When a chunk of that age counts as lost, if a later one has arrived. */
  #lateTime(sentAt: Millis): Millis {
    return sentAt + this.#roundTrip.latest + this.#reorderTime
  }

  get #reorderTime(): Millis {
    return ((this.#roundTrip.smooth ?? 0) * Math.min(4, this.#patience)) / 4
  }

  #track(index: number, now: Millis, repeated: boolean): void {
    this.#transmissions += 1
    if (this.#inFlight.size === 0) this.#quietSince = now
    const pace = this.#control.sent(this.#inFlight.size, now)
    this.#inFlight.set(index, { ...pace, number: this.#transmissions, repeated })
  }

  /** Did it arrive later than others that were sent after it? The first transmission of it, not one sent in between. */
  #noteOrder(transmission: Transmission, now: Millis): void {
    const { number, repeated, sentAt } = transmission
    const { shortest } = this.#roundTrip
    if (!repeated && this.#newestArrived && number < this.#newestArrived.number) {
      this.#patience = Math.max(1, this.#patience)
    }
    // An answer that comes too early for the repetition is one to what it repeats.
    if (repeated && shortest !== undefined && now - sentAt < shortest / 2) this.#wasLate()
  }

  /** A chunk was late, and taken for lost: the next ones are given more time. Once for all that were sent by then. */
  #wasLate(): void {
    if (this.#transmissions === 0 || (this.#newestArrived?.number ?? 0) < this.#patientSince) return
    this.#patience += 1
    this.#patientSince = this.#transmissions
  }

  #learn(arrived: number, newest: Transmission | undefined, now: Millis): void {
    // The ack of a repeated chunk may belong to either transmission (Karn).
    if (newest && !newest.repeated) this.#roundTrip.measure(now - newest.sentAt, now)
    if (newest && newest.number > (this.#newestArrived?.number ?? 0)) this.#newestArrived = newest
    this.#findLost(now)
    this.#control.acknowledged(arrived, newest, this.#inFlight.size, now)
  }

  #findLost(now: Millis): void {
    const newest = this.#newestArrived
    if (!newest) return
    const patient = this.#patience > 0
    for (const [index, transmission] of this.#inFlight) {
      const { number, sentAt } = transmission
      if (number > newest.number) continue
      if (patient ? this.#lateTime(sentAt) > now : number + reorderThreshold > newest.number) continue
      this.#giveUp(index, transmission)
    }
  }

  #giveUp(index: number, transmission: Transmission): void {
    this.#inFlight.delete(index)
    this.#lost.add(index)
    this.#control.lost(transmission)
  }

  /** What was sent first counts as lost; its repetition makes the device say what it has. */
  #probe(now: Millis): void {
    const [first] = this.#inFlight
    if (!first) return
    this.#probes += 1
    this.#quietSince = now
    this.#giveUp(...first)
    if (this.#probes > 1) this.#control.collapse(now)
    // The probe goes out even if other chunks fill what may be on its way: they are probably lost as well.
    this.#probing = true
  }
}
