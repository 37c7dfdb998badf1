/** The cloud asks a device for a describe, block by block if need be (device-protocol.md 3.8.2). */
import { type CoapMessage, code, optionNumber } from '../coap/message.ts'
import type { Head } from '../messages/build.ts'
import { type DescribeKind, encodeDescribeGet, findBlock } from '../messages/describe.ts'
import { ProtocolError } from '../protocol-error.ts'
import type { Millis } from '../time.ts'
import { BlockAssembly } from './block-assembly.ts'
import { type RequestResult, refused } from './result.ts'

/** Makes one request; `deadline` is for all blocks together. */
export type MakeRequest = (
  encode: (head: Head) => Uint8Array,
  deadline: Millis,
  done: (result: RequestResult<CoapMessage>) => void,
) => void

export interface DescribeWanted {
  /** Undefined asks an old device for system and application in one. */
  readonly kind: DescribeKind | undefined
  readonly deadline: Millis
  readonly done: (result: RequestResult<Uint8Array>) => void
}

/** One who asks for more describes at once than this is refused. */
const maxWaiting = 8

/** Fetches one describe after the other: a device serves one block-wise transfer at a time. */
export class DescribeFetcher {
  readonly #request: MakeRequest
  #waiting: DescribeWanted[] = []
  #busy = false

  constructor(request: MakeRequest) {
    this.#request = request
  }

  fetch(wanted: DescribeWanted): void {
    if (this.#waiting.length >= maxWaiting) {
      wanted.done(refused('too many describes are asked for at once'))
      return
    }
    this.#waiting.push(wanted)
    if (!this.#busy) this.#next()
  }

  #next(): void {
    const wanted = this.#waiting.shift()
    this.#busy = wanted !== undefined
    if (!wanted) return
    this.#block(wanted, new BlockAssembly(), undefined)
  }

  #block(wanted: DescribeWanted, assembly: BlockAssembly, size: number | undefined): void {
    const block = size === undefined ? undefined : { number: assembly.next, more: false, size }
    const encode = (head: Head) => encodeDescribeGet(head, wanted.kind, block)
    this.#request(encode, wanted.deadline, (result) => {
      if (!result.ok) this.#finish(wanted, result)
      else this.#answered(wanted, assembly, result.value)
    })
  }

  #answered(wanted: DescribeWanted, assembly: BlockAssembly, answer: CoapMessage): void {
    if (answer.code !== code.content) {
      this.#finish(wanted, refused('the device answered a describe request without content'))
      return
    }
    try {
      const block = findBlock(answer, optionNumber.block2)
      if (!block) {
        this.#finish(wanted, { ok: true, value: answer.payload.slice() })
        return
      }
      const assembled = assembly.accept(block, answer.payload)
      if (assembled.kind === 'more') this.#block(wanted, assembly, block.size)
      else if (assembled.kind === 'complete') this.#finish(wanted, { ok: true, value: assembled.payload })
      else this.#finish(wanted, refused(`the device's describe blocks are ${assembled.kind}`))
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.#finish(wanted, refused(error.message))
    }
  }

  #finish(wanted: DescribeWanted, result: RequestResult<Uint8Array>): void {
    // The next request starts first, so that `done` may ask for more.
    this.#next()
    wanted.done(result)
  }
}
