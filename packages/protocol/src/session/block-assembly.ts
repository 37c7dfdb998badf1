/** Puts the blocks of a block-wise transfer together, in order and within a limit (RFC 7959, section 2.2). */
import type { Block } from '../coap/block.ts'

/** Bytes of the largest describe that is taken: some ten times what the largest devices say. */
export const maxDescribeSize = 65_536

export type Assembled =
  | { readonly kind: 'more' }
  | { readonly kind: 'complete'; readonly payload: Uint8Array }
  /** A block that does not follow the last one. */
  | { readonly kind: 'out-of-order' }
  | { readonly kind: 'too-large' }

export class BlockAssembly {
  readonly #limit: number
  #blocks: Uint8Array[] = []
  #size = 0

  constructor(limit: number = maxDescribeSize) {
    this.#limit = limit
  }

  /** Number of the block that is expected next. */
  get next(): number {
    return this.#blocks.length
  }

  /** Takes one block, copied. Block 0 starts anew; every block but the last is as large as its size says. */
  accept(block: Block, payload: Uint8Array): Assembled {
    if (block.number === 0) this.#reset()
    if (block.number !== this.next || (block.more && payload.length !== block.size) || payload.length > block.size) {
      return this.#fail('out-of-order')
    }
    if (this.#size + payload.length > this.#limit) return this.#fail('too-large')
    this.#blocks.push(payload.slice())
    this.#size += payload.length
    if (block.more) return { kind: 'more' }
    const whole = new Uint8Array(this.#size)
    let position = 0
    for (const part of this.#blocks) {
      whole.set(part, position)
      position += part.length
    }
    this.#reset()
    return { kind: 'complete', payload: whole }
  }

  #reset(): void {
    this.#blocks = []
    this.#size = 0
  }

  #fail(kind: 'out-of-order' | 'too-large'): Assembled {
    this.#reset()
    return { kind }
  }
}
