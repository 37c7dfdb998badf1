/** Things the LED shows for a moment: sequences of colours (modules-and-platforms.md 6.1, "Temporary indications"). */
import type { LedStep, Rgb } from '../../hal/led-state.ts'
import { colors } from './signals.ts'

const dark: Rgb = 0

/** What went wrong when connecting, as the LED tells it. */
export type CloudFailureKind = 'error' | 'handshake' | 'decryption' | 'authentication'

const blinks = (color: Rgb, count: number, on: number, off: number): LedStep[] =>
  Array.from({ length: count }, () => [
    { color, duration: on },
    { color: dark, duration: off },
  ]).flat()

const failureColors: Readonly<Record<CloudFailureKind, Rgb>> = {
  error: colors.red,
  handshake: colors.red,
  decryption: colors.orange,
  authentication: colors.magenta,
}

const failureBlink = 250

/** One blink, in the colour of the failure. */
export function failureSteps(kind: CloudFailureKind): LedStep[] {
  return blinks(failureColors[kind], 1, failureBlink, failureBlink)
}

const rainbow: readonly Rgb[] = [0xee82ee, 0x4b0082, 0x0000ff, 0x00ff00, 0xffff00, 0xffa500, 0xff0000]

/** "Signal": the rainbow that tells which of many devices it is. */
export const rainbowSteps: readonly LedStep[] = rainbow.map((color) => ({ color, duration: 100 }))

const short = (count: number) => blinks(colors.red, count, 150, 100)
const long = (count: number) => blinks(colors.red, count, 300, 100)

/** SOS, then `code` blinks; twice. */
export function panicSteps(code: number): LedStep[] {
  const once = [
    ...short(3),
    ...long(3),
    ...short(3),
    { color: dark, duration: 900 },
    ...blinks(colors.red, code, 300, 300),
    { color: dark, duration: 800 },
  ]
  return [...once, ...once]
}

export function durationOf(steps: readonly LedStep[]): number {
  return steps.reduce((sum, { duration }) => sum + duration, 0)
}
