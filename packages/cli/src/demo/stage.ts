/** What the demo shows: chapters and lines, and at the bottom the device's LED with what it receives. */

import type { LedState } from '@aloe/device-os'
import type { Colors } from '../colors.ts'
import { LedLine } from '../led-line.ts'
import type { OutputStream } from '../output.ts'
import { barOf, ProgressBar } from '../progress-bar.ts'

export interface StageOptions {
  readonly stream: OutputStream
  readonly colors: Colors
  /** A terminal: lines may be drawn over. */
  readonly interactive: boolean
}

export class Stage {
  readonly #stream: OutputStream
  readonly #colors: Colors
  readonly #line: LedLine | undefined
  #chapters = 0
  #words = ''
  #closed = false
  #bar: ProgressBar | undefined

  constructor({ stream, colors, interactive }: StageOptions) {
    this.#stream = stream
    this.#colors = colors
    this.#line = interactive ? new LedLine(stream, () => 'LED') : undefined
  }

  chapter(title: string): void {
    this.#chapters += 1
    this.line('')
    this.line(this.#colors.bold(`${this.#chapters}  ${title}`))
  }

  /** A step that succeeded. */
  done(text: string): void {
    this.line(`   ${this.#colors.green('✔')} ${text}`)
  }

  /** Something worth a line. */
  note(text: string): void {
    this.line(`   ${this.#colors.dim('·')} ${text}`)
  }

  line(text: string): void {
    if (this.#line) this.#line.above(text)
    else this.#stream.write(`${text}\n`)
  }

  /** Shows the LED: it breathes at the bottom of a terminal; a log has a line for every new signal. */
  led(state: LedState): void {
    if (this.#closed) return
    this.#line?.show(state)
    if (state.words === this.#words) return
    this.#words = state.words
    if (!this.#line) this.#stream.write(`   LED ${state.words}\n`)
  }

  progress(label: string, done: number, total: number): void {
    if (this.#line) {
      const whole = done >= total
      this.#line.say(whole ? '' : `${label} ${barOf(done, total, this.#colors)}`)
      if (whole) this.line(`     ${label} ${barOf(done, total, this.#colors)}`)
      return
    }
    if (this.#bar?.label !== `     ${label}`) this.#bar = new ProgressBar(this.#stream, this.#colors, `     ${label}`)
    this.#bar.update(done, total)
  }

  /** The LED is not shown any more; lines still are. */
  close(): void {
    this.#closed = true
    this.#line?.close()
  }
}
