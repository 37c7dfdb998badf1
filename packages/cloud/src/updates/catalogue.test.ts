import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { missingDependencies } from '@aloe/firmware'
import { loadCatalogue } from './catalogue.ts'
import { describeVersion, describeVersionWithModules } from './catalogue-description.ts'
import { writeReleaseFolder } from './catalogue-fixture.ts'

let root = ''
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'aloe-catalogue-'))
})
after(() => rm(root, { recursive: true, force: true }))

/** A new folder with a release in it, changed by `damage`. */
async function damaged(name: string, damage: (folder: string) => Promise<void>): Promise<string> {
  const folder = await writeReleaseFolder(join(root, name), {
    version: '3.0.0',
    systemVersion: 3000,
    bootloaderVersion: 300,
  })
  await damage(folder)
  return folder
}

async function editManifest(folder: string, edit: (manifest: Record<string, unknown>) => void): Promise<void> {
  const path = join(folder, 'manifest.json')
  const manifest = JSON.parse(await readFile(path, 'utf8'))
  edit(manifest)
  await writeFile(path, JSON.stringify(manifest))
}

describe('the catalogue', () => {
  async function four() {
    const out = join(root, 'four')
    const releases = [
      { version: '1.0.0', systemVersion: 1000, bootloaderVersion: 100 },
      {
        version: '1.1.0-rc.1',
        systemVersion: 1100,
        bootloaderVersion: 101,
        prerelease: true,
        state: 'preview' as const,
      },
      { version: '1.1.0', systemVersion: 1101, bootloaderVersion: 101 },
      { version: '2.0.0', systemVersion: 2000, bootloaderVersion: 200, state: 'preview' as const },
    ]
    for (const release of releases) await writeReleaseFolder(out, release)
    return await loadCatalogue([out])
  }

  it('lists releases newest first', async () => {
    const catalogue = await four()
    assert.deepEqual(catalogue.problems, [])
    const versions = catalogue.releases(43).map(({ version }) => version)
    assert.deepEqual(versions, ['2.0.0', '1.1.0', '1.1.0-rc.1', '1.0.0'])
    assert.deepEqual(catalogue.releases(6), [])
  })

  it('finds a release by version, by module version and as the latest', async () => {
    const catalogue = await four()
    assert.equal(catalogue.release('1.1.0')?.systemVersion, 1101)
    assert.equal(catalogue.release('v1.1.0-rc.1')?.systemVersion, 1100)
    assert.equal(catalogue.release(1000)?.version, '1.0.0')
    assert.equal(catalogue.release('2000')?.version, '2.0.0')
    assert.equal(catalogue.release('latest', 43)?.version, '1.1.0')
    assert.equal(catalogue.release('1.2.0'), undefined)
    assert.equal(catalogue.release('1.1.0', 6), undefined)
  })

  it('gives modules with their dependencies, and their bytes', async () => {
    const catalogue = await four()
    const system2 = catalogue
      .modules(43)
      .find((m) => m.release === '1.1.0' && m.function === 'system_part' && m.index === 2)
    assert.ok(system2 !== undefined)
    assert.deepEqual(system2.dependencies, [{ function: 'system_part', index: 1, version: 1101 }])
    assert.equal(catalogue.moduleBytes(system2).length, system2.size)
    assert.equal(catalogue.modules(43).length, 12)
    assert.throws(() => catalogue.moduleBytes({ ...system2, index: 9 }), /not a module of release 1\.1\.0/)
  })

  it('gives files by name, and only those of the manifest', async () => {
    const catalogue = await four()
    assert.equal(catalogue.file('1.0.0', 'linux-system-part1@1.0.0.bin')?.index, 1)
    assert.equal(catalogue.file('v1.0.0', 'linux-bootloader@1.0.0.bin')?.function, 'bootloader')
    assert.equal(catalogue.file('1.0.0', '../manifest.json'), undefined)
    assert.equal(catalogue.file('1.0.0', 'manifest.json'), undefined)
    assert.match(catalogue.types('1.0.0') ?? '', /export/)
    assert.equal(catalogue.types('9.0.0'), undefined)
  })

  it('describes a release as the official tools read it', async () => {
    const catalogue = await four()
    const release = catalogue.release('1.1.0')
    assert.ok(release !== undefined)
    const description = describeVersionWithModules(catalogue, release, 'http://127.0.0.1:8080/')
    assert.equal(description.base_url, 'http://127.0.0.1:8080/v1/firmware/device-os/v1.1.0')
    assert.deepEqual(description.supported_platforms, [43])
    assert.deepEqual(description.default_platforms, [43])
    const system2 = description.modules.find(({ filename }) => filename === 'linux-system-part2@1.1.0.bin')
    assert.ok(system2 !== undefined)
    const { moduleFunction, moduleIndex, moduleVersion, platformID, depModuleFunction, depModuleVersion } =
      system2.prefixInfo
    assert.deepEqual(
      [moduleFunction, moduleIndex, moduleVersion, platformID, depModuleFunction, depModuleVersion],
      ['system_part', 2, 1101, 43, 'system_part', 1101],
    )
    assert.match(system2.crc.storedCrc, /^[0-9a-f]{8}$/)
    const bytes = catalogue.file('1.1.0', system2.filename)?.bytes ?? new Uint8Array()
    assert.equal(Buffer.from(bytes.subarray(-4)).toString('hex'), system2.crc.storedCrc)
    const newest = catalogue.release('2.0.0')
    assert.ok(newest !== undefined)
    assert.deepEqual(describeVersion(catalogue, newest, 'http://x').default_platforms, [])
  })

  it('serves the rest when a folder is damaged, and says which and why', async () => {
    const good = await writeReleaseFolder(join(root, 'good'), {
      version: '1.0.0',
      systemVersion: 1000,
      bootloaderVersion: 100,
    })
    const bad = await damaged('bad', (folder) => writeFile(join(folder, 'linux-system-part1@3.0.0.bin'), 'x'))
    const catalogue = await loadCatalogue([bad, good, join(root, 'nowhere')])
    assert.deepEqual(
      catalogue.releases().map(({ version }) => version),
      ['1.0.0'],
    )
    assert.equal(catalogue.problems.length, 2)
    assert.match(
      catalogue.problems[0]?.message ?? '',
      /bad.*linux-system-part1@3\.0\.0\.bin has 1 bytes; the manifest says/,
    )
    assert.equal(catalogue.problems[0]?.folder, bad)
    assert.match(catalogue.problems[1]?.message ?? '', /nowhere.*cannot be read/)
  })

  it('takes a release only once', async () => {
    const release = { version: '1.0.0', systemVersion: 1000, bootloaderVersion: 100 }
    const first = await writeReleaseFolder(join(root, 'once'), release)
    const again = await writeReleaseFolder(join(root, 'twice'), release)
    const catalogue = await loadCatalogue([first, again])
    assert.equal(catalogue.releases().length, 1)
    assert.match(catalogue.problems[0]?.message ?? '', /1\.0\.0 for linux is there already/)
  })

  const system1 = 'linux-system-part1@3.0.0.bin'
  const damages: [string, RegExp, (folder: string) => Promise<void>][] = [
    [
      'a flipped bit',
      /SHA-256/,
      async (folder) => {
        const path = join(folder, system1)
        const bytes = await readFile(path)
        bytes[40] = (bytes[40] ?? 0) ^ 1
        await writeFile(path, bytes)
      },
    ],
    ['a missing module', /cannot be read \(ENOENT\)/, (folder) => rm(join(folder, system1))],
    ['a missing manifest', /there is no manifest\.json/, (folder) => rm(join(folder, 'manifest.json'))],
    ['a manifest that is no JSON', /is not JSON/, (folder) => writeFile(join(folder, 'manifest.json'), '{')],
    ['a manifest that is no object', /is not an object/, (folder) => writeFile(join(folder, 'manifest.json'), '[]')],
    [
      'missing types',
      /types\/device-os\.d\.ts cannot be read/,
      (folder) => rm(join(folder, 'types'), { recursive: true }),
    ],
    [
      'types outside the folder',
      /leads out/,
      (folder) =>
        editManifest(folder, (m) => {
          m.types = '../../x.d.ts'
        }),
    ],
    [
      'a version that is none',
      /is not a version/,
      (folder) =>
        editManifest(folder, (m) => {
          m.version = 'newest'
        }),
    ],
    [
      'an unknown state',
      /state done is not/,
      (folder) =>
        editManifest(folder, (m) => {
          m.state = 'done'
        }),
    ],
    [
      'a number out of range',
      /systemVersion is not a number/,
      (folder) =>
        editManifest(folder, (m) => {
          m.systemVersion = 70_000
        }),
    ],
    [
      'another platform',
      /has platform 43; the manifest says 12/,
      (folder) =>
        editManifest(folder, (m) => {
          m.platformId = 12
        }),
    ],
    [
      'no modules',
      /lists no modules/,
      (folder) =>
        editManifest(folder, (m) => {
          m.modules = []
        }),
    ],
    [
      'a file name that leads out',
      /is not the name of a module file/,
      (folder) =>
        editManifest(folder, (m) => {
          m.modules = [{ filename: '../x.bin', function: 'bootloader', index: 0, version: 1, size: 1, sha256: '' }]
        }),
    ],
  ]
  for (const [what, expected, damage] of damages) {
    it(`refuses a folder with ${what}`, async () => {
      const catalogue = await loadCatalogue([await damaged(what.replaceAll(' ', '-'), damage)])
      assert.deepEqual(catalogue.releases(), [])
      assert.match(catalogue.problems[0]?.message ?? '', expected)
    })
  }

  it('refuses a module that the manifest calls by another version', async () => {
    const folder = await damaged('renamed', (folder) =>
      editManifest(folder, (manifest) => {
        const modules = manifest.modules
        assert.ok(Array.isArray(modules))
        modules[1].version = 2999
      }),
    )
    const { problems } = await loadCatalogue([folder])
    assert.match(problems[0]?.message ?? '', /has version 3000; the manifest says 2999/)
  })

  it('gives modules that firmware can plan with', async () => {
    const catalogue = await four()
    assert.equal(typeof missingDependencies, 'function')
    assert.ok(catalogue.modules(43).every(({ platformId, size }) => platformId === 43 && (size ?? 0) > 0))
  })
})
