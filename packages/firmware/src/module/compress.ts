/** Compressed modules (modules-and-platforms.md 1.6): a raw deflate stream between prefix and suffix. */

import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { concatBytes, viewOf } from '../bytes.ts'
import { moduleLabel } from '../module-function.ts'
import { sealModule } from './build.ts'
import { ModuleFormatError, ModuleSpecError } from './error.ts'
import { type FirmwareModule, parseModule } from './parse.ts'
import { crcSize, moduleFlags, prefixSize, writePrefix } from './prefix.ts'

export interface CompressOptions {
  /** zlib's -1 (its default) to 9; 0 stores. What comes out at other levels depends on the zlib build. */
  readonly level?: number
  /** Base two logarithm of the window, 9 to 15 (15 unless given). */
  readonly windowBits?: number
}

export interface DecompressOptions {
  /** Largest result in bytes; 16 MiB unless given. What is larger is refused before it is inflated. */
  readonly maxSize?: number
}

const headerSize = 8
const rawDeflate = 0
const defaultWindowBits = 15
const defaultMaxSize = 16 * 1024 * 1024
const compressible = new Set(['user_part', 'system_part', 'asset'])

/**
 * Compresses a module: all of it, or with DROP_MODULE_INFO only its body. Function, version and
 * dependencies stay readable outside.
 *
 * @throws ModuleFormatError for a damaged module
 * @throws ModuleSpecError for one that devices do not take compressed
 */
export function compressModule(bytes: Uint8Array, options: CompressOptions = {}): Uint8Array {
  const module = parseModule(bytes, { intact: true })
  if (!compressible.has(module.function)) {
    throw new ModuleSpecError('function', `devices take no compressed ${module.function}`)
  }
  if ((module.flags & moduleFlags.compressed) !== 0) {
    throw new ModuleSpecError('flags', `${moduleLabel(module)} is compressed already`)
  }
  const windowBits = options.windowBits ?? defaultWindowBits
  if (!Number.isInteger(windowBits) || windowBits < 9 || windowBits > 15) {
    throw new ModuleSpecError('windowBits', `${windowBits} is not a whole number from 9 to 15`)
  }
  const dropped = (module.flags & moduleFlags.dropModuleInfo) !== 0
  if (dropped && module.prefixOffset > 0) {
    throw new ModuleSpecError('flags', 'a module with a vector table cannot drop its prefix')
  }
  const content = dropped ? module.body : module.bytes
  const header = new Uint8Array(headerSize)
  const view = viewOf(header)
  view.setUint16(0, headerSize, true)
  view.setUint8(2, rawDeflate)
  view.setUint8(3, windowBits === defaultWindowBits ? 0 : windowBits)
  view.setUint32(4, content.length, true)
  const stream = deflateRawSync(content, { level: options.level ?? -1, windowBits })
  return wrap(module, concatBytes([header, stream]), module.flags | moduleFlags.compressed)
}

/**
 * The module that was compressed. With DROP_MODULE_INFO it is put together again from the prefix,
 * the inflated body and the suffix.
 *
 * @throws ModuleFormatError when the stream is damaged, is not exactly as long as it says, is larger
 * than allowed, or holds another module than the prefix names
 */
export function decompressModule(bytes: Uint8Array, options: DecompressOptions = {}): Uint8Array {
  const outer = parseModule(bytes, { prefixOffset: 0, intact: true })
  if ((outer.flags & moduleFlags.compressed) === 0) {
    throw new ModuleFormatError('flags', 9, `${moduleLabel(outer)} is not compressed`)
  }
  const content = inflate(outer, options.maxSize ?? defaultMaxSize)
  if ((outer.flags & moduleFlags.dropModuleInfo) !== 0) {
    return wrap(outer, content, outer.flags & ~moduleFlags.compressed)
  }
  const inner = parseModule(content, { intact: true })
  const same =
    inner.trailing === 0 &&
    inner.functionCode === outer.functionCode &&
    inner.index === outer.index &&
    inner.version === outer.version &&
    inner.platformId === outer.platformId
  if (!same) {
    const message = `the prefix says ${moduleLabel(outer)}, the stream holds ${moduleLabel(inner)}`
    throw new ModuleFormatError('compression', bodyOffset(outer), message)
  }
  return content
}

// Prefix with its extensions, a body, and the suffix of `module`, sealed anew. There is no vector table.
function wrap(module: FirmwareModule, body: Uint8Array, flags: number): Uint8Array {
  const extensions = module.bytes.subarray(module.prefixOffset + prefixSize, bodyOffset(module))
  const suffix = module.bytes.subarray(bodyOffset(module) + module.body.length)
  const out = concatBytes([new Uint8Array(prefixSize), extensions, body, suffix])
  const endAddress = module.startAddress + out.length - crcSize
  if (endAddress > 0xffff_ffff)
    throw new ModuleFormatError('address', 4, 'the module would end behind the last address')
  writePrefix(out, 0, { ...module, flags, endAddress })
  return sealModule(out)
}

function inflate(module: FirmwareModule, maxSize: number): Uint8Array {
  const { body } = module
  const offset = bodyOffset(module)
  if (body.length < headerSize) {
    throw new ModuleFormatError('compression', offset, `${body.length} bytes have no room for the compression header`)
  }
  const view = viewOf(body)
  const size = view.getUint16(0, true)
  const method = view.getUint8(2)
  const windowBits = view.getUint8(3) || defaultWindowBits
  const originalSize = view.getUint32(4, true)
  if (size < headerSize || size > body.length) {
    throw new ModuleFormatError('compression', offset, `the compression header says that it has ${size} bytes`)
  }
  if (method !== rawDeflate) {
    throw new ModuleFormatError('compression', offset + 2, `compression method ${method} is not known`)
  }
  if (windowBits < 8 || windowBits > 15) {
    throw new ModuleFormatError('compression', offset + 3, `window of ${windowBits} bits is not one of 8 to 15`)
  }
  if (originalSize > maxSize) {
    throw new ModuleFormatError('too-large', offset + 4, `${originalSize} bytes uncompressed, allowed are ${maxSize}`)
  }
  const stream = body.subarray(size)
  const { content, consumed } = inflateBounded(stream, originalSize, windowBits, offset + size)
  if (content.length !== originalSize) {
    const message = `the stream holds ${content.length} bytes, the header says ${originalSize}`
    throw new ModuleFormatError('compression', offset + 4, message)
  }
  if (consumed !== stream.length) {
    const message = `the stream ends ${stream.length - consumed} bytes before the suffix`
    throw new ModuleFormatError('compression', offset + size + consumed, message)
  }
  return content
}

/**
 * Inflates a raw deflate stream, never to more than `size` bytes.
 *
 * @param offset where the stream is, for the error
 * @throws ModuleFormatError `compression` when it is damaged or holds more
 */
export function inflateBounded(
  stream: Uint8Array,
  size: number,
  windowBits: number,
  offset: number,
): { readonly content: Uint8Array; readonly consumed: number } {
  try {
    // With `info`, which the types of Node do not tell, the engine comes along and says how much it read.
    const result: unknown = inflateRawSync(stream, { windowBits, maxOutputLength: Math.max(size, 1), info: true })
    const { buffer, engine } = result as { buffer: Uint8Array; engine: { bytesWritten: number } }
    const content = new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength)
    return { content, consumed: engine.bytesWritten }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new ModuleFormatError(
      'compression',
      offset,
      `the compressed stream cannot be inflated to ${size} bytes: ${reason}`,
    )
  }
}

function bodyOffset(module: FirmwareModule): number {
  return module.body.byteOffset - module.bytes.byteOffset
}
