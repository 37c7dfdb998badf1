/**
 * What a device says about its modules (modules-and-platforms.md 4.1, 4.9). The wire forms, JSON
 * and protobuf, are the protocol's; this is the meaning both share.
 */

import type { AssetRef, ModuleDependency, ModuleRef } from './module-function.ts'

/** Where a module lies. Only `main` runs. */
export type ModuleStore = 'main' | 'factory' | 'backup' | 'scratchpad'

export interface DescribedModule extends ModuleRef {
  readonly version: number
  readonly store: ModuleStore
  /** Bytes of the slot. */
  readonly maxSize: number
  /** `validity` bits that were tested (`vc`). */
  readonly checked: number
  /** `validity` bits that passed (`vv`). The module is valid when both are equal. */
  readonly passed: number
  /** The SHA-256 field of the module, 64 lower-case hexadecimal digits; user parts only. */
  readonly hash?: string
  readonly dependencies: readonly ModuleDependency[]
  readonly assetDependencies?: readonly AssetRef[]
  /** Bytes of the module. */
  readonly size?: number
}

export interface SystemDescribe {
  /** Not part of the protobuf describe: there it comes from the Hello. */
  readonly platformId?: number
  /** In the device's own order: bootloaders, system parts, user part, NCP, radio stack. */
  readonly modules: readonly DescribedModule[]
  readonly imei?: string
  readonly iccid?: string
  readonly modemFirmwareVersion?: string
  /** Assets that the device has. */
  readonly assets?: readonly AssetRef[]
  /** Device protection is on (4.8). */
  readonly protectedState?: boolean
}

/** Bits of a module's checked and passed flags (4.1). */
export const validity = {
  integrity: 2,
  dependencies: 4,
  range: 8,
  platform: 16,
  product: 32,
  dependenciesFull: 64,
} as const

/** What a describe tests on every module (4.1). */
export const describeChecks = validity.integrity | validity.dependencies | validity.range | validity.platform

/** What the acceptance of an update tests (4.1). */
export const updateChecks = describeChecks | validity.dependenciesFull
