import picocolors from 'picocolors'

/** picocolors' functions, which do nothing where there are no colours. */
export type Colors = ReturnType<typeof picocolors.createColors>

/** @param enabled defaults to what the terminal can and the environment (`NO_COLOR`, `FORCE_COLOR`) wants */
export function createColors(enabled?: boolean): Colors {
  return picocolors.createColors(enabled)
}

export const colorsWanted: boolean = picocolors.isColorSupported
