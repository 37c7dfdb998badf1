/**
 * The binary form in which connections rest in storage, for both ends: a version, then what `RecordProtection` needs, then
 * what the end adds, then a checksum. The session key lies in it: whoever can read it can read and forge the traffic.
 */
import { createHash } from 'node:crypto'
import { keyBlockSize } from './prf.ts'
import { cidSize, maxSequence } from './profile.ts'
import type { ProtectionState } from './protection.ts'
import { join, Reader } from './reader.ts'

const checksumSize = 4

export function encodeStored(version: number, state: ProtectionState, rest: Uint8Array): Uint8Array {
  const numbers = new Uint8Array(6 + 6 + 8)
  const view = new DataView(numbers.buffer)
  setUint48(view, 0, state.sendSequence)
  // The top before the first record is -1.
  setUint48(view, 6, state.window.top + 1)
  view.setUint32(12, state.window.high)
  view.setUint32(16, state.window.low)
  const cid = state.cid ?? new Uint8Array()
  const content = join([version], state.keyBlock, numbers, [cid.length], cid, rest)
  return join(content, checksum(content))
}

/** Undefined when the bytes are damaged or of another version. `rest` is a view. */
export function decodeStored(
  version: number,
  bytes: Uint8Array,
): { state: ProtectionState; rest: Uint8Array } | undefined {
  const end = bytes.length - checksumSize
  if (end < 1 || bytes[0] !== version) return undefined
  const content = bytes.subarray(0, end)
  if (Buffer.compare(checksum(content), bytes.subarray(end)) !== 0) return undefined
  const reader = new Reader(content.subarray(1))
  const key = reader.bytes(keyBlockSize).slice()
  const sendSequence = reader.uint(6)
  const window = { top: reader.uint(6) - 1, high: reader.uint(4), low: reader.uint(4) }
  const cid = reader.vector(1).slice()
  if (!reader.ok || (cid.length !== 0 && cid.length !== cidSize) || sendSequence > maxSequence) return undefined
  const state = { keyBlock: key, cid: cid.length === 0 ? undefined : cid, sendSequence, window }
  return { state, rest: reader.bytes(reader.left) }
}

function checksum(content: Uint8Array): Uint8Array {
  return createHash('sha256').update(content).digest().subarray(0, checksumSize)
}

function setUint48(view: DataView, offset: number, value: number): void {
  view.setUint16(offset, Math.floor(value / 2 ** 32))
  view.setUint32(offset + 2, value % 2 ** 32)
}
