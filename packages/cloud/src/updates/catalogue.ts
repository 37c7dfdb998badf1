/**
 * The Device OS releases that this cloud knows: it compiles for them, heals with them and offers them for download.
 *
 * Releases come in as data: in the release folders that the cloud's starter hands over (house.md, "The cloud"), which are
 * read and checked at the start and kept in memory, and by import into the data folder (`../catalogue/`), of which only
 * the index is.
 */

import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type CatalogueModule, compareSemver, type ModuleRef, moduleKey } from '@aloe/firmware'
import { CatalogueError, type CatalogueFile, type CatalogueRelease, readReleaseFolder } from './catalogue-folder.ts'

export {
  CatalogueError,
  type CatalogueFile,
  type CatalogueRelease,
  type ImportRecord,
  type ModuleFacts,
} from './catalogue-folder.ts'

export interface Catalogue {
  /** Releases, newest first by version; of one platform when given. */
  releases(platformId?: number): readonly CatalogueRelease[]
  /**
   * A release by version (`1.1.0`), by module version (`1101`, also as text) or `latest` (the newest that is generally
   * available). Where several releases carry one module version, a final one is preferred, then the highest
   * (modules-and-platforms.md 3).
   */
  release(version: string | number, platformId?: number): CatalogueRelease | undefined
  /** The release of all platforms that have it, in the order of their ids. */
  platformsOf(version: string): readonly CatalogueRelease[]
  /** The release that a platform uses when nothing is said: the one that was chosen for it, else `latest`. */
  defaultRelease(platformId: number): CatalogueRelease | undefined
  /** Every module of a platform, for firmware's planner. */
  modules(platformId: number): readonly CatalogueModule[]
  /** The file of a module that `modules` listed. @throws as `CatalogueFile.bytes` does */
  moduleBytes(module: CatalogueFileRef): Uint8Array
  /** A module file by the name that it is downloaded by; undefined when the release has no such file. */
  file(version: string, filename: string): CatalogueFile | undefined
  /** The application types of a release; undefined when there is no such release. */
  types(version: string, platformId?: number): string | undefined
  /** Calls after each change, when it is one that changes. @returns ends it */
  onChange?(listener: () => void): () => void
  /** Folders that could not be served, and why. */
  readonly problems: readonly CatalogueError[]
}

export type CatalogueFileRef = ModuleRef & {
  readonly release: string
  readonly platformId: number
  readonly protected?: boolean
}

/**
 * Loads release folders. A folder is a release (it has a manifest.json) or holds releases one level down. One that is
 * damaged or whose release is there already is refused and listed in `problems`; the others still serve.
 */
export async function loadCatalogue(folders: readonly string[]): Promise<Catalogue> {
  const problems: CatalogueError[] = []
  const releases: CatalogueRelease[] = []
  for (const given of folders) {
    for (const folder of await releaseFolders(given, problems)) {
      try {
        const release = await readReleaseFolder(folder)
        if (releases.some((other) => other.version === release.version && other.platformId === release.platformId)) {
          throw new CatalogueError(folder, `release ${release.version} for ${release.platform} is there already`)
        }
        releases.push(release)
      } catch (error) {
        if (!(error instanceof CatalogueError)) throw error
        problems.push(error)
      }
    }
  }
  return createCatalogue(releases, problems)
}

/**
 * A catalogue of releases that were read already.
 *
 * @param defaults the release that was chosen for a platform, by its id
 */
