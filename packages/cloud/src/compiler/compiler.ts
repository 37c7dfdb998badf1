/**
 * The compile service: sources in, a user module out (or errors as file, line, column and words).
 *
 * Sources for the platform `linux` are TypeScript. They are checked against the types of the release they are compiled
 * for, bundled, and wrapped as user part 1 that depends on that release's system part 2. docs/compile.md tells the rules.
 */

import { buildModule, type Platform, platformById } from '@aloe/firmware'
import type { Catalogue, CatalogueRelease } from '../updates/catalogue.ts'
import { type ProcessLimits, runConfined } from './confined-process.ts'
import { type CompileDiagnostic, formatDiagnostics } from './diagnostics.ts'
import type { ApiFunction } from './missing-function.ts'
import { sizeInfo } from './size-info.ts'
import { readSources, SourceError, type SourceSet, type UploadedFile } from './sources.ts'
import { WorkQueue } from './work-queue.ts'

export type { CompileDiagnostic } from './diagnostics.ts'
export type { UploadedFile } from './sources.ts'

export interface CompileRequest {
  readonly files: readonly UploadedFile[]
  readonly platformId: number
  /** Version of the release to compile for; the newest generally available one when left out. */
  readonly target?: string
}

/** Why there is no module: `errors` in the sources, a request that is `refused`, or a bound that was passed. */
export type CompileFailure = 'errors' | 'refused' | 'timeout' | 'memory' | 'busy' | 'crash'

export type CompileResult =
  | { readonly ok: true; readonly module: Uint8Array; readonly target: string; readonly sizeInfo: string }
  | {
      readonly ok: false
      readonly reason: CompileFailure
      /** One text, as a compiler would print it. */
      readonly errors: readonly string[]
      readonly diagnostics: readonly CompileDiagnostic[]
    }

export interface Compiler {
  /** Never throws for what an upload contains. */
  compile(request: CompileRequest): Promise<CompileResult>
  statistics(): { readonly running: number; readonly waiting: number }
  /** Stops what is running; later requests are turned away. */
  close(): Promise<void>
}

export interface CompilerOptions {
  readonly catalogue: Catalogue
  readonly limits?: Partial<ProcessLimits>
  /** Compilations at the same time. */
  readonly concurrency?: number
  /** Requests that may wait; the rest is turned away. */
  readonly maxWaiting?: number
  /** Told when the compiler itself failed, for the log. */
  readonly onCrash?: (detail: string) => void
}

/** What particle-cli looks for in `output` before it prints `errors[0]` (cloud-api.md 1.5). */
export const compileFailedOutput = 'Compiler timed out or encountered an error'

const linux = 43
/** User parts carry the number of the application ABI, 6 since Device OS 1.1 (modules-and-platforms.md 1.2). */
const userPartVersion = 6
/** Prefix, suffix and CRC around a body (modules-and-platforms.md 1.2, 1.3), with room for extensions. */
const moduleOverhead = 256
const defaultLimits: ProcessLimits = { time: 30_000, memory: 1024 * 1024 * 1024 }

