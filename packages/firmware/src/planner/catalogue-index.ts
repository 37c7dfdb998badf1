/**
 * The catalogue of one platform, arranged for planning: by what a device may be sent, by slot and by
 * release (modules-and-platforms.md 5.2).
 */

import type { ModuleDependency, ModuleFunction, ModuleRef } from '../module-function.ts'
import { moduleFunctionCode } from '../module-function.ts'
import type { Platform } from '../platforms/platform.ts'
import { slotOf } from '../platforms/platforms.ts'
import { compareSemver } from '../versions/semver.ts'
import type { CatalogueModule } from './catalogue.ts'

/** A dependency as the search counts it. */
export interface Need {
  /** `slotKey` of what is needed. */
  readonly key: number
  readonly version: number
  /** The device refuses an update while this is not met; otherwise only the boot check asks for it. */
  readonly enforced: boolean
}

/** A module of the catalogue. */
export interface Entry {
  readonly module: CatalogueModule
  readonly key: number
  readonly version: number
  readonly needs: readonly Need[]
  /** Order of preference among the modules of a platform. */
  readonly rank: number
}

export interface CatalogueIndex {
  /**
   * One entry for each function, index and version, ascending by version. Several files may carry one
   * number; this is the one of the newest final release.
   */
  readonly bySlot: ReadonlyMap<number, readonly Entry[]>
  /** Those with the other files of the same numbers that need something else. */
  readonly variantsBySlot: ReadonlyMap<number, readonly Entry[]>
  /** Entries of `bySlot` by every release that carries them. */
  readonly byRelease: ReadonlyMap<string, readonly Entry[]>
  /** Entries by their number, whatever release they are of. */
  find(module: ModuleDependency): Entry | undefined
  /** Releases that carry the entry's file. */
  releasesOf(entry: Entry): readonly string[]
}

/** Equal for equal function and index. */
export function slotKey({ function: name, index }: ModuleRef): number {
  return index * 16 + moduleFunctionCode(name)
}

const systemPartCode = moduleFunctionCode('system_part')

export function isSystemKey(key: number): boolean {
  return key % 16 === systemPartCode
}

/** A release that is meant for everybody: no pre-release, and not withdrawn. */
export function isFinal(module: Pick<CatalogueModule, 'prerelease' | 'state'>): boolean {
  return !module.prerelease && module.state !== 'archived'
}

/** Indexes what of a catalogue a device of the platform may be sent. */
export function indexCatalogue(
  platform: Platform,
  catalogue: readonly CatalogueModule[],
  options: { readonly protected: boolean },
): CatalogueIndex {
  const usable = catalogue.filter((module) => isUsable(module, platform, options.protected))
  // Of files with the same number and the same needs, the best release's; then the best of those first.
  const files = new Map<string, CatalogueModule[]>()
  for (const module of usable) {
    const identity = fileIdentity(module)
    const carriers = files.get(identity)
    if (carriers) carriers.push(module)
    else files.set(identity, [module])
  }
  const carriersOf = new Map<CatalogueModule, readonly CatalogueModule[]>()
  const modules: CatalogueModule[] = []
  for (const carriers of files.values()) {
    const best = carriers.reduce((a, b) => (compareStanding(b, a) < 0 ? b : a))
    carriersOf.set(best, carriers)
    modules.push(best)
  }
  modules.sort((a, b) => comparePreference(a, b) || compareStanding(a, b))

  const bySlot = new Map<number, Entry[]>()
  const variantsBySlot = new Map<number, Entry[]>()
  const byRelease = new Map<string, Entry[]>()
  const byNumber = new Map<number, Map<number, Entry>>()
  const carriersOfEntry = new Map<Entry, readonly string[]>()
  const entries = modules.map((module, rank) => entryOf(module, platform, rank))
  for (const entry of entries) {
    if (!entry) continue
    push(variantsBySlot, entry.key, entry)
    const releases = (carriersOf.get(entry.module) ?? []).map((module) => module.release)
    carriersOfEntry.set(entry, releases)
    const numbers = byNumber.get(entry.key) ?? new Map<number, Entry>()
    byNumber.set(entry.key, numbers)
    if (numbers.has(entry.version)) continue
    numbers.set(entry.version, entry)
    push(bySlot, entry.key, entry)
    for (const release of releases) push(byRelease, release, entry)
  }
  return {
    bySlot,
    variantsBySlot,
    byRelease,
    find: (module) => byNumber.get(slotKey(module))?.get(module.version),
    releasesOf: (entry) => carriersOfEntry.get(entry) ?? [entry.module.release],
  }
}

// What no plan may contain (5.2).
function isUsable(module: CatalogueModule, platform: Platform, isProtected: boolean): boolean {
  if (module.platformId !== platform.id || module.function === 'user_part') return false
  // Neither what has no slot, such as an NCP that cannot be updated, nor what only the factory may write.
  const slot = slotOf(platform, module)
  if (!slot || slot.factoryOnly) return false
  if (!isProtected) return true
  if (module.function === 'bootloader' && module.index === 0) return module.protected === true
  return module.function !== 'system_part' || module.version >= firstProtectedSystem
}

/** A protected device takes no older system part (4.8). */
export const firstProtectedSystem = 6000

/**
 * The dependencies of a module, and which of them the device enforces (4.2): of two fields a second
 * one on a bootloader is not, and none when the first field is empty.
 */
export function needsOf(dependencies: readonly ModuleDependency[]): Need[] {
  const enforcing = dependencies[0]?.function !== 'none'
  return dependencies.flatMap((dependency, field) => {
    if (dependency.function === 'none') return []
    const enforced = enforcing && (field === 0 || (field === 1 && dependency.function !== 'bootloader'))
    return [{ key: slotKey(dependency), version: dependency.version, enforced }]
  })
}

// Undefined when no device of the platform could ever accept it: it depends on what has no slot.
function entryOf(module: CatalogueModule, platform: Platform, rank: number): Entry | undefined {
  const needs = needsOf(module.dependencies)
  const hopeless = module.dependencies.some(
    (dependency) =>
      slotOf(platform, dependency) === undefined &&
      needs.some((need) => need.enforced && need.key === slotKey(dependency)),
  )
  return hopeless ? undefined : { module, key: slotKey(module), version: module.version, needs, rank }
}

const preference: readonly ModuleFunction[] = ['bootloader', 'radio_stack', 'ncp_firmware', 'system_part']

// Bootloader part 2 before the main one, then radio stack, NCP and system parts; the older version
// first (5.2).
function comparePreference(a: CatalogueModule, b: CatalogueModule): number {
  return (
    place(a) - place(b) ||
    (a.function === 'bootloader' ? b.index - a.index : 0) ||
    a.version - b.version ||
    a.index - b.index
  )
}

function place(module: CatalogueModule): number {
  const found = preference.indexOf(module.function)
  return found < 0 ? preference.length : found
}

// Final releases before pre-releases, and the newest of them first.
function compareStanding(a: CatalogueModule, b: CatalogueModule): number {
  return (
    Number(isFinal(b)) - Number(isFinal(a)) ||
    Number(a.prerelease) - Number(b.prerelease) ||
    compareSemver(b.release, a.release)
  )
}

function fileIdentity(module: CatalogueModule): string {
  const needs = module.dependencies.map((d) => `${d.function}:${d.index}:${d.version}`).join()
  return `${module.function}:${module.index}:${module.version}(${needs})${module.protected === true ? '!' : ''}`
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key)
  if (list) list.push(value)
  else map.set(key, [value])
}
