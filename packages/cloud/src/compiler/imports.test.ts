import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { resolveImport } from './imports.ts'
import { findLibraries } from './libraries.ts'

const files = new Map(
  ['src/index.ts', 'src/a.ts', 'src/data.json', 'lib/index.ts', 'etc/passwd'].map((path) => [path, '']),
)

function found(importer: string, specifier: string): string {
  const resolution = resolveImport(files, importer, specifier)
  return resolution.kind === 'file' ? resolution.path : resolution.kind
}

describe('an import of an application', () => {
  it('finds files of the upload', () => {
    assert.equal(found('src/index.ts', './a.ts'), 'src/a.ts')
    assert.equal(found('src/index.ts', './a'), 'src/a.ts')
    assert.equal(found('src/index.ts', './a.js'), 'src/a.ts')
    assert.equal(found('src/index.ts', './data.json'), 'src/data.json')
    assert.equal(found('src/index.ts', '../lib'), 'lib/index.ts')
    assert.equal(found('src/a.ts', '.'), 'src/index.ts')
  })

  it('finds libraries in lib/ by their names, and what is in them', () => {
    const tree = ['src/index.ts', 'lib/rgb/src/rgb.ts', 'lib/rgb/src/colours.ts', 'lib/flat/index.ts', 'lib/bad/x.ts']
    const libraries = findLibraries(tree)
    const there = new Map(tree.map((path) => [path, '']))
    const reached = (specifier: string): string => {
      const resolution = resolveImport(there, 'src/index.ts', specifier, libraries)
      return resolution.kind === 'file' ? resolution.path : resolution.kind
    }
    assert.equal(reached('rgb'), 'lib/rgb/src/rgb.ts')
    assert.equal(reached('rgb/colours'), 'lib/rgb/src/colours.ts')
    assert.equal(reached('rgb/colours.ts'), 'lib/rgb/src/colours.ts')
    assert.equal(reached('flat'), 'lib/flat/index.ts')
    assert.equal(reached('../lib/rgb/src/rgb'), 'lib/rgb/src/rgb.ts')
    for (const specifier of ['bad', 'rgb/none', 'rgb/../../../src/index', 'RGB', '__proto__']) {
      const found = reached(specifier)
      assert.ok(found === 'refused' || there.has(found), `${specifier} ${found}`)
    }
    assert.deepEqual([...findLibraries(['lib/device-os/index.ts', 'lib/../index.ts', 'lib/index.ts']).keys()], [])
  })

  it('finds device-os', () => {
    assert.equal(found('src/index.ts', 'device-os'), 'device-os')
  })

  for (const specifier of [
    '../../etc/passwd',
    '../../../../../../etc/passwd',
    '/etc/passwd',
    'file:///etc/passwd',
    'node:fs',
    'fs',
    'esbuild',
    'device-os/../../x',
    '#internal',
    'https://example.com/x.js',
    'data:text/javascript,1',
    './missing',
    '..',
    '',
  ]) {
    it(`does not follow ${JSON.stringify(specifier)}`, () => assert.equal(found('src/index.ts', specifier), 'refused'))
  }

  it('never reaches what is not in the upload', () => {
    const segment = fc.constantFrom('..', '.', 'src', 'etc', 'passwd', 'a', 'lib', '')
    fc.assert(
      fc.property(fc.array(segment, { maxLength: 8 }), (segments) => {
        const resolution = resolveImport(files, 'src/index.ts', segments.join('/'))
        if (resolution.kind === 'file') assert.ok(files.has(resolution.path))
      }),
      { numRuns: Number(process.env.ALOE_FUZZ_RUNS ?? 200) },
    )
  })
})
