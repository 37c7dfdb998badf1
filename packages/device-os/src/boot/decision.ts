/**
 * What the bootloader found and decided: normal or safe mode, and the modules as a describe tells them
 * (modules-and-platforms.md 4.1, 4.6).
 */
import type { DescribedModule, ModuleDependency } from '@aloe/firmware'
import type { ResetReason } from '../flash/reset-reason.ts'
import type { AppliedModule } from './apply.ts'

export interface BootDecision {
  readonly mode: 'normal' | 'safe'
  /** Why safe mode, in words; empty in normal mode. */
  readonly why: string
  /** Dependencies that are not met. */
  readonly missing: readonly ModuleDependency[]
  /** The modules of the main store, with checked and passed flags, in the order of a describe. */
  readonly modules: readonly DescribedModule[]
  readonly resetReason: ResetReason
  /** What came with the reason: a panic code, or what the application gave. */
  readonly resetData: number
  /** What the bootloader installed or dropped in this boot. */
  readonly applied: readonly AppliedModule[]
  readonly powerOn: boolean
}
