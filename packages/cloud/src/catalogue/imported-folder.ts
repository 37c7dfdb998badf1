/**
 * Imported releases on the disk:
 *
 * ```
 * <folder>/<version>/<platform>/manifest.json
 * <folder>/<version>/<platform>/<platform>-<module>@<version>.bin
 * ```
 *
 * A file counts once the manifest names it, and a manifest is replaced as a whole: whatever breaks off in the middle of
 * an import leaves files that nothing names, which the next start removes. A file that a manifest names never changes.
 */
import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { CatalogueError, type ImportRecord } from '../updates/catalogue.ts'
import { syncFolder, temporaryPrefix, writeFileAtomic } from './atomic-file.ts'
import type { CheckedModule } from './check-module.ts'
import { lockCatalogueFolder } from './folder-lock.ts'
import { ImportError } from './import-error.ts'
import { moduleFilename } from './module-names.ts'
import { manifestText, readManifestText, type StoredFile, type StoredRelease, storedKey } from './stored-manifest.ts'

/** Apart from the releases that `aloe up` builds in the same data folder and may build anew. */
export function importedReleases(dataDir: string): string {
  return join(dataDir, 'device-os', 'imported')
}

const manifestName = 'manifest.json'
const removedPrefix = '.removed-'

export interface AddedFile {
  readonly file: StoredFile
  /** False when the release had it already. */
  readonly added: boolean
}

export class ImportedFolder {
  readonly folder: string
  /** What could not be served at the start, and why. */
  readonly problems: CatalogueError[] = []
  #unlock: (() => void) | undefined
  /** By version and platform id. */
  readonly #releases = new Map<string, Map<number, StoredRelease>>()
  /** Changed since their manifest was written. */
  readonly #changed = new Set<StoredRelease>()

  private constructor(folder: string, unlock: () => void) {
    this.folder = folder
    this.#unlock = unlock
  }

  /** @throws ImportError `in-use` when another process has it */
  static async open(folder: string): Promise<ImportedFolder> {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const imported = new ImportedFolder(folder, lockCatalogueFolder(folder))
    try {
      await imported.#readAll()
    } catch (error) {
      imported.close()
      throw error
    }
    return imported
  }

  close(): void {
    this.#unlock?.()
    this.#unlock = undefined
  }

