/**
 * What a command prints: colours and progress bars on a terminal, plain lines in a log, one JSON value with `--json`.
 *
 * Results go to standard output; what happens on the way goes to standard error, so that a result can be piped.
 */

import type { CliError } from './cli-error.ts'
import { type Colors, colorsWanted, createColors } from './colors.ts'
import { ProgressBar, type ProgressStream } from './progress-bar.ts'

export interface OutputStream extends ProgressStream {
  write(text: string): unknown
}

export interface OutputOptions {
  readonly json: boolean
  readonly out: OutputStream
  readonly err: OutputStream
  /** Defaults to what the terminal can and the environment (`NO_COLOR`, `FORCE_COLOR`) wants. */
  readonly color?: boolean
}

export class Output {
  readonly json: boolean
  readonly colors: Colors
  readonly #out: OutputStream
  readonly #err: OutputStream
  #bar: ProgressBar | undefined

  constructor({ json, out, err, color }: OutputOptions) {
    this.json = json
    this.#out = out
    this.#err = err
    this.colors = createColors(color ?? (colorsWanted && out.isTTY === true))
  }

  /** Whether a person watches: lines may then be drawn over. */
  get interactive(): boolean {
    return !this.json && this.#err.isTTY === true
  }

  /** The result of a command: `value` as one line of JSON with `--json`, else what `text` makes of it. */
  result(value: unknown, text: (colors: Colors) => string): void {
    this.#clearBar()
    const shown = this.json ? JSON.stringify(value) : text(this.colors)
    if (shown !== '') this.#out.write(`${shown}\n`)
  }

  /** Something that happens on the way; silent with `--json`. */
  note(text: string): void {
    if (this.json) return
    this.#clearBar()
    this.#err.write(`${text}\n`)
  }

  /** Progress of something with a known size: a bar on a terminal, a line every quarter elsewhere. */
  progress(label: string, done: number, total: number): void {
    if (this.json) return
    if (this.#bar?.label !== label) {
      this.#clearBar()
      this.#bar = new ProgressBar(this.#err, this.colors, label)
    }
    this.#bar.update(done, total)
  }

  /** Leaves the bar as it is and goes on below it. */
  endProgress(): void {
    this.#bar?.end()
    this.#bar = undefined
  }

  /** An error: with `--json` as `{"ok":false,"error":…}`, on standard error either way. */
  error({ message, hint, code, details }: Pick<CliError, 'message' | 'hint' | 'code' | 'details'>): void {
    this.#clearBar()
    if (this.json) {
      const value = { ok: false, error: message, ...(hint !== undefined && { hint }), code, ...details }
      this.#err.write(`${JSON.stringify(value)}\n`)
      return
    }
    this.#err.write(`${this.colors.red('error')} ${message}\n`)
    if (hint !== undefined) this.#err.write(`${this.colors.dim(hint)}\n`)
  }

  #clearBar(): void {
    this.#bar?.clear()
    this.#bar = undefined
  }
}

/** Rows as columns, aligned; the first row is the heading. */
export function table(rows: readonly (readonly string[])[], colors: Colors): string {
  const widths: number[] = []
  for (const row of rows) {
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length)
  }
  return rows
    .map((row, i) => {
      const line = row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd()
      return i === 0 ? colors.bold(line) : line
    })
    .join('\n')
}

/** Bytes for people: `512 B`, `3.4 KB`, `1.2 MB`. */
export function bytes(count: number): string {
  if (count < 1000) return `${count} B`
  if (count < 1_000_000) return `${(count / 1000).toFixed(1)} KB`
  return `${(count / 1_000_000).toFixed(1)} MB`
}

/** Text from elsewhere without control characters, which could move the cursor or change what was printed before. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  return text.replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '\ufffd')
}
