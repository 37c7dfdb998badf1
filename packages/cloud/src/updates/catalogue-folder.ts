/**
 * Reads one release folder and proves that it is whole: the manifest is complete, every module file has the size and
 * hash that the manifest says, is a valid module, and is the module that the manifest says it is.
 *
 * ```
 * <version>/manifest.json
 * <version>/<platform>-<module>@<version>.bin
 * <version>/types/device-os.d.ts
 * ```
 */

import { readFile } from 'node:fs/promises'
import { basename, join, relative, resolve } from 'node:path'
import {
  type FirmwareModule,
  type ModuleDependency,
  ModuleFormatError,
  type ModuleFunction,
  parseModule,
  parseSemver,
  sha256Hex,
} from '@aloe/firmware'

export type ReleaseState = 'ga' | 'preview' | 'archived'

/** A module file of a release. */
export interface CatalogueFile {
  readonly filename: string
  readonly function: ModuleFunction
  readonly index: number
  readonly version: number
  readonly dependencies: readonly ModuleDependency[]
  readonly size: number
  /** SHA-256 of the file, lower-case hexadecimal. */
  readonly sha256: string
  /** A bootloader with the security mode extension: the only one for a protected device. */
  readonly protected?: true
  /**
   * The file. Of an imported release it is read from the disk when asked for, and checked against `sha256`.
   * @throws the system's error, or StoredFileError when the file is not what was imported
   */
  readonly bytes: Uint8Array
  readonly module: ModuleFacts
}

/** What is told of a module without its bytes: hundreds of releases fit in memory. */
export type ModuleFacts = Pick<
  FirmwareModule,
  | 'function'
  | 'index'
  | 'version'
  | 'platformId'
  | 'dependencies'
  | 'startAddress'
  | 'endAddress'
  | 'mcuTarget'
  | 'flags'
  | 'prefixOffset'
  | 'product'
  | 'sha256'
  | 'reserved'
  | 'suffixSize'
  | 'crc'
>

export interface CatalogueRelease {
  readonly version: string
  readonly platform: string
  readonly platformId: number
  /** Module version of the system parts; the API's `internal_version`. */
  readonly systemVersion: number
  readonly bootloaderVersion: number
  readonly prerelease: boolean
  readonly state: ReleaseState
  readonly files: readonly CatalogueFile[]
  /** Text of the application types, a module file; empty when the release has none. */
  readonly types: string
  /** Functions of the application API that this release has, with the release that each came with. */
  readonly api: readonly { readonly name: string; readonly since: string }[]
  /** A release of a long-term support line. */
  readonly lts?: boolean
  /** What this cloud's administrators noted. */
  readonly notes?: string
  /** Where an imported release came from. */
  readonly imported?: ImportRecord
  /**
   * No Device OS: a radio stack or NCP firmware that is published by itself. Its version is `<function>@<version>`; the
   * planner has it, lists of releases have not (modules-and-platforms.md 10).
   */
  readonly auxiliary?: true
}

export interface ImportRecord {
  /** As the importer named it: a file, a folder or an archive. */
  readonly from: string
  /** Unix milliseconds of the first and the last import. */
  readonly at: number
  readonly lastAt: number
}

/** A release folder that cannot be served; the message says which file and what is wrong with it. */
export class CatalogueError extends Error {
  override readonly name = 'CatalogueError'
  readonly folder: string
  readonly code = 'catalogue'

  constructor(folder: string, message: string) {
    super(`Device OS release ${folder}: ${message}`)
    this.folder = folder
  }
}

interface ManifestModule {
  readonly filename: string
  readonly function: string
  readonly index: number
  readonly version: number
  readonly size: number
  readonly sha256: string
}

/**
 * Reads and checks a release folder.
 *
 * @throws CatalogueError when anything in it is missing, damaged or not what the manifest says
 */
