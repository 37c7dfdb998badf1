/**
 * Platforms that run something else than module files, boards of third parties, and the two build
 * targets that only exist on a developer's machine. modules-and-platforms.md 2.1, 4.10.
 */

import type { Platform } from './platform.ts'

const MiB = 0x10_0000

const foreign = {
  aliases: [],
  generation: undefined,
  connectivity: 'wifi',
  slots: [],
  prefixRule: 'none',
  otaRegionSize: 0,
  otaV3: false,
  productable: false,
  public: false,
  deviceProtection: false,
} as const

export const otherPlatforms: readonly Platform[] = [
  {
    ...foreign,
    id: 3,
    name: 'gcc',
    displayName: 'GCC virtual device',
    mcu: 'host',
    features: ['wifi', 'tcp'],
    // It has no flash map and takes what comes (modules-and-platforms.md 4.10): the modules that it fabricates or reads
    // from its describe file, each as large as its OTA region. It speaks the chunked transfer (device-protocol.md 0.2).
    slots: (
      [
        ['bootloader', 0],
        ['mono_firmware', 0],
        ['system_part', 1],
        ['system_part', 2],
        ['system_part', 3],
        ['user_part', 1],
        ['user_part', 2],
      ] as const
    ).map(([name, index]) => ({ function: name, index, start: 0, end: 10 * MiB, maxSize: 10 * MiB })),
    prefixRule: 'scan',
    otaRegionSize: 10 * MiB,
    otaV3: false,
  },
  { ...foreign, id: 11, name: 'esp32', displayName: 'ESP32', mcu: 'esp32', features: ['wifi', 'udp', 'ble'] },
  { ...foreign, id: 31, name: 'raspi', displayName: 'Raspberry Pi', mcu: 'any', features: ['wifi', 'tcp'] },
  {
    ...foreign,
    id: 42,
    name: 'tachyon',
    displayName: 'Tachyon',
    generation: 'linux',
    mcu: 'QCM6490',
    features: ['linux', 'cellular', 'wifi', 'gnss'],
    connectivity: 'cellular',
    usb: { vendorId: 0x2b04, productId: 0xc02a },
    productable: true,
    public: true,
  },
  { ...foreign, id: 82, name: 'oak', displayName: 'Oak', mcu: 'esp8266', features: [] },
  { ...foreign, id: 88, name: 'duo', displayName: 'Duo', mcu: 'stm32f2xx', features: [], prefixRule: 'stm32f2' },
  { ...foreign, id: 103, name: 'bluz', displayName: 'Bluz', mcu: 'nRF51', features: [], prefixRule: 'bluz' },
  {
    ...foreign,
    id: 60000,
    name: 'newhal',
    displayName: 'New HAL',
    mcu: 'host',
    features: [],
    usb: { vendorId: 0x1d50, productId: 0x607d, dfuProductId: 0x607f },
  },
]
