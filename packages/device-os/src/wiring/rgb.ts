/** `RGB`: the application takes the status LED. */
import type { Member } from './runtime.ts'

export const control: Member = (runtime) => (on: boolean) => {
  runtime.state.set('rgbControlled', on ? 1 : 0)
  runtime.tell('rgbControl', on)
}

export const controlled: Member = (runtime) => () => runtime.state.is('rgbControlled')

const byte = (value: number): number => Math.min(255, Math.max(0, Math.round(value)))

/** `color(red, green, blue)` with 0 … 255 each, or `color(0xRRGGBB)`. */
export const color: Member = (runtime) => (first: number, green?: number, blue?: number) => {
  const rgb = green === undefined ? first : (byte(first) << 16) | (byte(green) << 8) | byte(blue ?? 0)
  runtime.tell('rgbColor', rgb & 0xffffff)
}

export const brightness: Member = (runtime) => (value: number) => runtime.tell('rgbBrightness', byte(value))

export const onChange: Member = (runtime) => (handler?: (red: number, green: number, blue: number) => unknown) => {
  runtime.ledListener = handler
  runtime.tell('rgbListen', handler !== undefined)
}
