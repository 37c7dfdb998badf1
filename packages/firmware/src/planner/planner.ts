/**
 * Which modules heal a device, and in which order (modules-and-platforms.md 5.2): the shortest
 * sequence, each step of which the device accepts in the state that the steps before have left, and
 * after which nothing is missing. Upgrades only.
 *
 * It is a breadth-first search over what is installed. Walking dependencies from the deepest up is
 * not enough: system parts of Gen 2 need each other, Tracker's system part and NCP do as well, and a
 * device accepts some modules that it then does not boot.
 */

import { acceptsUpdate } from '../dependencies/acceptance.ts'
import {
  findInstalled,
  type InstalledModule,
  type InstalledModules,
  installedModules,
} from '../dependencies/installed.ts'
import { missingDependenciesOf } from '../dependencies/missing.ts'
import type { SystemDescribe } from '../describe.ts'
import { type ModuleDependency, type ModuleFunction, moduleLabel } from '../module-function.ts'
import type { Platform } from '../platforms/platform.ts'
import { slotOf } from '../platforms/platforms.ts'
import { breadths, findCandidates } from './candidates.ts'
import type { CatalogueModule } from './catalogue.ts'

export type Plan =
  /** `steps[0]` is the module to send next; without steps there is nothing to heal. */
  | { readonly ok: true; readonly steps: readonly CatalogueModule[]; readonly missing: readonly ModuleDependency[] }
  | { readonly ok: false; readonly reason: string; readonly missing: readonly ModuleDependency[] }

/**
 * Plans the healing of a device from its describe. Send `steps[0]` only, then plan anew from the next
 * describe: the device has the last word.
 *
 * @param catalogue modules of any platform; those of others are not looked at
 */
export function planHealing(platform: Platform, describe: SystemDescribe, catalogue: readonly CatalogueModule[]): Plan {
  const installed = installedModules(describe)
  const missing = missingDependenciesOf(installed)
  if (missing.length === 0) return { ok: true, steps: [], missing }
  const usable = catalogue.filter((module) => isUsable(module, platform, describe))
  let exhausted = true
  let unknown: readonly ModuleDependency[] = []
  for (const breadth of breadths) {
    const found = findCandidates(installed, missing, usable, breadth)
    const steps = shortestPlan(platform, installed, found.candidates)
    if (Array.isArray(steps)) return { ok: true, steps, missing }
    if (steps === 'too-large') exhausted = false
    unknown = found.unknown
    // Nothing that is looked for more widely makes up for what is missing and nowhere to be had.
    if (missing.some((dependency) => unknown.includes(dependency))) break
  }
  const what = `${missing.map(moduleLabel).join(', ')} for ${platform.name}`
  if (unknown.length > 0) {
    return {
      ok: false,
      reason: `${what}: the catalogue has no ${unknown.map(moduleLabel).join(', no ')} or newer`,
      missing,
    }
  }
  const reason = exhausted
    ? `${what}: no order of updates is accepted by the device`
    : `${what}: no plan among the first ${maxStates} combinations of modules`
  return { ok: false, reason, missing }
}

// What no plan may contain (5.2).
function isUsable(module: CatalogueModule, platform: Platform, describe: SystemDescribe): boolean {
  if (module.platformId !== platform.id || module.function === 'user_part') return false
  // Neither what has no slot, such as an NCP that cannot be updated, nor what only the factory may write.
  const slot = slotOf(platform, module)
  if (!slot || slot.factoryOnly) return false
  if (!describe.protectedState) return true
  if (module.function === 'bootloader' && module.index === 0) return module.protected === true
  return module.function !== 'system_part' || module.version >= firstProtectedSystem
}

/** A protected device takes no older system part (4.8). */
const firstProtectedSystem = 6000

// The longest plans over the public releases see some fifty states; a broken catalogue must not hold
// up the cloud.
const maxStates = 2_000

interface State {
  readonly installed: InstalledModules
  readonly parent?: State
  readonly step?: CatalogueModule
}

function shortestPlan(
  platform: Platform,
  installed: InstalledModules,
  candidates: readonly CatalogueModule[],
): CatalogueModule[] | 'too-large' | undefined {
  // Candidates in order of preference, first in first out: the first plan found is the preferred one
  // among the shortest.
  const ordered = [...candidates].sort(comparePreference)
  const queue: State[] = [{ installed }]
  const seen = new Set([stateKey(installed)])
  for (let head = 0; head < queue.length; head++) {
    const state = queue[head]
    if (!state) break
    if (missingDependenciesOf(state.installed).length === 0) return stepsTo(state)
    for (const step of ordered) {
      const current = findInstalled(state.installed, step)
      if (current && step.version <= current.version) continue
      if (!acceptsUpdate(platform, state.installed, step)) continue
      const next = withModule(state.installed, step)
      const key = stateKey(next)
      if (seen.has(key)) continue
      if (seen.size >= maxStates) return 'too-large'
      seen.add(key)
      queue.push({ installed: next, parent: state, step })
    }
  }
  return undefined
}

const preference: readonly ModuleFunction[] = ['bootloader', 'radio_stack', 'ncp_firmware', 'system_part']

// Bootloader part 2 before the main one, then radio stack, NCP and system parts; the older version
// first; of equal ones the final release.
function comparePreference(a: CatalogueModule, b: CatalogueModule): number {
  return (
    rank(a) - rank(b) ||
    (a.function === 'bootloader' ? b.index - a.index : 0) ||
    a.version - b.version ||
    a.index - b.index ||
    Number(a.prerelease) - Number(b.prerelease)
  )
}

function rank(module: CatalogueModule): number {
  const place = preference.indexOf(module.function)
  return place < 0 ? preference.length : place
}

function withModule(installed: InstalledModules, step: CatalogueModule): InstalledModules {
  const module: InstalledModule = {
    function: step.function,
    index: step.index,
    version: step.version,
    dependencies: step.dependencies,
  }
  const at = installed.findIndex((m) => m.function === step.function && m.index === step.index)
  return at < 0 ? [...installed, module] : installed.with(at, module)
}

// Two variants of one version may differ in their dependencies, so those count as well.
function stateKey(installed: InstalledModules): string {
  return installed
    .map((m) => `${moduleLabel(m)}(${m.dependencies.map(moduleLabel).join()})`)
    .sort()
    .join(';')
}

function stepsTo(state: State): CatalogueModule[] {
  const steps: CatalogueModule[] = []
  for (let at: State | undefined = state; at?.step; at = at.parent) steps.push(at.step)
  return steps.reverse()
}
