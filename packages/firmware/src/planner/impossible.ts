/** Why there is no plan: exactly what is missing, or which modules need each other. */

import { type ModuleDependency, moduleLabel } from '../module-function.ts'
import { nameOne } from './candidates.ts'
import { type CatalogueIndex, type Entry, slotKey } from './catalogue-index.ts'

/** A dependency that no plan can meet. */
export interface Obstacle {
  readonly dependency: ModuleDependency
  /** The module of the catalogue that needs it; the device or the request when there is none. */
  readonly neededBy?: ModuleDependency
  /** `absent`: the catalogue has nothing that would do. `refused`: what it has is accepted at no time. */
  readonly kind: 'absent' | 'refused'
}

/**
 * Follows what cannot be met down to its causes.
 *
 * @param missing what the device and the request need
 * @param level the newest version of a slot that any plan could reach, by slot key
 */
export function findObstacles(
  missing: readonly ModuleDependency[],
  index: CatalogueIndex,
  level: (key: number) => number,
): Obstacle[] {
  const obstacles: Obstacle[] = []
  const explained = new Set<Entry>()
  const pending: { dependency: ModuleDependency; by?: Entry }[] = missing.map((dependency) => ({ dependency }))
  for (let next = pending.shift(); next; next = pending.shift()) {
    const { dependency, by } = next
    const key = slotKey(dependency)
    if (level(key) >= dependency.version) continue
    const fitting = index.bySlot.get(key)?.filter((entry) => entry.version >= dependency.version) ?? []
    const choice = nameOne(dependency.version, fitting)
    obstacles.push({ dependency, ...(by && { neededBy: by.module }), kind: choice ? 'refused' : 'absent' })
    if (!choice || explained.has(choice)) continue
    explained.add(choice)
    for (const need of choice.module.dependencies) {
      if (need.function !== 'none') pending.push({ dependency: need, by: choice })
    }
  }
  return obstacles
}

/** One sentence, without its beginning: what is missing, and on which platform. */
export function explainObstacles(obstacles: readonly Obstacle[], options: { readonly protected: boolean }): string {
  const absent = obstacles.filter(
    ({ dependency, kind }, i) =>
      kind === 'absent' && obstacles.findIndex((other) => isSame(other.dependency, dependency)) === i,
  )
  if (absent.length > 0) {
    const place = options.protected ? 'the catalogue has, for a protected device,' : 'the catalogue has'
    const lacking = absent.map(({ dependency, neededBy }) => {
      const by = neededBy ? `, which ${moduleLabel(neededBy)} needs` : ''
      return `no ${moduleLabel(dependency)} or newer${by}`
    })
    return `${place} ${[...new Set(lacking)].join('; and ')}`
  }
  const circle = obstacles.flatMap(({ dependency, neededBy }) =>
    neededBy ? [`${moduleLabel(neededBy)} needs ${moduleLabel(dependency)}`] : [],
  )
  const why = circle.length > 0 ? `: ${[...new Set(circle)].join(', ')}` : ''
  return `no order of updates is accepted by the device${why}`
}

function isSame(a: ModuleDependency, b: ModuleDependency): boolean {
  return a.function === b.function && a.index === b.index && a.version === b.version
}
