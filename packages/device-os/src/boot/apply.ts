/**
 * The bootloader's work on the pending list (modules-and-platforms.md 4.5, step 4): modules are put into their slots,
 * bootloaders last. Each slot is replaced atomically and the list is emptied when all is done, so that after a power
 * cut the same list is gone through again and comes to the same end.
 */
import {
  decompressModule,
  type FirmwareModule,
  installedModule,
  ModuleFormatError,
  type ModuleFunction,
  moduleFlags,
  resultOf,
  sha256Hex,
  updateResult,
  validateModule,
  validity,
} from '@aloe/firmware'
import type { Flash } from '../flash/flash.ts'
import type { PendingModule } from '../flash/pending-list.ts'
import { isStorageError } from '../storage/storage.ts'

/** What became of a pending module. */
export interface AppliedModule {
  readonly function: ModuleFunction
  readonly index: number
  readonly version: number
  /** Bytes of the file. */
  readonly size: number
  /** 0 when it was installed, else the update result that says why it was dropped. */
  readonly result: number
  readonly message: string
}

/** What a bootloader tests itself. Dependencies were the system's question, and are asked again at boot. */
const bootloaderChecks = validity.integrity | validity.range | validity.platform

export function applyPending(flash: Flash): AppliedModule[] {
  const pending = flash.pending()
  if (pending.length === 0) return []
  const isBootloader = (module: PendingModule) => module.function === 'bootloader'
  const inOrder = [...pending.filter((module) => !isBootloader(module)), ...pending.filter(isBootloader)]
  const applied = inOrder.map((module) => applyOne(flash, module))
  flash.clearPending()
  return applied
}

function applyOne(flash: Flash, pending: PendingModule): AppliedModule {
  const { function: moduleFunction, index, version, size } = pending
  const outcome = (result: number, message: string): AppliedModule => {
    return { function: moduleFunction, index, version, size, result, message }
  }
  const bytes = flash.pendingBytes(pending)
  if (!bytes || sha256Hex(bytes) !== pending.sha256) {
    return outcome(updateResult.integrityCheckFailed, 'the pending file is damaged')
  }
  const sent = check(flash, bytes)
  if (!sent.module) return outcome(sent.result, sent.message)
  let image = sent.module.bytes
  if ((sent.module.flags & moduleFlags.compressed) !== 0) {
    try {
      image = decompressModule(image, { maxSize: flash.slot(pending)?.maxSize ?? 0 })
    } catch (error) {
      if (!(error instanceof ModuleFormatError)) throw error
      return outcome(updateResult.integrityCheckFailed, error.message)
    }
    // What was compressed has to fit the slot as well.
    const inner = check(flash, image)
    if (!inner.module) return outcome(inner.result, inner.message)
  }
  // Already in its slot: the power went away between that and the emptying of the list.
  const installed = flash.module(moduleFunction, index)
  if (!installed || !Buffer.from(installed).equals(image)) {
    try {
      flash.install(image)
    } catch (error) {
      // No room for it beside the installed one, which stays: better the old module than no boot at all.
      if (!isStorageError(error)) throw error
      return outcome(updateResult.error, error.message)
    }
  }
  return outcome(updateResult.ok, 'installed')
}

/** @returns the module when the bootloader may install it, otherwise why not */
function check(flash: Flash, bytes: Uint8Array): { module?: FirmwareModule; result: number; message: string } {
  const { checked, passed, result, message, module } = validateModule(
    bytes,
    flash.platform,
    flash.installed().map(installedModule),
  )
  if (!module || checked === 0) return { result: result || updateResult.unsupportedModule, message }
  const failed = resultOf(checked & bootloaderChecks, passed)
  return failed === updateResult.ok ? { module, result: failed, message } : { result: failed, message }
}