export function createCompiler(options: CompilerOptions): Compiler {
  const { catalogue, onCrash } = options
  const limits = { ...defaultLimits, ...options.limits }
  const queue = new WorkQueue(options.concurrency ?? 2, options.maxWaiting ?? 32)
  const closing = new AbortController()
  const running = new Set<Promise<unknown>>()

  async function compile(request: CompileRequest): Promise<CompileResult> {
    const platform = platformById(request.platformId)
    if (request.platformId !== linux || platform === undefined) return refused(otherPlatform(request, platform))
    const release = findRelease(catalogue, request)
    if (typeof release === 'string') return refused(release)
    let sources: SourceSet
    try {
      sources = readSources(request.files)
    } catch (error) {
      if (error instanceof SourceError) return refused(error.message, error.file)
      throw error
    }
    const slot = platform.slots.find((candidate) => candidate.function === 'user_part')
    const maxOutput = (slot?.maxSize ?? 0) - moduleOverhead
    const types = { version: release.version, text: release.types, missing: missingFunctions(catalogue, release) }
    const outcome = await queue.run(() => runConfined({ sources, types, maxOutput }, limits, closing.signal))
    if (outcome === undefined) return failed('busy', 'The compile service is busy; try again in a moment.')
    switch (outcome.kind) {
      case 'timeout':
        return failed('timeout', `The compilation took longer than ${limits.time / 1000} seconds and was stopped.`)
      case 'memory':
        return failed('memory', 'The compilation needed more memory than it may have and was stopped.')
      case 'crash':
        onCrash?.(outcome.detail)
        return failed('crash', "The compiler stopped unexpectedly; the cloud's log says more.")
      case 'answer':
        break
    }
    if (!outcome.answer.ok) {
      const { diagnostics } = outcome.answer
      return { ok: false, reason: 'errors', errors: [formatDiagnostics(diagnostics)], diagnostics }
    }
    const body = new TextEncoder().encode(outcome.answer.text)
    const module = buildModule({
      platformId: linux,
      function: 'user_part',
      index: 1,
      version: userPartVersion,
      dependencies: [{ function: 'system_part', index: 2, version: release.systemVersion }],
      body,
    })
    return { ok: true, module, target: release.version, sizeInfo: sizeInfo(body.length, sources.entry) }
  }

  return {
    compile(request) {
      const work = compile(request)
      running.add(work)
      const forget = () => running.delete(work)
      work.then(forget, forget)
      return work
    },
    statistics: () => ({ running: queue.running, waiting: queue.waiting }),
    async close() {
      closing.abort()
      await Promise.allSettled(running)
    },
  }
}

function findRelease(catalogue: Catalogue, { platformId, target }: CompileRequest): CatalogueRelease | string {
  const releases = catalogue.releases(platformId)
  if (target !== undefined && target !== 'latest') {
    const found = catalogue.release(target.replace(/^v/, ''), platformId)
    if (found !== undefined) return found
    const known = releases.map(({ version }) => version).join(', ')
    return `There is no Device OS ${target.slice(0, 50)} for this platform here; there are: ${known || 'none'}.`
  }
  return (
    (target === 'latest' ? catalogue.release('latest', platformId) : catalogue.defaultRelease(platformId)) ??
    'This cloud has no Device OS release to compile for; start it with release folders (aloe device-os build).'
  )
}

/** What other releases have and this one lacks, by the lists of their manifests. */
function missingFunctions(catalogue: Catalogue, target: CatalogueRelease): ApiFunction[] {
  const own = new Set(target.api.map(({ name }) => name))
  const missing = new Map<string, ApiFunction>()
  // Newest first: what is noted last is the oldest release that has it.
  for (const { api, version, prerelease } of catalogue.releases(target.platformId)) {
    for (const { name, since } of api) {
      if (own.has(name)) continue
      const final = prerelease ? missing.get(name)?.final : version
      missing.set(name, { name, since, ...(final !== undefined && { final }) })
    }
  }
  return [...missing.values()]
}

function otherPlatform({ platformId }: CompileRequest, platform: Platform | undefined): string {
  if (platform === undefined) return `There is no platform ${platformId}.`
  return (
    `Sources for ${platform.displayName} (platform ${platformId}) are C++, and no toolchain for them is set up here. ` +
    'Compile them on your machine (Particle Workbench, or make in the Device OS sources) and flash the .bin file.'
  )
}

function refused(message: string, file?: string): CompileResult {
  return failed('refused', message, file)
}

/** @param file the first place in it is shown, as tools that read compiler logs look for one */
function failed(reason: CompileFailure, message: string, file?: string): CompileResult {
  if (file === undefined) {
    return { ok: false, reason, errors: [message], diagnostics: [{ file: '', line: 0, column: 0, message }] }
  }
  const diagnostics = [{ file, line: 1, column: 1, message }]
  return { ok: false, reason, errors: [formatDiagnostics(diagnostics)], diagnostics }
}
