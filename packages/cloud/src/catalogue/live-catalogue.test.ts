import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { describeChecks, moduleLabel, parseModule, planHealing, type SystemDescribe, sha256Hex } from '@aloe/firmware'
import { createCatalogue } from '../updates/catalogue.ts'
import { checkModule, factsOf } from './check-module.ts'
import { FileCache } from './file-cache.ts'
import { importSources } from './import-sources.ts'
import { ImportedFolder } from './imported-folder.ts'
import { LiveCatalogue } from './live-catalogue.ts'
import { moduleFilename } from './module-names.ts'
import { entries, entry, moduleBytes, platformNamed, releaseFiles } from './release-fixture.ts'
import { describeRelease, listReleases } from './release-listing.ts'
import { manifestText } from './stored-manifest.ts'

let root = ''
let count = 0
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'aloe-import-'))
})
after(() => rm(root, { recursive: true, force: true }))

const newFolder = () => join(root, `catalogue-${count++}`)
const from = { from: 'a test' }

async function withCatalogue(work: (catalogue: LiveCatalogue, folder: string) => Promise<void>): Promise<void> {
  const folder = newFolder()
  const catalogue = await LiveCatalogue.open({ folder })
  try {
    await work(catalogue, folder)
  } finally {
    await catalogue.close()
  }
}

const boron620 = () => releaseFiles('boron', '6.2.0', 6200, 3100)
const system1 = 'boron-system-part1@6.2.0.bin'

