/** Small modules and devices for tests. */
import { buildModule, type ModuleDependency, type ModuleFunction, type Platform, platformByName } from '@aloe/firmware'
import { Flash } from './flash/flash.ts'
import type { Storage } from './storage/storage.ts'

function linux(): Platform {
  const platform = platformByName('linux')
  if (!platform) throw new Error('no platform linux')
  return platform
}

export const testPlatform: Platform = linux()

/** A module of platform linux whose body is the given text, padded to `size`. */
export function testModule(
  moduleFunction: ModuleFunction,
  index: number,
  version: number,
  dependencies: readonly ModuleDependency[] = [],
  options: {
    readonly body?: string
    readonly size?: number
    readonly platformId?: number
    readonly flags?: number
  } = {},
): Uint8Array {
  const text = (options.body ?? `/* ${moduleFunction} ${index}@${version} */`).padEnd(options.size ?? 0, '\n')
  return buildModule({
    platformId: options.platformId ?? testPlatform.id,
    function: moduleFunction,
    index,
    version,
    dependencies,
    body: Buffer.from(text),
    ...(options.flags !== undefined && { flags: options.flags }),
    startAddress:
      testPlatform.slots.find((slot) => slot.function === moduleFunction && slot.index === index)?.start ?? 0,
  })
}

export const needsBootloader = (version: number): ModuleDependency[] => [{ function: 'bootloader', index: 0, version }]
export const needsSystemPart = (index: number, version: number): ModuleDependency[] => [
  { function: 'system_part', index, version },
]

/** The modules of a release: bootloader, system part 1, system part 2. */
export function testRelease(systemVersion: number, bootloaderVersion: number, size = 0): Uint8Array[] {
  return [
    testModule('bootloader', 0, bootloaderVersion, [], { size }),
    testModule('system_part', 1, systemVersion, needsBootloader(bootloaderVersion), { size }),
    testModule('system_part', 2, systemVersion, needsSystemPart(1, systemVersion), { size }),
  ]
}

export function testApplication(systemVersion: number, size = 0): Uint8Array {
  return testModule('user_part', 1, 1, needsSystemPart(2, systemVersion), { size })
}

/** A flash with a release and an application for it. */
export function testFlash(storage: Storage, systemVersion = 1000, bootloaderVersion = 100, size = 0): Flash {
  const flash = new Flash(storage, testPlatform)
  for (const module of testRelease(systemVersion, bootloaderVersion, size)) flash.install(module)
  flash.install(testApplication(systemVersion, size))
  flash.initialize({
    deviceId: '422b05000000000000000001',
    deviceKey: Uint8Array.of(1, 2, 3),
    startupMode: 'normal',
    flags: {},
  })
  return flash
}
