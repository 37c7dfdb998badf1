/** Adding extensions to a finished module, and taking them away (modules-and-platforms.md 1.4, 1.8, 1.9). */

import type { AssetRef } from '../module-function.ts'
import { platformById, slotOf } from '../platforms/platforms.ts'
import { buildModule, type ModuleSpec, moduleSpec } from './build.ts'
import { ModuleFormatError, ModuleSpecError } from './error.ts'
import type { ModuleExtension } from './extensions.ts'
import { type FirmwareModule, parseModule } from './parse.ts'
import { crcSize, moduleFlags } from './prefix.ts'

/**
 * Adds extensions where the module's kind has them: before those of the suffix, or, for a module
 * that grows down, behind those of the prefix. Addresses, SHA-256 and CRC-32 follow.
 *
 * @throws ModuleFormatError for a damaged module
 * @throws ModuleSpecError when the module no longer fits its slot
 */
export function addExtensions(bytes: Uint8Array, extensions: readonly ModuleExtension[]): Uint8Array {
  const module = parseForRewrite(bytes)
  return growsDown(module)
    ? rebuild(module, { prefixExtensions: [...withoutEnd(module.prefixExtensions), ...extensions] })
    : rebuild(module, { suffixExtensions: [...extensions, ...module.suffixExtensions] })
}

/** Makes an application name the assets that it needs. */
export function addAssetDependencies(bytes: Uint8Array, assets: readonly AssetRef[]): Uint8Array {
  return addExtensions(
    bytes,
    assets.map(({ hash, name }) => ({ type: 'asset_dependency', hash, name })),
  )
}

/** Takes all asset dependencies out, and the END that closed them when nothing else is left. */
export function removeAssetDependencies(bytes: Uint8Array): Uint8Array {
  const module = parseForRewrite(bytes)
  const isOther = (extension: ModuleExtension) => extension.type !== 'asset_dependency'
  const prefixExtensions = withoutEnd(module.prefixExtensions).filter(isOther)
  const suffix = module.suffixExtensions.filter(isOther)
  const suffixExtensions = suffix.every((extension) => extension.type === 'end') ? [] : suffix
  return rebuild(module, { prefixExtensions, suffixExtensions })
}

/** Marks a bootloader as one for protected devices, with the certificate it is bound to, if any. */
export function protectBootloader(bytes: Uint8Array, certificate?: Uint8Array): Uint8Array {
  const module = parseForRewrite(bytes)
  if (module.function !== 'bootloader') throw new ModuleSpecError('function', 'only a bootloader has a security mode')
  return addExtensions(bytes, [{ type: 'security_mode', mode: 1, ...(certificate && { certificate }) }])
}

/** The security mode that a module carries: 1 is protected. */
export function securityMode(module: FirmwareModule): number {
  for (const extension of [...module.prefixExtensions, ...module.suffixExtensions]) {
    if (extension.type === 'security_mode') return extension.mode
  }
  return 0
}

function parseForRewrite(bytes: Uint8Array): FirmwareModule {
  const module = parseModule(bytes, { intact: true })
  if ((module.flags & moduleFlags.compressed) !== 0) {
    throw new ModuleSpecError('flags', 'extensions are added before a module is compressed')
  }
  // A suffix with bytes that are no extension, or none at all, could only be rewritten with a loss.
  if (buildModule(moduleSpec(module)).length !== module.bytes.length) {
    throw new ModuleFormatError(
      'extension',
      module.bytes.length - crcSize,
      'the suffix holds bytes that are no extension',
    )
  }
  return module
}

function rebuild(module: FirmwareModule, changes: Partial<ModuleSpec>): Uint8Array {
  const { startAddress: _, ...rest } = moduleSpec(module)
  const spec: ModuleSpec = { ...rest, ...changes }
  const place = growsDown(module) ? { endAddress: module.endAddress } : { startAddress: module.startAddress }
  const out = buildModule({
    ...spec,
    ...place,
    flags: module.flags & ~moduleFlags.prefixExtensions,
    // The module moved: its start is filled in anew.
    suffixExtensions: (spec.suffixExtensions ?? []).map((extension) =>
      extension.type === 'dynamic_location'
        ? { type: extension.type, dynalibLoad: extension.dynalibLoad, dynalibStart: extension.dynalibStart }
        : extension,
    ),
  })
  const maxSize = slotOfModule(module)?.maxSize
  if (maxSize !== undefined && out.length > maxSize) {
    throw new ModuleSpecError('body', `a module of ${out.length} bytes exceeds the platform's limit of ${maxSize}`)
  }
  return out
}

function withoutEnd(extensions: readonly ModuleExtension[]): readonly ModuleExtension[] {
  return extensions.filter((extension) => extension.type !== 'end')
}

function growsDown(module: FirmwareModule): boolean {
  return slotOfModule(module)?.growsDown === true
}

function slotOfModule(module: FirmwareModule) {
  const platform = platformById(module.platformId)
  return platform && slotOf(platform, module)
}
