/** The modules that a plan may be made of (modules-and-platforms.md 5.2). */

import { findInstalled, type InstalledModules } from '../dependencies/installed.ts'
import type { ModuleDependency } from '../module-function.ts'
import type { CatalogueModule } from './catalogue.ts'

export interface Candidates {
  readonly candidates: readonly CatalogueModule[]
  /** Dependencies for which the catalogue has nothing. */
  readonly unknown: readonly ModuleDependency[]
}

/**
 * How widely modules are chosen: those that dependencies point to; all newer ones of final releases
 * as well, because what a dependency points to may itself need something that is not to be had; all
 * newer ones.
 */
export type Breadth = 'named' | 'final' | 'all'

export const breadths: readonly Breadth[] = ['named', 'final', 'all']

/**
 * For each missing dependency the module that satisfies it, what that one needs in turn, and the
 * other modules of its release as stepping stones. Nothing that is not newer than what is installed.
 */
export function findCandidates(
  installed: InstalledModules,
  missing: readonly ModuleDependency[],
  catalogue: readonly CatalogueModule[],
  breadth: Breadth = 'named',
): Candidates {
  const candidates = new Set<CatalogueModule>()
  const unknown: ModuleDependency[] = []
  const asked = new Set<string>()
  const pending = [...missing]
  const byRelease = Map.groupBy(catalogue, (module) => module.release)

  const add = (module: CatalogueModule): boolean => {
    const current = findInstalled(installed, module)
    if (candidates.has(module) || (current && module.version <= current.version)) return false
    candidates.add(module)
    pending.push(...module.dependencies)
    return true
  }
  for (let dependency = pending.shift(); dependency; dependency = pending.shift()) {
    const key = `${dependency.function}:${dependency.index}:${dependency.version}`
    const current = findInstalled(installed, dependency)
    if (dependency.function === 'none' || asked.has(key) || (current && current.version >= dependency.version)) continue
    asked.add(key)
    const choices = choose(dependency, catalogue, breadth)
    if (choices.length === 0) unknown.push(dependency)
    for (const module of choices) {
      if (!add(module)) continue
      for (const sibling of byRelease.get(module.release) ?? []) add(sibling)
    }
  }
  return { candidates: [...candidates], unknown }
}

/**
 * Exactly the version that is asked for, otherwise the smallest newer one of a final release that is
 * not archived, then of a pre-release, then of what there is. One version may come with different
 * dependencies in different releases: all of those are choices, each from its best release.
 */
function choose(
  dependency: ModuleDependency,
  catalogue: readonly CatalogueModule[],
  breadth: Breadth,
): readonly CatalogueModule[] {
  const fitting = catalogue.filter(
    (m) => m.function === dependency.function && m.index === dependency.index && m.version >= dependency.version,
  )
  if (breadth === 'all') return variants(fitting)
  const named = chooseNamed(dependency, fitting)
  return breadth === 'named' ? named : variants([...named, ...fitting.filter(isFinal)])
}

function chooseNamed(dependency: ModuleDependency, fitting: readonly CatalogueModule[]): readonly CatalogueModule[] {
  const exact = fitting.filter((m) => m.version === dependency.version)
  if (exact.length > 0) return variants(exact)
  for (const isGood of [isFinal, isCurrent, () => true]) {
    const good = fitting.filter(isGood)
    if (good.length === 0) continue
    const smallest = Math.min(...good.map((m) => m.version))
    return variants(good.filter((m) => m.version === smallest))
  }
  return []
}

function variants(modules: readonly CatalogueModule[]): readonly CatalogueModule[] {
  const best = new Map<string, CatalogueModule>()
  for (const module of modules) {
    const needs = module.dependencies.map((d) => `${d.function}:${d.index}:${d.version}`).join()
    const key = `${module.function}:${module.index}:${module.version}(${needs})`
    const other = best.get(key)
    if (!other || standing(module) > standing(other)) best.set(key, module)
  }
  return [...best.values()]
}

function standing(module: CatalogueModule): number {
  return isFinal(module) ? 2 : isCurrent(module) ? 1 : 0
}

function isFinal(module: CatalogueModule): boolean {
  return !module.prerelease && module.state !== 'archived'
}

function isCurrent(module: CatalogueModule): boolean {
  return module.state !== 'archived'
}
