/** The device: bootloader, flash, system, application API and the hosts that run them. */

export type { AppliedModule } from './boot/apply.ts'
export { boot } from './boot/boot.ts'
export type { BootDecision } from './boot/decision.ts'
export type { Boot, BootLine, BootSignal, Rom, SystemEnd } from './boot/rom.ts'
export type { DeviceConfig, DeviceConfigChange, ServerAddress, Transport } from './flash/device-config.ts'
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
export { colorAt, intensityAt, type LedState, type LogLevel, type LogRecord, type Rgb } from './hal/index.ts'
export {
  type CloudAddresses,
  type CreateDeviceOptions,
  connectDevice,
  createDevice,
  type DeviceFile,
  DeviceFolderError,
  type DeviceFolderErrorCode,
  flashFolder,
  openFlash,
  readDeviceFile,
  writeDeviceFile,
} from './host/device-folder.ts'
export { devicePublicKeyPem, newDeviceId, newDeviceKey, newUdpDeviceKey } from './host/device-identity.ts'
export { DeviceBusyError } from './host/device-processes.ts'
export { MemoryDevice, type MemoryDeviceOptions, type MemoryDeviceStatus } from './host/memory-device.ts'
export type { NewDeviceOptions } from './host/new-config.ts'
export {
  type DeviceLine,
  type DevicePhase,
  type DeviceStatus,
  type RunDeviceOptions,
  type RunningDevice,
  runDevice,
} from './host/run-device.ts'
export { type BuildReleaseOptions, buildRelease, buildReleases } from './release/build-release.ts'
export {
  openRelease,
  openReleases,
  type ReleaseApiMember,
  ReleaseError,
  type ReleaseFolder,
  type ReleaseManifest,
  type ReleaseModule,
  releaseApplication,
  releaseModules,
} from './release/release-folder.ts'
export { FileStorage } from './storage/file-storage.ts'
export { MemoryStorage } from './storage/memory-storage.ts'
export { checkName, replaceFile, type Storage, StorageError, type StorageErrorCode } from './storage/storage.ts'
export type { ConnectionHal, ConnectionServer } from './system/communication.ts'
export { type UpdateHandlers, Updates } from './system/updates.ts'
export { type Dialect, dialectOf } from './twin/dialect.ts'
export {
  createTwin,
  Twin,
  type TwinApplication,
  type TwinHandlers,
  type TwinOptions,
  type TwinRules,
  type TwinState,
} from './twin/twin.ts'
export { writesBootloaderInPlace } from './twin/twin-bootloader.ts'
export { twinSlotFile } from './twin/twin-flash.ts'
