/**
 * What the status LED shows, as data: enough to draw it at any moment without asking the system again.
 */
import type { Millis } from './time.ts'

/** 0xRRGGBB */
export type Rgb = number

export interface LedStep {
  readonly color: Rgb
  readonly duration: Millis
}

export type LedPattern = 'solid' | 'blink' | 'fade' | 'sequence'

export interface LedState {
  /** The signal that won: `cloud_connected`, `safe_mode`, …; `application` for the app's own, `off` when nothing is shown. */
  readonly signal: string
  readonly color: Rgb
  readonly pattern: LedPattern
  /** A full cycle; 0 for a solid colour. */
  readonly period: Millis
  /** Device time at which the first cycle began. */
  readonly since: Millis
  /** 0 … 255, multiplies every colour. */
  readonly brightness: number
  /** For `sequence`: played in order, again from the start when `repeat` is set, else the LED stays dark after the last. */
  readonly steps?: readonly LedStep[]
  readonly repeat?: boolean
  /** The same in words, e.g. `breathing cyan`. */
  readonly words: string
}

const scale = (color: Rgb, factor: number): Rgb => {
  const part = (shift: number) => Math.round(((color >> shift) & 0xff) * factor) << shift
  return part(16) | part(8) | part(0)
}

/** How bright a pattern is `elapsed` ms after it began, 0 … 1 (modules-and-platforms.md 6.1). */
export function intensityAt(pattern: LedPattern, period: Millis, elapsed: Millis): number {
  if (pattern === 'solid' || period <= 0) return 1
  const phase = (((elapsed % period) + period) % period) / period
  if (pattern === 'blink') return phase < 0.5 ? 1 : 0
  // A triangle that starts at full brightness and fades out in the first half.
  if (pattern === 'fade') return phase < 0.5 ? 1 - 2 * phase : 2 * phase - 1
  return 1
}

function stepAt(steps: readonly LedStep[], repeat: boolean, elapsed: Millis): Rgb {
  const total = steps.reduce((sum, step) => sum + step.duration, 0)
  if (total <= 0 || (!repeat && elapsed >= total)) return 0
  let rest = ((elapsed % total) + total) % total
  for (const step of steps) {
    if (rest < step.duration) return step.color
    rest -= step.duration
  }
  return 0
}

/** The colour that the LED has at a device time. */
export function colorAt(state: LedState, now: Millis): Rgb {
  const elapsed = now - state.since
  const color =
    state.pattern === 'sequence'
      ? stepAt(state.steps ?? [], state.repeat ?? false, elapsed)
      : scale(state.color, intensityAt(state.pattern, state.period, elapsed))
  return scale(color, state.brightness / 255)
}
