/** Why a device started again (modules-and-platforms.md 6.3). */

import { resetReason } from '@aloe/firmware'

export const resetReasons = { none: 0, ...resetReason } as const

export type ResetReason = keyof typeof resetReasons

export function isResetReason(name: unknown): name is ResetReason {
  return typeof name === 'string' && Object.hasOwn(resetReasons, name)
}

/** The code as the cloud and the application see it. */
export function resetReasonCode(reason: ResetReason): number {
  return resetReasons[reason]
}

/** Codes of a panic (modules-and-platforms.md 6.1): what `data` is after a reset of reason `panic`. */
export const panicCodes = {
  hard_fault: 1,
  nmi: 2,
  mem_manage: 3,
  bus_fault: 4,
  usage_fault: 5,
  invalid_length: 6,
  exit: 7,
  out_of_heap: 8,
  assertion_failure: 10,
  stack_overflow: 13,
  heap_error: 14,
} as const

export interface ResetInfo {
  readonly reason: ResetReason
  /** With `panic` a code of `panicCodes`; with `user` what the application gave; else 0. */
  readonly data: number
  /** In words, for logs. */
  readonly message?: string
}
