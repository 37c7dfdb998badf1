/**
 * Which modules a device needs, and in which order (modules-and-platforms.md 5.2): the shortest
 * sequence, each step of which the device accepts in the state that the steps before have left, and
 * after which nothing is missing. Upgrades only.
 *
 * Walking dependencies from the deepest up is not enough: system parts of Gen 2 need each other,
 * Tracker's system part and NCP do as well, and a device accepts some modules that it then does not
 * boot. So it is a search (shortest.ts), among few modules if they do (candidates.ts), and only where
 * it is known that there is a plan (reachable.ts).
 */

import { acceptsUpdate } from '../dependencies/acceptance.ts'
import {
  findInstalled,
  type InstalledModule,
  type InstalledModules,
  installedModules,
  satisfies,
} from '../dependencies/installed.ts'
import { missingDependenciesOf } from '../dependencies/missing.ts'
import { type SystemDescribe, validity } from '../describe.ts'
import { type ModuleDependency, moduleLabel } from '../module-function.ts'
import type { Platform } from '../platforms/platform.ts'
import { breadths, findCandidates } from './candidates.ts'
import type { CatalogueModule } from './catalogue.ts'
import { type CatalogueIndex, indexCatalogue, slotKey } from './catalogue-index.ts'
import { explainObstacles, findObstacles, type Obstacle } from './impossible.ts'
import { compileProblem } from './problem.ts'
import { reach, withoutNeedless } from './reachable.ts'
import { shortestPlan } from './shortest.ts'

export type Plan =
  /** `steps[0]` is the module to send next; without steps there is nothing to heal. */
  | { readonly ok: true; readonly steps: readonly CatalogueModule[]; readonly missing: readonly ModuleDependency[] }
  | {
      readonly ok: false
      readonly reason: string
      readonly missing: readonly ModuleDependency[]
      /** What `reason` says, as data. */
      readonly obstacles: readonly Obstacle[]
    }

/** What a plan starts from. */
export interface PlanRequest {
  readonly installed: InstalledModules
  /** What the device shall have, besides what its modules need. */
  readonly needs?: readonly ModuleDependency[]
  /** Device protection is on (4.8). */
  readonly protected?: boolean
  /** Modules that are there but damaged, in the versions that they say: nothing older takes their place. */
  readonly damaged?: readonly ModuleDependency[]
}

/** Plans for devices of one platform with one catalogue. Devices in the same state share a plan. */
export interface Planner {
  readonly platform: Platform
  plan(request: PlanRequest): Plan
  /** A module of the catalogue by its number: the file of the newest final release, else of the highest. */
  find(module: ModuleDependency): CatalogueModule | undefined
}

/** Plans that are kept, for fleets in which many devices are in the same state. */
const rememberedPlans = 10_000
/** States of real devices are told in less; others must not fill the memory. */
const longestSignature = 600

/** @param catalogue modules of any platform; those of others are not looked at */
export function createPlanner(platform: Platform, catalogue: readonly CatalogueModule[]): Planner {
  let open: CatalogueIndex | undefined
  let secured: CatalogueIndex | undefined
  const indexOf = (isProtected: boolean): CatalogueIndex => {
    if (isProtected) {
      secured ??= indexCatalogue(platform, catalogue, { protected: true })
      return secured
    }
    open ??= indexCatalogue(platform, catalogue, { protected: false })
    return open
  }
  const plans = new Map<string, Plan>()
  return {
    platform,
    find: (module) => indexOf(false).find(module)?.module,
    plan(request) {
      const key = signature(request)
      const known = plans.get(key)
      if (known) return known
      const plan = makePlan(platform, indexOf(request.protected === true), request)
      if (key.length > longestSignature) return plan
      if (plans.size >= rememberedPlans) plans.delete(plans.keys().next().value ?? '')
      plans.set(key, plan)
      return plan
    },
  }
}

const planners = new WeakMap<readonly CatalogueModule[], Map<number, { planner: Planner; size: number }>>()

/** The planner of a platform and catalogue; the same one for the same catalogue. */
export function plannerOf(platform: Platform, catalogue: readonly CatalogueModule[]): Planner {
  const ofCatalogue = planners.get(catalogue) ?? new Map<number, { planner: Planner; size: number }>()
  planners.set(catalogue, ofCatalogue)
  const known = ofCatalogue.get(platform.id)
  if (known && known.size === catalogue.length && known.planner.platform === platform) return known.planner
  const planner = createPlanner(platform, catalogue)
  ofCatalogue.set(platform.id, { planner, size: catalogue.length })
  return planner
}

/**
 * Plans the healing of a device from its describe. Send `steps[0]` only, then plan anew from the next
 * describe: the device has the last word.
 *
 * @param catalogue modules of any platform; those of others are not looked at. It must not be changed
 *   afterwards, other than by adding to it.
 */
