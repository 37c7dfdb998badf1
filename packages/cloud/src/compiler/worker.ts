/**
 * The process in which one compilation runs: it takes one request over IPC, answers it, and ends.
 *
 * A process for each compilation costs half a second and buys that an upload can exhaust, hang or crash nothing but
 * itself, and that nothing of one upload is left for the next.
 */

import { bundle } from './bundle.ts'
import { boundDiagnostics, type CompileDiagnostic } from './diagnostics.ts'
import type { SourceSet } from './sources.ts'
import { type ReleaseTypes, typeCheck } from './type-check.ts'

export interface WorkerRequest {
  readonly sources: SourceSet
  readonly types: ReleaseTypes
  /** Bytes that the bundle may have. */
  readonly maxOutput: number
}

export type WorkerAnswer =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly diagnostics: readonly CompileDiagnostic[] }

async function answer({ sources, types, maxOutput }: WorkerRequest): Promise<WorkerAnswer> {
  const [diagnostics, bundled] = await Promise.all([typeCheck(sources, types), bundle(sources)])
  if (diagnostics.length > 0) return { ok: false, diagnostics: boundDiagnostics(diagnostics) }
  if (!bundled.ok) return { ok: false, diagnostics: boundDiagnostics(bundled.diagnostics) }
  const size = Buffer.byteLength(bundled.text)
  if (size > maxOutput) {
    const message = `the application has ${size} bytes; the device has room for ${maxOutput}`
    return { ok: false, diagnostics: [{ file: '', line: 0, column: 0, message }] }
  }
  return bundled
}

// When the cloud dies first, nobody is left to stop the checker and the bundler: take the whole process group along.
process.once('disconnect', () => {
  if (process.platform === 'win32') process.exit(1)
  else process.kill(-process.pid, 'SIGKILL')
})

process.once('message', (request: WorkerRequest) => {
  void answer(request).then((result) => {
    process.send?.(result, () => process.exit(0))
  })
})
