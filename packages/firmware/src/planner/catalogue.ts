/** The modules that a cloud can send, as data for the planner. */

import type { ModuleDependency, ModuleRef } from '../module-function.ts'
import type { ReleaseState } from '../versions/device-os-releases.ts'

export interface CatalogueModule extends ModuleRef {
  readonly platformId: number
  readonly version: number
  /** In the order of the prefix. */
  readonly dependencies: readonly ModuleDependency[]
  /** The semantic version of the release that carries it. */
  readonly release: string
  readonly prerelease: boolean
  readonly state: ReleaseState
  /** Bytes of the module file. */
  readonly size?: number
  /** A bootloader with the security mode extension: the only one for a protected device. */
  readonly protected?: boolean
}
