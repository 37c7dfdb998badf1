/** A release in the shape of `GET /v1/device-os/versions` and `…/versions/:v` (cloud-api.md 1.5). */

import type { Catalogue, CatalogueFile, CatalogueRelease, ModuleFacts } from './catalogue.ts'

export interface DeviceOsVersion {
  readonly version: string
  readonly internal_version: number
  /** `release` or `pre_release` (cloud-api.md 1.5). */
  readonly state: string
  /** `ga`, `preview` or `archived` (modules-and-platforms.md 3). */
  readonly release_state: string
  /** Aloe's own: a release of a long-term support line. */
  readonly lts: boolean
  /** Absolute, without a trailing slash: a module is at `${base_url}/${filename}`. */
  readonly base_url: string
  readonly supported_platforms: readonly number[]
  readonly default_platforms: readonly number[]
}

export interface DeviceOsVersionWithModules extends DeviceOsVersion {
  readonly modules: readonly ModuleDescription[]
}

export interface ModuleDescription {
  readonly filename: string
  readonly crc: { readonly ok: boolean; readonly storedCrc: string; readonly actualCrc: string }
  readonly prefixInfo: Readonly<Record<string, string | number>>
  readonly suffixInfo: Readonly<Record<string, string | number | readonly unknown[]>>
}

/** @param publicUrl the cloud's own address, e.g. `http://127.0.0.1:8080` */
export function describeVersion(catalogue: Catalogue, release: CatalogueRelease, publicUrl: string): DeviceOsVersion {
  const { version, systemVersion, state, prerelease, lts = false } = release
  const siblings = catalogue.platformsOf(version)
  return {
    version,
    internal_version: systemVersion,
    state: prerelease ? 'pre_release' : 'release',
    release_state: state,
    lts,
    base_url: `${publicUrl.replace(/\/+$/, '')}/v1/firmware/device-os/v${version}`,
    supported_platforms: siblings.map(({ platformId }) => platformId),
    default_platforms: siblings
      .filter(({ platformId }) => catalogue.defaultRelease(platformId)?.version === version)
      .map(({ platformId }) => platformId),
  }
}

/** Like `describeVersion`, with every module of the release: of one platform, or of all that have it. */
export function describeVersionWithModules(
  catalogue: Catalogue,
  release: CatalogueRelease,
  publicUrl: string,
  platforms: readonly CatalogueRelease[] = [release],
): DeviceOsVersionWithModules {
  return {
    ...describeVersion(catalogue, release, publicUrl),
    modules: platforms.flatMap(({ files }) => files.map(describeModule)),
  }
}

/** The fields that the official tools' module reader gives, functions and flags as words. */
function describeModule({ filename, module }: CatalogueFile): ModuleDescription {
  const [first, second] = module.dependencies
  // Only checked modules are in a catalogue: stored and actual CRC are equal.
  const crc = module.crc.toString(16).padStart(8, '0')
  return {
    filename,
    crc: { ok: true, storedCrc: crc, actualCrc: crc },
    prefixInfo: {
      moduleStartAddy: module.startAddress.toString(16),
      moduleEndAddy: module.endAddress.toString(16),
      reserved: module.mcuTarget,
      moduleFlags: flagWords(module.flags),
      moduleVersion: module.version,
      platformID: module.platformId,
      moduleFunction: module.function,
      moduleIndex: module.index,
      depModuleFunction: first?.function ?? 'none',
      depModuleIndex: first?.index ?? 0,
      depModuleVersion: first?.version ?? 0,
      dep2ModuleFunction: second?.function ?? 'none',
      dep2ModuleIndex: second?.index ?? 0,
      dep2ModuleVersion: second?.version ?? 0,
      prefixSize: 24,
      prefixOffset: module.prefixOffset,
    },
    suffixInfo: suffixInfo(module, crc),
  }
}

function suffixInfo(
  { product, sha256, reserved, suffixSize }: ModuleFacts,
  crc: string,
): ModuleDescription['suffixInfo'] {
  return {
    productId: product?.id ?? -1,
    productVersion: product?.version ?? -1,
    fwUniqueId: sha256,
    reserved,
    suffixSize,
    crcBlock: crc,
  }
}

const flagNames: readonly [number, string][] = [
  [0x01, 'drop_module_info'],
  [0x02, 'compressed'],
  [0x04, 'combined'],
  [0x08, 'encrypted'],
  [0x10, 'prefix_extensions'],
]

function flagWords(flags: number): string {
  const words = flagNames.filter(([bit]) => (flags & bit) !== 0).map(([, word]) => word)
  return words.join(' ')
}
