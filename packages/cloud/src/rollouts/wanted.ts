/**
 * What a device should run, and whether it does: asked at every connection of every device, so a few look-ups in memory
 * (cloud-api.md 1.7).
 */
import { missingAssets, missingDependencies, type SystemDescribe } from '@aloe/firmware'
import { type DeviceRecord, firmwareVersionOf } from '../devices/device.ts'
import type { ProductDevice } from '../products/product-devices.ts'
import type { FirmwareVersion } from '../products/product-firmware.ts'
import type { Products } from '../products/products.ts'
import { type Target, targetFor } from '../products/targeting.ts'

export interface Wanted {
  readonly firmware: FirmwareVersion
  readonly why: Target['why']
  /** At once, and not at the next connection. */
  readonly intelligent: boolean
}

/** What the device should run and does not; undefined when there is nothing to do for it. */
export function wantedBy(device: DeviceRecord, products: Products): Wanted | undefined {
  // A device in quarantine is no member.
  const member = products.devices.of(device.id)
  if (!member) return undefined
  const { firmware: versions } = products
  const target = targetFor(member, versions.released(member.productId))
  const firmware = target && versions.get(member.productId, target.version)
  if (!firmware || runs(device, firmware)) return undefined
  const platformId = products.get(member.productId)?.platformId
  if (device.platformId !== null && device.platformId !== platformId) return undefined
  return { firmware, why: target.why, intelligent: isIntelligent(member, target, products) }
}

function isIntelligent(member: ProductDevice, { version, why }: Target, { firmware }: Products): boolean {
  if (why === 'locked') return false
  if (why === 'default') return firmware.release(member.productId, null)?.intelligent === true
  return member.groups.some((group) => {
    const release = firmware.release(member.productId, group)
    return release?.version === version && release.intelligent
  })
}

/** By the application's hash; by the version that the device reports, where it does. */
export function runs(device: DeviceRecord, firmware: Pick<FirmwareVersion, 'version' | 'appHash'>): boolean {
  return hasApplication(device, firmware.appHash) || firmwareVersionOf(device) === firmware.version
}

function hasApplication({ describe }: DeviceRecord, appHash: string): boolean {
  if (!describe) return false
  for (const module of describe.modules) {
    if (module.function === 'user_part' && module.store === 'main' && module.hash === appHash) return true
  }
  return false
}

/** The application is there, and nothing keeps it from running. */
export function isRunning(device: DeviceRecord, firmware: FirmwareVersion): boolean {
  return device.status === 'normal' && runs(device, firmware) && !(device.describe && lacks(device.describe))
}

/** By the describe, which devices in the same state share. */
const lacking = new WeakMap<SystemDescribe, boolean>()

function lacks(describe: SystemDescribe): boolean {
  let missing = lacking.get(describe)
  if (missing === undefined) {
    missing = missingDependencies(describe).length > 0 || missingAssets(describe).length > 0
    lacking.set(describe, missing)
  }
  return missing
}
