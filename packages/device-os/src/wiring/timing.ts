/** Waiting and measuring. What blocks on a board returns a promise here. */
import type { Timer as HalTimer, Millis } from '../hal/time.ts'
import type { Member, Runtime } from './runtime.ts'

export const delay: Member = (runtime) => (ms: Millis) => runtime.wait(Math.max(0, ms))

export const delayMicroseconds: Member = (runtime) => (us: number) => {
  const end = runtime.now() + us / 1000
  // Only for so short a time is it worth to keep the processor. A clock that stands still is not waited for.
  for (let before = -1, now = runtime.now(); now < end && now !== before; now = runtime.now()) before = now
}

export const millis: Member = (runtime) => () => Math.floor(runtime.uptime())

export const micros: Member = (runtime) => () => Math.floor(runtime.uptime() * 1000)

/** How often a condition is looked at. */
const conditionInterval: Millis = 10

async function until(runtime: Runtime, condition: () => unknown, limit: Millis): Promise<boolean> {
  const end = runtime.now() + limit
  while (!(await condition())) {
    if (runtime.now() >= end) return false
    await runtime.wait(conditionInterval)
  }
  return true
}

export const waitUntil: Member = (runtime) => (condition: () => unknown) =>
  until(runtime, condition, Number.POSITIVE_INFINITY)

export const waitFor: Member = (runtime) => (condition: () => unknown, timeout: Millis) =>
  until(runtime, condition, timeout)

/** `Timer`: software timers. */
export const timerClass: Member = (runtime) =>
  class Timer {
    #period: Millis
    readonly #callback: () => unknown
    readonly #oneShot: boolean
    #timer: HalTimer | undefined

    constructor(period: Millis, callback: () => unknown, oneShot = false) {
      this.#period = period
      this.#callback = callback
      this.#oneShot = oneShot
    }

    start(): void {
      this.stop()
      this.#timer = runtime.setTimer(this.#period, () => {
        if (this.#oneShot) this.#timer = undefined
        else this.start()
        return this.#callback()
      })
    }

    stop(): void {
      this.#timer?.cancel()
      this.#timer = undefined
    }

    reset(): void {
      this.start()
    }

    changePeriod(period: Millis): void {
      this.#period = period
      this.start()
    }

    isActive(): boolean {
      return this.#timer !== undefined
    }
  }
