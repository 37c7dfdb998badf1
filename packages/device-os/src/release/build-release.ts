/**
 * Builds releases of the Device OS from these sources: bootloader and both system parts as real module files, the types
 * and the list of the API that the release has.
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  buildModule,
  type DeviceOsRelease,
  deviceOsRelease,
  deviceOsReleases,
  type ModuleDependency,
  type ModuleFunction,
  type ModuleSpec,
  platformByName,
  sha256Hex,
} from '@aloe/firmware'
import { FolderLockedError, lockFolder } from '../storage/folder-lock.ts'
import { apiList } from '../wiring/api-manifest.ts'
import { generateTypes } from '../wiring/generate-types.ts'
import { bundle, bundleApplication } from './bundle.ts'
import {
  manifestFile,
  openRelease,
  ReleaseError,
  type ReleaseFolder,
  type ReleaseManifest,
  type ReleaseModule,
} from './release-folder.ts'

const sourceFolder = join(dirname(fileURLToPath(import.meta.url)), '..')
const wiringFolder = join(sourceFolder, 'wiring')
const packagesFolder = join(sourceFolder, '..', '..')
/** The application that a new device starts with. */
const tinker = join(sourceFolder, '..', 'applications', 'tinker.ts')
/** Version of the application interface, as user parts of real Device OS have it (modules-and-platforms.md 1.2). */
const userPartVersion = 6
const typesFile = 'types/device-os.d.ts'
/** Holds the hash of the sources that a release was built from. */
const sourcesFile = '.sources'

export interface BuildReleaseOptions {
  /** One of Aloe's releases. */
  readonly version: string
  /** The release is made in `<outDir>/<version>`; what is there is replaced. */
  readonly outDir: string
  /** For tests: builds a release that is in no table, with the API of `version`. */
  readonly release?: DeviceOsRelease
  /** For tests: the oldest system part 1 that system part 2 needs; the one of the same release unless given. */
  readonly needsPart1?: number
  /** For tests: replaces global names in the bundled code by JavaScript text. */
  readonly define?: Readonly<Record<string, string>>
  /** For tests: changes a source file before it is bundled. */
  readonly transform?: (path: string, source: string) => string
}

interface Part {
  readonly name: string
  readonly function: ModuleFunction
  readonly index: number
  readonly entry: string
  readonly version: (release: DeviceOsRelease) => number
  readonly dependencies: (release: DeviceOsRelease, needsPart1: number) => readonly ModuleDependency[]
}

/** user part 1 depends on system part 2, which depends on system part 1, which depends on the bootloader. */
const parts: readonly Part[] = [
  {
    name: 'bootloader',
    function: 'bootloader',
    index: 0,
    entry: 'boot/main.ts',
    version: (release) => release.bootloaderVersion,
    dependencies: () => [],
  },
  {
    name: 'system-part1',
    function: 'system_part',
    index: 1,
    entry: 'system/part1.ts',
    version: (release) => release.systemVersion,
    dependencies: (release) => [{ function: 'bootloader', index: 0, version: release.bootloaderVersion }],
  },
  {
    name: 'system-part2',
    function: 'system_part',
    index: 2,
    entry: 'system/part2.ts',
    version: (release) => release.systemVersion,
    dependencies: (_, needsPart1) => [{ function: 'system_part', index: 1, version: needsPart1 }],
  },
]

/**
 * Builds one release. The same sources give the same bytes.
 * @throws ReleaseError for a version that is none of Aloe's releases
 */
export async function buildRelease(options: BuildReleaseOptions): Promise<ReleaseFolder> {
  const release = options.release ?? deviceOsRelease(options.version)
  if (!release) {
    const known = deviceOsReleases.map(({ version }) => version).join(', ')
    throw new ReleaseError(`there is no Device OS ${options.version}; there are ${known}`)
  }
  mkdirSync(options.outDir, { recursive: true })
  const making = join(options.outDir, `.${release.version}.${process.pid}.new`)
  rmSync(making, { recursive: true, force: true })
  mkdirSync(join(making, dirname(typesFile)), { recursive: true })
  try {
    const modules = await Promise.all(parts.map((part) => buildPart(part, release, options, making)))
    const platform = linux()
    const manifest: ReleaseManifest = {
      version: release.version,
      platform: platform.name,
      platformId: platform.id,
      systemVersion: release.systemVersion,
      bootloaderVersion: release.bootloaderVersion,
      prerelease: release.prerelease,
      state: release.state,
      modules,
      application: await buildApplication(release, making),
      types: typesFile,
      api: apiList(options.version),
    }
    writeFileSync(join(making, typesFile), generateTypes(options.version))
    writeFileSync(join(making, manifestFile), `${JSON.stringify(manifest, undefined, 2)}\n`)
    if (!options.release && !options.define && !options.transform) {
      writeFileSync(join(making, sourcesFile), `${await sourcesHash()}\n`)
    }
    const dir = join(options.outDir, release.version)
    rmSync(dir, { recursive: true, force: true })
    renameSync(making, dir)
    return { dir, manifest }
  } finally {
    rmSync(making, { recursive: true, force: true })
  }
}

