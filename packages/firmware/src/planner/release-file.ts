/**
 * Reads a release file: the dependency graph of published Device OS releases as one JSON document, of
 * all platforms (modules-and-platforms.md 10).
 */

import { type ModuleDependency, type ModuleFunction, moduleFunctions } from '../module-function.ts'
import { platformById, platformByName } from '../platforms/platforms.ts'
import type { ReleaseState } from '../versions/device-os-releases.ts'
import type { CatalogueModule } from './catalogue.ts'

/** The document is not a release file. */
export class ReleaseFileError extends Error {
  override readonly name = 'ReleaseFileError'
}

type Fields = Readonly<Record<string, unknown>>

/**
 * The modules of all releases, and those radio stacks and NCP firmwares that are published apart from
 * them. Releases whose modules are not known are left out.
 *
 * @param document the parsed JSON
 * @throws ReleaseFileError naming what is wrong, and where
 */
export function readReleaseFile(document: unknown): CatalogueModule[] {
  const file = fields(document, 'the file')
  const catalogue: CatalogueModule[] = []
  for (const [i, item] of array(file.releases, 'releases').entries()) {
    const release = fields(item, `releases[${i}]`)
    const version = text(release.version, `releases[${i}].version`)
    const prerelease = release.prerelease === true
    const state = stateOf(release.release_state, prerelease)
    for (const [name, entry] of Object.entries(fields(release.platforms ?? {}, `platforms of ${version}`))) {
      const where = `${version} for ${name}`
      const { platform_id, modules } = fields(entry, where)
      const platformId = typeof platform_id === 'number' ? platform_id : platformByName(name)?.id
      if (platformId === undefined) throw new ReleaseFileError(`${where}: platform_id must be a number`)
      if (modules === null || modules === undefined) continue
      for (const module of array(modules, `modules of ${where}`)) {
        catalogue.push({ ...readModule(module, where), platformId, release: version, prerelease, state })
      }
    }
  }
  catalogue.push(...readAuxiliary(file.aux_modules))
  return catalogue
}

/** Those have no release of their own; theirs is called by what they are. */
function readAuxiliary(value: unknown): CatalogueModule[] {
  const catalogue: CatalogueModule[] = []
  const auxiliary = fields(value ?? {}, 'aux_modules')
  for (const name of ['radio_stack', 'ncp_firmware'] as const) {
    for (const item of array(auxiliary[name] ?? [], `aux_modules.${name}`)) {
      const entry = fields(item, `aux_modules.${name}`)
      const module = readModule({ ...entry, function: name, index: 0 }, `aux_modules.${name}`)
      const platforms = entry.platforms ?? [entry.platform]
      for (const platform of array(platforms, `platforms of ${name} ${module.version}`)) {
        const found = typeof platform === 'number' ? platformById(platform) : platformByName(String(platform))
        if (!found) continue
        const release = `${name}@${module.version}`
        catalogue.push({ ...module, platformId: found.id, release, prerelease: false, state: 'ga' })
      }
    }
  }
  return catalogue
}

type ReadModule = Pick<CatalogueModule, 'function' | 'index' | 'version' | 'dependencies' | 'size' | 'protected'>

function readModule(value: unknown, where: string): ReadModule {
  const module = fields(value, `a module of ${where}`)
  const { size } = module
  return {
    ...readReference(module, where),
    dependencies: array(module.dependencies ?? [], `dependencies in ${where}`).map((dependency) =>
      readReference(fields(dependency, `a dependency in ${where}`), where),
    ),
    ...(typeof size === 'number' && Number.isSafeInteger(size) && size >= 0 && { size }),
    ...(module.protected === true && { protected: true }),
  }
}

function readReference(value: Fields, where: string): ModuleDependency {
  const reference = readModuleReference(value)
  if (typeof reference === 'string') throw new ReleaseFileError(`${where}: ${reference}`)
  return reference
}

const functions: ReadonlySet<unknown> = new Set(moduleFunctions)

/**
 * A module's function, index and version out of JSON.
 *
 * @returns what is wrong with it when it is not one
 */
export function readModuleReference(value: unknown): ModuleDependency | string {
  if (typeof value !== 'object' || value === null) return 'a module must be an object'
  const { function: name, index, version } = value as Fields
  if (!functions.has(name)) return `${JSON.stringify(name) ?? 'nothing'} is no module function`
  if (!isUnsigned(index, 0xff)) return `the index of ${name} must be a number from 0 to 255`
  if (!isUnsigned(version, 0xffff)) return `the version of ${name} ${index} must be a number from 0 to 65535`
  return { function: name as ModuleFunction, index, version }
}

function isUnsigned(value: unknown, largest: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= largest
}

function stateOf(value: unknown, prerelease: boolean): ReleaseState {
  if (value === 'ga' || value === 'preview' || value === 'archived') return value
  return prerelease ? 'archived' : 'ga'
}

function fields(value: unknown, what: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields
  throw new ReleaseFileError(`${what} must be an object`)
}

function array(value: unknown, what: string): readonly unknown[] {
  if (Array.isArray(value)) return value
  throw new ReleaseFileError(`${what} must be a list`)
}

function text(value: unknown, what: string): string {
  if (typeof value === 'string' && value !== '') return value
  throw new ReleaseFileError(`${what} must be a text`)
}
