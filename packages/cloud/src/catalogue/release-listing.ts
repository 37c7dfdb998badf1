/** Releases as administrators see them, in the API and in the terminal. */
import { type ModuleRef, moduleKey, moduleLabel, platformById } from '@aloe/firmware'
import type { CatalogueFile, CatalogueRelease } from '../updates/catalogue.ts'
import type { LiveCatalogue } from './live-catalogue.ts'
import { type StateWord, stateWord } from './release-state.ts'

export interface ListedRelease {
  readonly version: string
  readonly system_version: number
  /** The state of its platforms; the first where they differ. */
  readonly state: StateWord
  readonly prerelease: boolean
  readonly platforms: readonly string[]
  /** The platforms that use it when nothing is said. */
  readonly default_platforms: readonly string[]
  readonly modules: number
  /** Bytes. */
  readonly size: number
  readonly notes: string
  /** System parts and bootloaders that platforms of it lack here: `argon: bootloader 0`. */
  readonly missing: readonly string[]
}

export interface DescribedRelease {
  readonly version: string
  readonly platform: string
  readonly platform_id: number
  readonly system_version: number
  readonly bootloader_version: number
  readonly state: StateWord
  readonly prerelease: boolean
  readonly default: boolean
  readonly notes: string
  readonly missing: readonly string[]
  /** Null for a release that came with the cloud. */
  readonly imported: { readonly from: string; readonly at: string; readonly last_at: string } | null
  readonly modules: readonly {
    readonly filename: string
    readonly function: string
    readonly index: number
    readonly version: number
    readonly dependencies: readonly string[]
    readonly size: number
    readonly sha256: string
  }[]
}

/** Newest first, and what belongs to no release. */
export function listReleases(
  catalogue: LiveCatalogue,
  platformId?: number,
): { readonly releases: ListedRelease[]; readonly auxiliary: DescribedFile[]; readonly problems: string[] } {
  const byVersion = Map.groupBy(catalogue.releases(platformId), ({ version }) => version)
  return {
    releases: [...byVersion].flatMap(([version, releases]) => {
      const [first] = releases
      return first ? [listed(catalogue, version, first, releases)] : []
    }),
    auxiliary: catalogue
      .auxiliary()
      .filter((release) => platformId === undefined || release.platformId === platformId)
      .flatMap(({ platform, files }) =>
        files.map(({ module, size, sha256 }) => ({ platform, module: moduleLabel(module), size, sha256 })),
      ),
    problems: catalogue.problems.map(({ message }) => message),
  }
}

export interface DescribedFile {
  readonly platform: string
  readonly module: string
  readonly size: number
  readonly sha256: string
}

function listed(
  catalogue: LiveCatalogue,
  version: string,
  first: CatalogueRelease,
  releases: readonly CatalogueRelease[],
): ListedRelease {
  const files = releases.flatMap((release) => release.files)
  const notes = new Set(releases.flatMap((release) => (release.notes ? [release.notes] : [])))
  return {
    version,
    system_version: first.systemVersion,
    state: stateWord(first),
    prerelease: releases.some(({ prerelease }) => prerelease),
    platforms: releases.map(({ platform }) => platform),
    default_platforms: releases
      .filter((release) => catalogue.defaultRelease(release.platformId)?.version === version)
      .map(({ platform }) => platform),
    modules: files.length,
    size: files.reduce((sum, { size }) => sum + size, 0),
    notes: [...notes].join('\n'),
    missing: releases.flatMap((release) => missingOf(release).map((module) => `${release.platform}: ${module}`)),
  }
}

/** A release with its modules: of one platform or of all; empty when there is none. */
export function describeRelease(catalogue: LiveCatalogue, version: string, platformId?: number): DescribedRelease[] {
  return catalogue
    .platformsOf(version)
    .filter((release) => platformId === undefined || release.platformId === platformId)
    .map((release) => ({
      version: release.version,
      platform: release.platform,
      platform_id: release.platformId,
      system_version: release.systemVersion,
      bootloader_version: release.bootloaderVersion,
      state: stateWord(release),
      prerelease: release.prerelease,
      default: catalogue.defaultRelease(release.platformId)?.version === release.version,
      notes: release.notes ?? '',
      missing: missingOf(release),
      imported: release.imported
        ? {
            from: release.imported.from,
            at: new Date(release.imported.at).toISOString(),
            last_at: new Date(release.imported.lastAt).toISOString(),
          }
        : null,
      modules: release.files.map(fileJson),
    }))
}

function fileJson({ filename, function: name, index, version, dependencies, size, sha256 }: CatalogueFile) {
  return { filename, function: name, index, version, dependencies: dependencies.map(moduleLabel), size, sha256 }
}

/** What a device needs of a release, and this one has not here: part of it was never imported. */
function missingOf({ platformId, systemVersion, files }: CatalogueRelease): string[] {
  const platform = platformById(platformId)
  if (!platform) return []
  const here = new Set(files.map(moduleKey))
  // Releases of monolithic firmware have no parts.
  if (files.some((file) => file.function === 'mono_firmware')) return []
  return platform.slots
    .filter((slot) => slot.function === 'system_part' || slot.function === 'bootloader')
    .filter((slot) => slot.factoryOnly !== true && (slot.since === undefined || systemVersion >= slot.since))
    .filter((slot) => !here.has(moduleKey(slot)))
    .map(nameOf)
}

function nameOf({ function: name, index }: ModuleRef): string {
  return `${name} ${index}`
}
