/** Gen 1 and Gen 2: Core (stm32f1), Photon, P1 and Electron (stm32f2). modules-and-platforms.md 2.2. */

import type { ModuleSlot, Platform } from './platform.ts'

const KiB = 1024

function slot(fn: ModuleSlot['function'], index: number, start: number, size: number): ModuleSlot {
  return { function: fn, index, start, end: start + size, maxSize: size }
}

const photonSlots: readonly ModuleSlot[] = [
  slot('bootloader', 0, 0x0800_0000, 16 * KiB),
  slot('system_part', 1, 0x0802_0000, 256 * KiB),
  slot('system_part', 2, 0x0806_0000, 256 * KiB),
  slot('user_part', 1, 0x080a_0000, 128 * KiB),
  slot('mono_firmware', 0, 0x0802_0000, 384 * KiB),
]

const electronSlots: readonly ModuleSlot[] = [
  slot('bootloader', 0, 0x0800_0000, 16 * KiB),
  slot('system_part', 1, 0x0802_0000, 128 * KiB),
  slot('system_part', 2, 0x0804_0000, 128 * KiB),
  { ...slot('system_part', 3, 0x0806_0000, 128 * KiB), since: 100 },
  slot('user_part', 1, 0x0808_0000, 128 * KiB),
  slot('mono_firmware', 0, 0x0802_0000, 384 * KiB),
]

const gen2 = {
  aliases: [],
  generation: 2,
  mcu: 'stm32f2xx',
  prefixRule: 'stm32f2',
  otaV3: false,
  productable: true,
  public: true,
  deviceProtection: false,
} as const

export const stm32Platforms: readonly Platform[] = [
  {
    id: 0,
    name: 'core',
    aliases: ['c'],
    displayName: 'Core',
    generation: 1,
    mcu: 'stm32f1xx',
    features: ['wifi', 'tcp'],
    connectivity: 'wifi',
    usb: { vendorId: 0x1d50, productId: 0x607d, dfuProductId: 0x607f },
    // The MCU's 128 KiB end at 0x08020000; the first 20 KiB belong to the bootloader.
    slots: [slot('mono_firmware', 0, 0x0800_5000, 108 * KiB)],
    prefixRule: 'stm32f1',
    otaRegionSize: 108 * KiB,
    otaV3: false,
    productable: false,
    public: true,
    deviceProtection: false,
  },
  {
    ...gen2,
    id: 6,
    name: 'photon',
    aliases: ['p'],
    displayName: 'Photon',
    features: ['wifi', 'tcp'],
    connectivity: 'wifi',
    usb: { vendorId: 0x2b04, productId: 0xc006, dfuProductId: 0xd006 },
    slots: photonSlots,
    otaRegionSize: 256 * KiB,
  },
  {
    ...gen2,
    id: 8,
    name: 'p1',
    displayName: 'P1',
    features: ['wifi', 'tcp'],
    connectivity: 'wifi',
    usb: { vendorId: 0x2b04, productId: 0xc008, dfuProductId: 0xd008 },
    slots: photonSlots,
    otaRegionSize: 256 * KiB,
  },
  {
    ...gen2,
    id: 10,
    name: 'electron',
    aliases: ['e'],
    displayName: 'Electron',
    features: ['cellular', 'udp'],
    connectivity: 'cellular',
    usb: { vendorId: 0x2b04, productId: 0xc00a, dfuProductId: 0xd00a },
    slots: electronSlots,
    otaRegionSize: 128 * KiB,
  },
]
