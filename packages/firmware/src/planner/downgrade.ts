/**
 * Downgrades: never by the cloud itself, only when an owner asks for one (modules-and-platforms.md 4.2,
 * 5.1). The application goes first, then the system parts in reverse, so that at its turn each is
 * accepted and none that stays is left without what it needs. Bootloader, radio stack and NCP stay:
 * dependencies are floors, and newer ones meet them.
 */

import { acceptsUpdate } from '../dependencies/acceptance.ts'
import { bootCheck } from '../dependencies/boot-check.ts'
import { findInstalled, type InstalledModules, installedModules, satisfies } from '../dependencies/installed.ts'
import { missingAssetsOf } from '../dependencies/missing.ts'
import type { SystemDescribe } from '../describe.ts'
import { type ModuleDependency, moduleKey, moduleLabel } from '../module-function.ts'
import type { Platform } from '../platforms/platform.ts'
import type { CatalogueModule } from './catalogue.ts'
import { firstProtectedSystem } from './catalogue-index.ts'
import { linkOf } from './cost.ts'
import { withModule } from './planner.ts'
import { costOf, planTransfers, withApplication } from './transfers.ts'
import { refuse, type UpdatePlan, type UpdateRequest } from './update-plan.ts'
import type { OfferedApplication, UpdateStep } from './update-step.ts'

export interface DowngradeRequest extends Omit<UpdateRequest, 'needs'> {
  /** Semantic version of the release to go back to. */
  readonly release: string
}

/**
 * Plans a downgrade in one action. Refused with the reason when the device would be orphaned: left in
 * safe mode, without an application that runs, or with modules that need what is taken away.
 */
export function planDowngrade(
  platform: Platform,
  describe: SystemDescribe,
  catalogue: readonly CatalogueModule[],
  request: DowngradeRequest,
): UpdatePlan {
  const { release, application, link = linkOf(platform) } = request
  const installed = installedModules(describe)
  const own = catalogue.filter((module) => module.platformId === platform.id)
  const ofRelease = own.filter((module) => module.release === release)
  const targets = ofRelease.filter((module) => module.function === 'system_part')
  if (targets.length === 0) return refuse(`the catalogue has no Device OS ${release} for ${platform.name}`)
  const newer = targets.filter((target) => (findInstalled(installed, target)?.version ?? -1) < target.version)
  if (newer.length > 0) {
    return refuse(`${release} is no downgrade for this device: ${newer.map(moduleLabel).join(', ')} is newer`)
  }
  if (describe.protectedState === true && targets.some((target) => target.version < firstProtectedSystem)) {
    return refuse(`device protection is on: the device takes no Device OS before 6.0.0`)
  }
  const start = application ? withApplication(installed, application) : installed
  const end = targets.reduce(withModule, start)
  const unfit = unfitApplication(end, ofRelease, application) ?? unfitCompanion(end, own)
  if (unfit) return refuse(unfit)
  const modules = downwards(platform, start, targets, own)
  const orphan = orphaned(platform, modules?.reduce(withModule, start) ?? end, describe)
  if (orphan) return refuse(orphan)
  if (!modules) {
    return refuse(`no order of downgrades to ${release} is accepted by the device: each part is needed by another one`)
  }
  const user = application ?? installed.find((module) => module.function === 'user_part')
  const missingAssets = missingAssetsOf(user?.assetDependencies, describe.assets)
  const steps: UpdateStep[] = [
    ...(application ? [{ kind: 'application' as const, module: application }] : []),
    ...modules.map((module) => {
      const last = targets.includes(module)
      const why = last ? `part of Device OS ${release}` : 'on the way down: another part needs at least this one'
      return { kind: 'module' as const, module, serves: [], why }
    }),
    ...missingAssets.map((asset) => ({ kind: 'asset' as const, asset })),
  ]
  const transfers = planTransfers(platform, installed, steps, link, { ...request, combine: false })
  return { ok: true, steps, transfers, missing: [], missingAssets, cost: costOf(steps, transfers) }
}

function unfitApplication(
  end: InstalledModules,
  ofRelease: readonly CatalogueModule[],
  application: OfferedApplication | undefined,
): string | undefined {
  const release = ofRelease[0]?.release ?? ''
  const user = end.find((module) => module.function === 'user_part')
  const unmet = user?.dependencies.find((dependency) => !satisfies(end, dependency))
  if (unmet) {
    const hint = application ? '' : `: give one for ${release} or older along with the downgrade`
    return `the application needs ${moduleLabel(unmet)}, without which the device would stay in safe mode${hint}`
  }
  // Device OS before 3.1.0 knows no application in the slot of today (4.1).
  const template = ofRelease.find((module) => module.function === 'user_part')
  if (user && template && user.index > template.index) {
    return `Device OS ${release} knows no application with index ${user.index}: give one built for it along with the downgrade`
  }
  return undefined
}

