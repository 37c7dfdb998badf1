/** All platforms, and the ways to find one and its slots. modules-and-platforms.md 2. */

import type { ModuleRef } from '../module-function.ts'
import { linuxPlatform } from './linux.ts'
import { nrf52840Platforms } from './nrf52840.ts'
import { otherPlatforms } from './others.ts'
import type { ModuleSlot, Platform } from './platform.ts'
import { rtl872xPlatforms } from './rtl872x.ts'
import { stm32Platforms } from './stm32.ts'

/** By id, ascending. */
export const platforms: readonly Platform[] = [
  ...stm32Platforms,
  ...nrf52840Platforms,
  ...rtl872xPlatforms,
  linuxPlatform,
  ...otherPlatforms,
].sort((a, b) => a.id - b.id)

const byId = new Map(platforms.map((platform) => [platform.id, platform]))
const byName = new Map(
  platforms.flatMap((platform) => [platform.name, ...platform.aliases].map((name) => [name, platform] as const)),
)

export function platformById(id: number): Platform | undefined {
  return byId.get(id)
}

/** Finds a platform by its name or an alias (`assettracker`, `photon2`, `b`), upper or lower case. */
export function platformByName(nameOrAlias: string): Platform | undefined {
  return byName.get(nameOrAlias.toLowerCase())
}

/** The slot of a module, or undefined when the platform has none. Assets have no slot. */
export function slotOf(platform: Platform, module: ModuleRef): ModuleSlot | undefined {
  return platform.slots.find((slot) => slot.function === module.function && slot.index === module.index)
}

/**
 * The first address behind a slot on a device that runs Device OS of system module `systemVersion`,
 * or on the newest one when that is not known.
 */
export function slotEnd(slot: ModuleSlot, systemVersion?: number): number {
  const { earlier } = slot
  return earlier && systemVersion !== undefined && systemVersion < earlier.before ? earlier.end : slot.end
}