async function buildPart(
  part: Part,
  release: DeviceOsRelease,
  options: BuildReleaseOptions,
  folder: string,
): Promise<ReleaseModule> {
  const body = await bundle({
    entry: join(sourceFolder, part.entry),
    apiVersion: options.version,
    version: release.version,
    wiringFolder,
    ...(options.define && { define: options.define }),
    ...(options.transform && { transform: options.transform }),
  })
  const { name, function: moduleFunction, index } = part
  const version = part.version(release)
  const dependencies = part.dependencies(release, options.needsPart1 ?? release.systemVersion)
  return writeModule(folder, `${name}@${release.version}`, {
    function: moduleFunction,
    index,
    version,
    dependencies,
    body,
  })
}

async function buildApplication(release: DeviceOsRelease, folder: string): Promise<ReleaseModule> {
  return writeModule(folder, `tinker@${release.version}`, {
    function: 'user_part',
    index: 1,
    version: userPartVersion,
    dependencies: [{ function: 'system_part', index: 2, version: release.systemVersion }],
    body: await bundleApplication(tinker),
  })
}

function writeModule(folder: string, name: string, spec: Omit<ModuleSpec, 'platformId'>): ReleaseModule {
  const platform = linux()
  const bytes = buildModule({ platformId: platform.id, ...spec })
  const filename = `${platform.name}-${name}.bin`
  writeFileSync(join(folder, filename), bytes)
  const { function: moduleFunction, index, version } = spec
  return { filename, function: moduleFunction, index, version, size: bytes.length, sha256: sha256Hex(bytes) }
}

function linux() {
  const platform = platformByName('linux')
  if (!platform) throw new ReleaseError('the platform table has no linux')
  return platform
}

const lockWait = 50

/**
 * Builds all releases into a folder, those that are up to date excepted. Several processes may ask for it at once: one
 * builds, the others wait.
 */
export async function buildReleases(outDir: string): Promise<ReleaseFolder[]> {
  mkdirSync(outDir, { recursive: true })
  const unlock = await waitForLock(outDir)
  try {
    const sources = await sourcesHash()
    const releases: ReleaseFolder[] = []
    for (const { version } of deviceOsReleases) {
      const dir = join(outDir, version)
      const upToDate = readText(join(dir, sourcesFile))?.trim() === sources && existsSync(join(dir, manifestFile))
      releases.push(upToDate ? openRelease(dir) : await buildRelease({ version, outDir }))
    }
    return releases
  } finally {
    unlock()
  }
}

async function waitForLock(dir: string): Promise<() => void> {
  for (;;) {
    try {
      return lockFolder(dir, '.lock')
    } catch (error) {
      if (!(error instanceof FolderLockedError)) throw error
      await new Promise((resolve) => setTimeout(resolve, lockWait))
    }
  }
}

function readText(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined
}

/** One hash over everything that a release is made from. */
async function sourcesHash(): Promise<string> {
  const { version } = await import('esbuild')
  const hash = createHash('sha256').update(`esbuild ${version}\n`)
  for (const name of ['firmware', 'protocol', 'device-os']) {
    const folder = join(packagesFolder, name, 'src')
    if (!existsSync(folder)) continue
    for (const file of readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()) {
      if (!/\.[jt]s$/.test(file) || /\.test\.[jt]s$/.test(file)) continue
      hash.update(`${name}/${file}\n`).update(readFileSync(join(folder, file)))
    }
  }
  hash.update(readFileSync(tinker))
  return hash.digest('hex')
}
