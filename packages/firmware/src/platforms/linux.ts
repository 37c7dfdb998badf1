/**
 * Platform 43, `linux`: Aloe's own device. The public platform table gives it no modules; Aloe
 * defines them here, over a virtual flash of 64 MiB from address 0.
 *
 * | region           | start      | end        | size   |
 * |------------------|------------|------------|--------|
 * | bootloader 0     | 0x00000000 | 0x00100000 |  1 MiB |
 * | system part 1    | 0x00100000 | 0x00500000 |  4 MiB |
 * | system part 2    | 0x00500000 | 0x00900000 |  4 MiB |
 * | user part 1      | 0x00900000 | 0x01100000 |  8 MiB |
 * | OTA region       | 0x01100000 | 0x02100000 | 16 MiB |
 * | asset storage    | 0x02100000 | 0x03100000 | 16 MiB |
 *
 * user part 1 depends on system part 2, which depends on system part 1, which depends on bootloader 0.
 */

import type { ModuleSlot, Platform } from './platform.ts'

const MiB = 0x10_0000

const slots: readonly ModuleSlot[] = [
  { function: 'bootloader', index: 0, start: 0, end: MiB, maxSize: MiB },
  { function: 'system_part', index: 1, start: MiB, end: 5 * MiB, maxSize: 4 * MiB },
  { function: 'system_part', index: 2, start: 5 * MiB, end: 9 * MiB, maxSize: 4 * MiB },
  { function: 'user_part', index: 1, start: 9 * MiB, end: 17 * MiB, maxSize: 8 * MiB },
]

export const linuxPlatform: Platform = {
  id: 43,
  name: 'linux',
  aliases: [],
  displayName: 'Linux',
  generation: 'linux',
  mcu: 'any',
  features: ['linux', 'wifi', 'gnss'],
  connectivity: 'wifi',
  slots,
  prefixRule: 'none',
  otaRegionSize: 16 * MiB,
  otaV3: true,
  assets: { total: 16 * MiB, maxSingle: 8 * MiB },
  productable: true,
  public: true,
  deviceProtection: false,
}
