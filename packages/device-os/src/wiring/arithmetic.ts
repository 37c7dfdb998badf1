/** Small arithmetic that sketches use. */
import type { Member } from './runtime.ts'

export const map: Member = () => (value: number, fromLow: number, fromHigh: number, toLow: number, toHigh: number) =>
  fromHigh === fromLow ? toLow : ((value - fromLow) * (toHigh - toLow)) / (fromHigh - fromLow) + toLow

export const constrain: Member = () => (value: number, low: number, high: number) =>
  Math.min(high, Math.max(low, value))

/** `random(max)` or `random(min, max)`: an integer, `max` not included. */
export const random: Member = () => (first: number, second?: number) => {
  const [low, high] = second === undefined ? [0, first] : [first, second]
  return high <= low ? low : low + Math.floor(Math.random() * (high - low))
}
