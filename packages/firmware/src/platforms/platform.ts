/** What a platform is, as data: identity, module slots, flash map, update abilities (modules-and-platforms.md 2). */

import type { ModuleRef } from '../module-function.ts'

/**
 * Where a module lies. A module file occupies `[startAddress, endAddress + 4)`: its CRC-32 follows
 * at the end address and lies inside the slot as well.
 */
export interface ModuleSlot extends ModuleRef {
  /** First address of the slot. */
  readonly start: number
  /** First address behind the slot. */
  readonly end: number
  /** Largest module file, in bytes. */
  readonly maxSize: number
  /** The module ends at the slot's end and grows towards lower addresses (RTL872x user part). */
  readonly growsDown?: true
  /** Not the main MCU: the co-processor that the module is for (prefix offset 8). */
  readonly mcuTarget?: number
  /** The end that Device OS before system module `before` enforced. */
  readonly earlier?: { readonly before: number; readonly end: number }
  /** The part exists from this system module number on; older systems have none. */
  readonly since?: number
  /** Signed for one device at the factory; a foreign one bricks it, so it is never sent (1.8). */
  readonly factoryOnly?: true
}

/**
 * How a device finds the prefix behind a vector table or image header (1.1). `scan` looks for it as
 * host tools do; with `none` it always comes first.
 */
export type PrefixRule = 'stm32f1' | 'bluz' | 'stm32f2' | 'nrf52840' | 'rtl872x' | 'scan' | 'none'

export interface AssetLimits {
  /** Bytes of all assets together, in units of storage. */
  readonly total: number
  /** Bytes of the largest asset module. */
  readonly maxSingle: number
}

export interface Platform {
  readonly id: number
  readonly name: string
  /** Other names that tools accept. */
  readonly aliases: readonly string[]
  readonly displayName: string
  /** As the public platform table counts; `linux` for Linux devices, undefined for virtual and foreign boards. */
  readonly generation: 1 | 2 | 3 | 4 | 'linux' | undefined
  readonly mcu: string
  /** `wifi`, `cellular`, `tcp`, `udp`, `ble`, `gnss`, … */
  readonly features: readonly string[]
  readonly connectivity: 'wifi' | 'cellular'
  readonly usb?: { readonly vendorId: number; readonly productId: number; readonly dfuProductId?: number }
  /** In the order of a describe: bootloaders, system parts, user parts, NCP, radio stack, mono. */
  readonly slots: readonly ModuleSlot[]
  readonly prefixRule: PrefixRule
  /** Bytes of the region that receives updates; 0 for a platform that takes no module files. */
  readonly otaRegionSize: number
  /** Speaks the windowed transfer (protocol v3), with resume, compressed and combined modules. */
  readonly otaV3: boolean
  readonly assets?: AssetLimits
  readonly productable: boolean
  readonly public: boolean
  /** Has the device protection feature (4.8). */
  readonly deviceProtection: boolean
}
