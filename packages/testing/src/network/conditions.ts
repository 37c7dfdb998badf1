/** What a network does to what it carries, and the networks that devices really have. */
import type { Millis } from './simulation.ts'

/** A link that loses in bursts (Gilbert-Elliott): between a good and a bad state it changes per datagram. */
export interface BurstLoss {
  /** Probability that the link turns bad, per datagram. */
  readonly enter: number
  /** Probability that it turns good again, per datagram: bursts are 1 / leave datagrams long on average. */
  readonly leave: number
  /** Loss while it is bad; 1 unless given. */
  readonly loss?: number
}

/** The link is dead from `at` on, for `duration`; again and again with `every`. On the clock of whoever runs it. */
export interface Outage {
  readonly at: Millis
  readonly duration: Millis
  readonly every?: Millis
}

/** One direction of a link, for datagrams. Everything that is left out does not happen. */
export interface DatagramConditions {
  /** 0 to 1, each datagram by itself. */
  readonly loss?: number
  readonly burst?: BurstLoss
  /** One way. */
  readonly delay?: Millis
  /** Up to so much is added to each datagram's delay, uniformly. Datagrams overtake each other by it. */
  readonly jitter?: Millis
  /** Probability that a datagram is held back by `holdBack`, so that later ones overtake it. */
  readonly reorder?: number
  /** 20 ms unless given. */
  readonly holdBack?: Millis
  /** Probability that a datagram arrives twice. */
  readonly duplication?: number
  /** Bytes a second. */
  readonly rate?: number
  /** Bytes that wait in front of the rate; what does not fit is dropped. 64 KiB unless given. */
  readonly queue?: number
  /** Headers that the link carries beside each datagram: 28 bytes of IPv4 and UDP unless given. */
  readonly overhead?: number
  /** Largest IP packet; larger datagrams disappear, as where nobody fragments. */
  readonly mtu?: number
  readonly outages?: readonly Outage[]
}

/** One direction of a connection, for streams: TCP loses nothing, so trouble shows as time, and as the end. */
export interface StreamConditions {
  /** One way. */
  readonly delay?: Millis
  /** Up to so much is added for each segment; order stays. */
  readonly jitter?: Millis
  /** Bytes a second. */
  readonly rate?: number
  /** Bytes of the largest piece in which bytes arrive; cut at random below it with `ragged`. 1,400 unless given. */
  readonly segment?: number
  /** Pieces of random sizes down to one byte, as a parser has to expect. */
  readonly ragged?: boolean
  /** A lost segment: with this probability everything waits for `duration`. */
  readonly stall?: { readonly probability: number; readonly duration: Millis }
  /** What would arrive during an outage arrives after it. */
  readonly outages?: readonly Outage[]
  /** The connection breaks at both ends when so many bytes have gone in this direction. */
  readonly cutAfter?: number
}

export interface BothWays<Conditions> {
  /** From the device to the cloud. */
  readonly up: Conditions
  /** From the cloud to the device. */
  readonly down: Conditions
}

/** When the link works again, if it is down at `now`; otherwise `now`. */
export function afterOutages(outages: readonly Outage[] | undefined, now: Millis): Millis {
  let time = now
  for (const { at, duration, every } of outages ?? []) {
    const since = every === undefined ? time - at : (time - at) % every
    if (time >= at && since < duration) time += duration - since
  }
  return time
}

interface Profile {
  /** Bytes a second to the device; from the device a part of it. */
  readonly rate: number
  readonly roundTrip: Millis
  /** Bytes. */
  readonly queue: number
}

const profiles = {
  /** Wired, in a house. */
  lan: { rate: 12_500_000, roundTrip: 2, queue: 256_000 },
  /** 20 Mbit/s. */
  lte: { rate: 2_500_000, roundTrip: 50, queue: 128_000 },
  /** LTE Cat 1. */
  cat1: { rate: 400_000, roundTrip: 80, queue: 64_000 },
  lteM: { rate: 40_000, roundTrip: 150, queue: 24_000 },
  /** EDGE. */
  '2g': { rate: 8_000, roundTrip: 600, queue: 12_000 },
  /** A 2G modem at the edge of its cell: 20 kbit/s, room for five datagrams. */
  gprs: { rate: 2_500, roundTrip: 1_000, queue: 6_000 },
} as const satisfies Record<string, Profile>

export type NetworkName = keyof typeof profiles

export const networkNames = Object.keys(profiles) as NetworkName[]

/** A network by name, for datagrams, made worse by whatever is given, in both directions. */
export function networkOf(name: NetworkName, worse: DatagramConditions = {}): BothWays<DatagramConditions> {
  const { rate, roundTrip, queue } = profiles[name]
  const down = { rate, queue, delay: roundTrip / 2, ...worse }
  return { down, up: { ...down, rate: Math.max(1_250, rate / 2) } }
}

/** The same for streams. */
export function streamNetworkOf(name: NetworkName, worse: StreamConditions = {}): BothWays<StreamConditions> {
  const { rate, roundTrip } = profiles[name]
  const down = { rate, delay: roundTrip / 2, ...worse }
  return { down, up: { ...down, rate: Math.max(1_250, rate / 2) } }
}
