import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { buildModule, type ModuleFunction, slotOf } from '@aloe/firmware'
import { checkModule } from './check-module.ts'
import { identify, type KnownVersions } from './identify.ts'
import { ImportError } from './import-error.ts'
import { moduleFilename, readFolderName, readName } from './module-names.ts'
import { publishedReleases, publishedSystemVersion } from './published-versions.ts'
import { type FixtureModule, moduleBytes, platformNamed } from './release-fixture.ts'

const known: KnownVersions = { systemVersion: publishedSystemVersion, releases: publishedReleases }

const system = (version: number): FixtureModule => ({ function: 'system_part', index: 1, version })
const radio = (version: number): FixtureModule => ({ function: 'radio_stack', index: 0, version })

function releaseOf(path: string, module: FixtureModule, platform = 'argon', given?: string): string {
  const identity = identify(path, checkModule(moduleBytes(platform, module)), known, given)
  return 'skip' in identity ? `skip: ${identity.skip}` : identity.release
}

function refusal(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    if (error instanceof ImportError) return `${error.code}: ${error.message}`
    throw error
  }
  return assert.fail('nothing was refused')
}

describe('names of module files', () => {
  it('are read in the form of today and in those of before', () => {
    const read = (name: string) => {
      const { version, platform, module } = readName(name)
      return [platform?.name, module, version]
    }
    assert.deepEqual(read('argon-system-part1@6.2.0.bin'), ['argon', 'system-part1', '6.2.0'])
    assert.deepEqual(read('boron-som-system-part1@1.1.0-rc.1.bin'), ['bsom', 'system-part1', '1.1.0-rc.1'])
    assert.deepEqual(read('photon-system-part2@1.0.1+lto.bin'), ['photon', 'system-part2', '1.0.1'])
    assert.deepEqual(read('tinker-0.8.0-rc.27-xenon.bin'), ['xenon', 'tinker', '0.8.0-rc.27'])
    assert.deepEqual(read('system-part1-0.7.0-photon.bin'), ['photon', 'system-part1', '0.7.0'])
    assert.deepEqual(read('p2-prebootloader-part1@5.6.0.bin'), ['p2', 'prebootloader-part1', '5.6.0'])
    assert.deepEqual(read('040_system-part1.bin'), [undefined, '040_system-part1', undefined])
    assert.deepEqual(readName('e-system.bin').platform, undefined)
  })

  it('are written as releases write them', () => {
    const write = (platform: string, module: FixtureModule) => moduleFilename(platformNamed(platform), module, '6.2.0')
    assert.equal(write('tracker', system(6200)), 'tracker-system-part1@6.2.0.bin')
    assert.equal(write('p2', { function: 'bootloader', index: 2, version: 9 }), 'p2-prebootloader-part1@6.2.0.bin')
    assert.equal(write('argon', { function: 'user_part', index: 2, version: 6 }), 'argon-tinker@6.2.0.bin')
  })

  it('of folders and archives tell release, platform and kind of build', () => {
    const read = (name: string) => {
      const { version, platform, debug } = readFolderName(name)
      return [version, platform?.name, debug]
    }
    assert.deepEqual(read('particle_device-os@6.2.0+argon.binaries.zip'), ['6.2.0', 'argon', false])
    assert.deepEqual(read('particle_device-os@5.0.0-alpha.1.zip'), ['5.0.0-alpha.1', undefined, false])
    assert.deepEqual(read('v6.3.4'), ['6.3.4', undefined, false])
    assert.deepEqual(read('device-os-6.3.4'), ['6.3.4', undefined, false])
    assert.deepEqual(read('boron'), [undefined, 'boron', false])
    assert.deepEqual(read('debug'), [undefined, undefined, true])
    assert.deepEqual(read('project-1.2.3-notes'), [undefined, undefined, false])
  })
})

