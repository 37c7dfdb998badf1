/** Words for `spark/device/last_reset` (device-protocol.md 3.16). */
import { type ResetReason, resetReasonCode } from '../flash/reset-reason.ts'

const panicNames: Readonly<Record<number, string>> = {
  1: 'hard_fault',
  3: 'memory_fault',
  4: 'bus_fault',
  5: 'usage_fault',
  8: 'out_of_heap',
  10: 'assert_failed',
  13: 'stack_overflow',
}

/** E.g. `user`, `panic, hard_fault`; undefined when there is nothing to tell. */
export function lastResetText(reason: ResetReason, data: number): string | undefined {
  if (resetReasonCode(reason) === 0) return undefined
  const detail = reason === 'panic' ? panicNames[data] : undefined
  return detail === undefined ? reason : `${reason}, ${detail}`
}
