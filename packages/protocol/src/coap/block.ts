import { CoapError } from './error.ts'
import { readUint, uintOption } from './options.ts'

/** The value of a Block1 or Block2 option (RFC 7959, section 2.2). */
export interface Block {
  /** Number of the block, counted from 0 in blocks of `size`. */
  readonly number: number
  /** More blocks follow. */
  readonly more: boolean
  /** Bytes of every block but the last: 16 to 1024, a power of two. */
  readonly size: number
}

/** Twenty bits carry the number. */
const maxBlockNumber = 0xfffff

/** @throws CoapError when the option is too long, or its size exponent is the reserved 7 */
export function decodeBlock(value: Uint8Array): Block {
  const bits = readUint(value)
  if (bits >= 2 ** 24) throw new CoapError('option-value', 'a block option has at most 24 bits')
  const exponent = bits & 7
  if (exponent === 7) throw new CoapError('option-value', 'block size exponent 7 is reserved')
  return { number: bits >>> 4, more: (bits & 8) !== 0, size: 16 << exponent }
}

/** Encodes in 0, 1, 2 or 4 bytes as Device OS does; three are never used (device-protocol.md 3.1). */
export function encodeBlock(block: Block): Uint8Array {
  const exponent = 27 - Math.clz32(block.size)
  if (exponent < 0 || exponent > 6 || 16 << exponent !== block.size) {
    throw new CoapError('field-range', `${block.size} is not a block size`)
  }
  if (block.number < 0 || block.number > maxBlockNumber) {
    throw new CoapError('field-range', `block number ${block.number} is out of range`)
  }
  return uintOption(block.number * 16 + (block.more ? 8 : 0) + exponent)
}
