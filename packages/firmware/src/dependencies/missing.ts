/** What a device lacks: dependencies and assets (modules-and-platforms.md 5.2). */

import type { SystemDescribe } from '../describe.ts'
import type { AssetRef, ModuleDependency } from '../module-function.ts'
import { type InstalledModules, installedModules, satisfies } from './installed.ts'

/**
 * Dependencies of the installed modules that nothing installed satisfies, in the order of the
 * describe, each once. Factory and damaged modules neither ask nor satisfy.
 */
export function missingDependencies(describe: SystemDescribe): ModuleDependency[] {
  return missingDependenciesOf(installedModules(describe))
}

export function missingDependenciesOf(installed: InstalledModules): ModuleDependency[] {
  const missing = new Map<string, ModuleDependency>()
  for (const module of installed) {
    if (module.intact === false) continue
    for (const { function: name, index, version } of module.dependencies) {
      const dependency = { function: name, index, version }
      if (name === 'none' || satisfies(installed, dependency)) continue
      missing.set(`${name}:${index}:${version}`, dependency)
    }
  }
  return [...missing.values()]
}

/** Assets that the application needs and the device does not have, matched by name and hash. */
export function missingAssets(describe: SystemDescribe): AssetRef[] {
  const user = installedModules(describe).find((module) => module.function === 'user_part')
  return missingAssetsOf(user?.assetDependencies, describe.assets)
}

export function missingAssetsOf(required: readonly AssetRef[] = [], available: readonly AssetRef[] = []): AssetRef[] {
  return required.filter((asset) => !available.some((other) => other.name === asset.name && other.hash === asset.hash))
}
