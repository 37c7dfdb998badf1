import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { deviceOsReleases, parseModule } from '@aloe/firmware'
import { MemoryDevice } from '../host/memory-device.ts'
import { HealingCloud } from '../host/test-healing-cloud.ts'
import { needsSystemPart, testModule, testPlatform } from '../test-modules.ts'
import { apiMembers } from '../wiring/api-manifest.ts'
import { buildRelease, buildReleases } from './build-release.ts'
import { openReleases, ReleaseError, type ReleaseFolder, releaseModules } from './release-folder.ts'

const folder = mkdtempSync(join(tmpdir(), 'aloe-release-'))
const outDir = join(folder, 'releases')
let releases: readonly ReleaseFolder[]

before(async () => {
  releases = await buildReleases(outDir)
})
after(() => rmSync(folder, { recursive: true }))

const release = (version: string): ReleaseFolder => {
  const found = releases.find(({ manifest }) => manifest.version === version)
  assert.ok(found)
  return found
}
const types = ({ dir, manifest }: ReleaseFolder) => readFileSync(join(dir, manifest.types), 'utf8')
const bodyOf = (folder: ReleaseFolder, place: number) => {
  const bytes = releaseModules(folder)[place]?.bytes
  assert.ok(bytes)
  return Buffer.from(parseModule(bytes).body).toString()
}

describe('releases of the Device OS', () => {
  it('are all that the table has, with its numbers and dependencies', () => {
    assert.deepEqual(
      openReleases(outDir).map(({ manifest }) => manifest.version),
      deviceOsReleases.map(({ version }) => version),
    )
    for (const { version, systemVersion, bootloaderVersion } of deviceOsReleases) {
      const modules = releaseModules(release(version)).map(({ bytes }) => parseModule(bytes))
      assert.ok(modules.every((module) => module.crcValid && module.sha256Valid && module.platformId === 43))
      assert.deepEqual(
        modules.map((module) => [module.function, module.index, module.version, module.dependencies]),
        [
          ['bootloader', 0, bootloaderVersion, []],
          ['system_part', 1, systemVersion, [{ function: 'bootloader', index: 0, version: bootloaderVersion }]],
          ['system_part', 2, systemVersion, [{ function: 'system_part', index: 1, version: systemVersion }]],
        ],
      )
    }
  })

  it('have the same bytes whenever they are built', async () => {
    const again = await buildRelease({ version: '1.1.0', outDir: join(folder, 'again') })
    assert.deepEqual(again.manifest, release('1.1.0').manifest)
    assert.equal(types(again), types(release('1.1.0')))
  })

  it('are built once while the sources are the same, whoever asks', async () => {
    const inodes = () => releases.map(({ dir }) => statSync(dir).ino)
    const before = inodes()
    await Promise.all([buildReleases(outDir), buildReleases(outDir)])
    assert.deepEqual(inodes(), before)
  })

  it('contain what the manifest says since when it exists, in their bytes and in their types', () => {
    for (const { manifest, dir } of releases) {
      const age = (version: string) => deviceOsReleases.findIndex((known) => known.version === version)
      const body = bodyOf({ manifest, dir }, 2)
      const declared = types({ manifest, dir })
      for (const { name, since, kind } of apiMembers) {
        const has = age(since) <= age(manifest.version)
        const where = `${name} (since ${since}) in ${manifest.version}`
        assert.equal(
          manifest.api.some((member) => member.name === name),
          has,
          where,
        )
        // The table of members has a function's name as it is, quoted where it holds a dot.
        const word = name.includes('.') ? `"${name}"` : new RegExp(`\\b${name}\\b`)
        const inBytes = typeof word === 'string' ? body.includes(word) : word.test(body)
        if (has) assert.ok(inBytes, where)
        else if (kind === 'member') assert.ok(!inBytes, where)
        const own = name.slice(name.indexOf('.') + 1)
        if (has) assert.match(declared, new RegExp(`\\b${own}\\b`), where)
      }
    }
  })

  it('do not exist for other versions', async () => {
    await assert.rejects(buildRelease({ version: '3.0.0', outDir }), ReleaseError)
  })
})

describe('a changed constant in system part 2', () => {
  it('changes the running device when only that part is flashed, as a newer release', async () => {
    const newer = await buildRelease({
      version: '2.0.0',
      outDir: join(folder, 'newer'),
      release: { version: '2.0.1', systemVersion: 2001, bootloaderVersion: 200, state: 'ga', prerelease: false },
      needsPart1: 2000,
      transform: (path, source) =>
        path.endsWith('led/signals.ts')
          ? source.replace('cloud_connected: signal(colors.cyan', 'cloud_connected: signal(colors.yellow')
          : source,
    })
    const application = (version: number, needs: number) =>
      testModule('user_part', 1, version, needsSystemPart(2, needs), { body: `exports.loop = () => {} // ${version}` })
    const newApplication = application(2, 2001)
    const cloud = await HealingCloud.start(testPlatform, { application: newApplication, releases: [newer] })
    const shown: string[] = []
    const device = new MemoryDevice({
      release: release('2.0.0'),
      application: application(1, 2000),
      serverKey: cloud.serverKeyDer,
      serverAddress: { type: 'ipv4', address: '127.0.0.1', port: cloud.port },
      onLed: ({ words }) => words !== shown.at(-1) && shown.push(words),
    })
    try {
      const reached = cloud.reached(device.id)
      device.start()
      await reached
    } finally {
      await device.stop()
      await cloud.close()
    }
    assert.deepEqual(
      device.flash.installed().map((module) => module.version),
      [200, 2000, 2001, 2],
    )
    const lastOf = (words: string) => shown.lastIndexOf(words)
    assert.ok(shown.includes('breathing cyan'))
    assert.ok(lastOf('breathing yellow') > lastOf('breathing cyan'), shown.join(', '))
    assert.ok(lastOf('breathing yellow') > lastOf('breathing magenta'))
  })
})
