/** Describes that a device posts, block by block if need be (device-protocol.md 3.8.1). */
import { type CoapMessage, code, optionNumber } from '../coap/message.ts'
import { type Describe, type DescribeKind, decodeDescribe, describeKindOf, findBlock } from '../messages/describe.ts'
import { queryByte } from '../messages/function.ts'
import { BlockAssembly } from './block-assembly.ts'

export type Posted =
  /** A block was kept, more will follow. */
  | { readonly kind: 'more' }
  | { readonly kind: 'complete'; readonly describes: readonly Describe[] }
  /** Answer with this CoAP code. */
  | { readonly kind: 'refused'; readonly code: number }

export class PostedDescribes {
  readonly #assemblies = new Map<DescribeKind | undefined, BlockAssembly>()

  /** No describe is half here. */
  get idle(): boolean {
    return this.#assemblies.size === 0
  }

  /** @throws ProtocolError when an option or the describe cannot be read */
  accept(message: CoapMessage): Posted {
    const kind = describeKindOf(queryByte(message))
    const block = findBlock(message, optionNumber.block1)
    if (!block) return { kind: 'complete', describes: decodeDescribe(kind, message.payload) }
    const assembly = this.#assemblies.get(kind) ?? new BlockAssembly()
    this.#assemblies.set(kind, assembly)
    const assembled = assembly.accept(block, message.payload)
    switch (assembled.kind) {
      case 'more':
        return assembled
      case 'out-of-order':
        return { kind: 'refused', code: code.requestEntityIncomplete }
      case 'too-large':
        return { kind: 'refused', code: code.requestEntityTooLarge }
      case 'complete':
        this.#assemblies.delete(kind)
        return { kind: 'complete', describes: decodeDescribe(kind, assembled.payload) }
    }
  }
}
