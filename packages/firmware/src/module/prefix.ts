/** The 24 bytes that open every module (modules-and-platforms.md 1.2), and finding them (1.1). */

import { viewOf } from '../bytes.ts'
import { moduleFunctionOf } from '../module-function.ts'
import type { PrefixRule } from '../platforms/platform.ts'
import { platformById } from '../platforms/platforms.ts'

export const prefixSize = 24

/** Bytes behind the end of the address range: the CRC-32. */
export const crcSize = 4

/** Shortest suffix: reserved, SHA-256, size. */
export const minSuffixSize = 36

export const moduleFlags = {
  /** The prefix is not stored where the module goes to. */
  dropModuleInfo: 0x01,
  compressed: 0x02,
  /** Another module follows in the same file. */
  combined: 0x04,
  encrypted: 0x08,
  /** Extensions follow the prefix. */
  prefixExtensions: 0x10,
} as const

const knownFlags = 0x1f

/** A dependency as stored: its function may be 0 (none) or one that is not known here. */
export interface DependencyField {
  readonly functionCode: number
  readonly index: number
  readonly version: number
}

export interface ModulePrefix {
  readonly startAddress: number
  /** Exclusive; the CRC-32 lies here. */
  readonly endAddress: number
  /** 0 main MCU, 0xff any, otherwise a co-processor. */
  readonly mcuTarget: number
  readonly flags: number
  readonly version: number
  readonly platformId: number
  readonly functionCode: number
  readonly index: number
  readonly dependencyFields: readonly [DependencyField, DependencyField]
}

/** Reads the prefix at `offset`, unchecked. The caller makes sure that 24 bytes are there. */
export function readPrefix(bytes: Uint8Array, offset: number): ModulePrefix {
  const view = viewOf(bytes)
  return {
    startAddress: view.getUint32(offset, true),
    endAddress: view.getUint32(offset + 4, true),
    mcuTarget: view.getUint8(offset + 8),
    flags: view.getUint8(offset + 9),
    version: view.getUint16(offset + 10, true),
    platformId: view.getUint16(offset + 12, true),
    functionCode: view.getUint8(offset + 14),
    index: view.getUint8(offset + 15),
    dependencyFields: [readDependency(view, offset + 16), readDependency(view, offset + 20)],
  }
}

/** Writes a prefix over the 24 bytes at `offset`. */
export function writePrefix(bytes: Uint8Array, offset: number, prefix: ModulePrefix): void {
  const view = viewOf(bytes)
  view.setUint32(offset, prefix.startAddress, true)
  view.setUint32(offset + 4, prefix.endAddress, true)
  view.setUint8(offset + 8, prefix.mcuTarget)
  view.setUint8(offset + 9, prefix.flags)
  view.setUint16(offset + 10, prefix.version, true)
  view.setUint16(offset + 12, prefix.platformId, true)
  view.setUint8(offset + 14, prefix.functionCode)
  view.setUint8(offset + 15, prefix.index)
  writeDependency(view, offset + 16, prefix.dependencyFields[0])
  writeDependency(view, offset + 20, prefix.dependencyFields[1])
}

/**
 * Where the prefix is, as the host tools find it: nothing in a file says so. Known offsets are tried
 * first, then every fourth byte; the first candidate with a full score wins, otherwise the best one,
 * otherwise 0.
 */
export function locatePrefix(bytes: Uint8Array): number {
  let best = 0
  let bestScore = 0
  for (const offset of candidateOffsets(bytes.length)) {
    const score = prefixScore(bytes, offset)
    if (score === fullScore) return offset
    if (score > bestScore) {
      best = offset
      bestScore = score
    }
  }
  return best
}

/** Where the prefix is, as the platform's own firmware finds it. */
export function locatePrefixOnDevice(bytes: Uint8Array, rule: PrefixRule): number {
  if (rule === 'scan') return locatePrefix(bytes)
  if (rule === 'none' || bytes.length < 8) return 0
  const view = viewOf(bytes)
  const word = view.getUint32(0, true)
  // The signature of a Realtek image header.
  if (rule === 'rtl872x') return word === 0x9696_9999 && view.getUint32(4, true) === 0xfc66_cc3f ? 0x20 : 0
  // A vector table starts with the initial stack pointer, which is an address in RAM. The mask is the
  // one of nRF52840 firmware; the very end of its 256 KiB is a stack pointer as well, and no address
  // of any module.
  const vectorTable = (word & 0x2ffc_0000) === 0x2000_0000 || word === 0x2004_0000
  return vectorTable ? vectorTableSizes[rule] : 0
}

const vectorTableSizes = { stm32f1: 0x10c, bluz: 0xc0, stm32f2: 0x184, nrf52840: 0x200 } as const

const usualOffsets = [0, 0x200, 0x184, 0xc0, 0x10c]
const fullScore = 7

function* candidateOffsets(length: number): Generator<number> {
  const shortest = prefixSize + minSuffixSize + crcSize
  for (const offset of usualOffsets) if (offset === 0 || offset + shortest <= length) yield offset
  const last = Math.min(8192, length - shortest)
  for (let offset = 4; offset <= last; offset += 4) yield offset
}

// 0 when this cannot be a prefix; otherwise one point for each thing that is as expected.
function prefixScore(bytes: Uint8Array, offset: number): number {
  if (offset + prefixSize > bytes.length) return 0
  const view = viewOf(bytes)
  const size = view.getUint32(offset + 4, true) - view.getUint32(offset, true) + crcSize
  const functionCode = view.getUint8(offset + 14)
  if (size <= crcSize || bytes.length < size || functionCode === 0) return 0
  if (emptyWithContent(view, offset + 16) || emptyWithContent(view, offset + 20)) return 0
  let score = 1
  if (platformById(view.getUint16(offset + 12, true))) score++
  if (moduleFunctionOf(functionCode)) score++
  if (moduleFunctionOf(view.getUint8(offset + 16))) score++
  if (moduleFunctionOf(view.getUint8(offset + 20))) score++
  if (bytes.length === size) score++
  if ((view.getUint8(offset + 9) & ~knownFlags) === 0) score++
  return score
}

function emptyWithContent(view: DataView, offset: number): boolean {
  return view.getUint8(offset) === 0 && (view.getUint8(offset + 1) !== 0 || view.getUint16(offset + 2, true) !== 0)
}

function readDependency(view: DataView, offset: number): DependencyField {
  return {
    functionCode: view.getUint8(offset),
    index: view.getUint8(offset + 1),
    version: view.getUint16(offset + 2, true),
  }
}

function writeDependency(view: DataView, offset: number, dependency: DependencyField): void {
  view.setUint8(offset, dependency.functionCode)
  view.setUint8(offset + 1, dependency.index)
  view.setUint16(offset + 2, dependency.version, true)
}
