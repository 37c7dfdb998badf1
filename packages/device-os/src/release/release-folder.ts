/**
 * A release of the Device OS as a folder: `<releases>/<version>/` with a manifest, the modules and the types that
 * applications are compiled against. The cloud reads it as data, a new device is made from it.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { compareSemver, type ModuleFunction, type ReleaseState, sha256Hex } from '@aloe/firmware'

export interface ReleaseModule {
  readonly filename: string
  readonly function: ModuleFunction
  readonly index: number
  readonly version: number
  readonly size: number
  /** SHA-256 of the whole file, hex. */
  readonly sha256: string
}

export interface ReleaseApiMember {
  /** As an application writes it, e.g. `Particle.publish`. */
  readonly name: string
  /** The first release that has it. */
  readonly since: string
}

export interface ReleaseManifest {
  readonly version: string
  readonly platform: string
  readonly platformId: number
  readonly systemVersion: number
  readonly bootloaderVersion: number
  readonly prerelease: boolean
  readonly state: ReleaseState
  readonly modules: readonly ReleaseModule[]
  /** The application that a new device starts with. */
  readonly application?: ReleaseModule
  /** Path of the type declarations in the folder. */
  readonly types: string
  /** What this release has. */
  readonly api: readonly ReleaseApiMember[]
}

export interface ReleaseFolder {
  readonly dir: string
  readonly manifest: ReleaseManifest
}

export const manifestFile = 'manifest.json'

/** A release folder that is not whole. */
export class ReleaseError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'ReleaseError'
  }
}

/** @throws ReleaseError when there is no release in the folder */
export function openRelease(dir: string): ReleaseFolder {
  try {
    const manifest: ReleaseManifest = JSON.parse(readFileSync(join(dir, manifestFile), 'utf8'))
    return { dir, manifest }
  } catch (error) {
    throw new ReleaseError(`there is no release in ${dir}`, error)
  }
}

/** All releases in a folder of release folders, oldest first. */
export function openReleases(dir: string): ReleaseFolder[] {
  if (!existsSync(dir)) return []
  return readdirSync(dir)
    .filter((name) => existsSync(join(dir, name, manifestFile)))
    .map((name) => openRelease(join(dir, name)))
    .sort((a, b) => compareSemver(a.manifest.version, b.manifest.version))
}

/** The bytes of a release's modules, in the manifest's order, checked. */
export function releaseModules(
  release: ReleaseFolder,
): { readonly module: ReleaseModule; readonly bytes: Uint8Array }[] {
  return release.manifest.modules.map((module) => ({ module, bytes: readModule(release, module) }))
}

/** The bytes of the application that a new device starts with, checked; undefined when the release has none. */
export function releaseApplication(release: ReleaseFolder): Uint8Array | undefined {
  const { application } = release.manifest
  return application && readModule(release, application)
}

function readModule({ dir }: ReleaseFolder, { filename, sha256 }: ReleaseModule): Uint8Array {
  const file = readFileSync(join(dir, filename))
  const bytes = new Uint8Array(file.buffer, file.byteOffset, file.length)
  if (sha256Hex(bytes) !== sha256) throw new ReleaseError(`${filename} in ${dir} is damaged`)
  return bytes
}
