/** Whether a device may run its application: the boot decision (modules-and-platforms.md 4.1, 4.6, 4.7). */

import { type DescribedModule, describeChecks, validity } from '../describe.ts'
import { crcSize } from '../module/prefix.ts'
import type { AssetRef, ModuleDependency } from '../module-function.ts'
import type { ModuleSlot, Platform } from '../platforms/platform.ts'
import { slotEnd } from '../platforms/platforms.ts'
import { dependenciesMet } from './acceptance.ts'
import { findInstalled, type InstalledModule, type InstalledModules } from './installed.ts'
import { missingAssetsOf, missingDependenciesOf } from './missing.ts'
import { inRange } from './validate.ts'

export interface BootOptions {
  /** Assets in the device's store; none unless given. */
  readonly assets?: readonly AssetRef[]
  /** Safe mode was asked for: by button, flag or cloud. */
  readonly safeModeRequested?: boolean
}

/** Why a device goes to safe mode, in the order in which it asks. */
export type SafeModeReason = 'requested' | 'assets' | 'bootloader' | 'system' | 'no-application' | 'application'

export interface BootCheck {
  readonly mode: 'normal' | 'safe'
  /** The first reason for safe mode. */
  readonly reason?: SafeModeReason
  /** Dependencies of installed modules that are not met. */
  readonly missing: readonly ModuleDependency[]
  /** Assets of the application that are not in the store. */
  readonly missingAssets: readonly AssetRef[]
  /** The installed modules with their flags, in describe order: what the device tells the cloud. */
  readonly modules: readonly DescribedModule[]
}

/**
 * Decides between normal and safe mode, and describes the modules. Everything is enforced here that
 * the acceptance of an update leaves open.
 */
export function bootCheck(platform: Platform, installed: InstalledModules, options: BootOptions = {}): BootCheck {
  const checks = platform.slots.flatMap((slot) => {
    const module = installed.find((m) => m.function === slot.function && m.index === slot.index)
    return module ? [{ slot, module, passed: passedFlags(platform, installed, slot, module) }] : []
  })
  const user = runningUserPart(checks)
  const reported = checks.filter((check) => check.slot.function !== 'user_part' || check === user)
  const modules = reported.map(describeModule)
  const running = reported.map((check) => check.module)
  const missingAssets = user && isIntact(user) ? missingAssetsOf(user.module.assetDependencies, options.assets) : []
  const reason = safeModeReason(platform, reported, user, missingAssets.length > 0, options.safeModeRequested === true)
  return {
    mode: reason ? 'safe' : 'normal',
    ...(reason && { reason }),
    missing: missingDependenciesOf(running),
    missingAssets,
    modules,
  }
}

interface Check {
  readonly slot: ModuleSlot
  readonly module: InstalledModule
  readonly passed: number
}

function passedFlags(
  platform: Platform,
  installed: InstalledModules,
  slot: ModuleSlot,
  module: InstalledModule,
): number {
  let passed = 0
  if (module.intact !== false) passed |= validity.integrity
  if (dependenciesMet(platform, installed, module, false)) passed |= validity.dependencies
  if (liesInSlot(slot, module, installed)) passed |= validity.range
  if (module.platformId === undefined || module.platformId === platform.id) passed |= validity.platform
  return passed
}

function liesInSlot(slot: ModuleSlot, module: InstalledModule, installed: InstalledModules): boolean {
  const { startAddress, endAddress } = module
  if (startAddress === undefined || endAddress === undefined) return true
  const systemVersion = findInstalled(installed, { function: 'system_part', index: 1 })?.version
  return endAddress + crcSize <= slotEnd(slot, systemVersion) && inRange({ startAddress, endAddress }, slot)
}

function isValid(check: Check): boolean {
  return check.passed === describeChecks
}

function isIntact(check: Check): boolean {
  return (check.passed & validity.integrity) !== 0
}

// nRF52840 boards have two: the old slot wins while what is in it is valid, otherwise the new one
// counts (4.1).
function runningUserPart(checks: readonly Check[]): Check | undefined {
  const users = checks.filter((check) => check.slot.function === 'user_part')
  const [first, second] = users
  return first && second && !isValid(first) ? second : first
}

function safeModeReason(
  platform: Platform,
  checks: readonly Check[],
  user: Check | undefined,
  assetsMissing: boolean,
  requested: boolean,
): SafeModeReason | undefined {
  if (requested) return 'requested'
  if (assetsMissing) return 'assets'
  const validSlot = (slot: ModuleSlot) => checks.some((check) => check.slot === slot && isValid(check))
  const required = platform.slots.filter((slot) => slot.function === 'bootloader' && slot.index === 0)
  if (!required.every(validSlot)) return 'bootloader'
  // A monolithic image is system and application in one.
  if (platform.slots.some((slot) => slot.function === 'mono_firmware' && validSlot(slot))) return undefined
  const systemVersion = checks.find(({ slot }) => slot.function === 'system_part' && slot.index === 1)?.module.version
  const systemParts = platform.slots.filter(
    (slot) => slot.function === 'system_part' && (slot.since === undefined || (systemVersion ?? 0) >= slot.since),
  )
  if (!systemParts.every(validSlot)) return 'system'
  if (!user) return 'no-application'
  return isValid(user) ? undefined : 'application'
}

function describeModule({ slot, module, passed }: Check): DescribedModule {
  // An application with a wrong CRC is told as an empty slot (4.9).
  if (slot.function === 'user_part' && (passed & validity.integrity) === 0) {
    return {
      function: 'none',
      index: 0,
      version: 0,
      store: 'main',
      maxSize: slot.maxSize,
      checked: describeChecks,
      passed: 0,
      dependencies: [],
    }
  }
  const isUser = slot.function === 'user_part'
  return {
    function: module.function,
    index: module.index,
    version: module.version,
    store: 'main',
    maxSize: slot.maxSize,
    checked: describeChecks,
    passed,
    ...(isUser && module.hash !== undefined && { hash: module.hash }),
    dependencies: module.dependencies,
    ...(isUser && module.assetDependencies?.length && { assetDependencies: module.assetDependencies }),
    ...(module.size !== undefined && { size: module.size }),
  }
}
