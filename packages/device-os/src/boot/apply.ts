/**
 * The bootloader's work on the pending list (modules-and-platforms.md 4.5, step 4): modules are put into their slots,
 * bootloaders last. Each slot is replaced atomically and the list is emptied when all is done, so that after a power
 * cut the same list is gone through again and comes to the same end.
 */
import {
  installedModule,
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
  const { checked, passed, result, message, module } = validateModule(
    bytes,
    flash.platform,
    flash.installed().map(installedModule),
  )
  if (!module || checked === 0) return outcome(result === 0 ? updateResult.unsupportedModule : result, message)
  const failed = resultOf(checked & bootloaderChecks, passed)
  if (failed !== updateResult.ok) return outcome(failed, message)
  if ((module.flags & moduleFlags.compressed) !== 0) {
    return outcome(updateResult.unsupportedModule, 'compressed')
  }
  // Already in its slot: the power went away between that and the emptying of the list.
  const installed = flash.module(moduleFunction, index)
  if (!installed || !Buffer.from(installed).equals(bytes)) flash.install(bytes)
  return outcome(updateResult.ok, 'installed')
}
