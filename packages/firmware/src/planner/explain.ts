/** What each step of a plan is for. */

import { findInstalled, type InstalledModules, type VersionedModule } from '../dependencies/installed.ts'
import { type ModuleDependency, moduleLabel } from '../module-function.ts'
import type { CatalogueModule } from './catalogue.ts'

/** A dependency that a step meets and that nothing before it has met. */
export interface ServedDependency {
  readonly dependency: ModuleDependency
  /** Who asks: the request, a module that is on the device already, or one that the plan sends later. */
  readonly kind: 'request' | 'installed' | 'step'
  /** The module that asks, unless it is the request. */
  readonly neededBy?: ModuleDependency
}

/**
 * For each step, the dependencies that it serves; those of the next steps first. A step that serves
 * none takes the place of a module that keeps the device from accepting another one.
 */
export function explainSteps(
  installed: InstalledModules,
  needs: readonly ModuleDependency[],
  steps: readonly CatalogueModule[],
): readonly (readonly ServedDependency[])[] {
  return steps.map((step, i) => {
    const before = versionBefore(installed, steps.slice(0, i), step)
    const serves = ({ function: name, index, version }: ModuleDependency) =>
      name === step.function && index === step.index && version <= step.version && version > before
    const later = steps.slice(i + 1)
    // What a later step replaces asks for nothing in the end.
    const staying = installed.filter((module) => !steps.some((other) => isSame(other, module)))
    return [
      ...servedOf(later, serves, 'step'),
      ...servedOf(staying, serves, 'installed'),
      ...needs.filter(serves).map((dependency) => ({ dependency, kind: 'request' as const })),
    ]
  })
}

function servedOf(
  modules: readonly VersionedModule[],
  serves: (dependency: ModuleDependency) => boolean,
  kind: 'installed' | 'step',
): ServedDependency[] {
  return modules.flatMap(({ function: name, index, version, dependencies }) =>
    dependencies
      .filter(serves)
      .map((dependency) => ({ dependency, kind, neededBy: { function: name, index, version } })),
  )
}

function versionBefore(installed: InstalledModules, sent: readonly CatalogueModule[], step: CatalogueModule): number {
  return sent.findLast((other) => isSame(other, step))?.version ?? findInstalled(installed, step)?.version ?? -1
}

function isSame(a: { function: string; index: number }, b: { function: string; index: number }): boolean {
  return a.function === b.function && a.index === b.index
}

/** One line for people. */
export function explainServed(served: readonly ServedDependency[]): string {
  const [first] = served
  if (!first) return 'takes the place of a module that keeps the device from accepting the next one'
  const { dependency, neededBy } = first
  return neededBy
    ? `${moduleLabel(neededBy)} needs ${moduleLabel(dependency)}`
    : `${moduleLabel(dependency)} is asked for`
}
