/** Assets as module files (modules-and-platforms.md 1.9, 4.7). */

import { sha256Hex } from '../checksums.ts'
import { buildModule } from '../module/build.ts'
import { compressModule, decompressModule } from '../module/compress.ts'
import { ModuleFormatError, ModuleSpecError } from '../module/error.ts'
import type { ModuleExtension } from '../module/extensions.ts'
import { parseModule } from '../module/parse.ts'
import { moduleFlags } from '../module/prefix.ts'
import type { AssetRef } from '../module-function.ts'

/** What an asset is to the device: an application's own, or environment variables. */
export const assetTypes = { default: 0, environment: 1, environmentSnapshot: 2 } as const

export interface AssetFile {
  readonly name: string
  readonly data: Uint8Array
}

export interface Asset extends AssetFile {
  /** SHA-256 of `data`, 64 lower-case hexadecimal digits. */
  readonly hash: string
  readonly assetType: number
}

export interface AssetModuleOptions {
  /** True unless given. */
  readonly compress?: boolean
  /** zlib's level, -1 unless given. */
  readonly level?: number
  readonly assetType?: number
}

/** What an application that needs this file has to name. */
export function assetRef(file: AssetFile): AssetRef {
  return { name: file.name, hash: sha256Hex(file.data), size: file.data.length }
}

/** Wraps a file into the module in which it is sent to a device. */
export function buildAssetModule(file: AssetFile, options: AssetModuleOptions = {}): Uint8Array {
  if (file.name === '' || file.name.includes('\0')) throw new ModuleSpecError('name', 'an asset must have a name')
  const assetType = options.assetType ?? assetTypes.default
  const suffixExtensions: ModuleExtension[] = [
    { type: 'hash', hash: sha256Hex(file.data) },
    { type: 'name', name: file.name },
    ...(assetType === assetTypes.default ? [] : [{ type: 'asset_type', assetType } as const]),
    { type: 'product_data', id: 0xffff, version: 0xffff },
  ]
  const module = buildModule({
    function: 'asset',
    index: 0,
    platformId: 0,
    version: 0,
    startAddress: 0,
    flags: moduleFlags.dropModuleInfo,
    body: file.data,
    suffixExtensions,
  })
  return options.compress === false ? module : compressModule(module, { level: options.level ?? -1 })
}

/**
 * The file in an asset module, tested as the asset store of a device does.
 *
 * @param maxSize largest file, in bytes
 * @throws ModuleFormatError for anything that a device would refuse
 */
export function readAssetModule(bytes: Uint8Array, maxSize?: number): Asset {
  const module = parseModule(bytes, { intact: true })
  if (module.function !== 'asset') {
    throw new ModuleFormatError('function', module.prefixOffset + 14, `a ${module.function} is no asset`)
  }
  const dropped = (module.flags & moduleFlags.dropModuleInfo) !== 0
  if (!dropped || (module.flags & moduleFlags.prefixExtensions) !== 0 || module.prefixOffset !== 0) {
    throw new ModuleFormatError('flags', 9, 'an asset drops its prefix and has no prefix extensions')
  }
  let name: string | undefined
  let hash: string | undefined
  let assetType: number = assetTypes.default
  for (const extension of module.suffixExtensions) {
    if (extension.type === 'name') name ??= extension.name
    else if (extension.type === 'hash') hash ??= extension.hash
    else if (extension.type === 'asset_type') assetType = extension.assetType
  }
  const suffixOffset = module.bytes.length - module.suffixSize - 4
  if (!name || !hash) {
    throw new ModuleFormatError('asset', suffixOffset, `the asset has no ${name ? 'hash' : 'name'}`)
  }
  const compressed = (module.flags & moduleFlags.compressed) !== 0
  const data = compressed
    ? parseModule(decompressModule(bytes, maxSize === undefined ? {} : { maxSize }), { prefixOffset: 0 }).body
    : module.body
  if (maxSize !== undefined && data.length > maxSize) {
    throw new ModuleFormatError('too-large', suffixOffset, `the asset has ${data.length} bytes, allowed are ${maxSize}`)
  }
  if (sha256Hex(data) !== hash) {
    throw new ModuleFormatError(
      'asset',
      suffixOffset,
      `the content of asset ${name} is not the one that its hash names`,
    )
  }
  return { name, hash, assetType, data }
}

const storageBlock = 4096
const storageBlockHeader = 8

/** Bytes that an asset module of `length` bytes takes in a device's asset store. */
export function assetStorageSize(length: number): number {
  return Math.ceil(length / (storageBlock - storageBlockHeader)) * storageBlock
}