describe('the release of a module file', () => {
  it('is what its name, its folder, its importer or its number says', () => {
    assert.equal(releaseOf('argon-system-part1@6.2.0.bin', system(6200)), '6.2.0')
    assert.equal(releaseOf('6.2.0/argon/release/system-part1.bin', system(6200)), '6.2.0')
    assert.equal(releaseOf('x.zip/6.2.0/argon/system-part1.bin', system(6200)), '6.2.0')
    assert.equal(releaseOf('whatever.bin', { function: 'bootloader', index: 0, version: 3 }, 'argon', '6.2.0'), '6.2.0')
    assert.equal(releaseOf('whatever.bin', system(6200), 'argon', 'v6.2.0+lto'), '6.2.0')
    assert.match(
      refusal(() => releaseOf('whatever.bin', system(6200), 'argon', '../../etc')),
      /conflict: .* is not a version/,
    )
    assert.equal(releaseOf('whatever.bin', system(6101)), '6.1.1')
    // Linux devices count by themselves: Aloe's own 2.0.0 is 2000, Particle's is 2008.
    assert.equal(releaseOf('linux-system-part1@2.0.0.bin', system(2000), 'linux'), '2.0.0')
    assert.equal(releaseOf('whatever.bin', system(2008)), '2.0.0')
  })

  it('is asked for where nothing says it', () => {
    assert.match(
      refusal(() => releaseOf('x.bin', { function: 'bootloader', index: 0, version: 3101 })),
      /unknown-release: .*--release/,
    )
    assert.match(
      refusal(() => releaseOf('x.bin', system(4711))),
      /unknown-release: .*system part version 4711/,
    )
  })

  it('is refused where two things say different', () => {
    const cases: [RegExp, () => unknown][] = [
      [
        /you named Device OS 6\.1\.0, but its name says 6\.2\.0/,
        () => releaseOf('argon-system-part1@6.2.0.bin', system(6200), 'argon', '6.1.0'),
      ],
      [
        /its name says Device OS 6\.2\.0, but its folder says 6\.3\.0/,
        () => releaseOf('6.3.0/argon-system-part1@6.2.0.bin', system(6200)),
      ],
      [
        /system parts of Device OS 6\.2\.0 have module version 6200, this one has 6201/,
        () => releaseOf('argon-system-part1@6.2.0.bin', system(6201)),
      ],
      [
        /its name says boron, but the module is for argon/,
        () => releaseOf('boron-system-part1@6.2.0.bin', system(6200)),
      ],
      [
        /its folder says boron, but the module is for argon/,
        () => releaseOf('6.2.0/boron/system-part1.bin', system(6200)),
      ],
      [
        /its name says bootloader, but the module is system_part 1/,
        () => releaseOf('argon-bootloader@6.2.0.bin', system(6200)),
      ],
    ]
    for (const [message, work] of cases) assert.match(refusal(work), message)
  })

  it('leaves out builds for debuggers, and applications besides the stock one', () => {
    const tinker: FixtureModule = { function: 'user_part', index: 2, version: 6 }
    assert.match(
      releaseOf('6.2.0/argon/debug/argon-system-part1@6.2.0.bin', system(6200)),
      /skip: a build for debuggers/,
    )
    assert.match(releaseOf('argon-system-part1@6.2.0+debug.bin', system(6200)), /skip: a build for debuggers/)
    assert.match(releaseOf('argon-blinky@6.2.0.bin', tinker), /skip: an application/)
    assert.equal(releaseOf('argon-tinker@6.2.0.bin', tinker), '6.2.0')
  })

  it('knows radio stacks and NCP firmware that have versions of their own', () => {
    assert.equal(releaseOf('argon-softdevice@6.0.0.bin', radio(169)), 'radio_stack@169')
    assert.equal(releaseOf('argon-softdevice@6.0.0.bin', radio(202)), '6.0.0')
    assert.equal(releaseOf('6.2.0/argon/argon-softdevice@6.2.0.bin', radio(202)), '6.2.0')
    assert.equal(
      releaseOf('argon-ncp-firmware-0.0.5-ota.bin', { function: 'ncp_firmware', index: 0, version: 5 }),
      'ncp_firmware@5',
    )
  })
})

const table = new URL('../../../../../shared/data/device-os-releases.json', import.meta.url)

describe('the public table of releases', { skip: !existsSync(table) && '../shared/data is not there' }, () => {
  interface PublicModule {
    readonly function: ModuleFunction
    readonly index: number
    readonly version: number
    readonly dependencies: { function: ModuleFunction; index: number; version: number }[]
  }
  const { releases } = JSON.parse(existsSync(table) ? readFileSync(table, 'utf8') : '{"releases":[]}') as {
    releases: {
      version: string
      system_module_version: number
      platforms: Record<string, { modules: PublicModule[] | null }>
    }[]
  }

  it('has the numbers that are known here', () => {
    for (const { version, system_module_version } of releases) {
      const number = publishedSystemVersion(version, 12)
      if (number !== undefined) assert.equal(number, system_module_version, version)
    }
  })

  it('has modules of which each is taken, and found to be of its release by its name', () => {
    let modules = 0
    for (const { version, platforms } of releases) {
      for (const [name, entry] of Object.entries(platforms)) {
        const platform = platformNamed(name)
        for (const module of entry.modules ?? []) {
          if (!slotOf(platform, module)) continue
          const bytes = buildModule({ platformId: platform.id, ...module, body: new Uint8Array(8) })
          const checked = checkModule(bytes)
          const filename = moduleFilename(platform, module, version)
          assert.deepEqual(identify(filename, checked, known), { release: version }, filename)
          assert.deepEqual(checked.module.dependencies, module.dependencies, filename)
          modules++
        }
      }
    }
    assert.ok(modules > 3_000, `${modules} modules`)
  })
})
