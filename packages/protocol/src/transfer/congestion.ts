/**
 * How fast a windowed transfer may go, and how much may be on its way.
 *
 * The link's rate and its shortest round trip are measured, and their product is kept on the way, as BBR does
 * (Cardwell et al., "BBR: Congestion-Based Congestion Control", ACM Queue 14.5; the names of its phases are used here).
 * Loss alone is no reason to slow down: radio links lose at any rate. A 2G modem with room for a few datagrams and an
 * LTE modem are the two ends that this has to serve without being told which it is.
 */
import type { Millis } from '../time.ts'
import type { RoundTrip } from './round-trip.ts'

/** Enough to double what is delivered in each round trip. */
const startupGain = 2.77
/** More for one round trip to see whether the link carries more, less for one to drain what that left in queues. */
const cycle = [1.25, 0.75, 1, 1, 1, 1, 1, 1] as const
const muchMore = 1.15
const risingGain = 2
/** Rounds for which the highest measured rate counts. */
const rateRounds = 10
/** The link is full when this many rounds brought less than a quarter more. */
const fullRounds = 3
const growth = 1.25
/** Or when a round lost so much, and so many: more than radio links do, and a queue without room does from the start. */
const fullLoss = 0.3
const fullLost = 6
/** Twice the product covers acks that come late or together. */
const windowGain = 2
const extraChunks = 2
/** Fast links deliver in bursts, and so do timers and Wi-Fi: so much more time's worth may be on its way. */
const burstTime: Millis = 10
export const minLimit = 4
/** Before the rate is known: ten where answers come quickly (RFC 6928), few on what may be 2G. */
const initialLimit = { quick: 10, slow: 4 } as const
const quickRoundTrip: Millis = 200
/** What is sent in advance of its time where chunks follow each other faster than timers. */
const slack: Millis = 1
/** Delay of timers that is made up for. */
const maxCredit: Millis = 5
/** Round trips that are longer than the shortest by this factor tell of a queue. */
const queueing = 1.25
/**
 * Loss that is made up for is never taken to be more than this: in the phase of 0.75 we must stay below the link's rate,
 * or loss of our own making would look like the link's.
 */
const maxLoss = 0.15
const memory = 200

/** What the control notes of each transmission. */
export interface Pace {
  readonly sentAt: Millis
  /** Chunks delivered when it was sent, and when the last of them was. */
  readonly delivered: number
  readonly deliveredAt: Millis
  /** When the transmission was sent at which the measured interval begins. */
  readonly firstSentAt: Millis
  /** There was less to send than allowed: says little about the link. */
  readonly limited: boolean
  /** Sent at less than the link's rate: its loss is not of our making. */
  readonly quiet: boolean
}

/** Delivered and lost transmissions, the older ones fading. */
class LossShare {
  #lost = 0
  #total = 0

  get lost(): number {
    return this.#lost
  }

  get total(): number {
    return this.#total
  }

  get share(): number {
    return this.#total === 0 ? 0 : this.#lost / this.#total
  }

  note(lost: boolean): void {
    this.#total += 1
    if (lost) this.#lost += 1
    if (this.#total < memory) return
    this.#total /= 2
    this.#lost /= 2
  }
}

export class CongestionControl {
  readonly #roundTrip: RoundTrip
  #mode: 'startup' | 'drain' | 'steady' = 'startup'
  /** Highest rates of the last rounds, chunks per ms, falling. */
  #rates: { readonly round: number; readonly rate: number }[] = []
  #round = 0
  #roundEnd = 0
  #fullRate = 0
  #flatRounds = 0
  #phase = 0
  #phaseAt: Millis = 0
  /** The rate when more was last asked for. */
  #probedRate = 0
  /** More was asked for just before, and came. */
  #rising = false
  #limit: number
  #delivered = 0
  #deliveredAt: Millis = 0
  #firstSentAt: Millis = 0
  #limitedUntil = 0
  #nextAt: Millis = 0
  #all = new LossShare()
  #inRound = new LossShare()
  readonly #quiet = new LossShare()

  constructor(roundTrip: RoundTrip) {
    this.#roundTrip = roundTrip
    this.#limit = this.#initial
  }

  /** Chunks that may be on their way. */
  get limit(): number {
    return this.#limit
  }

  /** Chunks per ms that the link was seen to deliver; 0 before that is known. */
  get rate(): number {
    return this.#rates[0]?.rate ?? 0
  }

  /** When the next chunk is to be sent. */
  get nextAt(): Millis {
    return this.#nextAt
  }

  /** Chunks that follow each other faster than timers are sent together. */
  isDue(now: Millis): boolean {
    return this.#nextAt <= now + slack
  }

  /** Notes a transmission. @param inFlight chunks on their way before it */
  sent(inFlight: number, now: Millis): Pace {
    if (inFlight === 0) {
      this.#firstSentAt = now
      this.#deliveredAt = now
    }
    const interval = this.#interval()
    this.#nextAt = Math.max(this.#nextAt, now - maxCredit) + interval
    return {
      sentAt: now,
      delivered: this.#delivered,
      deliveredAt: this.#deliveredAt,
      firstSentAt: this.#firstSentAt,
      limited: this.#delivered < this.#limitedUntil,
      quiet: this.#gain < 1,
    }
  }

  /** There was nothing to send although more was allowed. */
  starved(inFlight: number): void {
    this.#limitedUntil = this.#delivered + Math.max(1, inFlight)
  }

  lost(pace: Pace): void {
    this.#all.note(true)
    this.#inRound.note(true)
    if (pace.quiet) this.#quiet.note(true)
  }

