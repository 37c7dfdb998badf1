import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { collectSources } from './source-files.ts'

describe('the sources of an application', () => {
  let root = ''
  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'aloe-sources-'))
  })
  after(() => rm(root, { recursive: true, force: true }))

  async function project(name: string, files: Record<string, string>): Promise<string> {
    for (const [path, text] of Object.entries(files)) {
      const full = join(root, name, path)
      await mkdir(dirname(full), { recursive: true })
      await writeFile(full, text)
    }
    return join(root, name)
  }

  it('are what can take part in a compilation, by their paths in the project', async () => {
    const folder = await project('app', {
      'src/index.ts': 'a',
      'src/data.json': '{}',
      'project.properties': 'name=x',
      'package.json': '{}',
      'tsconfig.json': '{}',
      'README.md': '',
      'node_modules/x/index.ts': '',
      '.git/x.ts': '',
      'build/old.ts': '',
      'lib/colour.ts': 'b',
    })
    const files = await collectSources([folder])
    assert.deepEqual(Object.keys(files).sort(), [
      'lib/colour.ts',
      'project.properties',
      'src/data.json',
      'src/index.ts',
    ])
    assert.equal(files['src/index.ts']?.toString(), 'a')
  })

  it('do not include what a link leads to outside', { skip: process.platform === 'win32' }, async () => {
    const folder = await project('linked', { 'index.ts': '', 'real.ts': 'real' })
    await project('outside', { 'secret.ts': 'secret' })
    await symlink(join(root, 'outside', 'secret.ts'), join(folder, 'secret.ts'))
    await symlink(join(root, 'outside'), join(folder, 'outside'))
    await symlink(join(folder, 'real.ts'), join(folder, 'alias.ts'))
    await symlink(folder, join(folder, 'loop'))
    assert.deepEqual(Object.keys(await collectSources([folder])).sort(), ['alias.ts', 'index.ts', 'real.ts'])
  })

  it('may be single files, which go by their names', async () => {
    const folder = await project('single', { 'deep/blink.ts': 'x', 'other/blink.ts': 'y' })
    assert.deepEqual(Object.keys(await collectSources([join(folder, 'deep/blink.ts')])), ['blink.ts'])
    const both = [join(folder, 'deep/blink.ts'), join(folder, 'other/blink.ts')]
    await assert.rejects(collectSources(both), /Two of the files have the name blink\.ts/)
  })

  it('that are not there are an error', async () => {
    const empty = await project('empty', { 'README.md': '' })
    await assert.rejects(collectSources([empty]), /There are no sources/)
    await assert.rejects(collectSources([join(root, 'nowhere')]), /There is no .*nowhere/)
  })
})
