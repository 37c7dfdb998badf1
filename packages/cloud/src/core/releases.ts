/** A catalogue from module files alone, for clouds that have no folders. */
import { type CatalogueModule, moduleKey, parseModule, sha256Hex } from '@aloe/firmware'
import { type Catalogue, type CatalogueRelease, createCatalogue } from '../updates/catalogue.ts'

export interface CoreModule {
  readonly module: CatalogueModule
  readonly bytes: Uint8Array
}

export function catalogueOf(modules: readonly CoreModule[]): Catalogue {
  const byRelease = Map.groupBy(modules, ({ module }) => `${module.platformId}/${module.release}`)
  return createCatalogue([...byRelease.values()].map(releaseOf))
}

function releaseOf(modules: readonly CoreModule[]): CatalogueRelease {
  const [first] = modules
  if (!first) throw new RangeError('a release has modules')
  const { release: version, platformId, prerelease, state } = first.module
  const versionOf = (key: string) => modules.find(({ module }) => moduleKey(module) === key)?.module.version ?? 0
  return {
    version,
    platform: String(platformId),
    platformId,
    systemVersion: versionOf('system_part:1'),
    bootloaderVersion: versionOf('bootloader:0'),
    prerelease,
    state,
    files: modules.map(({ module, bytes }) => ({
      filename: `${platformId}-${moduleKey(module).replace(':', '')}@${version}.bin`,
      function: module.function,
      index: module.index,
      version: module.version,
      dependencies: module.dependencies,
      size: bytes.length,
      sha256: sha256Hex(bytes),
      bytes,
      module: parseModule(bytes),
    })),
    types: '',
    api: [],
  }
}
