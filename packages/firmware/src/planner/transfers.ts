/**
 * How the steps of a plan are sent: one file and one reset for each, or two modules combined, or
 * compressed, where the device takes that (modules-and-platforms.md 1.6, 1.7, 5.5).
 */

import { acceptsUpdate } from '../dependencies/acceptance.ts'
import { findInstalled, type InstalledModules } from '../dependencies/installed.ts'
import { maxCombinedModules } from '../dependencies/validate.ts'
import type { ModuleFunction } from '../module-function.ts'
import type { Platform } from '../platforms/platform.ts'
import type { CatalogueModule } from './catalogue.ts'
import { assetBytes, type ByteCount, type Link, moduleBytes, type PlanCost } from './cost.ts'
import { withModule } from './planner.ts'
import type { OfferedApplication, UpdateStep } from './update-step.ts'

export interface TransferOptions {
  /** Send the application and the system part that it needs as one file. */
  readonly combine?: boolean
  /** Send compressed files. */
  readonly compress?: boolean
}

/** One file; the device resets after it. */
export interface Transfer extends ByteCount {
  readonly steps: readonly UpdateStep[]
  readonly compressed: boolean
  /** Expected, with the reset. */
  readonly seconds: number
}

/** The first Device OS that takes combined files: 3.1.0 (modules-and-platforms.md 5.5). */
const firstCombining = 3103
/** The first bootloader that inflates: 2.0.0 (1.6). */
const firstInflatingBootloader = 1000
/** A compressed system part with its application was 373,462 bytes where the slot is 573,440 (5.5). */
const compressedShare = 0.66
const compressible: ReadonlySet<ModuleFunction> = new Set(['user_part', 'system_part', 'asset'])

/** Whether a device with these modules takes the application and this system part in one file. */
export function acceptsCombined(platform: Platform, installed: InstalledModules, part: CatalogueModule): boolean {
  if (!platform.otaV3 || part.function !== 'system_part') return false
  const system = findInstalled(installed, { function: 'system_part', index: 1 })?.version ?? 0
  if (platform.generation !== 'linux' && system < firstCombining) return false
  // Both are tested against what is installed now; an application may lack what it needs (4.2).
  return acceptsUpdate(platform, installed, part)
}

/** Whether a device with these modules takes compressed files. */
export function acceptsCompressed(platform: Platform, installed: InstalledModules): boolean {
  if (!platform.otaV3) return false
  const bootloader = findInstalled(installed, { function: 'bootloader', index: 0 })?.version ?? 0
  return platform.generation === 'linux' || bootloader >= firstInflatingBootloader
}

/** The steps as files, in order. */
export function planTransfers(
  platform: Platform,
  installed: InstalledModules,
  steps: readonly UpdateStep[],
  link: Link,
  options: TransferOptions,
): Transfer[] {
  const transfers: Transfer[] = []
  let state = installed
  for (const group of groupSteps(platform, installed, steps, options)) {
    const takesCompressed = options.compress === true && acceptsCompressed(platform, state)
    let [bytes, exact, compressed, ncp] = [0, true, false, false]
    for (const step of group) {
      const count = step.kind === 'asset' ? assetBytes(step.asset) : moduleBytes(platform, step.module)
      const squeezed = takesCompressed && compressible.has(step.kind === 'asset' ? 'asset' : step.module.function)
      bytes += squeezed ? Math.ceil(count.bytes * compressedShare) : count.bytes
      exact &&= count.exact && !squeezed
      compressed ||= squeezed
      if (step.kind === 'module') {
        ncp ||= step.module.function === 'ncp_firmware'
        state = withModule(state, step.module)
      }
    }
    const seconds = bytes / link.bytesPerSecond + link.resetSeconds + (ncp ? link.ncpSeconds : 0)
    transfers.push({ steps: group, bytes, exact, compressed, seconds })
  }
  return transfers
}

// Only where nothing but one system part is missing (5.5): anything else needs its own reset first.
function groupSteps(
  platform: Platform,
  installed: InstalledModules,
  steps: readonly UpdateStep[],
  { combine }: TransferOptions,
): readonly (readonly UpdateStep[])[] {
  const modules = steps.filter((step) => step.kind === 'module')
  const [first, second] = steps
  if (combine && modules.length === 1 && first?.kind === 'application' && second?.kind === 'module') {
    const bytes = moduleBytes(platform, first.module).bytes + moduleBytes(platform, second.module).bytes
    if (bytes <= platform.otaRegionSize && acceptsCombined(platform, installed, second.module)) {
      // The order of the official files: system part first (5.5).
      return [[second, first], ...steps.slice(maxCombinedModules).map((step) => [step])]
    }
  }
  return steps.map((step) => [step])
}

export function costOf(steps: readonly UpdateStep[], transfers: readonly Transfer[]): PlanCost {
  return {
    modules: steps.length,
    transfers: transfers.length,
    bytes: transfers.reduce((sum, transfer) => sum + transfer.bytes, 0),
    exact: transfers.every((transfer) => transfer.exact),
    resets: transfers.length,
    seconds: Math.round(transfers.reduce((sum, transfer) => sum + transfer.seconds, 0)),
  }
}

/** Applications have one slot at a time: a new one takes the place of whatever was there (4.5). */
export function withApplication(installed: InstalledModules, application: OfferedApplication): InstalledModules {
  return [...installed.filter((module) => module.function !== 'user_part'), application]
}
