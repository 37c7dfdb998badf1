import type { ModuleFunction } from '@aloe/firmware'

/** What became of a pending module. */
export interface AppliedModule {
  readonly function: ModuleFunction
  readonly index: number
  readonly version: number
  readonly size: number
  /** 0 when it was installed, else the update result that says why it was dropped. */
  readonly result: number
}
