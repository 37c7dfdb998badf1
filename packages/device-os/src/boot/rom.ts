/**
 * What a bootloader finds when it starts: the machine's mask ROM, in a way. A host implements it once for processes
 * and once in memory.
 */
import type { Platform } from '@aloe/firmware'
import type { ResetReason } from '../flash/reset-reason.ts'
import type { Storage } from '../storage/storage.ts'
import type { BootDecision } from './decision.ts'

/** How a run of the system ended, as the host saw it. */
export type SystemEnd =
  /** The system asked for it. */
  | { readonly kind: 'reset'; readonly reason: ResetReason; readonly data?: number }
  /** The process ended by itself, without asking. */
  | { readonly kind: 'exit'; readonly code: number }
  | { readonly kind: 'signal'; readonly signal: string }
  /** An error that nobody caught. */
  | { readonly kind: 'crash'; readonly message: string }
  /** The system did not feed the watchdog in time. */
  | { readonly kind: 'watchdog' }
  /** The system parts cannot be started: they do not evaluate, or lack what they must export. */
  | { readonly kind: 'unusable'; readonly message: string }
  /** The device is being switched off: the bootloader returns and is not started again. */
  | { readonly kind: 'off' }

export interface BootLine {
  readonly level: 'info' | 'warn' | 'error'
  readonly message: string
}

/** What the status LED shows while the bootloader runs (modules-and-platforms.md 6.1). */
export type BootSignal = 'applying' | 'dfu'

export interface Rom {
  readonly storage: Storage
  readonly platform: Platform
  /** This boot follows on power coming on, not on a reset: nothing that lived in memory is left. */
  readonly powerOn: boolean
  log(line: BootLine): void
  signal(signal: BootSignal): void
  /** Runs the system from the installed modules and says how it ended. Never fails. */
  startSystem(decision: BootDecision): Promise<SystemEnd>
  /** Stays in the bootloader, for the given reason, until the device is switched off (a board would be in DFU mode). */
  stay(reason: string): Promise<void>
}

/** What a bootloader module exports. One call is one boot; the ROM calls again, from flash, when it returns. */
export type Boot = (rom: Rom) => Promise<void>
