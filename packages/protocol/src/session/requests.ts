/** Requests of this end that wait for a response, matched by token or, for piggybacked answers, by message id. */
import type { CoapMessage } from '../coap/message.ts'
import type { Millis } from '../time.ts'
import { type RequestResult, resultOf, sessionClosed, timedOut } from './result.ts'

interface Outstanding {
  readonly id: number
  readonly deadline: Millis
  readonly done: (result: RequestResult<CoapMessage>) => void
}

/** A one-byte token leaves room for 256; a device that owes this many answers is in no state to take more. */
const maxOutstanding = 64

export class Requests {
  #byToken: Map<number, Outstanding> | undefined
  #nextToken: number

  constructor(firstToken: number) {
    this.#nextToken = firstToken & 0xff
  }

  get size(): number {
    return this.#byToken?.size ?? 0
  }

  get full(): boolean {
    return this.size >= maxOutstanding
  }

  /** A token that no request of this end is waiting with. One counter for all (device-protocol.md 3.1). */
  nextToken(): number {
    do {
      const token = this.#nextToken
      this.#nextToken = (token + 1) & 0xff
      if (!this.#byToken?.has(token)) return token
    } while (this.size <= 0xff)
    return this.#nextToken
  }

  add(token: number, id: number, deadline: Millis, done: (result: RequestResult<CoapMessage>) => void): void {
    this.#byToken ??= new Map()
    this.#byToken.set(token, { id, deadline, done })
  }

  /**
   * Ends the request that a response belongs to.
   *
   * @param token of the response, when it has one byte
   * @param piggybacked the response is an acknowledgement, so its message id counts if it has no token
   * @returns the message id of the request, or undefined when nobody waits for this response
   */
  answer(message: CoapMessage, token: number | undefined, piggybacked: boolean): number | undefined {
    const key = token ?? (piggybacked ? this.#tokenOfId(message.id) : undefined)
    const outstanding = key === undefined ? undefined : this.#byToken?.get(key)
    if (key === undefined || !outstanding) return undefined
    this.#byToken?.delete(key)
    outstanding.done(resultOf(message))
    return outstanding.id
  }

  /** Ends the request with that message id, if there is one, with this result. */
  fail(id: number, result: RequestResult<CoapMessage>): boolean {
    const token = this.#tokenOfId(id)
    const outstanding = token === undefined ? undefined : this.#byToken?.get(token)
    if (token === undefined || !outstanding) return false
    this.#byToken?.delete(token)
    outstanding.done(result)
    return true
  }

  /** Ends what is overdue. @returns the message ids of those requests */
  poll(now: Millis): number[] {
    const expired: number[] = []
    for (const [token, outstanding] of this.#byToken ?? []) {
      if (outstanding.deadline > now) continue
      this.#byToken?.delete(token)
      expired.push(outstanding.id)
      outstanding.done(timedOut)
    }
    return expired
  }

  nextDeadline(): Millis | undefined {
    let next: Millis | undefined
    for (const { deadline } of this.#byToken?.values() ?? []) if (next === undefined || deadline < next) next = deadline
    return next
  }

  close(): void {
    const all = [...(this.#byToken?.values() ?? [])]
    this.#byToken = undefined
    for (const { done } of all) done(sessionClosed)
  }

  #tokenOfId(id: number): number | undefined {
    for (const [token, outstanding] of this.#byToken ?? []) if (outstanding.id === id) return token
    return undefined
  }
}
