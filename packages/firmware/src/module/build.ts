/** Writing a module file (modules-and-platforms.md 1). */

import { concatBytes, viewOf } from '../bytes.ts'
import { crc32, sha256 } from '../checksums.ts'
import { type ModuleDependency, type ModuleRef, moduleFunctionCode, moduleFunctionOf } from '../module-function.ts'
import type { ModuleSlot } from '../platforms/platform.ts'
import { platformById, slotOf } from '../platforms/platforms.ts'
import { ModuleSpecError } from './error.ts'
import { encodeExtensions, extensionCode, extensionCodes, type ModuleExtension } from './extensions.ts'
import { type FirmwareModule, isClosed } from './parse.ts'
import { crcSize, type DependencyField, minSuffixSize, moduleFlags, prefixSize, writePrefix } from './prefix.ts'

export interface ModuleSpec extends ModuleRef {
  readonly platformId: number
  /** Unsigned 16-bit. */
  readonly version: number
  readonly body: Uint8Array
  /** Up to two, in the order of the prefix; function `none` leaves the first one empty. */
  readonly dependencies?: readonly ModuleDependency[]
  /** The prefix fields as stored, for functions that are not known here; instead of `dependencies`. */
  readonly dependencyFields?: readonly [DependencyField, DependencyField]
  /** For a function that is not known here; instead of `function`. */
  readonly functionCode?: number
  /** The start of the module's slot unless given; a module that grows down ends at its slot's end. */
  readonly startAddress?: number
  /** Instead of the start: where the module is to end, exclusive and without the CRC. */
  readonly endAddress?: number
  readonly flags?: number
  /** 0 main MCU (unless the slot is a co-processor's), 0xff any. */
  readonly mcuTarget?: number
  /** Bytes before the prefix. */
  readonly vectorTable?: Uint8Array
  /** 0xffff and 0xffff unless given; `null` for the short suffix without product data. */
  readonly product?: { readonly id: number; readonly version: number } | null
  /** Flag 0x10 is set and END appended when missing, with the padding that aligns a module that grows down. */
  readonly prefixExtensions?: readonly ModuleExtension[]
  /** END is appended when the list ends with neither END nor product data. Product data in it replaces `product`. */
  readonly suffixExtensions?: readonly ModuleExtension[]
  readonly reserved?: number
}

/**
 * Builds a module: lays out prefix, extensions, body and suffix, fills in the addresses, the SHA-256
 * and the CRC-32.
 *
 * @throws ModuleSpecError when the description cannot be a module or does not fit its slot
 */
export function buildModule(spec: ModuleSpec): Uint8Array {
  const fields = {
    version: uint('version', spec.version, 0xffff),
    platformId: uint('platformId', spec.platformId, 0xffff),
    functionCode: functionCodeOf(spec),
    index: uint('index', spec.index, 0xff),
    dependencyFields: dependencyFieldsOf(spec),
  }
  const slot = slotOfSpec(spec)
  const vectorTable = spec.vectorTable ?? new Uint8Array()
  const suffixExtensions = closedSuffix(spec.suffixExtensions ?? [])
  const tail = suffixTail(spec, suffixExtensions)
  const suffixSize = sizeOf(suffixExtensions) + tail.length
  if (suffixSize > 0xfffe) throw new ModuleSpecError('suffixExtensions', `a suffix of ${suffixSize} bytes is too long`)

  const fixedSize = vectorTable.length + prefixSize + spec.body.length + suffixSize
  const prefixExtensions = closedPrefix(spec, slot, fixedSize)
  const length = fixedSize + sizeOf(prefixExtensions)
  const startAddress = spec.startAddress ?? movedStart(spec, slot, length) ?? fixedStart(slot, length)
  const endAddress = startAddress + length
  if (endAddress > 0xffff_ffff) throw new ModuleSpecError('startAddress', 'the module ends behind the last address')

  const bytes = new Uint8Array(length + crcSize)
  bytes.set(vectorTable, 0)
  writePrefix(bytes, vectorTable.length, {
    ...fields,
    startAddress: uint('startAddress', startAddress, 0xffff_ffff),
    endAddress,
    mcuTarget: uint('mcuTarget', spec.mcuTarget ?? slot?.mcuTarget ?? 0, 0xff),
    flags: flagsOf(spec, prefixExtensions.length > 0),
  })
  let at = vectorTable.length + prefixSize
  for (const part of [
    encodeExtensions(prefixExtensions, startAddress),
    spec.body,
    encodeExtensions(suffixExtensions, startAddress),
    tail,
  ]) {
    bytes.set(part, at)
    at += part.length
  }
  viewOf(bytes).setUint16(length - 2, suffixSize, true)
  return sealModule(bytes)
}

/** Recomputes the SHA-256 and the CRC-32 of a module, in place. */
export function sealModule(bytes: Uint8Array): Uint8Array {
  const shaOffset = bytes.length - crcSize - 34
  bytes.set(sha256(bytes.subarray(0, shaOffset)), shaOffset)
  const crcOffset = bytes.length - crcSize
  viewOf(bytes).setUint32(crcOffset, crc32(bytes.subarray(0, crcOffset)), false)
  return bytes
}

/** The description from which `buildModule` makes the same bytes again. */
export function moduleSpec(module: FirmwareModule): ModuleSpec {
  return {
    function: module.function,
    index: module.index,
    platformId: module.platformId,
    version: module.version,
    body: module.body,
    dependencyFields: module.dependencyFields,
    functionCode: module.functionCode,
    startAddress: module.startAddress,
    flags: module.flags,
    mcuTarget: module.mcuTarget,
    vectorTable: module.vectorTable,
    product: module.product ?? null,
    prefixExtensions: module.prefixExtensions,
    suffixExtensions: module.suffixExtensions,
    reserved: module.reserved,
  }
}

