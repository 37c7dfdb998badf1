import type { Millis } from '../../hal/time.ts'

/** Attempts that wait equally long. */
const step = 5
const longest = 7

/**
 * How long to wait after the failed attempt number `n` (from 1): five times 1 s, five times 2 s, then 4, 8, 16, 32,
 * 64 s, at last 128 s (device-protocol.md 6.3).
 */
export function backOff(n: number): Millis {
  return 1000 * 2 ** Math.min(longest, Math.floor((n - 1) / step))
}
