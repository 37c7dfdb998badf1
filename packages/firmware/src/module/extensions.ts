/**
 * Extensions: what a prefix or suffix says beyond its fixed fields (modules-and-platforms.md 1.4).
 * Each is `u16 type, u16 length, payload`, little-endian; the length includes the 4-byte header.
 */

import { concatBytes, equalBytes, fromHex, toHex, viewOf } from '../bytes.ts'
import { ModuleFormatError, ModuleSpecError } from './error.ts'

export const extensionCodes = {
  end: 0x0000,
  product_data: 0x0001,
  dynamic_location: 0x0002,
  dependency: 0x0003,
  hash: 0x0010,
  name: 0x0011,
  asset_dependency: 0x0012,
  security_mode: 0x0013,
  asset_type: 0x0014,
  invalid: 0xffff,
} as const

/** An extension by meaning. One whose payload is not as defined is `raw`, so that nothing is lost. */
export type ModuleExtension =
  /** Ends the list; `padding` zero bytes follow its header. */
  | { readonly type: 'end'; readonly padding: number }
  /** Product id and version, 16 bits each. */
  | { readonly type: 'product_data'; readonly id: number; readonly version: number }
  /** Where a module that moves begins (when built: the start address unless given), and its dynalib addresses. */
  | {
      readonly type: 'dynamic_location'
      readonly moduleStart?: number
      readonly dynalibLoad: number
      readonly dynalibStart: number
    }
  | {
      readonly type: 'dependency'
      readonly functionCode: number
      readonly index: number
      readonly version: number
      readonly targetId: number
    }
  /** SHA-256 of an asset's raw file, 64 hexadecimal digits. */
  | { readonly type: 'hash'; readonly hash: string }
  | { readonly type: 'name'; readonly name: string }
  | { readonly type: 'asset_dependency'; readonly hash: string; readonly name: string }
  /** Mode 0 none, 1 protected; `certificate` is a DER X.509 certificate. */
  | { readonly type: 'security_mode'; readonly mode: number; readonly certificate?: Uint8Array }
  /** 0 default, 1 environment variables of the application, 2 snapshot of them. */
  | { readonly type: 'asset_type'; readonly assetType: number }
  | { readonly type: 'raw'; readonly code: number; readonly payload: Uint8Array }

export interface ExtensionList {
  readonly extensions: readonly ModuleExtension[]
  /** Offset of the first byte behind the list. */
  readonly end: number
  /** The list came to its END. */
  readonly ended: boolean
}

const headerSize = 4

/**
 * Reads the extensions in `[offset, limit)`. As on a device, the list stops behind END, at type
 * 0xffff, and before an extension that would run past the limit.
 *
 * @throws ModuleFormatError `extension` when a length is smaller than the header
 */
export function readExtensions(bytes: Uint8Array, offset: number, limit: number): ExtensionList {
  const view = viewOf(bytes)
  const extensions: ModuleExtension[] = []
  let at = offset
  while (at + headerSize <= limit) {
    const code = view.getUint16(at, true)
    if (code === extensionCodes.invalid) break
    const length = view.getUint16(at + 2, true)
    if (length < headerSize) {
      throw new ModuleFormatError(
        'extension',
        at + 2,
        `extension of type ${code} has length ${length}, less than its header`,
      )
    }
    if (at + length > limit) break
    extensions.push(decodeExtension(code, bytes.subarray(at + headerSize, at + length)))
    at += length
    if (code === extensionCodes.end) return { extensions, end: at, ended: true }
  }
  return { extensions, end: at, ended: false }
}

/** The bytes of an extension. `startAddress` completes a dynamic location that does not say its own. */
export function encodeExtension(extension: ModuleExtension, startAddress = 0): Uint8Array {
  const [code, payload] = encodePayload(extension, startAddress)
  const length = headerSize + payload.length
  if (length > 0xffff) throw new ModuleSpecError('extensions', `${extension.type} of ${length} bytes is too long`)
  const bytes = new Uint8Array(length)
  const view = viewOf(bytes)
  view.setUint16(0, code, true)
  view.setUint16(2, length, true)
  bytes.set(payload, headerSize)
  return bytes
}

export function encodeExtensions(extensions: readonly ModuleExtension[], startAddress = 0): Uint8Array {
  return concatBytes(extensions.map((extension) => encodeExtension(extension, startAddress)))
}

/** The type code of an extension, as stored. */
export function extensionCode(extension: ModuleExtension): number {
  return extension.type === 'raw' ? extension.code : extensionCodes[extension.type]
}

function decodeExtension(code: number, payload: Uint8Array): ModuleExtension {
  const extension = decodePayload(code, payload)
  // Only what would be written back the same is understood; anything else stays as it is.
  if (extension && equalBytes(encodePayload(extension, 0)[1], payload)) return extension
  return { type: 'raw', code, payload }
}