export function createCatalogue(
  unsorted: readonly CatalogueRelease[],
  problems: readonly CatalogueError[] = [],
  defaults: ReadonlyMap<number, string> = new Map(),
): Catalogue {
  const sorted = unsorted.toSorted((a, b) => compareSemver(b.version, a.version) || a.platformId - b.platformId)
  const all = sorted.filter(({ auxiliary }) => auxiliary !== true)
  const byPlatform = Map.groupBy(all, ({ platformId }) => platformId)
  const byVersion = Map.groupBy(sorted, ({ version }) => version)
  const modulesByPlatform = new Map<number, readonly CatalogueModule[]>()
  for (const [platformId, releases] of Map.groupBy(sorted, ({ platformId }) => platformId)) {
    modulesByPlatform.set(platformId, releases.flatMap(modulesOf))
  }
  const newest = new Map<number, CatalogueRelease | undefined>()
  for (const [platformId, releases] of byPlatform) newest.set(platformId, newestFinal(releases) ?? releases[0])

  const catalogue: Catalogue = {
    problems,
    releases: (platformId) => (platformId === undefined ? all : (byPlatform.get(platformId) ?? [])),
    platformsOf: (version) =>
      (byVersion.get(version.replace(/^v/, '')) ?? []).filter(({ auxiliary }) => auxiliary !== true),
    defaultRelease(platformId) {
      const chosen = defaults.get(platformId)
      const found = chosen === undefined ? undefined : catalogue.release(chosen, platformId)
      return found ?? newest.get(platformId)
    },
    release(version, platformId) {
      if (version === 'latest') {
        return platformId === undefined ? (newestFinal(all) ?? all[0]) : newest.get(platformId)
      }
      const releases = catalogue.releases(platformId)
      if (typeof version === 'number' || /^\d+$/.test(version)) {
        const numbered = releases.filter(({ systemVersion }) => systemVersion === Number(version))
        return numbered.find(({ prerelease }) => !prerelease) ?? numbered[0]
      }
      const same = catalogue.platformsOf(version)
      return platformId === undefined ? same[0] : same.find((release) => release.platformId === platformId)
    },
    modules: (platformId) => modulesByPlatform.get(platformId) ?? [],
    moduleBytes(module) {
      const release = byVersion.get(module.release)?.find(({ platformId }) => platformId === module.platformId)
      const file = release?.files.find(
        (candidate) =>
          moduleKey(candidate) === moduleKey(module) && (candidate.protected ?? false) === (module.protected ?? false),
      )
      if (file === undefined) throw new Error(`${moduleKey(module)} is not a module of release ${module.release}`)
      return file.bytes
    },
    file(version, filename) {
      for (const { files } of byVersion.get(version.replace(/^v/, '')) ?? []) {
        const file = files.find((candidate) => candidate.filename === filename)
        if (file) return file
      }
      return undefined
    },
    types: (version, platformId) => catalogue.release(version, platformId)?.types,
  }
  return catalogue
}

/** The newest that is generally available; a bootloader alone is no release yet. */
function newestFinal(releases: readonly CatalogueRelease[]): CatalogueRelease | undefined {
  return releases.find(
    ({ state, prerelease, files }) =>
      state === 'ga' && !prerelease && files.some((file) => file.function !== 'bootloader'),
  )
}

function modulesOf({ version, platformId, prerelease, state, files }: CatalogueRelease): CatalogueModule[] {
  return files.map((file) => ({
    function: file.function,
    index: file.index,
    platformId,
    version: file.version,
    dependencies: file.dependencies,
    release: version,
    prerelease,
    state,
    size: file.size,
    ...(file.protected && { protected: true }),
  }))
}

async function releaseFolders(folder: string, problems: CatalogueError[]): Promise<string[]> {
  if (await exists(join(folder, 'manifest.json'))) return [folder]
  let names: string[]
  try {
    names = await readdir(folder)
  } catch (error) {
    problems.push(
      new CatalogueError(folder, `the folder cannot be read (${error instanceof Error ? error.message : error})`),
    )
    return []
  }
  const inner: string[] = []
  for (const name of names.sort()) {
    if (await exists(join(folder, name, 'manifest.json'))) inner.push(join(folder, name))
  }
  if (inner.length === 0) problems.push(new CatalogueError(folder, 'there is no manifest.json in it'))
  return inner
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  )
}
