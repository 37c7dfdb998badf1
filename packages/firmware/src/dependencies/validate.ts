/** What a device tests before it takes a module, and the result that it reports (modules-and-platforms.md 4.1 to 4.3). */

import { viewOf } from '../bytes.ts'
import { crc32 } from '../checksums.ts'
import { updateChecks, validity } from '../describe.ts'
import { ModuleFormatError } from '../module/error.ts'
import { type FirmwareModule, parseModule } from '../module/parse.ts'
import { crcSize, locatePrefixOnDevice, moduleFlags, prefixSize, readPrefix } from '../module/prefix.ts'
import { moduleFunctionOf, moduleLabel } from '../module-function.ts'
import type { ModuleSlot, Platform } from '../platforms/platform.ts'
import { platformById, slotEnd, slotOf } from '../platforms/platforms.ts'
import { systemErrorMessage, type UpdateResult, updateResult } from '../system-error.ts'
import { type AcceptanceRules, dependenciesMet, keepsOthers, updateRules } from './acceptance.ts'
import { findInstalled, type InstalledModules, satisfies } from './installed.ts'

export interface ModuleValidation {
  /** `validity` bits that were tested; 0 when it did not come to that, and for assets. */
  readonly checked: number
  readonly passed: number
  /** 0 (`updateResult.ok`) or the code that the device answers with. */
  readonly result: UpdateResult
  /** Why, for people. */
  readonly message: string
  readonly module?: FirmwareModule
}

export interface UpdateValidation {
  readonly result: UpdateResult
  readonly message: string
  /** One for each module of the file. */
  readonly modules: readonly ModuleValidation[]
}

/** A device applies no more modules of one file (1.7). */
export const maxCombinedModules = 2

/**
 * Validates a whole update file: one module, or two combined ones. Each is tested against what is
 * installed now, not against the other.
 */
export function validateUpdate(
  file: Uint8Array,
  platform: Platform,
  installed: InstalledModules,
  rules: AcceptanceRules = updateRules,
): UpdateValidation {
  if (file.length === 0 || file.length > platform.otaRegionSize) {
    return {
      result: updateResult.invalidSize,
      message: `${file.length} bytes: 1 to ${platform.otaRegionSize} fit`,
      modules: [],
    }
  }
  const modules: ModuleValidation[] = []
  let rest: Uint8Array | undefined = file
  while (rest) {
    if (modules.length === maxCombinedModules) {
      const message = `more than ${maxCombinedModules} modules in one file`
      return { result: updateResult.unsupportedModule, message, modules }
    }
    const validation = validateModule(rest, platform, installed, rules)
    modules.push(validation)
    const { module, result, message } = validation
    if (result !== updateResult.ok || !module) return { result, message, modules }
    rest = (module.flags & moduleFlags.combined) !== 0 ? rest.subarray(module.bytes.length) : undefined
    if (!rest && module.trailing > 0) {
      const extra = `${module.trailing} bytes behind the last module`
      return { result: updateResult.invalidFormat, message: extra, modules }
    }
  }
  return { result: updateResult.ok, message: systemErrorMessage(updateResult.ok), modules }
}

/**
 * Validates one module as a device does before it accepts it. Never throws: a file that is no module
 * has a result as well.
 */
export function validateModule(
  input: Uint8Array | FirmwareModule,
  platform: Platform,
  installed: InstalledModules,
  rules: AcceptanceRules = updateRules,
): ModuleValidation {
  let module: FirmwareModule
  if (input instanceof Uint8Array) {
    try {
      module = parseModule(input, { prefixOffset: locatePrefixOnDevice(input, platform.prefixRule) })
    } catch (error) {
      if (!(error instanceof ModuleFormatError)) throw error
      return rejected(unreadable(input, platform), error.message)
    }
  } else {
    module = input
  }

  const unsupported = unsupportedReason(module, platform)
  if (unsupported) return rejected(updateResult.unsupportedModule, unsupported, module)
  if (module.prefixOffset > 0 && (module.flags & (moduleFlags.dropModuleInfo | moduleFlags.compressed)) !== 0) {
    return rejected(
      updateResult.invalidFormat,
      'a vector table before a module that drops its prefix or is compressed',
      module,
    )
  }
  // The asset store tests assets by itself (4.7).
  if (module.function === 'asset') return { checked: 0, passed: 0, result: updateResult.ok, message: 'OK', module }

  const slot = slotFor(module, platform)
  const systemVersion = findInstalled(installed, { function: 'system_part', index: 1 })?.version
  // A module that ends behind its slot cannot even be fetched, which is another result than RANGE (4.1).
  if (!slot || !endsInSlot(module, slot, systemVersion)) {
    return rejected(updateResult.moduleNotFound, `${platform.name} has no place for ${moduleLabel(module)}`, module)
  }

  let checked: number = updateChecks
  if (!rules.full) checked &= ~validity.dependenciesFull
  let passed = 0
  if (module.crcValid) passed |= validity.integrity
  if (dependenciesMet(platform, installed, module, rules.userOptional)) passed |= validity.dependencies
  if (rules.full && keepsOthers(installed, module)) passed |= validity.dependenciesFull
  if (inRange(module, slot)) passed |= validity.range
  if (module.platformId === platform.id) passed |= validity.platform
  const result = resultOf(checked, passed)
  return { checked, passed, result, message: explain(result, passed, module, platform, installed), module }
}

