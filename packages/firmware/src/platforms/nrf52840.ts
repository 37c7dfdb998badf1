/** The nRF52840 boards of Gen 3. modules-and-platforms.md 1.9, 2.1, 2.2. */

import type { ModuleSlot, Platform } from './platform.ts'

const otaRegionSize = 1_536_000

/** Prefix offset 8 of modules for the ESP32 co-processor (1.2). */
export const esp32McuTarget = 0x21

// Device OS 3.1.0 gave the application 256 KiB; until then the system part could reach to 0xd4000. It
// started at 0x30000 until 6.2.0; devices do not test where a module starts.
const firstWithLargeUserPart = 3100

const bootloader: ModuleSlot = { function: 'bootloader', index: 0, start: 0xf4000, end: 0x100000, maxSize: 0xc000 }

const systemPart: ModuleSlot = {
  function: 'system_part',
  index: 1,
  start: 0x28000,
  end: 0xb4000,
  maxSize: 0x8c000,
  earlier: { before: firstWithLargeUserPart, end: 0xd4000 },
}

// A board whose line ended before 3.1.0 knows only the old bounds.
const oldSystemPart: ModuleSlot = {
  function: 'system_part',
  index: 1,
  start: 0x30000,
  end: 0xd4000,
  maxSize: 0xa4000,
}

const smallUserPart: ModuleSlot = { function: 'user_part', index: 1, start: 0xd4000, end: 0xf4000, maxSize: 0x20000 }
const userPart: ModuleSlot = { function: 'user_part', index: 2, start: 0xb4000, end: 0xf4000, maxSize: 0x40000 }
const radioStack: ModuleSlot = { function: 'radio_stack', index: 0, start: 0x1000, end: 0x27000, maxSize: 0x26000 }
const mono: ModuleSlot = { function: 'mono_firmware', index: 0, start: 0x28000, end: 0xf4000, maxSize: 0xcc000 }
const ncp: ModuleSlot = {
  function: 'ncp_firmware',
  index: 0,
  start: 0,
  end: 1_536_000,
  maxSize: 1_536_000,
  mcuTarget: esp32McuTarget,
}

const slots: readonly ModuleSlot[] = [bootloader, systemPart, smallUserPart, userPart, radioStack, mono]
const slotsWithNcp: readonly ModuleSlot[] = [bootloader, systemPart, smallUserPart, userPart, ncp, radioStack, mono]
const oldSlots: readonly ModuleSlot[] = [bootloader, oldSystemPart, smallUserPart, radioStack, mono]
const oldSlotsWithNcp: readonly ModuleSlot[] = [bootloader, oldSystemPart, smallUserPart, ncp, radioStack, mono]

// Storage is 4 KiB blocks of which 10 are not for assets: total = 4096 * (blocks - 10).
const assets4MiB = { total: 4096 * (288 - 10), maxSingle: 606_208 }
const assets8MiB = { total: 4096 * (512 - 10), maxSingle: 1_572_864 }

const family = {
  aliases: [],
  generation: 3,
  mcu: 'nRF52840',
  prefixRule: 'nrf52840',
  otaRegionSize,
  otaV3: true,
  productable: true,
  public: true,
} as const

function usb(id: number): { vendorId: number; productId: number; dfuProductId: number } {
  return { vendorId: 0x2b04, productId: 0xc000 | id, dfuProductId: 0xd000 | id }
}

export const nrf52840Platforms: readonly Platform[] = [
  {
    ...family,
    id: 12,
    name: 'argon',
    aliases: ['a'],
    displayName: 'Argon',
    features: ['wifi', 'udp', 'mesh', 'ble'],
    connectivity: 'wifi',
    usb: usb(12),
    slots: slotsWithNcp,
    assets: assets4MiB,
    deviceProtection: true,
  },
  {
    ...family,
    id: 13,
    name: 'boron',
    aliases: ['b'],
    displayName: 'Boron',
    features: ['cellular', 'udp', 'mesh', 'ble'],
    connectivity: 'cellular',
    usb: usb(13),
    slots,
    assets: assets4MiB,
    deviceProtection: true,
  },
  {
    ...family,
    id: 14,
    name: 'xenon',
    aliases: ['x'],
    displayName: 'Xenon',
    features: ['mesh', 'ble'],
    connectivity: 'wifi',
    usb: usb(14),
    slots: oldSlots,
    productable: false,
    deviceProtection: false,
  },
  {
    ...family,
    id: 15,
    name: 'esomx',
    displayName: 'E SoM X',
    features: ['som', 'cellular', 'udp', 'ble'],
    connectivity: 'cellular',
    usb: usb(15),
    slots,
    assets: assets8MiB,
    deviceProtection: true,
  },
  {
    ...family,
    id: 22,
    name: 'asom',
    displayName: 'A SoM',
    features: ['som', 'wifi', 'mesh', 'udp', 'ble'],
    connectivity: 'wifi',
    usb: usb(22),
    slots: oldSlotsWithNcp,
    productable: false,
    public: false,
    deviceProtection: false,
  },
  {
    ...family,
    id: 23,
    name: 'bsom',
    displayName: 'B4 SoM',
    features: ['som', 'cellular', 'mesh', 'udp', 'ble'],
    connectivity: 'cellular',
    usb: usb(23),
    slots,
    assets: assets4MiB,
    deviceProtection: true,
  },
  {
    ...family,
    id: 24,
    name: 'xsom',
    displayName: 'X SoM',
    features: ['mesh', 'ble'],
    connectivity: 'wifi',
    usb: usb(24),
    slots: oldSlots,
    productable: false,
    public: false,
    deviceProtection: false,
  },
  {
    ...family,
    id: 25,
    name: 'b5som',
    displayName: 'B5 SoM',
    features: ['som', 'cellular', 'mesh', 'udp', 'ble'],
    connectivity: 'cellular',
    usb: usb(25),
    slots,
    assets: assets8MiB,
    deviceProtection: true,
  },
  {
    ...family,
    id: 26,
    name: 'tracker',
    aliases: ['assettracker'],
    displayName: 'Tracker',
    features: ['som', 'cellular', 'udp', 'ble', 'gnss', 'trackerServices'],
    connectivity: 'cellular',
    usb: usb(26),
    slots: slotsWithNcp,
    assets: assets8MiB,
    deviceProtection: true,
  },
  {
    ...family,
    id: 37,
    name: 'electron2',
    displayName: 'Electron 2',
    features: ['cellular', 'udp', 'ble'],
    connectivity: 'cellular',
    usb: usb(37),
    slots,
    assets: assets8MiB,
    deviceProtection: false,
  },
]