  *releases(): Generator<StoredRelease> {
    for (const platforms of this.#releases.values()) yield* platforms.values()
  }

  platformsOf(version: string): StoredRelease[] {
    return [...(this.#releases.get(version)?.values() ?? [])]
  }

  /** Where a file of a release is. */
  pathOf({ version, platform }: StoredRelease, { filename }: StoredFile): string {
    return join(this.folder, version, platform, filename)
  }

  /**
   * Stores a file; it counts with the next `commit`.
   *
   * @throws ImportError `different-file` when the release has another one for this module
   */
  async add(
    release: { readonly release: string; readonly auxiliary?: true },
    checked: CheckedModule,
    bytes: Uint8Array,
    origin: { readonly path: string; readonly record: ImportRecord },
  ): Promise<AddedFile> {
    const { platform, module } = checked
    const version = release.release
    const file: StoredFile = {
      filename: moduleFilename(platform, { ...module, ...(checked.protected && { protected: true }) }, version),
      from: origin.path,
      size: checked.size,
      sha256: checked.sha256,
      ...(checked.protected && { protected: true }),
      module,
    }
    const known = this.#releases.get(version)?.get(platform.id)
    const same = known?.files.find((other) => storedKey(other) === storedKey(file))
    if (same) {
      if (same.sha256 === file.sha256) return { file: same, added: false }
      throw new ImportError(
        'different-file',
        `Device OS ${version} for ${platform.name} has another file for this module: ` +
          `the one here has SHA-256 ${same.sha256} (from ${same.from}), yours has ${file.sha256}`,
      )
    }
    const folder = join(this.folder, version, platform.name)
    await mkdir(folder, { recursive: true, mode: 0o700 })
    await writeFileAtomic(folder, file.filename, bytes)
    this.#replace(known, {
      version,
      platform: platform.name,
      platformId: platform.id,
      ...(release.auxiliary && { auxiliary: true }),
      imported: known ? { ...known.imported, lastAt: origin.record.lastAt } : origin.record,
      files: [...(known?.files ?? []), file],
    })
    return { file, added: true }
  }

  /** Makes what was added count. */
  async commit(): Promise<void> {
    const made = new Set<string>()
    for (const release of [...this.#changed]) {
      const folder = join(this.folder, release.version, release.platform)
      // What the manifest names must be there before it.
      await syncFolder(folder)
      await writeFileAtomic(folder, manifestName, manifestText(release))
      await syncFolder(folder)
      this.#changed.delete(release)
      made.add(join(this.folder, release.version))
    }
    for (const folder of made) await syncFolder(folder)
    if (made.size > 0) await syncFolder(this.folder)
  }

  /** @returns whether it was there */
  async remove(version: string, platformId: number): Promise<boolean> {
    const release = this.#releases.get(version)?.get(platformId)
    if (!release) return false
    // Gone in one step; the files can take their time.
    const gone = join(this.folder, `${removedPrefix}${version}-${release.platform}-${Date.now()}`)
    await rename(join(this.folder, version, release.platform), gone)
    await syncFolder(join(this.folder, version))
    this.#changed.delete(release)
    const platforms = this.#releases.get(version)
    platforms?.delete(platformId)
    if (platforms?.size === 0) {
      this.#releases.delete(version)
      await rm(join(this.folder, version), { recursive: true, force: true })
    }
    await rm(gone, { recursive: true, force: true })
    return true
  }

  #replace(before: StoredRelease | undefined, after: StoredRelease): void {
    const platforms = this.#releases.get(after.version) ?? new Map<number, StoredRelease>()
    platforms.set(after.platformId, after)
    this.#releases.set(after.version, platforms)
    if (before) this.#changed.delete(before)
    this.#changed.add(after)
  }

  async #readAll(): Promise<void> {
    for (const version of await folders(this.folder)) {
      if (version.startsWith('.')) await rm(join(this.folder, version), { recursive: true, force: true })
      else for (const platform of await folders(join(this.folder, version))) await this.#read(version, platform)
    }
  }

  async #read(version: string, platform: string): Promise<void> {
    const folder = join(this.folder, version, platform)
    try {
      const text = await readFile(join(folder, manifestName), 'utf8').catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return undefined
        throw new CatalogueError(folder, `manifest.json cannot be read (${error.code})`)
      })
      // The first import of this release was interrupted.
      if (text === undefined) return await rm(folder, { recursive: true, force: true })
      const release = readManifestText(folder, text)
      if (release.version !== version || release.platform !== platform) {
        throw new CatalogueError(folder, `is of ${release.version} for ${release.platform}, in the wrong folder`)
      }
      await checkFiles(folder, release)
      const platforms = this.#releases.get(version) ?? new Map<number, StoredRelease>()
      this.#releases.set(version, platforms.set(release.platformId, release))
    } catch (error) {
      if (!(error instanceof CatalogueError)) throw error
      this.problems.push(error)
    }
  }
}

/** All files are there in their size, and none that nothing names. */
async function checkFiles(folder: string, { files }: StoredRelease): Promise<void> {
  for (const { filename, size } of files) {
    const found = await stat(join(folder, filename)).catch(() => undefined)
    if (!found) throw new CatalogueError(folder, `${filename} is not there: import the release again`)
    if (found.size !== size) throw new CatalogueError(folder, `${filename} has ${found.size} bytes, not ${size}`)
  }
  const names = new Set([manifestName, ...files.map(({ filename }) => filename)])
  for (const name of await readdir(folder)) {
    const left = name.startsWith(temporaryPrefix) || name.endsWith('.bin')
    if (left && !names.has(name)) await rm(join(folder, name), { force: true })
  }
}

async function folders(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true })
  return entries.flatMap((entry) => (entry.isDirectory() ? [entry.name] : []))
}
