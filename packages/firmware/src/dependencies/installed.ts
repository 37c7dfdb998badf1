/** The modules that a device has, as the dependency rules see them. */

import { type ModuleStore, type SystemDescribe, validity } from '../describe.ts'
import type { FirmwareModule } from '../module/parse.ts'
import type { DependencyField } from '../module/prefix.ts'
import type { AssetRef, ModuleDependency, ModuleRef } from '../module-function.ts'

/** What the dependency rules need to know of a module, installed or offered. */
export interface VersionedModule extends ModuleRef {
  readonly version: number
  readonly dependencies: readonly ModuleDependency[]
  /** The two fields of the prefix, when they are known: an empty first one hides the second (4.2). */
  readonly dependencyFields?: readonly [DependencyField, DependencyField]
}

export interface InstalledModule extends VersionedModule {
  /** Its CRC-32 is right; it is unless this says otherwise. A damaged module counts as absent. */
  readonly intact?: boolean
  /** The device's own unless given. */
  readonly platformId?: number
  /** Together with `endAddress`: what it occupies, exclusive and without the CRC. In its slot unless given. */
  readonly startAddress?: number
  readonly endAddress?: number
  /** The SHA-256 field, 64 lower-case hexadecimal digits. */
  readonly hash?: string
  /** Bytes of the module. */
  readonly size?: number
  readonly assetDependencies?: readonly AssetRef[]
}

export type InstalledModules = readonly InstalledModule[]

/** What a parsed module is once it is installed. */
export function installedModule(module: FirmwareModule): InstalledModule {
  return {
    function: module.function,
    index: module.index,
    version: module.version,
    dependencies: module.dependencies,
    dependencyFields: module.dependencyFields,
    intact: module.crcValid,
    platformId: module.platformId,
    startAddress: module.startAddress,
    endAddress: module.endAddress,
    hash: module.sha256,
    size: module.bytes.length,
    assetDependencies: module.assetDependencies,
  }
}

/** The intact modules of a describe's main store (5.2): what later modules can build on. */
export function installedModules(describe: SystemDescribe, store: ModuleStore = 'main'): InstalledModules {
  const installed: InstalledModule[] = []
  for (const module of describe.modules) {
    if (module.store !== store || module.function === 'none') continue
    if ((module.checked & ~module.passed & validity.integrity) !== 0) continue
    installed.push({
      function: module.function,
      index: module.index,
      version: module.version,
      dependencies: module.dependencies,
      ...(module.hash !== undefined && { hash: module.hash }),
      ...(module.size !== undefined && { size: module.size }),
      ...(module.assetDependencies && { assetDependencies: module.assetDependencies }),
    })
  }
  return installed
}

/** The intact installed module of a function and index. */
export function findInstalled(installed: InstalledModules, ref: ModuleRef): InstalledModule | undefined {
  return installed.find((m) => m.function === ref.function && m.index === ref.index && m.intact !== false)
}

/** Whether an installed module is as new as the dependency asks. Versions are plain unsigned integers. */
export function satisfies(installed: InstalledModules, dependency: ModuleDependency): boolean {
  const module = findInstalled(installed, dependency)
  return module !== undefined && module.version >= dependency.version
}
