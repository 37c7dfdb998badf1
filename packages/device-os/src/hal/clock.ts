import type { Millis, Timer } from './time.ts'

/** Where a device takes its monotonic time and its timers from. */
export interface Clock {
  now(): Millis
  setTimer(delay: Millis, fn: () => void): Timer
}

/** The machine's own clock, which all its threads and processes share. */
export const realClock: Clock = {
  now: () => Number(process.hrtime.bigint() / 1000n) / 1000,
  setTimer(delay, fn) {
    const timer = setTimeout(fn, delay)
    return { cancel: () => clearTimeout(timer) }
  },
}
