/** Release folders for tests: real module files with empty bodies, in the layout that device-os builds. */

import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buildModule, type ModuleDependency, type ModuleFunction, sha256Hex } from '@aloe/firmware'

export interface FixtureRelease {
  readonly version: string
  readonly systemVersion: number
  readonly bootloaderVersion: number
  readonly prerelease?: boolean
  readonly state?: 'ga' | 'preview' | 'archived'
  readonly types?: string
  readonly api?: readonly { readonly name: string; readonly since: string }[]
}

const linux = 43

/** Writes `<out>/<version>/` and answers its path. */
export async function writeReleaseFolder(out: string, release: FixtureRelease): Promise<string> {
  const { version, systemVersion, bootloaderVersion } = release
  const folder = join(out, version)
  await mkdir(join(folder, 'types'), { recursive: true })
  const parts: [string, ModuleFunction, number, number, ModuleDependency[]][] = [
    ['bootloader', 'bootloader', 0, bootloaderVersion, []],
    [
      'system-part1',
      'system_part',
      1,
      systemVersion,
      [{ function: 'bootloader', index: 0, version: bootloaderVersion }],
    ],
    ['system-part2', 'system_part', 2, systemVersion, [{ function: 'system_part', index: 1, version: systemVersion }]],
  ]
  const modules: object[] = []
  for (const [name, moduleFunction, index, moduleVersion, dependencies] of parts) {
    const body = new TextEncoder().encode(`exports.name = '${name}@${version}'\n`)
    const bytes = buildModule({
      platformId: linux,
      function: moduleFunction,
      index,
      version: moduleVersion,
      dependencies,
      body,
    })
    const filename = `linux-${name}@${version}.bin`
    await writeFile(join(folder, filename), bytes)
    modules.push({
      filename,
      function: moduleFunction,
      index,
      version: moduleVersion,
      size: bytes.length,
      sha256: sha256Hex(bytes),
    })
  }
  await writeFile(join(folder, 'types', 'device-os.d.ts'), release.types ?? 'export {}\n')
  const manifest = {
    version,
    platform: 'linux',
    platformId: linux,
    systemVersion,
    bootloaderVersion,
    prerelease: release.prerelease ?? false,
    state: release.state ?? 'ga',
    modules,
    types: 'types/device-os.d.ts',
    api: release.api ?? [],
  }
  await writeFile(join(folder, 'manifest.json'), `${JSON.stringify(manifest, undefined, 2)}\n`)
  return folder
}
