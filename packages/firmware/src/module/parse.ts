/** Reading a module file (modules-and-platforms.md 1). Nothing is copied: all parts are views of the file. */

import { toHex, viewOf } from '../bytes.ts'
import { crc32, sha256Hex } from '../checksums.ts'
import { type AssetRef, type ModuleDependency, type ModuleRef, moduleFunctionOf } from '../module-function.ts'
import { ModuleFormatError } from './error.ts'
import { extensionCode, extensionCodes, type ModuleExtension, readExtensions } from './extensions.ts'
import {
  crcSize,
  locatePrefix,
  type ModulePrefix,
  minSuffixSize,
  moduleFlags,
  prefixSize,
  readPrefix,
} from './prefix.ts'

export interface FirmwareModule extends ModuleRef, ModulePrefix {
  /** The module's bytes: the file, without what may follow behind the CRC. */
  readonly bytes: Uint8Array
  /** Bytes in the file behind the CRC: padding, or the next module of a combined file. */
  readonly trailing: number
  /**
   * Dependencies with a known function, in the order of the prefix. `dependencyFields` has them as
   * stored. A module with a function that is not known here has function `none` and its
   * `functionCode`.
   */
  readonly dependencies: readonly ModuleDependency[]
  /** Bytes before the prefix: the size of the vector table or image header. */
  readonly prefixOffset: number
  readonly vectorTable: Uint8Array
  readonly prefixExtensions: readonly ModuleExtension[]
  readonly suffixExtensions: readonly ModuleExtension[]
  /** As the suffix counts itself; 0xffff when it was never written. */
  readonly suffixSize: number
  /** As stored, 0xffff and 0 (both: not a product) included; absent when the suffix has no room for it. */
  readonly product?: { readonly id: number; readonly version: number }
  /** Two bytes of the suffix without a meaning; 0 in all known files. */
  readonly reserved: number
  /** The SHA-256 field: 64 lower-case hexadecimal digits. The identity of an application. */
  readonly sha256: string
  /** False in some third-party files, which hash only their payload: never a reason to reject (1.5). */
  readonly sha256Valid: boolean
  /** The stored CRC-32. */
  readonly crc: number
  readonly crcValid: boolean
  /** Between the prefix with its extensions and the suffix with its own. Compressed when the flag says so. */
  readonly body: Uint8Array
  /** Assets that this application needs. */
  readonly assetDependencies: readonly AssetRef[]
}

export interface ParseOptions {
  /** Where the prefix is, for those who know; otherwise it is searched as host tools do. */
  readonly prefixOffset?: number
  /** Throw `crc` when the stored CRC-32 is wrong, instead of saying so in `crcValid`. */
  readonly intact?: boolean
}

/**
 * Reads a module. A wrong CRC-32 or SHA-256 is told in `crcValid` and `sha256Valid`, so that a
 * damaged module can still be looked at.
 *
 * @throws ModuleFormatError, and nothing else, for bytes that cannot be a module
 */
export function parseModule(bytes: Uint8Array, options: ParseOptions = {}): FirmwareModule {
  const prefixOffset = options.prefixOffset ?? locatePrefix(bytes)
  const prefix = checkPrefix(bytes, prefixOffset)
  const size = prefix.endAddress - prefix.startAddress + crcSize
  const module = bytes.subarray(0, size)
  const view = viewOf(module)
  const crc = view.getUint32(size - crcSize, false)
  const crcValid = crc32(module.subarray(0, size - crcSize)) === crc
  if (options.intact && !crcValid) {
    throw new ModuleFormatError(
      'crc',
      size - crcSize,
      `the CRC-32 should be ${hex(crc)} as stored, but the bytes have another`,
    )
  }

  const prefixEnd = prefixOffset + prefixSize
  const head =
    (prefix.flags & moduleFlags.prefixExtensions) === 0
      ? { extensions: [], end: prefixEnd }
      : readPrefixExtensions(module, prefixEnd, size - crcSize - minSuffixSize)
  const suffix = readSuffix(module, head.end)
  const extensions = [...head.extensions, ...suffix.extensions]
  const shaOffset = size - crcSize - 34
  const sha256 = toHex(module.subarray(shaOffset, shaOffset + 32))

  return {
    ...prefix,
    function: moduleFunctionOf(prefix.functionCode) ?? 'none',
    bytes: module,
    trailing: bytes.length - size,
    dependencies: namedDependencies(prefix),
    prefixOffset,
    vectorTable: module.subarray(0, prefixOffset),
    prefixExtensions: head.extensions,
    suffixExtensions: suffix.extensions,
    suffixSize: suffix.size,
    ...(suffix.size >= productSuffixSize && {
      product: { id: view.getUint16(size - crcSize - 40, true), version: view.getUint16(size - crcSize - 38, true) },
    }),
    reserved: view.getUint16(shaOffset - 2, true),
    sha256,
    sha256Valid: sha256Hex(module.subarray(0, shaOffset)) === sha256,
    crc,
    crcValid,
    body: module.subarray(head.end, suffix.start),
    assetDependencies: assetsOf(extensions),
  }
}

