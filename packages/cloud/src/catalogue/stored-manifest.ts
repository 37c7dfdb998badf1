/** The manifest of an imported release: that of a release folder, with what is to be known without reading the files. */
import { type ModuleDependency, moduleKey, platformById } from '@aloe/firmware'
import { CatalogueError, type ImportRecord, type ModuleFacts } from '../updates/catalogue.ts'
import { publishedSystemVersion } from './published-versions.ts'
import { defaultState, stateFields } from './release-state.ts'

export interface StoredFile {
  readonly filename: string
  /** The name that it came by. */
  readonly from: string
  readonly size: number
  /** SHA-256 of the file. */
  readonly sha256: string
  readonly protected?: true
  readonly module: ModuleFacts
}

export interface StoredRelease {
  readonly version: string
  readonly platform: string
  readonly platformId: number
  readonly auxiliary?: true
  readonly imported: ImportRecord
  readonly files: readonly StoredFile[]
}

/** What a release has at most one of. */
export function storedKey(file: Pick<StoredFile, 'module' | 'protected'>): string {
  return `${moduleKey(file.module)}${file.protected ? ' protected' : ''}`
}

/** The number of its system parts; undefined while none is there and the release is in no table. */
export function systemVersionOf(release: Pick<StoredRelease, 'version' | 'platformId' | 'files'>): number | undefined {
  const system = release.files.find(
    ({ module }) => module.function === 'system_part' || module.function === 'mono_firmware',
  )
  return system?.module.version ?? publishedSystemVersion(release.version, release.platformId)
}

export function bootloaderVersionOf({ files }: Pick<StoredRelease, 'files'>): number {
  return files.find(({ module }) => module.function === 'bootloader' && module.index === 0)?.module.version ?? 0
}

export function manifestText(release: StoredRelease): string {
  const { version, platform, platformId, auxiliary, imported, files } = release
  const { state, prerelease } = stateFields(auxiliary ? 'release' : defaultState(version), version)
  const document = {
    version,
    platform,
    platformId,
    systemVersion: systemVersionOf(release) ?? 0,
    bootloaderVersion: bootloaderVersionOf(release),
    prerelease,
    state,
    ...(auxiliary && { auxiliary }),
    imported,
    modules: files.map(({ filename, from, size, sha256, module, ...rest }) => ({
      filename,
      function: module.function,
      index: module.index,
      version: module.version,
      size,
      sha256,
      ...rest,
      from,
      module,
    })),
  }
  return `${JSON.stringify(document, undefined, 1)}\n`
}

/**
 * Reads a manifest that `manifestText` wrote. The files themselves are looked at when they are used.
 *
 * @throws CatalogueError when it is another, or broken
 */
export function readManifestText(folder: string, text: string): StoredRelease {
  const fail = (message: string): never => {
    throw new CatalogueError(folder, `manifest.json ${message}`)
  }
  let document: Readonly<Record<string, unknown>>
  try {
    document = JSON.parse(text)
  } catch {
    return fail('is not JSON')
  }
  const { version, platformId, auxiliary, imported, modules } = document
  const platform = typeof platformId === 'number' ? platformById(platformId) : undefined
  if (typeof version !== 'string' || !platform) return fail('names no release of a known platform')
  if (!Array.isArray(modules)) return fail('lists no modules')
  const { from, at, lastAt } = (imported ?? {}) as Partial<ImportRecord>
  return {
    version,
    platform: platform.name,
    platformId: platform.id,
    ...(auxiliary === true && { auxiliary }),
    imported: { from: String(from ?? ''), at: Number(at ?? 0), lastAt: Number(lastAt ?? at ?? 0) },
    files: modules.map((entry) => readFile(entry, fail)),
  }
}

function readFile(entry: Readonly<Record<string, unknown>>, fail: (message: string) => never): StoredFile {
  const { filename, from, size, sha256, protected: isProtected, module } = entry
  if (typeof filename !== 'string' || !/^[\w.@+-]+\.bin$/.test(filename)) return fail('has a file without a name')
  if (typeof size !== 'number' || typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256)) {
    return fail(`has no size or hash of ${filename}`)
  }
  const facts = module as (ModuleFacts & { readonly dependencies?: readonly ModuleDependency[] }) | undefined
  if (!facts || typeof facts.version !== 'number' || !Array.isArray(facts.dependencies)) {
    return fail(`does not say what ${filename} is`)
  }
  return {
    filename,
    from: typeof from === 'string' ? from : filename,
    size,
    sha256,
    ...(isProtected === true && { protected: isProtected }),
    module: facts,
  }
}
