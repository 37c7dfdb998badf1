/** The RTL872x boards: P2, M-SoM, Tracker M. modules-and-platforms.md 1.9, 2.1, 2.2. */

import type { ModuleSlot, Platform } from './platform.ts'

const userPartSize = 0x18_0000

const slots: readonly ModuleSlot[] = [
  { function: 'bootloader', index: 0, start: 0x0800_4000, end: 0x0801_4000, maxSize: 0x1_0000 },
  { function: 'bootloader', index: 1, start: 0x0800_0000, end: 0x0800_4000, maxSize: 0x2000, factoryOnly: true },
  { function: 'bootloader', index: 2, start: 0x0801_4000, end: 0x0805_e000, maxSize: 0x4_a000 },
  { function: 'system_part', index: 1, start: 0x0806_0000, end: 0x081e_0000, maxSize: 0x18_0000 },
  {
    function: 'user_part',
    index: 1,
    start: 0x0860_0000 - userPartSize,
    end: 0x0860_0000,
    maxSize: userPartSize,
    growsDown: true,
  },
]

const family = {
  aliases: [],
  mcu: 'RTL872x',
  prefixRule: 'rtl872x',
  // Up to the start of the application when there is one; an application leaves at least this.
  otaRegionSize: 0x18_0000,
  otaV3: true,
  slots,
  assets: { total: 4096 * (288 - 10), maxSingle: 1_179_648 },
  productable: true,
  public: true,
} as const

function usb(id: number): { vendorId: number; productId: number; dfuProductId: number } {
  return { vendorId: 0x2b04, productId: 0xc000 | id, dfuProductId: 0xd000 | id }
}

export const rtl872xPlatforms: readonly Platform[] = [
  {
    ...family,
    id: 28,
    name: 'trackerm',
    displayName: 'Tracker M',
    generation: 3,
    features: ['som', 'cellular', 'udp', 'ble', 'gnss', 'trackerServices'],
    connectivity: 'cellular',
    usb: usb(28),
    deviceProtection: true,
  },
  {
    ...family,
    id: 32,
    name: 'p2',
    aliases: ['photon2'],
    displayName: 'P2',
    generation: 4,
    features: ['wifi', 'udp', 'ble'],
    connectivity: 'wifi',
    usb: usb(32),
    deviceProtection: true,
  },
  {
    ...family,
    id: 35,
    name: 'msom',
    aliases: ['muon'],
    displayName: 'M SoM',
    generation: 4,
    features: ['wifi', 'cellular', 'udp', 'ble', 'gnss', 'trackerServices'],
    connectivity: 'cellular',
    usb: usb(35),
    deviceProtection: true,
  },
  {
    ...family,
    id: 38,
    name: 'sulu',
    displayName: 'Sulu',
    generation: 4,
    features: ['wifi', 'cellular', 'udp', 'ble', 'gnss', 'trackerServices'],
    connectivity: 'cellular',
    usb: usb(38),
    deviceProtection: true,
  },
]