/** The result code of a module's flags: the first that is missing, in the order that devices ask (4.3). */
export function resultOf(checked: number, passed: number): UpdateResult {
  const missing = checked & ~passed
  if (missing === 0) return updateResult.ok
  if ((missing & validity.integrity) !== 0) return updateResult.integrityCheckFailed
  if ((missing & (validity.dependencies | validity.dependenciesFull)) !== 0) return updateResult.dependencyCheckFailed
  if ((missing & validity.range) !== 0) return updateResult.invalidAddress
  if ((missing & validity.platform) !== 0) return updateResult.invalidPlatform
  return updateResult.validationFailed
}

/** Whether a module that ends inside its slot also lies as the slot wants it: the RANGE flag. */
export function inRange(
  module: { readonly startAddress: number; readonly endAddress: number; readonly flags?: number },
  slot: ModuleSlot,
): boolean {
  if (module.startAddress < slot.start) return false
  // The addresses of a compressed module are those of the file that is sent (1.6).
  if (!slot.growsDown || ((module.flags ?? 0) & moduleFlags.compressed) !== 0) return true
  return module.endAddress + crcSize === slot.end
}

function endsInSlot(module: FirmwareModule, slot: ModuleSlot, systemVersion: number | undefined): boolean {
  // What grows down starts as low as its uncompressed size asks, and ends anywhere when compressed.
  if (slot.growsDown && (module.flags & moduleFlags.compressed) !== 0) return module.bytes.length <= slot.maxSize
  return module.endAddress + crcSize <= slotEnd(slot, systemVersion)
}

function rejected(result: UpdateResult, message: string, module?: FirmwareModule): ModuleValidation {
  return { checked: 0, passed: 0, result, message, ...(module && { module }) }
}

// A prefix that names a slot, before a file that does not hold what it says, is a damaged module;
// anything else is no module at all.
function unreadable(bytes: Uint8Array, platform: Platform): UpdateResult {
  const offset = locatePrefixOnDevice(bytes, platform.prefixRule)
  if (offset + prefixSize > bytes.length) return updateResult.moduleNotFound
  const prefix = readPrefix(bytes, offset)
  const name = moduleFunctionOf(prefix.functionCode)
  const slot = name && slotOf(platform, { function: name, index: prefix.index })
  const size = prefix.endAddress - prefix.startAddress + crcSize
  if (!slot || size <= crcSize || prefix.endAddress + crcSize > slot.end) return updateResult.moduleNotFound
  const crcOffset = size - crcSize
  const intact =
    size <= bytes.length && crc32(bytes.subarray(0, crcOffset)) === viewOf(bytes).getUint32(crcOffset, false)
  return intact ? updateResult.invalidFormat : updateResult.integrityCheckFailed
}

const compressible = new Set(['user_part', 'system_part', 'asset'])

function unsupportedReason(module: FirmwareModule, platform: Platform): string | undefined {
  if ((module.flags & moduleFlags.compressed) !== 0 && !compressible.has(module.function)) {
    return `${moduleLabel(module)} cannot be compressed`
  }
  if (module.function === 'asset' && !platform.assets) return `${platform.name} has no assets`
  if (module.function === 'ncp_firmware' && !slotOf(platform, module)) return `${platform.name} has no NCP to update`
  if (slotOf(platform, module)?.factoryOnly) return `${moduleLabel(module)} is signed for one device at the factory`
  return undefined
}

const anyMcu = 0xff

function slotFor(module: FirmwareModule, platform: Platform): ModuleSlot | undefined {
  const slot = slotOf(platform, module)
  if (!slot || module.mcuTarget === anyMcu) return slot
  // NCP modules of Argon carry 0 in the field although they are for the co-processor (1.8).
  return module.mcuTarget === (slot.mcuTarget ?? 0) || (slot.mcuTarget !== undefined && module.mcuTarget === 0)
    ? slot
    : undefined
}

function explain(
  result: UpdateResult,
  passed: number,
  module: FirmwareModule,
  platform: Platform,
  installed: InstalledModules,
): string {
  if (result === updateResult.dependencyCheckFailed) {
    if ((passed & validity.dependencies) !== 0) {
      return `${moduleLabel(module)} would leave an installed system part without what it needs`
    }
    const unmet = module.dependencies.filter((dependency) => !satisfies(installed, dependency))
    return `${moduleLabel(module)} needs ${unmet.map(moduleLabel).join(' and ') || 'a module of an unknown function'}`
  }
  if (result === updateResult.invalidPlatform) {
    const name = platformById(module.platformId)?.name ?? `platform ${module.platformId}`
    return `${moduleLabel(module)} is for ${name}, not for ${platform.name}`
  }
  return systemErrorMessage(result)
}
