import type { Millis } from '../time.ts'

/** The earliest of the given deadlines; undefined when none is set. */
export function earliest(...deadlines: readonly (Millis | undefined)[]): Millis | undefined {
  let next: Millis | undefined
  for (const deadline of deadlines) {
    if (deadline !== undefined && (next === undefined || deadline < next)) next = deadline
  }
  return next
}
