/** One step of an update: a module that is sent. */

import type { InstalledModule } from '../dependencies/installed.ts'
import type { AssetRef } from '../module-function.ts'
import type { CatalogueModule } from './catalogue.ts'
import type { ServedDependency } from './explain.ts'

/** An application that is to be sent. */
export interface OfferedApplication extends InstalledModule {
  readonly function: 'user_part'
}

export type UpdateStep =
  | { readonly kind: 'application'; readonly module: OfferedApplication }
  | {
      readonly kind: 'module'
      readonly module: CatalogueModule
      /** The dependencies that it meets; none in a downgrade. */
      readonly serves: readonly ServedDependency[]
      /** What it is for when it serves no dependency. */
      readonly why?: string
    }
  | { readonly kind: 'asset'; readonly asset: AssetRef }
