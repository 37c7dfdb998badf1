/**
 * A network between a sender and a receiver for the tests: simulated time, a seeded source of chance, and on demand
 * loss, repetition, reordering and cuts. Each end has what a session would give it: message ids, retransmission,
 * deduplication, and acknowledgements of what nobody claims.
 */
import { createHash } from 'node:crypto'
import { decodeMessage, encodeEmptyAck } from '../coap/codec.ts'
import { Deduplication } from '../coap/deduplication.ts'
import { type CoapMessage, coapType } from '../coap/message.ts'
import { deviceLimits, Retransmission } from '../coap/retransmission.ts'
import type { Millis } from '../time.ts'
import { systemError } from './system-error.ts'
import type { TransferLink, UpdateRequest, UpdateTarget } from './transfer.ts'

export interface Impairment {
  /** 0 to 1. */
  readonly loss: number
  readonly repetition: number
  readonly delay: Millis
  /** Up to so much is added to the delay of each message, by which they overtake each other. */
  readonly jitter: Millis
}

export const perfect: Impairment = { loss: 0, repetition: 0, delay: 20, jitter: 0 }

/** What is on the link: a sender or a receiver. */
export interface Machine {
  receive(message: CoapMessage, now: Millis): boolean
  poll(now: Millis): void
  nextDeadline(): Millis | undefined
  disconnected(): void
}

/** Uniform in [0, 1), repeatable (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export class TestEnd implements TransferLink {
  readonly reliable: boolean
  readonly maxMessageSize: number
  congested = false
  machine: Machine | undefined
  /** Everything that this end sent, in order; retransmissions too. */
  readonly sent: CoapMessage[] = []
  readonly #network: TestNetwork
  readonly #retransmission: Retransmission
  readonly #deduplication = new Deduplication(45_000, 1024)
  #id: number
  #token: number

  constructor(network: TestNetwork, reliable: boolean) {
    this.#network = network
    this.reliable = reliable
    this.maxMessageSize = reliable ? 1119 : 1152
    this.#retransmission = new Retransmission(deviceLimits, network.chance)
    this.#id = Math.floor(network.chance() * 0x10000)
    this.#token = Math.floor(network.chance() * 0x100)
  }

  nextMessageId(): number {
    this.#id = (this.#id + 1) & 0xffff
    return this.#id
  }

  nextToken(): number {
    this.#token = (this.#token + 1) & 0xff
    return this.#token
  }

  send(message: Uint8Array, now: Millis): void {
    if (message.length > this.maxMessageSize) throw new Error(`a message of ${message.length} bytes is too large`)
    const decoded = decodeMessage(message)
    if (decoded.type === coapType.con && !this.reliable) this.#retransmission.track(decoded.id, message, now)
    if (decoded.type === coapType.ack || decoded.type === coapType.rst)
      this.#deduplication.answered(decoded.id, message)
    this.#put(message)
  }

  arrive(bytes: Uint8Array, now: Millis): void {
    const message = decodeMessage(bytes)
    if (message.type === coapType.ack || message.type === coapType.rst) this.#retransmission.acknowledge(message.id)
    if (message.type === coapType.con && !this.reliable && !this.#deduplication.receive(message.id, now)) {
      const answer = this.#deduplication.answerTo(message.id)
      if (answer) this.#put(answer)
      return
    }
    const claimed = this.machine?.receive(message, now) ?? false
    if (!claimed && message.type === coapType.con) this.send(encodeEmptyAck(message.id), now)
  }

  /** @returns false when a confirmable message was given up, which ends a session */
  poll(now: Millis): boolean {
    this.machine?.poll(now)
    const { send, gaveUp } = this.#retransmission.poll(now)
    for (const message of send) this.#put(message)
    return gaveUp.length === 0
  }

  nextDeadline(): Millis {
    const never = Number.POSITIVE_INFINITY
    return Math.min(this.machine?.nextDeadline() ?? never, this.#retransmission.nextDeadline() ?? never)
  }

  #put(message: Uint8Array): void {
    this.sent.push(decodeMessage(message))
    this.#network.carry(this, message)
  }
}

interface Flying {
  readonly at: Millis
  readonly order: number
  readonly to: TestEnd
  readonly bytes: Uint8Array
}

/** One connection: what is under way when it is cut is lost. */
export class TestNetwork {
  readonly chance: () => number
  readonly cloud: TestEnd
  readonly device: TestEnd
  now: Millis
  connected = true
  /** Cut when the cloud has sent so many bytes. */
  cutAfter = Number.POSITIVE_INFINITY
  /** Messages to lose, whoever sends them. */
  lose: (message: CoapMessage, from: TestEnd) => boolean = () => false
  readonly #impairment: Impairment
  #flying: Flying[] = []
  #order = 0
  #bytes = 0

  constructor(reliable: boolean, impairment: Impairment = perfect, chance: () => number = seeded(1), now: Millis = 0) {
    this.chance = chance
    this.now = now
    this.#impairment = reliable ? { ...impairment, loss: 0, repetition: 0, jitter: 0 } : impairment
    this.cloud = new TestEnd(this, reliable)
    this.device = new TestEnd(this, reliable)
  }