describe('the imported catalogue', () => {
  it('takes the files of a release, and has them after a restart', () =>
    withCatalogue(async (first, folder) => {
      const report = await first.import(entries(boron620()), from)
      assert.deepEqual(
        report.imported.map(({ module }) => module),
        ['bootloader 0@3100', 'system_part 1@6200', 'user_part 2@6'],
      )
      assert.deepEqual([report.refused, report.skipped, report.duplicates], [[], [], []])
      const check = (catalogue: LiveCatalogue) => {
        const release = catalogue.release('6.2.0', 13)
        assert.deepEqual([release?.systemVersion, release?.bootloaderVersion, release?.state], [6200, 3100, 'ga'])
        assert.equal(catalogue.release(6200)?.version, '6.2.0')
        assert.equal(catalogue.defaultRelease(13)?.version, '6.2.0')
        const part = catalogue.modules(13).find((module) => module.function === 'system_part')
        assert.ok(part)
        assert.deepEqual(Buffer.from(catalogue.moduleBytes(part)), Buffer.from(boron620()[1]?.bytes ?? []))
        assert.deepEqual(describeRelease(catalogue, '6.2.0')[0]?.missing, [])
      }
      check(first)
      await assert.rejects(LiveCatalogue.open({ folder }), /in use: a cloud runs on this data folder/)
      await first.close()
      const second = await LiveCatalogue.open({ folder })
      check(second)
      await second.close()
    }))

  it('takes the same file again, and refuses another one for the same module with both hashes', () =>
    withCatalogue(async (catalogue) => {
      await catalogue.import(entries(boron620()), from)
      const again = await catalogue.import(entries(boron620()), from)
      assert.deepEqual([again.imported.length, again.duplicates.length], [0, 3])
      const module = { function: 'system_part', index: 1, version: 6200, body: 'changed' } as const
      const other = moduleBytes('boron', module)
      const { refused } = await catalogue.import([entry(system1, other)], from)
      assert.equal(refused[0]?.code, 'different-file')
      assert.match(refused[0]?.reason ?? '', new RegExp(sha256Hex(other)))
      assert.match(refused[0]?.reason ?? '', new RegExp(sha256Hex(boron620()[1]?.bytes ?? new Uint8Array())))
    }))

  it('knows the number of a release from its other platforms', () =>
    withCatalogue(async (catalogue) => {
      await catalogue.import(entries(releaseFiles('argon', '6.9.0', 6900, 3300)), from)
      const { refused } = await catalogue.import(entries(releaseFiles('boron', '6.9.0', 6901, 3300)), from)
      assert.equal(refused.length, 1)
      assert.match(refused[0]?.reason ?? '', /Device OS 6\.9\.0 have module version 6900, this one has 6901/)
      const nameless = releaseFiles('tracker', '6.9.0', 6900, 3300)[1]?.bytes ?? new Uint8Array()
      const { imported } = await catalogue.import([entry('system.bin', nameless)], from)
      assert.equal(imported[0]?.filename, 'tracker-system-part1@6.9.0.bin')
      assert.deepEqual(listReleases(catalogue).releases[0]?.missing, ['boron: system_part 1', 'tracker: bootloader 0'])
    }))

  it('goes on past what is wrong, and lists it', () =>
    withCatalogue(async (catalogue) => {
      const [, good] = boron620()
      assert.ok(good)
      const flipped = Uint8Array.from(good.bytes, (byte, i) => (i === 30 ? byte ^ 1 : byte))
      const files = [
        entry('notes.txt', new Uint8Array(3)),
        entry('argon-app.elf', new Uint8Array(3)),
        entry('short@6.2.0.bin', new Uint8Array(10)),
        entry(system1, flipped),
        entry('boron-system-part1@6.2.0.bin', Uint8Array.of(...good.bytes, 0)),
        { path: 'huge@6.2.0.bin', size: 1, read: async () => new Uint8Array(17 * 1024 * 1024) },
        { path: 'gone.zip', size: 0, read: () => Promise.reject(new Error('a disk that fails')) },
      ]
      await assert.rejects(catalogue.import(files, from), /a disk that fails/)
      const report = await catalogue.import([...files.slice(0, -1), entry(system1, good.bytes)], from)
      assert.deepEqual(
        report.refused.map(({ file, code }) => `${file} ${code}`),
        [
          'short@6.2.0.bin module',
          `${system1} module`,
          'boron-system-part1@6.2.0.bin module',
          'huge@6.2.0.bin too-large',
        ],
      )
      assert.match(report.refused[1]?.reason ?? '', /CRC-32/)
      assert.equal(report.skipped.length, 2)
      assert.equal(report.imported.length, 1)
    }))

  it('is whole after a stop in the middle of an import', async () => {
    const folder = newFolder()
    const bytes = boron620()[0]?.bytes ?? new Uint8Array()
    const origin = { path: 'x', record: { from: 'x', at: 1, lastAt: 1 } }
    const interrupted = await ImportedFolder.open(folder)
    await interrupted.add({ release: '6.2.0' }, checkModule(bytes), bytes, origin)
    interrupted.close()
    const place = join(folder, '6.2.0', 'boron')
    assert.equal((await readdir(place)).length, 1)

    const catalogue = await LiveCatalogue.open({ folder })
    assert.deepEqual(catalogue.releases(), [])
    assert.deepEqual(await readdir(join(folder, '6.2.0')), [])
    await catalogue.import(entries(boron620()), from)
    await catalogue.close()
    // The next import broke off: half a file, a whole one without a manifest, a release half removed.
    await writeFile(join(place, '.writing-1'), 'half')
    await writeFile(join(place, 'boron-softdevice@6.2.0.bin'), 'not named')
    await mkdir(join(folder, '.removed-6.1.0-boron-1'))
    const after = await LiveCatalogue.open({ folder })
    assert.equal(after.release('6.2.0', 13)?.files.length, 3)
    assert.equal((await readdir(place)).length, 4)
    assert.deepEqual(
      (await readdir(folder)).filter((name) => name.startsWith('.removed')),
      [],
    )
    await after.close()
  })

  it('notices a file that was changed on the disk, and serves the others', () =>
    withCatalogue(async (catalogue, folder) => {
      await catalogue.import(entries(boron620()), from)
      const path = join(folder, '6.2.0', 'boron', system1)
      const size = catalogue.file('6.2.0', system1)?.size ?? 0
      await writeFile(path, new Uint8Array(size))
      assert.throws(() => catalogue.file('6.2.0', system1)?.bytes, /damaged: its SHA-256 is another: import/)
      assert.ok(catalogue.file('6.2.0', 'boron-bootloader@6.2.0.bin')?.bytes)
      await catalogue.close()
      await writeFile(path, 'short')
      const again = await LiveCatalogue.open({ folder })
      assert.match(again.problems[0]?.message ?? '', /boron-system-part1@6\.2\.0\.bin has 5 bytes/)
      assert.deepEqual(again.releases(), [])
      await again.close()
    }))

  it('keeps state, notes and defaults, and forgets them with the release', () =>
    withCatalogue(async (catalogue, folder) => {
      let changes = 0
      catalogue.onChange(() => changes++)
      await catalogue.import(entries(boron620()), from)
      await catalogue.import(entries(releaseFiles('boron', '6.3.4', 6305, 3200)), { ...from, state: 'preview' })
      await catalogue.import(entries(releaseFiles('boron', '6.4.0-rc.1', 6400, 3300)), from)
      assert.equal(catalogue.release('latest', 13)?.version, '6.2.0')
      await catalogue.update('6.3.4', 13, { state: 'lts', notes: 'ask Ada' })
      await catalogue.update('v6.2.0', undefined, { default: true })
      const pre = catalogue.update('6.4.0-rc.1', 13, { default: true })
      await assert.rejects(pre, /is a pre-release: allow it as a default explicitly/)
      await assert.rejects(catalogue.update('6.4.0-rc.1', 13, { state: 'release' }), /cannot be release/)
      await assert.rejects(catalogue.update('9.9.9', 13, { notes: 'x' }), /There is no Device OS 9\.9\.9/)
      const words = (list: LiveCatalogue) =>
        listReleases(list).releases.map(({ version, state, notes, default_platforms }) =>
          [version, state, notes, ...default_platforms].join(' '),
        )
      const expected = ['6.4.0-rc.1 pre_release ', '6.3.4 lts ask Ada', '6.2.0 release  boron']
      assert.deepEqual(words(catalogue), expected)
      assert.equal(catalogue.release('latest', 13)?.version, '6.3.4')
      assert.equal(changes, 8)
      await catalogue.close()
      const again = await LiveCatalogue.open({ folder })
      assert.deepEqual(words(again), expected)
      assert.deepEqual(await again.remove('6.2.0'), ['boron'])
      assert.equal(again.defaultRelease(13)?.version, '6.3.4')
      assert.equal(again.chosenDefault(13), undefined)
      await assert.rejects(again.remove('6.2.0'), /There is no Device OS 6\.2\.0/)
      assert.deepEqual((await readdir(folder)).sort(), ['.lock', '6.3.4', '6.4.0-rc.1', 'records.json'])
      await again.close()
      await writeFile(join(folder, 'records.json'), 'by hand')
      await assert.rejects(LiveCatalogue.open({ folder }), /records\.json is no JSON object: correct it, or remove it/)
    }))

  it('leaves alone what came with the cloud', async () => {
    const bytes = boron620().map((file) => file.bytes)
    const files = bytes.map((file) => {
      const module = parseModule(file)
      const { function: name, index, version, dependencies } = module
      const filename = moduleFilename(platformNamed('boron'), module, '6.2.0')
      return {
        filename,
        function: name,
        index,
        version,
        dependencies,
        size: file.length,
        sha256: sha256Hex(file),
        bytes: file,
        module,
      }
    })
    const fixed = {
      version: '6.2.0',
      platform: 'boron',
      platformId: 13,
      systemVersion: 6200,
      bootloaderVersion: 3100,
      prerelease: false,
      state: 'ga',
      files,
      types: '',
      api: [],
    } as const
    const catalogue = await LiveCatalogue.open({ folder: newFolder(), builtIn: createCatalogue([fixed]) })
    const other = moduleBytes('boron', { function: 'system_part', index: 1, version: 6200, body: 'changed' })
    const report = await catalogue.import([...entries(boron620()), entry(system1, other)], from)
    assert.deepEqual([report.duplicates.length, report.refused[0]?.code], [3, 'built-in'])
    await assert.rejects(catalogue.remove('6.2.0'), /came with the cloud/)
    await catalogue.update('6.2.0', 13, { notes: 'noted all the same' })
    assert.equal(catalogue.release('6.2.0')?.notes, 'noted all the same')
    await catalogue.close()
  })

  it('is what the planner heals a Boron and a Photon with', () =>
    withCatalogue(async (catalogue) => {
      for (const [version, system, bootloader] of [
        ['3.3.1', 3302, 1100],
        ['6.2.0', 6200, 3100],
      ] as const) {
        await catalogue.import(entries(releaseFiles('boron', version, system, bootloader)), from)
        await catalogue.import(entries(releaseFiles('photon', version, system, bootloader)), from)
      }
      const heal = (name: string, system: string, parts: number[], user: number) => {
        const platform = platformNamed(name)
        const file = (kind: string) => catalogue.file('3.3.1', `${name}-${kind}@3.3.1.bin`)
        const installed = ['bootloader', ...parts.map((part) => `system-part${part}`)].flatMap(
          (kind) => file(kind) ?? [],
        )
        const application = checkModule(
          moduleBytes(name, {
            function: 'user_part',
            index: user,
            version: 6,
            dependencies: [{ function: 'system_part', index: parts.length, version: 6200 }],
          }),
        ).module
        const describe: SystemDescribe = {
          modules: [...installed.map(({ module }) => module), application].map((module) => ({
            ...factsOf(module),
            store: 'main' as const,
            maxSize: 0,
            checked: describeChecks,
            passed: describeChecks,
          })),
        }
        const plan = planHealing(platform, describe, catalogue.modules(platform.id))
        assert.ok(plan.ok, `${system}: ${plan.ok ? '' : plan.reason}`)
        for (const step of plan.steps) assert.equal(catalogue.moduleBytes(step).length, step.size)
        return plan.steps.map(moduleLabel)
      }
      assert.deepEqual(heal('boron', 'Boron', [1], 2), ['bootloader 0@3100', 'system_part 1@6200'])
      assert.deepEqual(heal('photon', 'Photon', [1, 2], 1), [
        'bootloader 0@3100',
        'system_part 1@6200',
        'system_part 2@6200',
      ])
    }))

  it('holds all releases of all platforms in little memory, and starts fast', { timeout: 120_000 }, async (t) => {
    const folder = newFolder()
    const platforms = ['photon', 'electron', 'argon', 'boron', 'p2']
    const made: Record<string, number> = { releases: 0, files: 0, bytes: 0 }
    for (let i = 0; i < 204; i++) {
      const version = `7.${Math.floor(i / 2)}.0${i % 2 === 0 ? '-rc.1' : ''}`
      for (const platform of platforms) {
        const files = releaseFiles(platform, version, 10_000 + i, 5_000 + i).map(({ name, bytes }) => ({
          name,
          bytes,
          ...checkModule(bytes),
        }))
        const stored = files.map(({ name, size, sha256, module }) => ({
          filename: name,
          from: name,
          size,
          sha256,
          module,
        }))
        const record = { from: 'x', at: 1, lastAt: 1 }
        const path = join(folder, version, platform)
        mkdirSync(path, { recursive: true })
        const { id } = platformNamed(platform)
        const text = manifestText({ version, platform, platformId: id, imported: record, files: stored })
        writeFileSync(join(path, 'manifest.json'), text)
        for (const { name, bytes } of files) writeFileSync(join(path, name), bytes)
        made.releases = (made.releases ?? 0) + 1
        made.files = (made.files ?? 0) + files.length
      }
    }
    const heap = () => process.memoryUsage().heapUsed
    const before = heap()
    const began = performance.now()
    const cache = new FileCache(100_000)
    const catalogue = await LiveCatalogue.open({ folder, cache })
    const duration = performance.now() - began
    const used = heap() - before
    t.diagnostic(
      `${made.files} files of ${made.releases} releases: open in ${duration.toFixed(0)} ms, ${(used / 1e6).toFixed(1)} MB of heap`,
    )
    assert.deepEqual(catalogue.problems, [])
    assert.equal(catalogue.releases().length, 1_020)
    assert.equal(new Set(catalogue.releases().map(({ version }) => version)).size, 204)
    assert.equal(cache.size, 0)
    for (const platform of platforms) {
      for (const module of catalogue.modules(platformNamed(platform).id)) {
        assert.equal(catalogue.moduleBytes(module).length, module.size)
      }
    }
    assert.ok(cache.size <= 100_000)
    assert.ok(used < 64e6, `${used} bytes`)
    await catalogue.close()
  })
})

describe('files to import', () => {
  it('are found below folders and in archives, by paths that tell their release', async () => {
    const folder = join(root, 'downloads', '6.2.0')
    const path = join(folder, 'boron', 'release', system1)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, boron620()[1]?.bytes ?? '')
    await writeFile(join(folder, '.hidden'), '')
    await writeFile(join(folder, 'broken.zip'), 'no archive')
    const found: string[] = []
    for await (const { path: name, read } of importSources([folder, join(root, 'nowhere')])) {
      found.push(`${name}: ${await read().then((bytes) => bytes.length > 0, String)}`)
    }
    assert.deepEqual(found, [
      `6.2.0/boron/release/${system1}: true`,
      '6.2.0/broken.zip: ImportError: it is no zip archive',
      'nowhere: ImportError: it cannot be read (ENOENT)',
    ])
  })
})
