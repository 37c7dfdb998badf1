/** Compile errors: where, and in which words; and the text that command line tools print of them. */

export interface CompileDiagnostic {
  /** Path in the upload; empty when the error belongs to no file. */
  readonly file: string
  /** First line is 1; 0 when the error belongs to no place. */
  readonly line: number
  /** First column is 1, in UTF-16 units; 0 when the error belongs to no place. */
  readonly column: number
  readonly message: string
}

const maxShown = 50
const maxMessageLength = 2000

/** Line and column (both from 1) of an offset in UTF-16 units. */
export function lineAndColumn(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, Math.max(0, offset))
  const lastBreak = before.lastIndexOf('\n')
  let line = 1
  for (let at = before.indexOf('\n'); at !== -1; at = before.indexOf('\n', at + 1)) line += 1
  return { line, column: before.length - lastBreak }
}

/** Cuts a list of errors to what a person can read, so that an upload cannot make the answer large. */
export function boundDiagnostics(diagnostics: readonly CompileDiagnostic[]): CompileDiagnostic[] {
  const shown = diagnostics.slice(0, maxShown).map((diagnostic) => ({
    ...diagnostic,
    message:
      diagnostic.message.length > maxMessageLength
        ? `${diagnostic.message.slice(0, maxMessageLength)}…`
        : diagnostic.message,
  }))
  const left = diagnostics.length - shown.length
  if (left > 0) shown.push({ file: '', line: 0, column: 0, message: `and ${left} more errors` })
  return shown
}

/** The log of a failed compilation as gcc would write it, which is what particle-cli prints (cloud-api.md 1.5). */
export function formatDiagnostics(diagnostics: readonly CompileDiagnostic[]): string {
  return diagnostics
    .map(({ file, line, column, message }) => {
      const place = file === '' ? '' : line === 0 ? `${file}: ` : `${file}:${line}:${column}: `
      return `${place}error: ${message}`
    })
    .join('\n')
}
