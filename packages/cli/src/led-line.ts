/** A device's status LED on a terminal: one line at the bottom that breathes and blinks as the LED would. */

import { colorAt, type LedState } from '@aloe/device-os'
import { colorsWanted } from './colors.ts'
import type { OutputStream } from './output.ts'

const frame = 50

export class LedLine {
  readonly #stream: OutputStream
  readonly #label: () => string
  #led: LedState | undefined
  #tail = ''
  #drawn = ''
  #timer: NodeJS.Timeout | undefined

  /** @param label stands beside the LED; a function when it changes */
  constructor(stream: OutputStream, label: string | (() => string)) {
    this.#stream = stream
    this.#label = typeof label === 'string' ? () => label : label
  }

  show(led: LedState): void {
    this.#led = led
    this.#timer ??= setInterval(() => this.#draw(), frame)
    this.#draw()
  }

  /** What stands behind the LED from now on, e.g. a progress bar. */
  say(tail: string): void {
    this.#tail = tail
    this.#draw()
  }

  /** Writes a line above the LED. */
  above(line: string): void {
    this.#stream.write(`${this.#drawn === '' ? '' : '\r\u001b[K'}${line}\n`)
    this.#drawn = ''
    this.#draw()
  }

  close(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#led = undefined
    if (this.#drawn !== '') this.#stream.write('\r\u001b[K')
    this.#drawn = ''
  }

  #draw(): void {
    if (this.#led === undefined) return
    const dots = dot(colorAt(this.#led, deviceTime()))
    const line = `${dots} ${this.#label()}  ${this.#led.words}${this.#tail === '' ? '' : `  ${this.#tail}`}`
    const room = (this.#stream.columns || 80) - 1
    if (line === this.#drawn || room < 10) return
    this.#drawn = line
    this.#stream.write(`\r\u001b[K${line}`)
  }
}

/** A dot in any of 16 million colours, where colours are wanted; a dark LED is an empty ring. */
function dot(color: number): string {
  if (color === 0) return '○'
  if (!colorsWanted) return '●'
  const [red, green, blue] = [16, 8, 0].map((shift) => (color >> shift) & 0xff)
  return `\u001b[38;2;${red};${green};${blue}m●\u001b[39m`
}

/** The clock of a Linux device, which is this machine's: milliseconds of the monotonic clock. */
function deviceTime(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000
}