function slotOfSpec(spec: ModuleSpec): ModuleSlot | undefined {
  const platform = platformById(spec.platformId)
  return platform && slotOf(platform, spec)
}

// A module with a given end, or one that ends at the end of its slot. Undefined for all others.
function movedStart(spec: ModuleSpec, slot: ModuleSlot | undefined, length: number): number | undefined {
  const end = spec.endAddress ?? (slot?.growsDown ? slot.end - crcSize : undefined)
  if (end === undefined) return undefined
  requireRoom(slot, length)
  return end - length
}

function fixedStart(slot: ModuleSlot | undefined, length: number): number {
  if (!slot) throw new ModuleSpecError('startAddress', 'the platform has no slot for this module, so it must be given')
  requireRoom(slot, length)
  return slot.start
}

function requireRoom(slot: ModuleSlot | undefined, length: number): void {
  if (slot && length + crcSize > slot.maxSize) {
    throw new ModuleSpecError('body', `a module of ${length + crcSize} bytes does not fit the slot of ${slot.maxSize}`)
  }
}

// Modules that grow down start at a multiple of 8 once they have prefix extensions; the padding is
// END's (1.4).
function closedPrefix(spec: ModuleSpec, slot: ModuleSlot | undefined, otherSize: number): readonly ModuleExtension[] {
  const extensions = spec.prefixExtensions ?? []
  if (extensions.length === 0) return []
  requireEndLast(extensions, 'prefixExtensions')
  const last = extensions.at(-1)
  if (last && extensionCode(last) === extensionCodes.end) return extensions
  const start = movedStart(spec, slot, otherSize + sizeOf(extensions) + endSize)
  return [...extensions, { type: 'end', padding: slot?.growsDown ? (start ?? 0) % 8 : 0 }]
}

const endSize = 4

function closedSuffix(extensions: readonly ModuleExtension[]): readonly ModuleExtension[] {
  if (extensions.length === 0) return []
  requireEndLast(extensions, 'suffixExtensions')
  return isClosed(extensions) ? extensions : [...extensions, { type: 'end', padding: 0 }]
}

function requireEndLast(extensions: readonly ModuleExtension[], field: string): void {
  const end = extensions.findIndex((extension) => extensionCode(extension) === extensionCodes.end)
  if (end >= 0 && end !== extensions.length - 1) {
    throw new ModuleSpecError(field, 'nothing is read behind an END, so it must come last')
  }
}

// Product data unless an extension carries it, reserved, and room for SHA-256 and size.
function suffixTail(spec: ModuleSpec, extensions: readonly ModuleExtension[]): Uint8Array {
  const fixed = new Uint8Array(minSuffixSize)
  viewOf(fixed).setUint16(0, uint('reserved', spec.reserved ?? 0, 0xffff), true)
  if (extensions.some((extension) => extensionCode(extension) === extensionCodes.product_data)) return fixed
  if (spec.product === null && extensions.length === 0) return fixed
  const product = new Uint8Array(4)
  const view = viewOf(product)
  view.setUint16(0, uint('product', spec.product?.id ?? 0xffff, 0xffff), true)
  view.setUint16(2, uint('product', spec.product?.version ?? 0xffff, 0xffff), true)
  return concatBytes([product, fixed])
}

function flagsOf(spec: ModuleSpec, hasPrefixExtensions: boolean): number {
  const flags = uint('flags', spec.flags ?? 0, 0xff)
  if (hasPrefixExtensions) return flags | moduleFlags.prefixExtensions
  if ((flags & moduleFlags.prefixExtensions) !== 0) {
    throw new ModuleSpecError('flags', 'say that there are prefix extensions, but none are given')
  }
  return flags
}

function functionCodeOf(spec: ModuleSpec): number {
  const code = uint('functionCode', spec.functionCode ?? moduleFunctionCode(spec.function), 0xff)
  if (code === 0) throw new ModuleSpecError('function', 'a module must have a function')
  const name = moduleFunctionOf(code)
  if (spec.function !== (name ?? 'none')) {
    throw new ModuleSpecError('functionCode', `${code} is not the code of ${spec.function}`)
  }
  return code
}

function dependencyFieldsOf(spec: ModuleSpec): readonly [DependencyField, DependencyField] {
  const dependencies: readonly DependencyField[] =
    spec.dependencyFields ??
    (spec.dependencies ?? []).map((dependency) => ({
      functionCode: moduleFunctionCode(dependency.function),
      index: dependency.index,
      version: dependency.version,
    }))
  if (dependencies.length > 2) throw new ModuleSpecError('dependencies', 'a prefix has room for two')
  for (const { functionCode, index, version } of dependencies) {
    uint('dependencies', functionCode, 0xff)
    uint('dependencies', index, 0xff)
    uint('dependencies', version, 0xffff)
    if (functionCode === 0 && (index !== 0 || version !== 0)) {
      throw new ModuleSpecError('dependencies', 'function none has neither index nor version')
    }
  }
  const none = { functionCode: 0, index: 0, version: 0 }
  return [dependencies[0] ?? none, dependencies[1] ?? none]
}

function sizeOf(extensions: readonly ModuleExtension[]): number {
  return encodeExtensions(extensions).length
}

function uint(field: string, value: number, max: number): number {
  if (!Number.isInteger(value) || value < 0 || value > max) {
    throw new ModuleSpecError(field, `${value} is not a whole number from 0 to ${max}`)
  }
  return value
}