export async function readReleaseFolder(folder: string): Promise<CatalogueRelease> {
  const fail = (message: string): never => {
    throw new CatalogueError(folder, message)
  }
  const manifest = record(await readManifest(folder), () => fail('manifest.json is not an object'))
  const text = (key: string): string => {
    const value = manifest[key]
    return typeof value === 'string' && value !== '' ? value : fail(`manifest.json: ${key} is not a text`)
  }
  const number = (key: string): number => {
    const value = manifest[key]
    return isUint16(value) ? value : fail(`manifest.json: ${key} is not a number from 0 to 65535`)
  }
  const version = text('version')
  if (parseSemver(version) === undefined || version.startsWith('v')) fail(`manifest.json: ${version} is not a version`)
  const state = text('state')
  if (!isState(state)) fail(`manifest.json: state ${state} is not ga, preview or archived`)
  const platformId = number('platformId')
  const files: CatalogueFile[] = []
  for (const entry of list(manifest.modules, () => fail('manifest.json: modules is not a list'))) {
    const file = await readModuleFile(folder, platformId, manifestModule(entry, fail), fail)
    if (files.some(({ filename }) => filename === file.filename)) fail(`manifest.json names ${file.filename} twice`)
    files.push(file)
  }
  if (files.length === 0) fail('manifest.json lists no modules')
  return {
    version,
    platform: text('platform'),
    platformId,
    systemVersion: number('systemVersion'),
    bootloaderVersion: number('bootloaderVersion'),
    prerelease: manifest.prerelease === true,
    state: state as ReleaseState,
    files,
    types: manifest.types === undefined ? '' : await readTypes(folder, text('types'), fail),
    api: list(manifest.api ?? [], () => fail('manifest.json: api is not a list')).map((entry) => {
      const { name, since } = record(entry, () => fail('manifest.json: an entry of api is not an object'))
      if (typeof name !== 'string' || typeof since !== 'string') return fail('manifest.json: api wants name and since')
      return { name, since }
    }),
  }
}

async function readManifest(folder: string): Promise<unknown> {
  let text: string
  try {
    text = await readFile(join(folder, 'manifest.json'), 'utf8')
  } catch (error) {
    throw new CatalogueError(folder, `manifest.json cannot be read (${reason(error)})`)
  }
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new CatalogueError(folder, `manifest.json is not JSON (${reason(error)})`)
  }
}

function manifestModule(entry: unknown, fail: (message: string) => never): ManifestModule {
  const {
    filename,
    function: name,
    index,
    version,
    size,
    sha256,
  } = record(entry, () => fail('manifest.json: a module is not an object'))
  if (typeof filename !== 'string' || !/^[\w.@+-]+\.bin$/.test(filename)) {
    return fail(`manifest.json: ${JSON.stringify(filename)} is not the name of a module file`)
  }
  if (typeof name !== 'string') return fail(`manifest.json: ${filename} has no function`)
  if (!isUint16(index) || !isUint16(version)) return fail(`manifest.json: ${filename} wants an index and a version`)
  if (typeof size !== 'number') return fail(`manifest.json: ${filename} has no size`)
  if (typeof sha256 !== 'string') return fail(`manifest.json: ${filename} has no sha256`)
  return { filename, function: name, index, version, size, sha256: sha256.toLowerCase() }
}

async function readModuleFile(
  folder: string,
  platformId: number,
  entry: ManifestModule,
  fail: (message: string) => never,
): Promise<CatalogueFile> {
  const { filename } = entry
  let bytes: Uint8Array
  try {
    bytes = new Uint8Array(await readFile(join(folder, filename)))
  } catch (error) {
    return fail(`${filename} cannot be read (${reason(error)})`)
  }
  if (bytes.length !== entry.size) fail(`${filename} has ${bytes.length} bytes; the manifest says ${entry.size}`)
  const sha256 = sha256Hex(bytes)
  if (sha256 !== entry.sha256) fail(`${filename} is not the file that the manifest describes (SHA-256 ${sha256})`)
  let module: FirmwareModule
  try {
    module = parseModule(bytes)
  } catch (error) {
    if (error instanceof ModuleFormatError) return fail(`${filename} is not a module file: ${error.message}`)
    throw error
  }
  if (!module.crcValid) fail(`${filename} is damaged: its CRC-32 does not fit`)
  const claims: [string, unknown, unknown][] = [
    ['platform', module.platformId, platformId],
    ['function', module.function, entry.function],
    ['index', module.index, entry.index],
    ['version', module.version, entry.version],
  ]
  for (const [what, is, said] of claims) {
    if (is !== said) fail(`${filename} has ${what} ${is}; the manifest says ${said}`)
  }
  const { function: name, index, version, dependencies } = module
  return { filename, function: name, index, version, dependencies, size: bytes.length, sha256, bytes, module }
}

async function readTypes(folder: string, path: string, fail: (message: string) => never): Promise<string> {
  const inside = relative(resolve(folder), resolve(folder, path))
  if (inside.startsWith('..') || basename(inside) === '')
    return fail(`manifest.json: types ${path} leads out of the folder`)
  try {
    return await readFile(join(folder, inside), 'utf8')
  } catch (error) {
    return fail(`${path} cannot be read (${reason(error)})`)
  }
}

function record(value: unknown, otherwise: () => never): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : otherwise()
}

function list(value: unknown, otherwise: () => never): readonly unknown[] {
  return Array.isArray(value) ? value : otherwise()
}

function isUint16(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 0xffff
}

function isState(value: string): value is ReleaseState {
  return value === 'ga' || value === 'preview' || value === 'archived'
}

function reason(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code
  return error instanceof Error ? error.message : String(error)
}
