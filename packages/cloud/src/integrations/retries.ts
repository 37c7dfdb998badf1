/** When a delivery that failed is tried again (cloud-api.md 1.8: after 30 s and 1 min; from there on Aloe's own). */

export interface RetryLimits {
  /** Tries in all, with the first. */
  readonly attempts: number
  /** The longest pause, in milliseconds; also of what a server may ask for. */
  readonly longestPause: number
}

export const defaultRetryLimits: RetryLimits = { attempts: 8, longestPause: 60 * 60_000 }

const firstPauses = [30_000, 60_000] as const

/**
 * The pause before the next try.
 *
 * @param attempts tries that were made, 1 or more
 * @param asked what the server said in `Retry-After`, in milliseconds: it is waited for at least as long
 * @param random from 0 to 1: from the third pause on, a fifth is left to chance, so that what failed together does not
 *   come back together
 * @returns milliseconds, or undefined when there is no further try
 */
export function retryPause(
  attempts: number,
  { attempts: all, longestPause }: RetryLimits,
  random: number,
  asked = 0,
): number | undefined {
  if (attempts >= all) return undefined
  const fixed = firstPauses[attempts - 1]
  const doubled = Math.min(60_000 * 2 ** (attempts - 2), longestPause)
  const pause = fixed ?? doubled * (0.9 + 0.2 * random)
  return Math.round(Math.min(Math.max(pause, asked), longestPause))
}

/**
 * `Retry-After` in milliseconds from now: seconds or a date (RFC 9110 10.2.3); undefined when it says neither.
 *
 * @param now Unix milliseconds
 */
export function readRetryAfter(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined
  if (/^\d{1,9}$/.test(value.trim())) return Number(value) * 1_000
  const date = Date.parse(value)
  return Number.isNaN(date) ? undefined : Math.max(0, date - now)
}