// A radio stack or NCP is described without what it needs; the catalogue knows it. Of several, the
// oldest is what the oldest releases run with: what it needs is needed only to put it there.
function unfitCompanion(end: InstalledModules, own: readonly CatalogueModule[]): string | undefined {
  for (const module of end) {
    if (module.function !== 'radio_stack' && module.function !== 'ncp_firmware') continue
    const known = own.filter((other) => other.function === module.function && other.index === module.index)
    const isOldest = known.length > 1 && known.every((other) => other.version >= module.version)
    const dependencies = known.find((other) => other.version === module.version)?.dependencies ?? []
    const dependency = dependencies.find((needed) => !satisfies(end, needed))
    if (isOldest || !dependency) continue
    return `${moduleLabel(module)} stays on the device and needs ${moduleLabel(dependency)}: the device would be left without it`
  }
  return undefined
}

function orphaned(platform: Platform, end: InstalledModules, describe: SystemDescribe): string | undefined {
  const user = end.find((module) => module.function === 'user_part')
  const boot = bootCheck(platform, end, { assets: [...(describe.assets ?? []), ...(user?.assetDependencies ?? [])] })
  if (boot.mode === 'normal' || boot.reason === 'no-application') return undefined
  const [missing] = boot.missing
  if (!missing) return `the device would stay in safe mode (${boot.reason})`
  const owner = end.find((module) => module.dependencies.some((dependency) => isSame(dependency, missing)))
  return `${owner ? moduleLabel(owner) : 'the device'} needs ${moduleLabel(missing)}: the device would stay in safe mode`
}

interface Node {
  readonly installed: InstalledModules
  readonly parent?: Node
  readonly step?: CatalogueModule
}

/** No platform has so many; a broken catalogue must not hold up who asks. */
const maxStates = 5_000

// Breadth-first through the parts of the target and those that installed ones name on the way down;
// the part that depends on the others goes first.
function downwards(
  platform: Platform,
  start: InstalledModules,
  targets: readonly CatalogueModule[],
  own: readonly CatalogueModule[],
): CatalogueModule[] | undefined {
  const goal = new Map(targets.map((target) => [moduleKey(target), target.version]))
  const stones = steppingStones(start, targets, own)
  const moves = [...stones].sort((a, b) => a.version - b.version || b.index - a.index)
  const queue: Node[] = [{ installed: start }]
  const seen = new Set([stateKey(start)])
  for (let head = 0; head < queue.length && seen.size < maxStates; head++) {
    const node = queue[head]
    if (!node) break
    const { installed } = node
    if (targets.every((target) => findInstalled(installed, target)?.version === target.version)) return pathTo(node)
    for (const step of moves) {
      const current = findInstalled(installed, step)
      if (!current || step.version >= current.version || step.version < (goal.get(moduleKey(step)) ?? 0)) continue
      if (!acceptsUpdate(platform, installed, step)) continue
      const next = withModule(installed, step)
      const key = stateKey(next)
      if (seen.has(key)) continue
      seen.add(key)
      queue.push({ installed: next, parent: node, step })
    }
  }
  return undefined
}

// Parts that others name exactly, and the other parts of their releases, of what is passed on the way.
function steppingStones(
  start: InstalledModules,
  targets: readonly CatalogueModule[],
  own: readonly CatalogueModule[],
): ReadonlySet<CatalogueModule> {
  const parts = own.filter((module) => module.function === 'system_part')
  const stones = new Set(targets)
  const pending = start.flatMap((module) => module.dependencies)
  const asked = new Set<string>()
  for (let name = pending.pop(); name; name = pending.pop()) {
    if (name.function !== 'system_part' || asked.has(moduleLabel(name))) continue
    asked.add(moduleLabel(name))
    const named =
      parts.find((part) => isSame(part, name) && !part.prerelease) ?? parts.find((part) => isSame(part, name))
    if (!named) continue
    for (const part of parts) {
      if (part.release !== named.release) continue
      stones.add(part)
      pending.push(...part.dependencies)
    }
  }
  // A part that is not in the target's release stays, but may have to give way before the others can go.
  return stones
}

function stateKey(installed: InstalledModules): string {
  return installed
    .filter((module) => module.function === 'system_part')
    .map(moduleLabel)
    .join()
}

function pathTo(node: Node): CatalogueModule[] {
  const steps: CatalogueModule[] = []
  for (let at: Node | undefined = node; at?.step; at = at.parent) steps.push(at.step)
  return steps.reverse()
}

function isSame(a: ModuleDependency, b: ModuleDependency): boolean {
  return a.function === b.function && a.index === b.index && a.version === b.version
}