function decodePayload(code: number, payload: Uint8Array): ModuleExtension | undefined {
  const view = viewOf(payload)
  switch (code) {
    case extensionCodes.end:
      return { type: 'end', padding: payload.length }
    case extensionCodes.product_data:
      // The 16-bit product id sits in the upper half of a 32-bit field.
      if (payload.length !== 6) return undefined
      return { type: 'product_data', id: view.getUint16(2, true), version: view.getUint16(4, true) }
    case extensionCodes.dynamic_location:
      if (payload.length !== 12) return undefined
      return {
        type: 'dynamic_location',
        moduleStart: view.getUint32(0, true),
        dynalibLoad: view.getUint32(4, true),
        dynalibStart: view.getUint32(8, true),
      }
    case extensionCodes.dependency:
      if (payload.length !== 8) return undefined
      return {
        type: 'dependency',
        functionCode: view.getUint8(0),
        index: view.getUint8(1),
        version: view.getUint16(2, true),
        targetId: view.getUint32(4, true),
      }
    case extensionCodes.hash:
      return payload.length === 34 ? { type: 'hash', hash: toHex(payload.subarray(2)) } : undefined
    case extensionCodes.name: {
      const name = decodeText(payload)
      return name === undefined ? undefined : { type: 'name', name }
    }
    case extensionCodes.asset_dependency: {
      if (payload.length < 34) return undefined
      const name = decodeText(payload.subarray(34))
      return name === undefined ? undefined : { type: 'asset_dependency', hash: toHex(payload.subarray(2, 34)), name }
    }
    case extensionCodes.security_mode:
      if (payload.length < 1) return undefined
      return {
        type: 'security_mode',
        mode: view.getUint8(0),
        ...(payload.length > 1 && { certificate: payload.subarray(1) }),
      }
    case extensionCodes.asset_type:
      return payload.length === 2 ? { type: 'asset_type', assetType: view.getUint8(0) } : undefined
    default:
      return undefined
  }
}

function encodePayload(extension: ModuleExtension, startAddress: number): readonly [number, Uint8Array] {
  switch (extension.type) {
    case 'end':
      return [extensionCodes.end, new Uint8Array(checked('end padding', extension.padding, 0xfffb))]
    case 'product_data': {
      const payload = Uint8Array.of(0xff, 0xff, 0, 0, 0, 0)
      const view = viewOf(payload)
      view.setUint16(2, checked('product id', extension.id, 0xffff), true)
      view.setUint16(4, checked('product version', extension.version, 0xffff), true)
      return [extensionCodes.product_data, payload]
    }
    case 'dynamic_location': {
      const payload = new Uint8Array(12)
      const view = viewOf(payload)
      view.setUint32(0, checked('module start', extension.moduleStart ?? startAddress, 0xffff_ffff), true)
      view.setUint32(4, checked('dynalib load address', extension.dynalibLoad, 0xffff_ffff), true)
      view.setUint32(8, checked('dynalib start address', extension.dynalibStart, 0xffff_ffff), true)
      return [extensionCodes.dynamic_location, payload]
    }
    case 'dependency': {
      const payload = new Uint8Array(8)
      const view = viewOf(payload)
      view.setUint8(0, checked('dependency function', extension.functionCode, 0xff))
      view.setUint8(1, checked('dependency index', extension.index, 0xff))
      view.setUint16(2, checked('dependency version', extension.version, 0xffff), true)
      view.setUint32(4, checked('dependency target', extension.targetId, 0xffff_ffff), true)
      return [extensionCodes.dependency, payload]
    }
    case 'hash':
      return [extensionCodes.hash, encodeHash(extension.hash)]
    case 'name':
      return [extensionCodes.name, new TextEncoder().encode(extension.name)]
    case 'asset_dependency':
      return [
        extensionCodes.asset_dependency,
        concatBytes([encodeHash(extension.hash), new TextEncoder().encode(extension.name)]),
      ]
    case 'security_mode':
      return [
        extensionCodes.security_mode,
        concatBytes([
          Uint8Array.of(checked('security mode', extension.mode, 0xff)),
          extension.certificate ?? new Uint8Array(),
        ]),
      ]
    case 'asset_type':
      return [extensionCodes.asset_type, Uint8Array.of(checked('asset type', extension.assetType, 0xff), 0)]
    case 'raw':
      return [checked('extension type', extension.code, 0xfffe), extension.payload]
  }
}

// Hash type 0 is SHA-256, 32 bytes.
function encodeHash(hash: string): Uint8Array {
  const bytes = fromHex(hash)
  if (bytes?.length !== 32) throw new ModuleSpecError('extensions', 'a hash must be 64 hexadecimal digits')
  return concatBytes([Uint8Array.of(0, 32), bytes])
}

function decodeText(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}

function checked(what: string, value: number, max: number): number {
  if (!Number.isInteger(value) || value < 0 || value > max) {
    throw new ModuleSpecError('extensions', `${what} ${value} is not a whole number from 0 to ${max}`)
  }
  return value
}
