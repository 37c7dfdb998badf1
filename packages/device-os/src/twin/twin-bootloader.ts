/**
 * The bootloader of a real board: copies what waits into its place, then starts the system if there is one
 * (modules-and-platforms.md 4.5, 4.6).
 *
 * A place is written page by page, and the list says that it is to be written until it is: after a power cut it is
 * written again, from the OTA region, which still holds the module. Only the bootloader cannot write itself this way.
 * Boards that have help for it (the MBR's copy command of the nRF52840 from bootloader 1001 on, KM0 of the RTL872x)
 * replace it at once; the others write it in place, and a power cut in those moments leaves them without one.
 */
import {
  decompressModule,
  type FirmwareModule,
  locatePrefixOnDevice,
  ModuleFormatError,
  moduleFlags,
  type Platform,
  parseModule,
  slotOf,
} from '@aloe/firmware'
import { type PendingSlot, readPending, writePending } from './pending-slots.ts'
import type { TwinFlash } from './twin-flash.ts'

/** From this version on a bootloader of an nRF52840 board is replaced by the MBR (4.5). */
const firstCopiedByMbr = 1_001

const bootloaderRef = { function: 'bootloader', index: 0 } as const

export interface BootloaderRun {
  /** Bytes that were copied. */
  readonly copied: number
  readonly applied: readonly FirmwareModule[]
  /** There is a system to start. Without it the board stays in DFU mode. */
  readonly bootable: boolean
}

/** Whether the board writes its bootloader in place, so that a power cut then is the end of it. */
export function writesBootloaderInPlace(platform: Platform, bootloader: number): boolean {
  if (platform.prefixRule === 'rtl872x') return false
  return platform.prefixRule !== 'nrf52840' || bootloader < firstCopiedByMbr
}

/** Undefined when there is no bootloader that could run: the board is dead. */
export function runTwinBootloader(flash: TwinFlash): BootloaderRun | undefined {
  const hasBootloader = flash.platform.slots.some((slot) => slot.function === 'bootloader' && slot.index === 0)
  if (hasBootloader && !flash.module(bootloaderRef)?.crcValid) return undefined
  const applied: FirmwareModule[] = []
  let copied = 0
  for (;;) {
    const waiting = readPending(flash.storage)
    const next = nextOf(flash.platform, waiting)
    if (!next) break
    const module = apply(flash, next)
    if (module) {
      applied.push(module)
      copied += module.bytes.length
    }
    // The place is written: only now it may be forgotten that it had to be.
    writePending(
      flash.storage,
      waiting.filter((slot) => slot !== next),
    )
  }
  return { copied, applied, bootable: isBootable(flash) }
}

/** Everything else comes before a bootloader, except where another processor writes it and the chip resets at once. */
function nextOf(platform: Platform, waiting: readonly PendingSlot[]): PendingSlot | undefined {
  const bootloader = waiting.find((slot) => slot.function === 'bootloader')
  const other = waiting.find((slot) => slot.function !== 'bootloader')
  return platform.prefixRule === 'rtl872x' ? (bootloader ?? other) : (other ?? bootloader)
}

/** @returns undefined when the list names something that is no whole module any more */
function apply(flash: TwinFlash, pending: PendingSlot): FirmwareModule | undefined {
  const bytes = flash.received(pending.offset, pending.length)
  const module = read(flash, bytes)
  const slot = module?.crcValid ? slotOf(flash.platform, module) : undefined
  if (!module || !slot) return undefined
  const content = (module.flags & moduleFlags.compressed) !== 0 ? decompressModule(bytes) : bytes
  const installed = flash.module(bootloaderRef)?.version ?? 0
  if (module.function === 'bootloader' && !writesBootloaderInPlace(flash.platform, installed)) {
    flash.replace(slot, content)
  } else {
    // Where two places overlap, what was in the other one must not be taken for an application any more.
    if (slot.function === 'user_part') {
      for (const other of flash.platform.slots) {
        if (other.function === 'user_part' && other.index !== slot.index) flash.eraseFirstPage(other)
      }
    }
    flash.writePages(slot, content)
  }
  return module
}

function read(flash: TwinFlash, bytes: Uint8Array): FirmwareModule | undefined {
  try {
    return parseModule(bytes, { prefixOffset: locatePrefixOnDevice(bytes, flash.platform.prefixRule) })
  } catch (error) {
    if (error instanceof ModuleFormatError) return undefined
    throw error
  }
}

function isBootable(flash: TwinFlash): boolean {
  const { slots } = flash.platform
  const mono = slots.find((slot) => slot.function === 'mono_firmware')
  if (mono && flash.module(mono)?.crcValid) return true
  const part1 = slots.find((slot) => slot.function === 'system_part' && slot.index === 1)
  return part1 !== undefined && flash.module(part1)?.crcValid === true
}
