/** Whether a file is a module that a release can have: before anything is asked of its name. */
import {
  type FirmwareModule,
  ModuleFormatError,
  moduleFlags,
  moduleLabel,
  type Platform,
  parseModule,
  platformById,
  securityMode,
  sha256Hex,
  slotOf,
} from '@aloe/firmware'
import type { ModuleFacts } from '../updates/catalogue.ts'
import { ImportError } from './import-error.ts'

export interface CheckedModule {
  readonly module: ModuleFacts
  readonly platform: Platform
  readonly protected?: true
  /** SHA-256 of the file. */
  readonly sha256: string
  readonly size: number
}

/** No module is larger: a combined image of everything that a device has would fit. */
export const largestModule = 16 * 1024 * 1024

/**
 * Parses and checks a file: CRC-32, SHA-256, platform, place on the platform.
 *
 * @throws ImportError `module` or `too-large`
 */
export function checkModule(bytes: Uint8Array): CheckedModule {
  if (bytes.length > largestModule) {
    throw new ImportError('too-large', `${bytes.length} bytes are more than any module has (${largestModule})`)
  }
  const module = parse(bytes)
  const label = moduleLabel(module)
  if (!module.crcValid) fail('it is damaged: its CRC-32 does not fit')
  // Radio stacks and NCP firmware exist whose SHA-256 covers the payload only (modules-and-platforms.md 1.5, 9).
  const wrapped = module.function === 'radio_stack' || module.function === 'ncp_firmware'
  if (!module.sha256Valid && !wrapped) fail('its SHA-256 does not fit: it was changed after it was built')
  if (module.trailing > 0) fail(`${module.trailing} bytes follow behind the module`)
  if ((module.flags & moduleFlags.combined) !== 0) fail('it is one half of a combined image')
  if ((module.flags & moduleFlags.compressed) !== 0) fail('it is compressed: import the module as it was released')
  const platform = platformById(module.platformId)
  if (!platform) return fail(`platform ${module.platformId} is not known`)
  if (module.function === 'asset') fail('it is an asset of an application')
  if (!slotOf(platform, module)) fail(`${platform.name} has no place for ${label}`)
  return {
    module: factsOf(module),
    platform,
    sha256: sha256Hex(bytes),
    size: bytes.length,
    ...(module.function === 'bootloader' && securityMode(module) === 1 && { protected: true }),
  }
}

/** What is kept of a module: no view of its bytes. */
export function factsOf(module: ModuleFacts): ModuleFacts {
  return {
    function: module.function,
    index: module.index,
    version: module.version,
    platformId: module.platformId,
    dependencies: module.dependencies.map(({ function: name, index, version }) => ({ function: name, index, version })),
    startAddress: module.startAddress,
    endAddress: module.endAddress,
    mcuTarget: module.mcuTarget,
    flags: module.flags,
    prefixOffset: module.prefixOffset,
    ...(module.product && { product: { id: module.product.id, version: module.product.version } }),
    sha256: module.sha256,
    reserved: module.reserved,
    suffixSize: module.suffixSize,
    crc: module.crc,
  }
}

function parse(bytes: Uint8Array): FirmwareModule {
  try {
    return parseModule(bytes)
  } catch (error) {
    if (error instanceof ModuleFormatError) return fail(`it is no module file: ${error.message}`)
    throw error
  }
}

function fail(message: string): never {
  throw new ImportError('module', message)
}