  arrived(pace: Pace): void {
    this.#all.note(false)
    this.#inRound.note(false)
    if (pace.quiet) this.#quiet.note(false)
  }

  /**
   * An ack told something new.
   *
   * @param arrived chunks that it told of
   * @param newest the latest transmission among them, if one is known
   * @param inFlight chunks that are still on their way
   */
  acknowledged(arrived: number, newest: Pace | undefined, inFlight: number, now: Millis): void {
    this.#delivered += arrived
    this.#deliveredAt = now
    if (newest) this.#measure(newest, now)
    if (this.#mode === 'startup' && this.#flatRounds >= fullRounds) this.#mode = 'drain'
    if (this.#mode === 'drain' && inFlight <= this.#product) this.#steady(now)
    if (this.#mode === 'steady') this.#cycle(now)
    const target = Math.max(minLimit, this.#initialTarget, windowGain * this.#product + this.#extra)
    if (this.#mode !== 'startup') this.#limit = Math.min(this.#limit + arrived, target)
    else if (this.#limit < target) this.#limit += arrived
    // An empty queue shows the shortest round trip again.
    if (this.#roundTrip.isStale(now)) this.#limit = Math.max(minLimit, Math.min(this.#limit, this.#product / 2))
  }

  /** Nothing came back for long: the link may be another one now. What was learned is forgotten. */
  collapse(now: Millis): void {
    this.#mode = 'startup'
    this.#rates = []
    this.#fullRate = 0
    this.#flatRounds = 0
    this.#limit = minLimit
    this.#nextAt = now
  }

  get #initial(): number {
    const { smooth } = this.#roundTrip
    return smooth !== undefined && smooth < quickRoundTrip ? initialLimit.quick : initialLimit.slow
  }

  get #initialTarget(): number {
    return this.rate === 0 ? this.#initial : 0
  }

  get #product(): number {
    return this.rate * (this.#roundTrip.shortest ?? 0)
  }

  get #extra(): number {
    return extraChunks + this.rate * burstTime
  }

  get #gain(): number {
    if (this.#mode === 'startup') return startupGain
    if (this.#mode === 'drain') return 1 / startupGain
    return this.#phase === 0 && this.#rising ? risingGain : (cycle[this.#phase] ?? 1)
  }

  /** Time from one chunk to the next. */
  #interval(): Millis {
    const { rate } = this
    if (rate > 0) return (1 - this.#lossToMakeUpFor) / (rate * this.#gain)
    return (this.#roundTrip.smooth ?? 0) / (this.#initial * startupGain)
  }

  /**
   * The share that the link loses by itself: what is delivered is measured, so as much more has to be sent. Loss from
   * sending too fast must not count, and does not occur while we send at less than the rate: what was seen then, give or
   * take its deviation, is the upper bound.
   */
  get #lossToMakeUpFor(): number {
    const { share, total } = this.#quiet
    if (this.#mode !== 'steady' || total < 8 || this.#queues) return 0
    const all = this.#all.share
    return Math.min(maxLoss, all, share + Math.sqrt((all * (1 - all)) / total))
  }

  /** Answers take their time because something waits on the way: there is enough, whatever is lost. */
  get #queues(): boolean {
    const { latest, shortest = 0 } = this.#roundTrip
    return latest > shortest * queueing + maxCredit
  }

  #measure(newest: Pace, now: Millis): void {
    const { delivered, deliveredAt, firstSentAt, sentAt, limited } = newest
    this.#firstSentAt = sentAt
    const isNewRound = delivered >= this.#roundEnd
    if (isNewRound) {
      this.#round += 1
      this.#roundEnd = this.#delivered
      while ((this.#rates[0]?.round ?? this.#round) <= this.#round - rateRounds) this.#rates.shift()
    }
    const interval = Math.max(sentAt - firstSentAt, now - deliveredAt)
    const rate = interval > 0 ? (this.#delivered - delivered) / interval : 0
    if (rate > 0 && (!limited || rate >= this.rate)) {
      while ((this.#rates.at(-1)?.rate ?? Number.POSITIVE_INFINITY) <= rate) this.#rates.pop()
      this.#rates.push({ round: this.#round, rate })
    }
    if (!isNewRound) return
    if (this.#mode === 'startup' && this.#inRound.lost >= fullLost && this.#inRound.share > fullLoss) {
      this.#flatRounds = fullRounds
    }
    this.#inRound = new LossShare()
    if (limited || this.#mode !== 'startup') return
    if (this.rate >= this.#fullRate * growth) {
      this.#fullRate = this.rate
      this.#flatRounds = 0
    } else this.#flatRounds += 1
  }

  #steady(now: Millis): void {
    this.#mode = 'steady'
    // What the startup lost was of its own making.
    this.#all = new LossShare()
    this.#enter(3, now)
  }

  #enter(phase: number, now: Millis): void {
    this.#phase = phase
    this.#phaseAt = now
    if (phase !== 0) return
    this.#probedRate = this.rate
    this.#rising = false
  }

  #cycle(now: Millis): void {
    // What the phase of 1.25 brought shows a round trip later. A link that has more is asked for more right away.
    if ((this.#phase === 1 || this.#phase === 2) && this.rate >= this.#probedRate * muchMore) {
      this.#enter(0, now)
      this.#rising = true
      return
    }
    if (now - this.#phaseAt < (this.#roundTrip.shortest ?? 0)) return
    this.#enter((this.#phase + 1) % cycle.length, now)
  }
}
