/** The modules that a plan may be made of (modules-and-platforms.md 5.2). */

import type { InstalledModules } from '../dependencies/installed.ts'
import type { ModuleDependency } from '../module-function.ts'
import { type CatalogueIndex, type Entry, isFinal, type Need, needsOf, slotKey } from './catalogue-index.ts'

/**
 * How widely modules are chosen: those that dependencies point to; the final ones of their releases as
 * well, as stepping stones; all newer ones of final releases, because what a dependency points to may
 * itself need something that is not to be had; all newer ones; and, of those, all files of one number.
 * A wider choice is made only where a narrower one has no plan, so a pre-release that nothing names is
 * taken only when there is no other way.
 */
export type Breadth = 'named' | 'releases' | 'final' | 'all' | 'variants'

export const breadths: readonly Breadth[] = ['named', 'releases', 'final', 'all', 'variants']

type Floor = Pick<Need, 'key' | 'version'>

/**
 * For each missing dependency what satisfies it, and what that needs in turn. Nothing that is not newer
 * than what is installed.
 */
export function findCandidates(
  installed: InstalledModules,
  missing: readonly ModuleDependency[],
  index: CatalogueIndex,
  breadth: Breadth,
): readonly Entry[] {
  const levels = new Map<number, number>()
  for (const module of installed) {
    const key = slotKey(module)
    if (module.intact !== false && !levels.has(key)) levels.set(key, module.version)
  }
  const level = (key: number) => levels.get(key) ?? -1
  const candidates = new Set<Entry>()
  const asked = new Map<number, Set<number>>()
  const pending: Floor[] = missing.map((dependency) => ({ key: slotKey(dependency), version: dependency.version }))
  if (breadth !== 'named') pending.push(...replaceable(installed, level))

  const add = (entry: Entry): void => {
    if (entry.version <= level(entry.key) || candidates.has(entry)) return
    candidates.add(entry)
    pending.push(...entry.needs)
  }
  for (let floor = pending.pop(); floor; floor = pending.pop()) {
    const { key, version } = floor
    if (version <= level(key)) continue
    const versions = asked.get(key) ?? new Set()
    asked.set(key, versions)
    if (versions.has(version)) continue
    versions.add(version)
    for (const entry of choose(floor, index, breadth)) {
      add(entry)
      if (breadth !== 'releases') continue
      for (const release of index.releasesOf(entry)) {
        for (const sibling of index.byRelease.get(release) ?? []) if (isFinal(sibling.module)) add(sibling)
      }
    }
  }
  return [...candidates]
}

// What an installed module needs may not be to be had, and a newer one in its place not need it.
function replaceable(installed: InstalledModules, level: (key: number) => number): Floor[] {
  return installed
    .filter(
      (module) =>
        module.intact !== false && needsOf(module.dependencies).some(({ key, version }) => version > level(key)),
    )
    .map((module) => ({ key: slotKey(module), version: module.version + 1 }))
}

function choose(floor: Floor, index: CatalogueIndex, breadth: Breadth): readonly Entry[] {
  const all = (breadth === 'variants' ? index.variantsBySlot : index.bySlot).get(floor.key) ?? []
  const fitting = all.filter((entry) => entry.version >= floor.version)
  if (breadth === 'all' || breadth === 'variants') return fitting
  const named = nameOne(floor.version, fitting)
  if (breadth !== 'final') return named ? [named] : []
  return fitting.filter((entry) => entry === named || isFinal(entry.module))
}

/**
 * Exactly the version that is asked for, otherwise the smallest newer one of a final release, then of
 * a pre-release that is not archived, then of what there is.
 *
 * @param fitting ascending by version
 */
export function nameOne(version: number, fitting: readonly Entry[]): Entry | undefined {
  return (
    fitting.find((entry) => entry.version === version) ??
    fitting.find(({ module }) => isFinal(module)) ??
    fitting.find(({ module }) => module.state !== 'archived') ??
    fitting[0]
  )
}
