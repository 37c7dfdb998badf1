/** The device: bootloader, flash, system, application API and the hosts that run them. */

export type { AppliedModule } from './boot/apply.ts'
export { boot } from './boot/boot.ts'
export type { BootDecision } from './boot/decision.ts'
export type { Boot, BootLine, BootSignal, Rom, SystemEnd } from './boot/rom.ts'
export type { DeviceConfig, DeviceConfigChange, ServerAddress } from './flash/device-config.ts'
export { Flash, retainedSize } from './flash/flash.ts'
export { FlashError, type FlashErrorCode } from './flash/flash-error.ts'
export type { PendingModule } from './flash/pending-list.ts'
export {
  isResetReason,
  panicCodes,
  type ResetInfo,
  type ResetReason,
  resetReasonCode,
  resetReasons,
} from './flash/reset-reason.ts'
export { StagingArea, type StagingBegin, type StagingCheck, type StagingRequest } from './flash/staging.ts'
export { FileStorage } from './storage/file-storage.ts'
export { MemoryStorage } from './storage/memory-storage.ts'
export { checkName, replaceFile, type Storage, StorageError, type StorageErrorCode } from './storage/storage.ts'
