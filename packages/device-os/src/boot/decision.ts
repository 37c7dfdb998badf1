/**
 * What the bootloader found and decided: normal or safe mode, and the modules as a describe tells them
 * (modules-and-platforms.md 4.1, 4.6).
 */
import {
  type BootCheck,
  bootCheck,
  type DescribedModule,
  describeChecks,
  installedModule,
  type ModuleDependency,
  moduleLabel,
  type SafeModeReason,
  validity,
} from '@aloe/firmware'
import type { Flash } from '../flash/flash.ts'
import type { ResetReason } from '../flash/reset-reason.ts'
import type { AppliedModule } from './apply.ts'

export interface BootDecision {
  readonly mode: 'normal' | 'safe'
  /** The first reason for safe mode. */
  readonly reason?: SafeModeReason
  /** The same in words; empty in normal mode. */
  readonly why: string
  /** Dependencies that are not met. */
  readonly missing: readonly ModuleDependency[]
  /** The modules of the main store, with checked and passed flags, in the order of a describe. */
  readonly modules: readonly DescribedModule[]
  readonly resetReason: ResetReason
  /** What came with the reason: a panic code, or what the application gave. */
  readonly resetData: number
  /** What the bootloader installed or dropped in this boot. */
  readonly applied: readonly AppliedModule[]
  readonly powerOn: boolean
}

/** The part of a decision that the installed modules make. */
export type ModuleDecision = Pick<BootDecision, 'mode' | 'reason' | 'why' | 'missing' | 'modules'>

export interface Undecidable {
  readonly mode: 'dfu'
  readonly why: string
}

/**
 * Looks at the installed modules. A device whose system parts are missing or damaged can start nothing: it stays in
 * the bootloader, as a board stays in DFU mode.
 */
export function decide(flash: Flash, safeModeRequested: boolean): ModuleDecision | Undecidable {
  const unusable = unusableSystemPart(flash)
  if (unusable !== undefined) return { mode: 'dfu', why: unusable }
  const check = bootCheck(flash.platform, flash.installed().map(installedModule), {
    safeModeRequested,
    assets: flash.assets.list(),
  })
  return {
    mode: check.mode,
    ...(check.reason && { reason: check.reason }),
    why: check.reason ? whySafeMode(check, check.reason) : '',
    missing: check.missing,
    modules: check.modules,
  }
}

/** Both parts hold code that must run even in safe mode, so each has to be there, whole and of this platform. */
function unusableSystemPart(flash: Flash): string | undefined {
  for (const slot of flash.platform.slots) {
    if (slot.function !== 'system_part') continue
    const name = moduleLabel(slot)
    const bytes = flash.module(slot.function, slot.index)
    if (!bytes) return `${name} is missing`
    const module = flash.parsed(slot.function, slot.index)
    if (!module?.crcValid) return `${name} is damaged`
    if (module.function !== slot.function || module.index !== slot.index) return `${name} is another module`
    if (module.platformId !== flash.platform.id) return `${name} is for platform ${module.platformId}`
  }
  return undefined
}

function whySafeMode(check: BootCheck, reason: SafeModeReason): string {
  if (reason === 'requested') return 'safe mode was asked for'
  if (reason === 'no-application') return 'there is no application'
  if (reason === 'assets') return `assets are missing: ${check.missingAssets.map((asset) => asset.name).join(', ')}`
  if (check.missing.length > 0) return `${check.missing.map(moduleLabel).join(' and ')} is missing`
  const invalid = check.modules.find((module) => module.passed !== describeChecks)
  if (!invalid || invalid.function === 'none') return 'the application is damaged'
  if ((invalid.passed & validity.platform) === 0) return `${moduleLabel(invalid)} is for another platform`
  return `${moduleLabel(invalid)} is ${(invalid.passed & validity.integrity) === 0 ? 'damaged' : 'not in its place'}`
}
