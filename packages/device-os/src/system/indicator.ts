/** Joins the LED engine to the HAL: whoever draws the LED is told whenever it shows something else. */
import type { Hal } from '../hal/hal.ts'
import type { LedState } from '../hal/led-state.ts'
import type { Millis, Timer } from '../hal/time.ts'
import { LedEngine, sameLed } from './led/engine.ts'

export class Indicator {
  readonly #engine = new LedEngine()
  readonly #hal: Hal
  #shown: LedState | undefined
  #timer: Timer | undefined
  #listener: ((state: LedState) => void) | undefined

  constructor(hal: Hal) {
    this.#hal = hal
  }

  /** Changes what is to be shown. */
  change<Result>(act: (engine: LedEngine, now: Millis) => Result): Result {
    const result = act(this.#engine, this.#hal.now())
    this.#refresh()
    return result
  }

  state(): LedState {
    return this.#engine.state(this.#hal.now())
  }

  get controlled(): boolean {
    return this.#engine.controlled
  }

  set listener(listener: ((state: LedState) => void) | undefined) {
    this.#listener = listener
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #refresh(): void {
    const now = this.#hal.now()
    const state = this.#engine.state(now)
    if (!sameLed(this.#shown, state)) {
      this.#shown = state
      this.#hal.led.set(state)
      this.#listener?.(state)
    }
    this.#timer?.cancel()
    const next = this.#engine.nextChange(now)
    this.#timer = next === undefined ? undefined : this.#hal.setTimer(next - now, () => this.#refresh())
  }
}
