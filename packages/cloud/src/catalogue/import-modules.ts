/** An import: each file is checked, its release found, stored; at the end the report of all of them. */
import { moduleLabel } from '@aloe/firmware'
import type { Catalogue } from '../updates/catalogue.ts'
import { checkModule } from './check-module.ts'
import { identify, type KnownVersions } from './identify.ts'
import { ImportError, type ImportErrorCode } from './import-error.ts'
import type { ImportEntry } from './import-sources.ts'
import type { ImportedFolder } from './imported-folder.ts'
import type { StateWord } from './release-state.ts'
import { stateFields } from './release-state.ts'

export interface ImportOptions {
  /** What the importer calls the source; shown with the release. */
  readonly from: string
  /** The release that all files belong to, when their names do not say it. */
  readonly release?: string
  readonly state?: StateWord
  readonly notes?: string
  /** After each file. */
  readonly onProgress?: (done: number, path: string) => void
}

/** The fields are as the API and `--json` show them. */
export interface ImportedModule {
  /** The path that it came by. */
  readonly file: string
  /** A version; `<function>@<version>` for a radio stack or NCP firmware of no release. */
  readonly release: string
  readonly platform: string
  readonly platform_id: number
  readonly filename: string
  /** Function, index and version. */
  readonly module: string
  readonly size: number
  readonly sha256: string
}

export interface LeftOut {
  readonly file: string
  readonly reason: string
}

export interface ImportReport {
  readonly imported: readonly ImportedModule[]
  /** The catalogue had them. */
  readonly duplicates: readonly ImportedModule[]
  /** No modules of releases: debug files, notes, applications. */
  readonly skipped: readonly LeftOut[]
  /** Modules that are not taken. */
  readonly refused: readonly (LeftOut & { readonly code: ImportErrorCode })[]
}

export interface ImportTarget {
  readonly folder: ImportedFolder
  readonly known: KnownVersions
  readonly builtIn: Pick<Catalogue, 'releases'>
  readonly now: () => number
}

/** Files after which what came so far is made to count. */
const commitEvery = 100

/** Never throws for what is wrong with a file; the system's errors (a full disk) end it, and what came before stays. */
export async function importModules(
  entries: AsyncIterable<ImportEntry> | Iterable<ImportEntry>,
  target: ImportTarget,
  options: ImportOptions,
): Promise<ImportReport> {
  const report = {
    imported: [] as ImportedModule[],
    duplicates: [] as ImportedModule[],
    skipped: [] as LeftOut[],
    refused: [] as (LeftOut & { code: ImportErrorCode })[],
  }
  let done = 0
  try {
    for await (const entry of entries) {
      try {
        await importOne(entry, target, options, report)
      } catch (error) {
        if (!(error instanceof ImportError)) throw error
        report.refused.push({ file: entry.path, code: error.code, reason: error.message })
      }
      options.onProgress?.(++done, entry.path)
      if (report.imported.length > 0 && report.imported.length % commitEvery === 0) await target.folder.commit()
    }
  } finally {
    await target.folder.commit()
  }
  return report
}

async function importOne(
  entry: ImportEntry,
  { folder, known, builtIn, now }: ImportTarget,
  { from, release: given, state }: ImportOptions,
  report: { imported: ImportedModule[]; duplicates: ImportedModule[]; skipped: LeftOut[] },
): Promise<void> {
  const { path } = entry
  // An archive or a path that cannot be read has no size; its `read` says why.
  if (!/\.bin$/i.test(path) && entry.size > 0) {
    report.skipped.push({ file: path, reason: 'no module file (.bin)' })
    return
  }
  const bytes = await entry.read()
  const checked = checkModule(bytes)
  const identity = identify(path, checked, known, given)
  if ('skip' in identity) {
    report.skipped.push({ file: path, reason: identity.skip })
    return
  }
  const { release } = identity
  if (state !== undefined && identity.auxiliary !== true) stateFields(state, release)
  const { module, platform, size, sha256 } = checked
  const described = {
    file: path,
    release,
    platform: platform.name,
    platform_id: platform.id,
    module: moduleLabel(module),
    size,
    sha256,
  }
  const own = builtIn.releases(platform.id).find(({ version }) => version === release)
  if (own) {
    const same = own.files.find((file) => file.sha256 === sha256)
    if (!same) throw new ImportError('built-in', `Device OS ${release} for ${platform.name} came with the cloud`)
    report.duplicates.push({ ...described, filename: same.filename })
    return
  }
  const at = now()
  const { file, added } = await folder.add(identity, checked, bytes, { path, record: { from, at, lastAt: at } })
  const list = added ? report.imported : report.duplicates
  list.push({ ...described, filename: file.filename })
}
