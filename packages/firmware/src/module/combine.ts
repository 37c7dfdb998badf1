/** Combined modules: several in one file, all but the last flagged (modules-and-platforms.md 1.7). */

import { concatBytes } from '../bytes.ts'
import { moduleLabel } from '../module-function.ts'
import { sealModule } from './build.ts'
import { ModuleFormatError, ModuleSpecError } from './error.ts'
import { type FirmwareModule, parseModule } from './parse.ts'
import { moduleFlags } from './prefix.ts'

const flagsOffset = 9

/**
 * Puts modules into one file, in the order in which a device is to apply them. One module alone
 * stays as it is. Devices apply no more than two.
 */
export function combineModules(modules: readonly Uint8Array[]): Uint8Array {
  if (modules.length === 0) throw new ModuleSpecError('modules', 'there must be at least one')
  return concatBytes(
    modules.map((bytes, i) => {
      const module = parseModule(bytes, { intact: true })
      if (module.trailing > 0 || (module.flags & moduleFlags.combined) !== 0) {
        throw new ModuleSpecError(
          'modules',
          `${moduleLabel(module)} is part of a combined file, or something follows it`,
        )
      }
      return i === modules.length - 1 ? bytes : withFlags(module, module.flags | moduleFlags.combined)
    }),
  )
}

/**
 * The modules of a file as they lie in it, flags included, without a copy: one for a file that is
 * not combined.
 *
 * @throws ModuleFormatError for a damaged module, or bytes behind the last one; its offset counts
 * from the start of the file
 */
export function combinedParts(file: Uint8Array): FirmwareModule[] {
  const parts: FirmwareModule[] = []
  for (let at = 0; ; ) {
    const module = parsePart(file, at)
    parts.push(module)
    at += module.bytes.length
    if ((module.flags & moduleFlags.combined) !== 0) continue
    if (at === file.length) return parts
    throw new ModuleFormatError('flags', at, `${file.length - at} bytes follow a module that is the last one`)
  }
}

/** The modules of a file as they were before they were combined. */
export function splitModules(file: Uint8Array): Uint8Array[] {
  return combinedParts(file).map((module) =>
    (module.flags & moduleFlags.combined) === 0
      ? module.bytes
      : withFlags(module, module.flags & ~moduleFlags.combined),
  )
}

function parsePart(file: Uint8Array, at: number): FirmwareModule {
  try {
    return parseModule(file.subarray(at), { intact: true })
  } catch (error) {
    if (!(error instanceof ModuleFormatError)) throw error
    throw new ModuleFormatError(error.code, at + error.offset, `module at offset ${at}: ${error.message}`)
  }
}

function withFlags(module: FirmwareModule, flags: number): Uint8Array {
  const bytes = module.bytes.slice()
  bytes[module.prefixOffset + flagsOffset] = flags
  return sealModule(bytes)
}
