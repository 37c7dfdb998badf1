/** What a session offers to the transfer of an update (see `TransferLink`). */
import { coapType } from '../coap/message.ts'
import type { Millis } from '../time.ts'
import type { TransferLink } from '../transfer/transfer.ts'
import type { MessageLayer } from './message-layer.ts'
import type { Requests } from './requests.ts'

export class SessionLink implements TransferLink {
  readonly maxMessageSize: number
  readonly #layer: MessageLayer
  readonly #tokens: Requests
  readonly #congested: () => boolean

  /** @param congested true while the channel below has too much to write */
  constructor(layer: MessageLayer, tokens: Requests, maxMessageSize: number, congested: () => boolean) {
    this.#layer = layer
    this.#tokens = tokens
    this.maxMessageSize = maxMessageSize
    this.#congested = congested
  }

  get reliable(): boolean {
    return this.#layer.reliable
  }

  get congested(): boolean {
    return this.#congested()
  }

  nextMessageId(): number {
    return this.#layer.nextId()
  }

  nextToken(): number {
    return this.#tokens.nextToken()
  }

  /** Confirmable messages are retransmitted and answers kept for repetitions, where the channel needs it. */
  send(message: Uint8Array, now: Millis): void {
    const type = ((message[0] ?? 0) >> 4) & 3
    const id = ((message[2] ?? 0) << 8) | (message[3] ?? 0)
    if (type === coapType.con) this.#layer.sendConfirmable(id, message, now)
    else if (type === coapType.ack) this.#layer.answer(id, message)
    else this.#layer.send(message)
  }
}
