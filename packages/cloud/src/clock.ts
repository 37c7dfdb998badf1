/** Time, as an argument: the machine's in a cloud that serves, a simulated one in tests of hours and days. */

/** What a clock gives for a timer; opaque. */
export type TimerHandle = unknown

export interface Clock {
  /** Unix milliseconds. */
  now(): number
  /** Calls once, `ms` milliseconds from now. */
  setTimeout(callback: () => void, ms: number): TimerHandle
  /** Undefined, and a timer that has rung, do no harm. */
  clearTimeout(timer: TimerHandle | undefined): void
}

/** The machine's own clock. Its timers do not keep the process alive. */
export const systemClock: Clock = {
  now: Date.now,
  setTimeout: (callback, ms) => setTimeout(callback, ms).unref(),
  clearTimeout: (timer) => clearTimeout(timer as NodeJS.Timeout | undefined),
}
