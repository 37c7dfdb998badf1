/** What a plan costs: modules, bytes, resets and seconds on a device's link. */

import type { AssetRef, ModuleRef } from '../module-function.ts'
import type { Platform } from '../platforms/platform.ts'
import { slotOf } from '../platforms/platforms.ts'

/** A device's way to the cloud, as far as an update depends on it. */
export interface Link {
  /** Bytes of files that arrive in a second, everything included. */
  readonly bytesPerSecond: number
  /** From the end of a transfer until the device is in the cloud again: checks, reset, copying, connecting. */
  readonly resetSeconds: number
  /** Besides, for firmware that is handed on to a co-processor (modules-and-platforms.md 1.8: "takes minutes"). */
  readonly ncpSeconds: number
}

/**
 * Estimates, to be overridden by what is measured. On a cellular Boron a bootloader took some 80 s from
 * its transfer until the device was back (modules-and-platforms.md 5.5); chunked transfers wait for an
 * acknowledgement of every chunk (device-protocol.md), windowed ones (OTA v3) do not.
 */
export const links = {
  wifi: { bytesPerSecond: 30_000, resetSeconds: 20, ncpSeconds: 180 },
  'wifi-chunked': { bytesPerSecond: 8_000, resetSeconds: 20, ncpSeconds: 180 },
  cellular: { bytesPerSecond: 10_000, resetSeconds: 75, ncpSeconds: 180 },
  'cellular-chunked': { bytesPerSecond: 2_500, resetSeconds: 75, ncpSeconds: 180 },
  /** Linux devices: wired or good Wi-Fi, and no flash to copy. */
  linux: { bytesPerSecond: 500_000, resetSeconds: 3, ncpSeconds: 0 },
} as const satisfies Readonly<Record<string, Link>>

export type LinkName = keyof typeof links

/** The link that a platform has unless something else is known of the device. */
export function linkOf(platform: Platform): Link {
  if (platform.generation === 'linux' && platform.connectivity === 'wifi') return links.linux
  return links[platform.otaV3 ? platform.connectivity : (`${platform.connectivity}-chunked` as const)]
}

export interface ByteCount {
  readonly bytes: number
  /** Whether the sizes are those of the files. Otherwise a module counts as large as its slot. */
  readonly exact: boolean
}

/** Bytes of a module's file. */
export function moduleBytes(platform: Platform, module: ModuleRef & { readonly size?: number }): ByteCount {
  if (module.size !== undefined) return { bytes: module.size, exact: true }
  return { bytes: slotOf(platform, module)?.maxSize ?? 0, exact: false }
}

/** Bytes of an asset's module file: what the device stores is the file. */
export function assetBytes(asset: AssetRef): ByteCount {
  const bytes = asset.storageSize ?? asset.size
  return { bytes: bytes ?? 0, exact: asset.size !== undefined }
}

export interface PlanCost extends ByteCount {
  readonly modules: number
  /** Files; fewer than modules when some are combined. */
  readonly transfers: number
  readonly resets: number
  /** Expected, on the link. */
  readonly seconds: number
}
