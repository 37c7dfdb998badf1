/** Whether a file can be the firmware of a product: an application for its platform, alone or with its assets. */
import {
  type FirmwareModule,
  ModuleFormatError,
  moduleLabel,
  type Platform,
  parseModule,
  platformById,
  productOf,
  readBundle,
  slotOf,
} from '@aloe/firmware'
import type { FirmwareVersion } from './product-firmware.ts'

export interface CheckedFirmware {
  readonly ok: true
  readonly fileName: FirmwareVersion['fileName']
  /** SHA-256 field of the application. */
  readonly appHash: string
}

export type FirmwareCheck = CheckedFirmware | { readonly ok: false; readonly reason: string }

const refused = (reason: string): FirmwareCheck => ({ ok: false, reason })

/**
 * @param version the version that the file is uploaded as: the same as in the application, when that says one. Those of
 *   Device OS 4 and newer say their platform in the product id's place (modules-and-platforms.md 1.3).
 */
export function checkProductFirmware(
  file: Uint8Array,
  product: { readonly id: number; readonly platformId: number },
  version: number,
): FirmwareCheck {
  const platform = platformById(product.platformId)
  if (!platform) return refused(`The platform ${product.platformId} is not known`)
  try {
    const zip = file[0] === 0x50 && file[1] === 0x4b
    const module = parseModule(zip ? readBundle(file).application.data : file, { intact: true })
    const reason = wrongModule(module, platform) ?? wrongProduct(module, product, version)
    if (reason !== undefined) return refused(reason)
    return { ok: true, fileName: zip ? 'firmware.zip' : 'firmware.bin', appHash: module.sha256 }
  } catch (error) {
    if (error instanceof ModuleFormatError) return refused(`The file is no module: ${error.message}`)
    throw error
  }
}

function wrongModule(module: FirmwareModule, platform: Platform): string | undefined {
  if (module.function !== 'user_part') return `The file is ${moduleLabel(module)}, and not an application`
  if (module.platformId !== platform.id) {
    const other = platformById(module.platformId)?.displayName ?? `platform ${module.platformId}`
    return `The application is for ${other}, and the product's devices are ${platform.displayName}`
  }
  if (module.trailing > 0) return `The file has ${module.trailing} bytes behind the application`
  const slot = slotOf(platform, module)
  if (!slot) return `${platform.displayName} has no place for ${moduleLabel(module)}`
  if (module.bytes.length > platform.otaRegionSize) {
    return `The application has ${module.bytes.length} bytes, and devices take updates of ${platform.otaRegionSize}`
  }
  return undefined
}

function wrongProduct(
  module: FirmwareModule,
  product: { readonly id: number; readonly platformId: number },
  version: number,
): string | undefined {
  const said = productOf(module)
  if (!said) return undefined
  if (said.id !== product.id && said.id !== product.platformId && said.id !== 0 && said.id !== 0xffff) {
    return `The application is for product ${said.id}, and not for ${product.id}`
  }
  if (said.version === version || said.version === 0 || said.version === 0xffff) return undefined
  return `The application says that it is version ${said.version}, and not ${version}: devices would report that`
}
