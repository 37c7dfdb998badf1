/**
 * An application that fails again and again makes its device wait longer and longer between two tries. The system
 * stays connected meanwhile, so that a better application can be sent.
 */
import type { Flash } from '../flash/flash.ts'
import type { Millis } from '../hal/time.ts'

const recordName = 'panics'
const firstWait: Millis = 10_000
const longestWait: Millis = 320_000

/** After so long without a failure an application is taken for sound. */
export const soundAfter: Millis = 60_000

interface PanicRecord {
  /** Which application: its SHA-256. */
  readonly application: string
  readonly count: number
}

function read(flash: Flash): PanicRecord | undefined {
  const bytes = flash.readData(recordName)
  if (bytes === undefined) return undefined
  try {
    const { application, count }: Partial<PanicRecord> = JSON.parse(Buffer.from(bytes).toString('utf8'))
    return typeof application === 'string' && Number.isInteger(count) ? { application, count: count ?? 0 } : undefined
  } catch {
    return undefined
  }
}

/** Counts a failure of an application. @returns how long to wait before the device resets */
export function panicWait(flash: Flash, application: string): Millis {
  const before = read(flash)
  const count = (before?.application === application ? before.count : 0) + 1
  flash.writeData(recordName, Buffer.from(JSON.stringify({ application, count } satisfies PanicRecord)))
  return Math.min(longestWait, firstWait * 2 ** (count - 1))
}

/** The application has run for long enough. */
export function forgetPanics(flash: Flash): void {
  if (flash.readData(recordName) !== undefined) flash.writeData(recordName, undefined)
}
