/** For tests: releases of real platforms, of modules with small bodies, named as releases name them. */
import { buildModule, type ModuleDependency, type ModuleFunction, type Platform, platformByName } from '@aloe/firmware'
import type { ImportEntry } from './import-sources.ts'

export interface FixtureFile {
  readonly name: string
  readonly bytes: Uint8Array
}

export interface FixtureModule {
  readonly function: ModuleFunction
  readonly index: number
  readonly version: number
  readonly dependencies?: readonly ModuleDependency[]
  /** Makes two modules with the same prefix differ. */
  readonly body?: string
}

export function platformNamed(name: string): Platform {
  const platform = platformByName(name)
  if (!platform) throw new Error(`there is no platform ${name}`)
  return platform
}

export function moduleBytes(platform: string, { body, ...module }: FixtureModule): Uint8Array {
  const text = body ?? `${platform} ${module.function} ${module.index} ${module.version}`
  return buildModule({ platformId: platformNamed(platform).id, ...module, body: new TextEncoder().encode(text) })
}

const system = (index: number, version: number): ModuleDependency => ({ function: 'system_part', index, version })
const boot = (index: number, version: number): ModuleDependency => ({ function: 'bootloader', index, version })

/** A release of a platform, with the dependencies that its family has (modules-and-platforms.md 3). */
export function releaseFiles(platform: string, release: string, version: number, bootloader: number): FixtureFile[] {
  const modules: [string, FixtureModule][] = [['bootloader', { ...boot(0, bootloader) }]]
  const generation = platformNamed(platform).generation
  if (generation === 2) {
    const second = platform === 'electron' ? 3 : 2
    modules.push(
      ['system-part1', { ...system(1, version), dependencies: [system(second, version)] }],
      ['system-part2', { ...system(2, version), dependencies: [system(1, version), boot(0, bootloader)] }],
      ['tinker', { function: 'user_part', index: 1, version: 6, dependencies: [system(2, version)] }],
    )
    if (second === 3) modules.push(['system-part3', { ...system(3, version) }])
    // Both parts need each other's number in the first two; one of them at a time is acceptable to a device only if
    // part 1 needs less than its own release.
    if (second === 2) modules[1] = ['system-part1', { ...system(1, version), dependencies: [system(2, 207)] }]
  } else if (platform === 'p2') {
    modules[0] = ['bootloader', { ...boot(0, bootloader), dependencies: [boot(2, 8)] }]
    modules.push(
      ['prebootloader-part1', { ...boot(2, 8) }],
      ['system-part1', { ...system(1, version), dependencies: [boot(0, bootloader)] }],
      ['tinker', { function: 'user_part', index: 1, version: 6, dependencies: [system(1, version)] }],
    )
  } else {
    modules.push(
      ['system-part1', { ...system(1, version), dependencies: [boot(0, bootloader)] }],
      ['tinker', { function: 'user_part', index: 2, version: 6, dependencies: [system(1, version)] }],
    )
  }
  return modules.map(([name, module]) => ({
    name: `${platform}-${name}@${release}.bin`,
    bytes: moduleBytes(platform, { ...module, body: `${name} ${release}` }),
  }))
}

export function entry(path: string, bytes: Uint8Array): ImportEntry {
  return { path, size: bytes.length, read: async () => bytes }
}

export function entries(files: readonly FixtureFile[], folder = ''): ImportEntry[] {
  return files.map(({ name, bytes }) => entry(`${folder}${name}`, bytes))
}
