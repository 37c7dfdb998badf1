/**
 * Deduplication of received messages by their id (RFC 7252, section 4.5): a message that comes again, because its
 * acknowledgement was lost, is not processed again but gets the same answer.
 */
import type { Millis } from '../time.ts'
import { encodeEmptyAck } from './codec.ts'

/** EXCHANGE_LIFETIME of RFC 7252, section 4.8.2: how long the cloud remembers. */
export const exchangeLifetime: Millis = 247_000

/** How long Device OS remembers (device-protocol.md 2.10). */
export const deviceExchangeLifetime: Millis = 45_000

/** Expiry is kept in steps of this, rounded up. */
const step: Millis = 100

interface Answer {
  readonly id: number
  readonly message: Uint8Array
}

/**
 * A session remembers ten messages after its connect, and there are ten thousand sessions: so an id costs one entry of a
 * map with a small number, and the commonest answer, the empty acknowledgement, one bit of it.
 */
export class Deduplication {
  readonly #lifetime: Millis
  readonly #capacity: number
  /**
   * By id twice the step of its expiry, plus 1 if the answer was the empty acknowledgement. In the order of arrival, which
   * with one lifetime for all is the order of expiry.
   */
  readonly #seen = new Map<number, number>()
  /** The other answers, oldest first. */
  #answers: Answer[] | undefined

  /** @param capacity most ids remembered; beyond it the oldest are forgotten, so that no flood can fill memory */
  constructor(lifetime: Millis, capacity: number) {
    this.#lifetime = lifetime
    this.#capacity = capacity
  }

  /** Notes a received id; true when it is new. */
  receive(id: number, now: Millis): boolean {
    this.#forget(now)
    if (this.#seen.has(id)) return false
    this.#seen.set(id, 2 * Math.ceil((now + this.#lifetime) / step))
    return true
  }

  /** Keeps the answer to a received message. */
  answered(id: number, answer: Uint8Array): void {
    const seen = this.#seen.get(id)
    if (seen === undefined) return
    this.#forgetAnswer(id)
    if (isEmptyAckOf(answer, id)) {
      this.#seen.set(id, seen % 2 === 1 ? seen : seen + 1)
      return
    }
    if (seen % 2 === 1) this.#seen.set(id, seen - 1)
    this.#answers ??= []
    this.#answers.push({ id, message: answer })
  }

  /** The answer that was sent for that id, to be sent again. */
  answerTo(id: number): Uint8Array | undefined {
    const seen = this.#seen.get(id)
    if (seen === undefined) return undefined
    if (seen % 2 === 1) return encodeEmptyAck(id)
    return this.#answers?.find((answer) => answer.id === id)?.message
  }

  #forget(now: Millis): void {
    const present = Math.floor(now / step)
    for (const [id, seen] of this.#seen) {
      if (Math.floor(seen / 2) > present && this.#seen.size < this.#capacity) return
      this.#seen.delete(id)
      this.#forgetAnswer(id)
    }
  }

  #forgetAnswer(id: number): void {
    const index = this.#answers?.findIndex((answer) => answer.id === id) ?? -1
    if (index < 0) return
    this.#answers?.splice(index, 1)
    if (this.#answers?.length === 0) this.#answers = undefined
  }
}

function isEmptyAckOf(message: Uint8Array, id: number): boolean {
  return (
    message.length === 4 &&
    message[0] === 0x60 &&
    message[1] === 0 &&
    message[2] === id >>> 8 &&
    message[3] === (id & 255)
  )
}
