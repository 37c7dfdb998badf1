/** How long to leave a device alone after failures in a row. */
export interface BackOff {
  /** Milliseconds after the first failure; each further one doubles it. */
  readonly first: number
  readonly longest: number
}

export const defaultBackOff: BackOff = { first: 5_000, longest: 15 * 60_000 }

/** @param failures in a row, 1 and up @returns milliseconds */
export function pauseAfter(failures: number, { first, longest }: BackOff = defaultBackOff): number {
  return Math.min(longest, first * 2 ** Math.min(30, Math.max(0, failures - 1)))
}
