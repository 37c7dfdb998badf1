/**
 * One CommonJS text out of an application's files.
 *
 * esbuild follows imports into the server's own files if it may (libraries.md, "Bundling"): every resolution and every
 * load is answered here, from the upload alone, so that esbuild never opens a file.
 */

import { build, type Message, type Plugin } from 'esbuild'
import type { CompileDiagnostic } from './diagnostics.ts'
import { resolveImport } from './imports.ts'
import type { SourceSet } from './sources.ts'

export type BundleResult =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly diagnostics: CompileDiagnostic[] }

const namespace = 'upload'

/** Bundles an application into the body of a user part: CommonJS that requires nothing but `device-os`. */
export async function bundle(sources: SourceSet): Promise<BundleResult> {
  try {
    const result = await build({
      entryPoints: [sources.entry],
      bundle: true,
      write: false,
      metafile: true,
      format: 'cjs',
      platform: 'neutral',
      target: 'node24',
      charset: 'utf8',
      legalComments: 'none',
      logLevel: 'silent',
      logLimit: 0,
      treeShaking: true,
      // An import() whose argument is computed would be left for the device to resolve: as require() the device refuses it.
      supported: { 'dynamic-import': false },
      tsconfigRaw: { compilerOptions: { strict: true, useDefineForClassFields: true } },
      plugins: [confinement(sources)],
    })
    const text = result.outputFiles[0]?.text
    const output = Object.values(result.metafile.outputs)[0]
    if (text === undefined || output === undefined) return failure('', 0, 0, 'the bundler made no output')
    const forgotten = unexportedHook(sources, output.exports)
    if (forgotten !== undefined) return { ok: false, diagnostics: [forgotten] }
    return { ok: true, text }
  } catch (error) {
    if (!isBuildFailure(error)) throw error
    return { ok: false, diagnostics: error.errors.map(toDiagnostic) }
  }
}

function confinement(sources: SourceSet): Plugin {
  return {
    name: 'confinement',
    setup(setup) {
      setup.onResolve({ filter: /.*/ }, ({ path, importer, kind }) => {
        if (kind === 'entry-point') return { path: sources.entry, namespace }
        const resolution = resolveImport(sources.files, importer, path, sources.libraries)
        if (resolution.kind === 'file') return { path: resolution.path, namespace }
        if (resolution.kind === 'device-os') return { path: 'device-os', external: true, sideEffects: false }
        return { errors: [{ text: resolution.reason }] }
      })
      setup.onLoad({ filter: /.*/ }, ({ path, namespace: from }) => {
        const contents = from === namespace ? sources.files.get(path) : undefined
        if (contents === undefined) return { errors: [{ text: `${path} is not in the upload` }] }
        return { contents, loader: path.endsWith('.json') ? 'json' : 'ts' }
      })
    },
  }
}

/** `setup` and `loop` that are declared but not exported would silently never run. */
function unexportedHook(sources: SourceSet, exported: readonly string[]): CompileDiagnostic | undefined {
  const text = sources.files.get(sources.entry) ?? ''
  for (const name of ['setup', 'loop']) {
    if (exported.includes(name)) continue
    const found = new RegExp(`^(?:async )?function ${name}\\b`, 'm').exec(text)
    if (found === null) continue
    const line = text.slice(0, found.index).split('\n').length
    const message = `${name}() is not exported, so the device would never call it; write: export ${found[0]}`
    return { file: sources.entry, line, column: 1, message }
  }
  return undefined
}

function toDiagnostic({ text, location }: Message): CompileDiagnostic {
  if (location === null) return { file: '', line: 0, column: 0, message: text }
  const file = location.file.startsWith(`${namespace}:`) ? location.file.slice(namespace.length + 1) : location.file
  // esbuild counts columns from 0, in bytes.
  const column = Buffer.from(location.lineText).subarray(0, location.column).toString().length + 1
  return { file, line: location.line, column, message: text }
}

function failure(file: string, line: number, column: number, message: string): BundleResult {
  return { ok: false, diagnostics: [{ file, line, column, message }] }
}

function isBuildFailure(error: unknown): error is { errors: Message[] } {
  return error instanceof Error && 'errors' in error && Array.isArray(error.errors)
}
