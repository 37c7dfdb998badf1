import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { buildModule, platformByName } from '@aloe/firmware'
import { type AloeProcess, type AloeResult, runAloe, startAloe } from './aloe-process.ts'

const boron = platformByName('boron')?.id ?? 0

function write(folder: string, release: string, version: number, bootloader: number): void {
  mkdirSync(folder, { recursive: true })
  const body = new TextEncoder().encode(release)
  const needs = [{ function: 'bootloader', index: 0, version: bootloader }] as const
  const common = { platformId: boron, body }
  const modules = {
    bootloader: buildModule({ ...common, function: 'bootloader', index: 0, version: bootloader }),
    'system-part1': buildModule({ ...common, function: 'system_part', index: 1, version, dependencies: needs }),
  }
  for (const [name, bytes] of Object.entries(modules))
    writeFileSync(join(folder, `boron-${name}@${release}.bin`), bytes)
}

/** One story, told in order: each step builds on those before it. */
describe('aloe device-os', () => {
  let root = ''
  let cloud: AloeProcess | undefined
  let url = ''
  const path = (...parts: string[]) => join(root, ...parts)
  const aloe = (...args: string[]): Promise<AloeResult> =>
    runAloe(args, { env: { HOME: root, ...(url !== '' && { ALOE_CLOUD: url }) }, cwd: root })
  const ok = async (...args: string[]): Promise<AloeResult> => {
    const result = await aloe(...args)
    assert.equal(result.code, 0, `aloe ${args.join(' ')}: ${result.err}`)
    return result
  }
  const json = async (...args: string[]) => JSON.parse((await ok('device-os', ...args, '--json')).out)

  before(() => {
    root = mkdtempSync(join(tmpdir(), 'aloe-device-os-'))
    write(path('downloads', '6.2.0'), '6.2.0', 6200, 3100)
    write(path('downloads', '6.3.0-rc.1'), '6.3.0-rc.1', 6301, 3101)
    writeFileSync(path('downloads', 'README.md'), 'x')
  })
  after(async () => {
    cloud?.child.kill('SIGTERM')
    await cloud?.ended
    rmSync(root, { recursive: true, force: true })
  })

  it('imports a folder before a cloud runs, and says what it left out', async () => {
    const report = await json(
      'import',
      path('downloads', '6.2.0'),
      path('downloads', 'README.md'),
      '--data-dir',
      'data',
    )
    assert.deepEqual([report.ok, report.imported.length, report.skipped.length], [true, 2, 1])
    const shown = await ok('device-os', 'show', '6.2.0', '--data-dir', 'data')
    assert.match(
      shown.out,
      /Device OS 6\.2\.0 for boron: release, default[\s\S]*system_part 1@6200 .*bootloader 0@3100/,
    )
  })

  it('ends with an error for files that are no modules', async () => {
    writeFileSync(path('broken.bin'), 'x'.repeat(100))
    const broken = await aloe('device-os', 'import', path('broken.bin'), '--release', '6.2.0', '--data-dir', 'data')
    assert.equal(broken.code, 1)
    assert.match(broken.out, /✘ broken\.bin: it is no module file/)
    assert.match(broken.err, /1 file could not be imported/)
  })

  it('finds what was imported in a cloud, and imports while it runs', { timeout: 120_000 }, async () => {
    mkdirSync(path('no-releases'))
    cloud = startAloe(['up', '--json', '--data-dir', 'data', '--releases', path('no-releases')], {
      env: {
        ALOE_HTTP_PORT: '0',
        ALOE_TCP_PORT: '0',
        ALOE_UDP_PORT: '0',
        ALOE_ADMIN_USERNAME: 'ada',
        ALOE_ADMIN_PASSWORD: 'correct horse',
        ALOE_LOG_LEVEL: 'error',
      },
      cwd: root,
    })
    url = JSON.parse(await cloud.line()).http
    const open = await json('list')
    assert.deepEqual([open[0].version, open[0].platforms, open[0].state], ['6.2.0', ['boron'], 'release'])
    const locked = await aloe('device-os', 'list', '--data-dir', 'data')
    assert.match(locked.err, /in use: a cloud runs on this data folder/)
    await ok('login', '-u', 'ada', '-p', 'correct horse')
    const report = await json('import', path('downloads'))
    assert.deepEqual([report.imported.length, report.duplicates.length, report.skipped.length], [2, 2, 1])
    const served = await fetch(`${url}/v1/firmware/device-os/v6.3.0-rc.1/boron-system-part1@6.3.0-rc.1.bin`)
    assert.equal(served.status, 200)
  })

  it('sets and removes', async () => {
    await ok('device-os', 'set', '6.2.0', '--state', 'lts', '--notes', 'for the trucks')
    const list = await ok('device-os', 'list')
    assert.match(list.out, /6\.3\.0-rc\.1 +6301 +pre_release +boron\n6\.2\.0 +6200 +lts +boron\* +for the trucks/)
    assert.deepEqual((await json('remove', '6.3.0-rc.1', '--yes')).platforms, ['boron'])
  })
})
