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
  | { readonly kind: 'module'; readonly module: CatalogueModule; readonly serves: readonly ServedDependency[] }
  | { readonly kind: 'asset'; readonly asset: AssetRef }
