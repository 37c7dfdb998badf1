/**
 * The catalogue of a running cloud: the releases that came with it and those that were imported, changed while it runs.
 * Readers see one immutable catalogue after the other, never a half-made change.
 */
import {
  type Catalogue,
  type CatalogueError,
  type CatalogueFile,
  type CatalogueFileRef,
  type CatalogueRelease,
  createCatalogue,
} from '../updates/catalogue.ts'
import { FileCache } from './file-cache.ts'
import { ImportError } from './import-error.ts'
import { type ImportOptions, type ImportReport, importModules } from './import-modules.ts'
import type { ImportEntry } from './import-sources.ts'
import { ImportedFolder } from './imported-folder.ts'
import { isOwnPlatform, publishedReleases, publishedSystemVersion } from './published-versions.ts'
import { type Records, type ReleaseRecord, readRecords, recordKey, writeRecords } from './records.ts'
import { defaultState, isPrereleaseVersion, type StateWord, stateFields, stateWord } from './release-state.ts'
import { bootloaderVersionOf, type StoredRelease, systemVersionOf } from './stored-manifest.ts'

export interface LiveCatalogueOptions {
  /** Where imported releases are kept; made when absent. */
  readonly folder: string
  /** Releases that came with the cloud, and folders that could not be read. */
  readonly builtIn?: Pick<Catalogue, 'releases' | 'problems'>
  /** Unix milliseconds. */
  readonly now?: () => number
  readonly cache?: FileCache
}

export interface ReleaseChanges {
  readonly state?: StateWord
  /** Empty removes them. */
  readonly notes?: string
  /** Makes it the default of its platforms, or lets them go back to the newest. */
  readonly default?: boolean
  /** A pre-release may become a default. */
  readonly allowPrerelease?: boolean
}

export class LiveCatalogue implements Catalogue {
  readonly #imported: ImportedFolder
  readonly #builtIn: Pick<Catalogue, 'releases' | 'problems'>
  readonly #now: () => number
  readonly #cache: FileCache
  readonly #listeners = new Set<() => void>()
  #records: Records
  #current: Catalogue
  #changing: Promise<unknown> = Promise.resolve()

  private constructor(imported: ImportedFolder, records: Records, options: LiveCatalogueOptions) {
    this.#imported = imported
    this.#records = records
    this.#builtIn = options.builtIn ?? createCatalogue([])
    this.#now = options.now ?? Date.now
    this.#cache = options.cache ?? new FileCache()
    this.#current = this.#build()
  }

  /** @throws ImportError `in-use` when another process has the folder */
  static async open(options: LiveCatalogueOptions): Promise<LiveCatalogue> {
    const imported = await ImportedFolder.open(options.folder)
    try {
      return new LiveCatalogue(imported, await readRecords(options.folder), options)
    } catch (error) {
      imported.close()
      throw error
    }
  }

  /** Ends after what is under way. */
  async close(): Promise<void> {
    await this.#changing
    this.#imported.close()
  }

  get problems(): readonly CatalogueError[] {
    return this.#current.problems
  }
  releases(platformId?: number): readonly CatalogueRelease[] {
    return this.#current.releases(platformId)
  }
  release(version: string | number, platformId?: number): CatalogueRelease | undefined {
    return this.#current.release(version, platformId)
  }
  platformsOf(version: string): readonly CatalogueRelease[] {
    return this.#current.platformsOf(version)
  }
  defaultRelease(platformId: number): CatalogueRelease | undefined {
    return this.#current.defaultRelease(platformId)
  }
  modules(platformId: number): ReturnType<Catalogue['modules']> {
    return this.#current.modules(platformId)
  }
  moduleBytes(module: CatalogueFileRef): Uint8Array {
    return this.#current.moduleBytes(module)
  }
  file(version: string, filename: string): CatalogueFile | undefined {
    return this.#current.file(version, filename)
  }
  types(version: string, platformId?: number): string | undefined {
    return this.#current.types(version, platformId)
  }

  /** The release that an administrator chose for a platform; not that which it uses because it is the newest. */
  chosenDefault(platformId: number): string | undefined {
    return this.#records.defaults.get(platformId)
  }