/** The product that a module belongs to: stored 0xffff is none, and so is 0 in anything but an application (1.3). */
export function productOf(module: FirmwareModule): { readonly id: number; readonly version: number } | undefined {
  const { product } = module
  if (!product || (product.id === 0xffff && product.version === 0xffff)) return undefined
  return module.function !== 'user_part' && product.id === 0 && product.version === 0 ? undefined : product
}

/** A suffix this long or longer ends with product id and version before its fixed fields. */
const productSuffixSize = 40

/** What erased flash reads: hand-padded images have no suffix (1.1). */
const noSuffix = 0xffff

function checkPrefix(bytes: Uint8Array, offset: number): ModulePrefix {
  if (!Number.isInteger(offset) || offset < 0 || offset + prefixSize > bytes.length) {
    throw new ModuleFormatError(
      'truncated',
      bytes.length,
      `a file of ${bytes.length} bytes has no room for a module prefix`,
    )
  }
  const prefix = readPrefix(bytes, offset)
  const { startAddress, endAddress } = prefix
  if (endAddress <= startAddress) {
    throw new ModuleFormatError(
      'address',
      offset + 4,
      `the module ends at ${hex(endAddress)}, not behind its start ${hex(startAddress)}`,
    )
  }
  const size = endAddress - startAddress + crcSize
  if (size > bytes.length) {
    throw new ModuleFormatError(
      'truncated',
      bytes.length,
      `the prefix announces ${size} bytes, the file has ${bytes.length}`,
    )
  }
  if (size < offset + prefixSize + minSuffixSize + crcSize) {
    throw new ModuleFormatError(
      'address',
      offset + 4,
      `the prefix announces ${size} bytes, too few for a prefix and a suffix`,
    )
  }
  if (prefix.functionCode === 0) {
    throw new ModuleFormatError('function', offset + 14, 'the prefix names no module function')
  }
  prefix.dependencyFields.forEach((dependency, i) => {
    if (dependency.functionCode === 0 && (dependency.index !== 0 || dependency.version !== 0)) {
      throw new ModuleFormatError(
        'dependency',
        offset + 16 + 4 * i,
        `dependency ${i + 1} has a version or index, but no function`,
      )
    }
  })
  return prefix
}

function readPrefixExtensions(module: Uint8Array, offset: number, limit: number) {
  const list = readExtensions(module, offset, limit)
  if (!list.ended) throw new ModuleFormatError('extension', list.end, 'the extensions of the prefix do not end')
  return list
}

interface Suffix {
  readonly size: number
  /** Offset of its first byte: the end of the body. */
  readonly start: number
  readonly extensions: readonly ModuleExtension[]
}

function readSuffix(module: Uint8Array, bodyStart: number): Suffix {
  const end = module.length - crcSize
  const sizeOffset = end - 2
  const size = viewOf(module).getUint16(sizeOffset, true)
  const start = end - size
  if (size === noSuffix && start < bodyStart) return { size, start: end, extensions: [] }
  if (size < minSuffixSize) {
    throw new ModuleFormatError(
      'suffix-size',
      sizeOffset,
      `the suffix says that it has ${size} bytes, it needs ${minSuffixSize}`,
    )
  }
  if (start < bodyStart) {
    throw new ModuleFormatError(
      'suffix-size',
      sizeOffset,
      `the suffix says that it has ${size} bytes, there are ${end - bodyStart}`,
    )
  }
  if (size <= productSuffixSize) return { size, start, extensions: [] }
  return { size, start, extensions: readExtensions(module, start, end - minSuffixSize).extensions }
}

function namedDependencies(prefix: ModulePrefix): ModuleDependency[] {
  const dependencies: ModuleDependency[] = []
  for (const { functionCode, index, version } of prefix.dependencyFields) {
    const name = functionCode === 0 ? undefined : moduleFunctionOf(functionCode)
    if (name) dependencies.push({ function: name, index, version })
  }
  return dependencies
}

function assetsOf(extensions: readonly ModuleExtension[]): AssetRef[] {
  const assets: AssetRef[] = []
  for (const extension of extensions) {
    if (extension.type === 'asset_dependency') assets.push({ name: extension.name, hash: extension.hash })
  }
  return assets
}

/** Whether a list of extensions closes by itself: what a writer must not follow with another END (1.4). */
export function isClosed(extensions: readonly ModuleExtension[]): boolean {
  const last = extensions.at(-1)
  if (!last) return false
  const code = extensionCode(last)
  return code === extensionCodes.end || code === extensionCodes.product_data
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`
}