  carry(from: TestEnd, bytes: Uint8Array): void {
    if (!this.connected) return
    if (from === this.cloud) this.#bytes += bytes.length
    if (this.#bytes > this.cutAfter) {
      this.connected = false
      return
    }
    const { loss, repetition } = this.#impairment
    if (this.chance() < loss || this.lose(decodeMessage(bytes), from)) return
    const to = from === this.cloud ? this.device : this.cloud
    this.#fly(to, bytes)
    if (this.chance() < repetition) this.#fly(to, bytes)
  }

  /** Runs until nothing is left to do, the connection is cut, or the time is up. */
  run(until: Millis = Number.POSITIVE_INFINITY): void {
    for (let steps = 0; this.connected; steps++) {
      if (steps > 2_000_000) throw new Error('the simulation does not come to an end')
      const next = this.#earliest()
      const due = Math.min(next?.at ?? Number.POSITIVE_INFINITY, this.cloud.nextDeadline(), this.device.nextDeadline())
      if (due === Number.POSITIVE_INFINITY || due > until) break
      this.now = Math.max(this.now, due)
      if (next && next.at <= this.now) {
        this.#flying.splice(this.#flying.indexOf(next), 1)
        next.to.arrive(next.bytes, this.now)
      } else if (!this.cloud.poll(this.now) || !this.device.poll(this.now)) {
        this.connected = false
      }
    }
    if (this.connected) return
    this.#flying = []
    this.cloud.machine?.disconnected()
    this.device.machine?.disconnected()
  }

  #fly(to: TestEnd, bytes: Uint8Array): void {
    const { delay, jitter } = this.#impairment
    const at = this.now + delay + Math.floor(this.chance() * (jitter + 1))
    this.#flying.push({ at, order: this.#order++, to, bytes: bytes.slice() })
  }

  #earliest(): Flying | undefined {
    let first: Flying | undefined
    for (const flying of this.#flying) {
      if (!first || flying.at < first.at || (flying.at === first.at && flying.order < first.order)) first = flying
    }
    return first
  }
}

const persistEvery = 4096

/** A device's staging area that keeps what it has in steps of 4 KiB. */
export class TestTarget implements UpdateTarget {
  readonly log: string[] = []
  applied: Uint8Array | undefined
  request: UpdateRequest | undefined
  /** What the next calls are to refuse. */
  refuse: { begin?: number; finish?: number } = {}
  #bytes = new Uint8Array(0)
  #written = new Uint8Array(0)
  #kept: { hash: string; bytes: Uint8Array; size: number } | undefined
  #validated = false

  begin(request: UpdateRequest): { offset: number } | { error: number } {
    this.log.push(request.discard ? 'begin discard' : 'begin')
    if (this.refuse.begin !== undefined) return { error: this.refuse.begin }
    this.request = request
    this.#validated = false
    const hash = request.sha256 && Buffer.from(request.sha256).toString('hex')
    const kept = this.#kept
    const resumes = kept !== undefined && !request.discard && hash === kept.hash && request.size === kept.size
    const offset = resumes ? kept.bytes.length : 0
    this.#bytes = new Uint8Array(request.size)
    this.#written = new Uint8Array(request.size)
    if (resumes) this.#bytes.set(kept.bytes)
    this.#written.fill(1, 0, offset)
    if (!resumes) this.#kept = undefined
    return { offset }
  }

  write(offset: number, bytes: Uint8Array): void {
    if (!this.request || offset + bytes.length > this.request.size) throw new Error('written beyond the file')
    this.#bytes.set(bytes, offset)
    this.#written.fill(1, offset, offset + bytes.length)
  }

  finish(): { ok: true } | { error: number } {
    this.log.push('finish')
    if (this.#written.includes(0)) throw new Error('finished with bytes missing')
    if (this.refuse.finish !== undefined) return { error: this.refuse.finish }
    const { sha256 } = this.request ?? {}
    const hash = createHash('sha256').update(this.#bytes).digest()
    if (sha256 && !hash.equals(sha256)) {
      return { error: this.#kept ? systemError.resumedUpdateFailed : systemError.integrityCheckFailed }
    }
    this.#validated = true
    return { ok: true }
  }

  apply(): void {
    this.log.push('apply')
    if (!this.#validated) throw new Error('applied without validation')
    this.applied = this.#bytes
    this.#kept = undefined
  }

  cancel(discard: boolean): void {
    this.log.push(discard ? 'cancel discard' : 'cancel')
    this.#validated = false
    const { request } = this
    this.request = undefined
    if (discard) this.#kept = undefined
    else if (request?.sha256) {
      const gap = this.#written.indexOf(0)
      const contiguous = gap < 0 ? request.size : gap - (gap % persistEvery)
      const hash = Buffer.from(request.sha256).toString('hex')
      this.#kept = { hash, bytes: this.#bytes.slice(0, contiguous), size: request.size }
    }
  }

  /** Damages what is kept, as worn flash might. */
  damage(): boolean {
    if (!this.#kept || this.#kept.bytes.length === 0) return false
    this.#kept.bytes[0] = (this.#kept.bytes[0] ?? 0) ^ 1
    return true
  }
}