  /** Radio stacks and NCP firmware that belong to no release. */
  auxiliary(): StoredRelease[] {
    return [...this.#imported.releases()].filter(({ auxiliary }) => auxiliary === true)
  }

  /** Calls after each change. @returns ends it */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Imports files, one after the other; what is wrong with one does not stop the others. */
  import(entries: AsyncIterable<ImportEntry> | Iterable<ImportEntry>, options: ImportOptions): Promise<ImportReport> {
    return this.#change(async () => {
      const target = { folder: this.#imported, known: this.#known(), builtIn: this.#builtIn, now: this.#now }
      const report = await importModules(entries, target, options)
      const { state, notes } = options
      if (state !== undefined || notes !== undefined) {
        const releases = new Map(this.#records.releases)
        for (const { release, platform_id } of [...report.imported, ...report.duplicates]) {
          const key = recordKey(release, platform_id)
          releases.set(
            key,
            merged(releases.get(key), { ...(state && { state }), ...(notes !== undefined && { notes }) }),
          )
        }
        await this.#write({ ...this.#records, releases })
      }
      return report
    })
  }

  /**
   * Changes state, notes or default of a release, of one platform or of all that have it.
   *
   * @throws ImportError `not-found` or `state`
   */
  update(version: string, platformId: number | undefined, changes: ReleaseChanges): Promise<void> {
    return this.#change(async () => {
      const found = this.#find(version, platformId)
      const releases = new Map(this.#records.releases)
      const defaults = new Map(this.#records.defaults)
      for (const release of found) {
        const key = recordKey(release.version, release.platformId)
        const { state, notes } = changes
        if (state !== undefined) stateFields(state, release.version)
        const record = merged(releases.get(key), {
          ...(state !== undefined && { state }),
          ...(notes !== undefined && { notes }),
        })
        releases.set(key, record)
        if (changes.default === true) {
          const word = record.state ?? stateWord(release)
          if ((word === 'pre_release' || isPrereleaseVersion(release.version)) && changes.allowPrerelease !== true) {
            throw new ImportError(
              'state',
              `Device OS ${release.version} is a pre-release: allow it as a default explicitly`,
            )
          }
          defaults.set(release.platformId, release.version)
        } else if (changes.default === false && defaults.get(release.platformId) === release.version) {
          defaults.delete(release.platformId)
        }
      }
      await this.#write({ releases, defaults })
    })
  }

  /**
   * Removes an imported release, of one platform or of all.
   *
   * @returns the names of the platforms
   * @throws ImportError `not-found`, or `built-in` for one that came with the cloud
   */
  remove(version: string, platformId?: number): Promise<string[]> {
    return this.#change(async () => {
      const plain = version.replace(/^v/, '')
      const stored = this.#imported
        .platformsOf(plain)
        .filter((release) => platformId === undefined || release.platformId === platformId)
      if (stored.length === 0) {
        this.#find(version, platformId)
        throw new ImportError(
          'built-in',
          `Device OS ${plain} came with the cloud and was not imported: it cannot be removed`,
        )
      }
      const releases = new Map(this.#records.releases)
      const defaults = new Map(this.#records.defaults)
      for (const release of stored) {
        for (const file of release.files) this.#cache.forget(this.#imported.pathOf(release, file))
        await this.#imported.remove(release.version, release.platformId)
        releases.delete(recordKey(release.version, release.platformId))
        if (defaults.get(release.platformId) === release.version) defaults.delete(release.platformId)
      }
      await this.#write({ releases, defaults })
      return stored.map(({ platform }) => platform)
    })
  }

  #find(version: string, platformId: number | undefined): readonly CatalogueRelease[] {
    const found = this.platformsOf(version).filter(
      (release) => platformId === undefined || release.platformId === platformId,
    )
    if (found.length === 0) {
      throw new ImportError(
        'not-found',
        `There is no Device OS ${version}${platformId === undefined ? '' : ' for this platform'} in the catalogue`,
      )
    }
    return found
  }

  /** One change at a time; whatever became of it, the catalogue is what is on the disk. */
  #change<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#changing.then(work).finally(() => {
      this.#current = this.#build()
      for (const listener of this.#listeners) listener()
    })
    this.#changing = done.catch(() => undefined)
    return done
  }

  async #write(records: Records): Promise<void> {
    await writeRecords(this.#imported.folder, records)
    this.#records = records
  }

  #known() {
    return {
      systemVersion: (release: string, platformId: number): number | undefined => {
        const own = isOwnPlatform(platformId)
        const others = this.#imported.platformsOf(release).filter((other) => isOwnPlatform(other.platformId) === own)
        for (const other of others) {
          const number = systemVersionOf(other)
          if (number !== undefined) return number
        }
        return publishedSystemVersion(release, platformId)
      },
      releases: (systemVersion: number, platformId: number): string[] => {
        const own = isOwnPlatform(platformId)
        const found = new Set(publishedReleases(systemVersion, platformId))
        for (const release of this.#imported.releases()) {
          const same = !release.auxiliary && isOwnPlatform(release.platformId) === own
          if (same && systemVersionOf(release) === systemVersion) found.add(release.version)
        }
        return [...found]
      },
    }
  }

  #build(): Catalogue {
    const builtIn = this.#builtIn.releases()
    const taken = new Set(builtIn.map(({ version, platformId }) => recordKey(version, platformId)))
    const imported = [...this.#imported.releases()].filter(
      ({ version, platformId }) => !taken.has(recordKey(version, platformId)),
    )
    const releases = [...builtIn, ...imported.map((release) => this.#served(release))]
    return createCatalogue(
      releases.map((release) => this.#withRecord(release)),
      [...this.#builtIn.problems, ...this.#imported.problems],
      this.#records.defaults,
    )
  }

  #withRecord(release: CatalogueRelease): CatalogueRelease {
    const record = this.#records.releases.get(recordKey(release.version, release.platformId))
    if (!record) return release
    return {
      ...release,
      ...(record.state && stateFields(record.state, release.version)),
      ...(record.notes !== undefined && { notes: record.notes }),
    }
  }

  #served(release: StoredRelease): CatalogueRelease {
    const { version, platform, platformId, auxiliary, imported } = release
    return {
      version,
      platform,
      platformId,
      systemVersion: systemVersionOf(release) ?? 0,
      bootloaderVersion: bootloaderVersionOf(release),
      ...stateFields(auxiliary ? 'release' : defaultState(version), version),
      files: release.files.map((file) => {
        const path = this.#imported.pathOf(release, file)
        const cache = this.#cache
        const { filename, size, sha256, module } = file
        return {
          filename,
          function: module.function,
          index: module.index,
          version: module.version,
          dependencies: module.dependencies,
          size,
          sha256,
          ...(file.protected && { protected: file.protected }),
          module,
          get bytes() {
            return cache.read(path, sha256)
          },
        }
      }),
      types: '',
      api: [],
      imported,
      ...(auxiliary && { auxiliary }),
    }
  }
}

function merged(before: ReleaseRecord | undefined, changes: ReleaseRecord): ReleaseRecord {
  const { notes, ...rest } = { ...before, ...changes }
  return { ...rest, ...(notes !== undefined && notes !== '' && { notes }) }
}
