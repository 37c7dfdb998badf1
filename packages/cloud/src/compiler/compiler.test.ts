import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { parseModule } from '@aloe/firmware'
import { type Catalogue, createCatalogue, loadCatalogue } from '../updates/catalogue.ts'
import { writeReleaseFolder } from '../updates/catalogue-fixture.ts'
import { type CompileResult, createCompiler } from './compiler.ts'

const linux = 43
const source = "import { System } from 'device-os'\nexport function setup(): void { System.uptime() }\n"

function upload(files: Record<string, string>) {
  return Object.entries(files).map(([path, text]) => ({ path, content: new TextEncoder().encode(text) }))
}

function errorOf(result: CompileResult): string {
  assert.ok(!result.ok, 'the sources were compiled')
  assert.equal(result.errors.length, 1)
  return result.errors[0] ?? ''
}

describe('the compile service', () => {
  let root = ''
  let catalogue: Catalogue
  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'aloe-compiler-'))
    const older = { name: 'System.version', since: '1.0.0' }
    const newer = { name: 'System.uptime', since: '1.1.0' }
    await writeReleaseFolder(root, {
      version: '1.0.0',
      systemVersion: 1000,
      bootloaderVersion: 100,
      types: 'export declare const System: { version(): string }',
      api: [older],
    })
    const types = 'export declare const System: { version(): string; uptime(): number }'
    await writeReleaseFolder(root, {
      version: '1.1.0',
      systemVersion: 1101,
      bootloaderVersion: 101,
      types,
      api: [older, newer],
    })
    await writeReleaseFolder(root, {
      version: '1.2.0-rc.1',
      systemVersion: 1200,
      bootloaderVersion: 101,
      types,
      api: [older, newer],
      prerelease: true,
      state: 'preview',
    })
    catalogue = await loadCatalogue([root])
  })
  after(() => rm(root, { recursive: true, force: true }))

  it('compiles many files with libraries of the source tree, imported by name or by path', async () => {
    const compiler = createCompiler({ catalogue })
    const files = upload({
      'project.properties': 'name=app\ndependencies.rgb=1.2.3\n',
      'src/index.ts':
        "import { mix } from 'rgb'\nimport { red } from 'rgb/colours'\nimport { half } from './util'\nimport names from './names.json'\nexport function setup(): void { half(mix(red, names.length)) }\n",
      'src/util.ts': 'export const half = (value: number): number => value / 2\n',
      'src/names.json': '["a", "b"]',
      'lib/rgb/src/rgb.ts':
        "import { blue } from './colours'\nexport const mix = (a: number, b: number) => a + b + blue\n",
      'lib/rgb/src/colours.ts': 'export const red = 1\nexport const blue = 424_242\n',
      'lib/rgb/library.properties': 'name=rgb\n',
    })
    const result = await compiler.compile({ files, platformId: linux })
    assert.ok(result.ok, JSON.stringify(result))
    assert.match(Buffer.from(result.module).toString('latin1'), /424242/)
    const wrong = await compiler.compile({
      files: upload({
        'src/index.ts': "import { mix } from 'rgb'\nexport function setup(): void { mix('x') }\n",
        'lib/rgb/src/rgb.ts': 'export const mix = (a: number) => a\n',
      }),
      platformId: linux,
    })
    assert.match(errorOf(wrong), /src\/index\.ts:2:37: error: Argument of type 'string'/)
    await compiler.close()
  })

  it('makes a user module that depends on the release it was compiled for', async () => {
    const compiler = createCompiler({ catalogue })
    const result = await compiler.compile({
      files: upload({ 'src/index.ts': source }),
      platformId: linux,
      target: '1.1.0',
    })
    assert.ok(result.ok, JSON.stringify(result))
    assert.equal(result.target, '1.1.0')
    const module = parseModule(result.module)
    assert.ok(module.crcValid && module.sha256Valid)
    assert.deepEqual([module.function, module.index, module.platformId], ['user_part', 1, linux])
    assert.deepEqual(module.dependencies, [{ function: 'system_part', index: 2, version: 1101 }])
    assert.match(new TextDecoder().decode(module.body), /require\("device-os"\)/)
    assert.equal(Number(result.sizeInfo.split('\n')[1]?.trim().split(/\s+/)[0]), module.body.length)
  })

  it('compiles for the newest final release when no target is named', async () => {
    const compiler = createCompiler({ catalogue })
    const result = await compiler.compile({ files: upload({ 'index.ts': source }), platformId: linux })
    assert.ok(result.ok)
    assert.equal(result.target, '1.1.0')
  })

  it('names the release that has a function that the target lacks', async () => {
    const compiler = createCompiler({ catalogue })
    const result = await compiler.compile({ files: upload({ 'index.ts': source }), platformId: linux, target: '1.0.0' })
    assert.match(
      errorOf(result),
      /^index\.ts:2:40: error: System\.uptime is not in Device OS 1\.0\.0; it came with 1\.1\.0\./,
    )
    assert.ok(!result.ok)
    assert.equal(result.reason, 'errors')
    assert.equal(result.diagnostics[0]?.line, 2)
  })

  it('refuses C++ sources, other platforms and unknown targets, and says why', async () => {
    const compiler = createCompiler({ catalogue })
    const files = upload({ 'src/app.ino': 'void setup() {}' })
    assert.match(
      errorOf(await compiler.compile({ files, platformId: linux })),
      /^src\/app\.ino:1:1: error: C\+\+ .*no toolchain for them is set up/,
    )
    assert.match(
      errorOf(await compiler.compile({ files, platformId: 12 })),
      /Argon \(platform 12\) are C\+\+, and no toolchain/,
    )
    assert.match(errorOf(await compiler.compile({ files, platformId: 9999 })), /no platform 9999/)
    const unknown = { files: upload({ 'index.ts': source }), platformId: linux, target: '9.9.9' }
    assert.match(
      errorOf(await compiler.compile(unknown)),
      /no Device OS 9\.9\.9.*there are: 1\.2\.0-rc\.1, 1\.1\.0, 1\.0\.0/,
    )
    const empty = createCompiler({ catalogue: createCatalogue([]) })
    assert.match(
      errorOf(await empty.compile({ files: upload({ 'index.ts': source }), platformId: linux })),
      /no Device OS release/,
    )
  })

  it('turns away what is too much, and stops what takes too long', async () => {
    const compiler = createCompiler({ catalogue, concurrency: 1, maxWaiting: 1, limits: { time: 1 } })
    const request = { files: upload({ 'index.ts': source }), platformId: linux }
    const results = await Promise.all([1, 2, 3].map(() => compiler.compile(request)))
    assert.deepEqual(
      results.map((result) => (result.ok ? 'ok' : result.reason)),
      ['timeout', 'timeout', 'busy'],
    )
  })

  it('stops its work when it is closed', async () => {
    const compiler = createCompiler({ catalogue })
    const work = compiler.compile({ files: upload({ 'index.ts': source }), platformId: linux })
    await compiler.close()
    assert.ok(!(await work).ok)
  })
})
