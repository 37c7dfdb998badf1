/** One line of progress, drawn over itself on a terminal and written now and then elsewhere. */

import type { Colors } from './colors.ts'

export interface ProgressStream {
  write(text: string): unknown
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
}

const barWidth = 28
/** Elsewhere than on a terminal a line is written each time so much more is done. */
const logStep = 0.25

export class ProgressBar {
  readonly label: string
  readonly #stream: ProgressStream
  readonly #colors: Colors
  #drawn = ''
  #logged = -logStep

  constructor(stream: ProgressStream, colors: Colors, label: string) {
    this.#stream = stream
    this.#colors = colors
    this.label = label
  }

  update(done: number, total: number): void {
    const part = partOf(done, total)
    if (this.#stream.isTTY !== true) {
      const due = part === 1 ? this.#logged < 1 : part >= this.#logged + logStep
      if (!due) return
      this.#logged = part
      this.#stream.write(`${this.label} ${percent(part)}\n`)
      return
    }
    const room = (this.#stream.columns || 80) - barWidth - 8
    const label = this.label.length > room ? `${this.label.slice(0, Math.max(0, room - 1))}…` : this.label
    const line = `${label} ${barOf(done, total, this.#colors)}`
    if (line === this.#drawn) return
    this.#drawn = line
    this.#stream.write(`\r\u001b[K${line}`)
  }

  /** Keeps what is drawn and goes on below. */
  end(): void {
    if (this.#drawn !== '') this.#stream.write('\n')
    this.#drawn = ''
  }

  /** Takes away what is drawn. */
  clear(): void {
    if (this.#drawn !== '') this.#stream.write('\r\u001b[K')
    this.#drawn = ''
  }
}

/** A bar and a percentage, for a line that somebody else draws. */
export function barOf(done: number, total: number, colors: Colors): string {
  const part = partOf(done, total)
  const filled = Math.round(part * barWidth)
  return `${colors.cyan('━'.repeat(filled))}${colors.dim('━'.repeat(barWidth - filled))} ${percent(part).padStart(4)}`
}

function partOf(done: number, total: number): number {
  return total > 0 ? Math.min(1, Math.max(0, done / total)) : 1
}

function percent(part: number): string {
  return `${Math.floor(part * 100)}%`
}