export function planHealing(platform: Platform, describe: SystemDescribe, catalogue: readonly CatalogueModule[]): Plan {
  return plannerOf(platform, catalogue).plan(requestOf(platform, describe, catalogue))
}

/** What a describe gives a plan to start from. */
export function requestOf(
  platform: Platform,
  describe: SystemDescribe,
  catalogue: readonly CatalogueModule[],
  needs: readonly ModuleDependency[] = [],
): PlanRequest {
  const planner = plannerOf(platform, catalogue)
  const damaged = damagedModules(describe).filter((module) => planner.find(module))
  return {
    installed: installedModules(describe),
    needs,
    damaged,
    ...(describe.protectedState === true && { protected: true }),
  }
}

// Without what the boot check asks for a device is not whole (4.6), whether another module needs it or not.
function damagedModules(describe: SystemDescribe): ModuleDependency[] {
  return describe.modules
    .filter(
      ({ store, checked, passed, function: name }) =>
        store === 'main' &&
        (checked & ~passed & validity.integrity) !== 0 &&
        (name === 'bootloader' || name === 'system_part'),
    )
    .map(({ function: name, index, version }) => ({ function: name, index, version }))
}

function makePlan(platform: Platform, index: CatalogueIndex, request: PlanRequest): Plan {
  const { installed, needs = [], damaged = [] } = request
  const asked = [...needs, ...damaged]
  const missing = missingWith(installed, asked)
  if (missing.length === 0) return { ok: true, steps: [], missing }
  const floors = new Map(damaged.map((module) => [slotKey(module), module.version]))
  const levels = new Map<number, number>()
  for (const breadth of breadths) {
    const candidates = findCandidates(installed, missing, index, breadth)
    const problem = compileProblem(installed, asked, candidates, floors)
    const found = reach(problem)
    if (!found.plan) {
      for (const [slot, key] of problem.keys.entries()) {
        levels.set(key, Math.max(levels.get(key) ?? -1, found.levels[slot] ?? -1))
      }
      continue
    }
    const plan = shortestPlan(problem, withoutNeedless(problem, found.plan))
    const steps = plan.flatMap(({ entry }) => (entry ? [entry.module] : []))
    // The rules of the search are a compiled form of the device's own, which have the last word.
    const end = applySteps(platform, installed, steps)
    if (end && missingWith(end, asked).length === 0) return { ok: true, steps, missing }
  }
  const obstacles = findObstacles(missing, index, (key) => levels.get(key) ?? -1)
  const what = `${missing.map(moduleLabel).join(', ')} for ${platform.name}`
  const why = explainObstacles(obstacles, { protected: request.protected === true })
  return { ok: false, reason: `${what}: ${why}`, missing, obstacles }
}

/** What the modules and the request need and nothing installed satisfies, each once. */
function missingWith(installed: InstalledModules, asked: readonly ModuleDependency[]): ModuleDependency[] {
  const missing = missingDependenciesOf(installed)
  for (const { function: name, index, version } of asked) {
    const dependency = { function: name, index, version }
    if (satisfies(installed, dependency)) continue
    const known = missing.some((m) => m.function === name && m.index === index && m.version === version)
    if (!known) missing.push(dependency)
  }
  return missing
}

/**
 * What a device has once it was sent these modules one by one; undefined when it refuses one of them,
 * or when one is no upgrade.
 */
export function applySteps(
  platform: Platform,
  installed: InstalledModules,
  steps: readonly CatalogueModule[],
): InstalledModules | undefined {
  let state = installed
  for (const step of steps) {
    const current = findInstalled(state, step)
    if ((current && step.version <= current.version) || !acceptsUpdate(platform, state, step)) return undefined
    state = withModule(state, step)
  }
  return state
}

/** The modules with one more, or one in the place of another. */
export function withModule(
  installed: InstalledModules,
  step: Omit<InstalledModule, 'dependencyFields'>,
): InstalledModules {
  const module: InstalledModule = {
    function: step.function,
    index: step.index,
    version: step.version,
    dependencies: step.dependencies,
  }
  const at = installed.findIndex((m) => m.function === step.function && m.index === step.index)
  return at < 0 ? [...installed, module] : installed.with(at, module)
}

function signature({ installed, needs = [], damaged = [], protected: isProtected }: PlanRequest): string {
  let text = isProtected ? '!' : ''
  for (const module of installed) {
    text += `${module.intact === false ? '-' : ''}${slotKey(module)}@${module.version}(${numbers(module.dependencies)})`
  }
  return `${text};${numbers(needs)};${numbers(damaged)}`
}

function numbers(list: readonly ModuleDependency[]): string {
  let text = ''
  for (const module of list) text += `${slotKey(module)}@${module.version},`
  return text
}
