/**
 * The list of modules that wait for the bootloader, as it lies in a board's DCT: `flash_modules[5]`, 20 bytes each
 * (modules-and-platforms.md 4.5). Slot 0 is the factory reset's.
 */
import { type ModuleFunction, moduleFlags, moduleFunctionCode, moduleFunctionOf } from '@aloe/firmware'
import { replaceFile, type Storage } from '../storage/storage.ts'

export interface PendingSlot {
  /** Where the file lies in the OTA region, from its start. */
  readonly offset: number
  readonly length: number
  readonly function: ModuleFunction
  readonly destination: number
  /** Flags of the module's prefix that matter to the bootloader. */
  readonly compressed: boolean
  readonly dropModuleInfo: boolean
}

const file = 'dct.bin'
const slotSize = 20
const firstPending = 1
const lastPending = 4
const slotCount = lastPending + 1
const pendingMagic = 0xabcd
const verifyCrc = 0x02
const verifyFunction = 0x08
const dropInfo = 0x10
const compressedFlag = 0x20
/** Device ids: 0 internal flash, 1 external flash. */
const externalFlash = 1

/** How many modules may wait at once. */
export const maxPending = lastPending - firstPending + 1

export function readPending(storage: Storage): readonly PendingSlot[] {
  const bytes = storage.read(file)
  if (!bytes) return []
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const found: PendingSlot[] = []
  for (let slot = firstPending; slot <= lastPending; slot++) {
    const at = slot * slotSize
    if (at + slotSize > bytes.length || view.getUint16(at, true) !== pendingMagic) continue
    const flags = view.getUint8(at + 16)
    found.push({
      offset: view.getUint32(at + 4, true),
      destination: view.getUint32(at + 8, true),
      length: view.getUint32(at + 12, true),
      compressed: (flags & compressedFlag) !== 0,
      dropModuleInfo: (flags & dropInfo) !== 0,
      function: moduleFunctionOf(view.getUint8(at + 17)) ?? 'none',
    })
  }
  return found
}

/** Replaces the list as a whole: a board's DCT is journaled, and has its old or its new content after a power cut. */
export function writePending(storage: Storage, slots: readonly PendingSlot[]): void {
  if (slots.length === 0 && readPending(storage).length === 0) return
  const bytes = new Uint8Array(slotCount * slotSize).fill(0xff)
  const view = new DataView(bytes.buffer)
  for (const [index, slot] of slots.slice(0, maxPending).entries()) {
    const at = (firstPending + index) * slotSize
    let flags = verifyCrc | verifyFunction
    if (slot.dropModuleInfo) flags |= dropInfo
    if (slot.compressed) flags |= compressedFlag
    view.setUint16(at, pendingMagic, true)
    view.setUint8(at + 2, externalFlash)
    view.setUint8(at + 3, 0)
    view.setUint32(at + 4, slot.offset, true)
    view.setUint32(at + 8, slot.destination, true)
    view.setUint32(at + 12, slot.length, true)
    view.setUint8(at + 16, flags)
    view.setUint8(at + 17, moduleFunctionCode(slot.function))
    view.setUint16(at + 18, 0xffff, true)
  }
  replaceFile(storage, file, bytes)
}

/** The bits of a module's flags that the bootloader must know. */
export function slotFlags(flags: number): Pick<PendingSlot, 'compressed' | 'dropModuleInfo'> {
  return {
    compressed: (flags & moduleFlags.compressed) !== 0,
    dropModuleInfo: (flags & moduleFlags.dropModuleInfo) !== 0,
  }
}
