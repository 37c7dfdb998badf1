import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { readSources, SourceError, type UploadedFile } from './sources.ts'

function upload(files: Record<string, string>): UploadedFile[] {
  return Object.entries(files).map(([path, text]) => ({ path, content: new TextEncoder().encode(text) }))
}

function entryOf(...paths: string[]): string {
  return readSources(upload(Object.fromEntries(paths.map((path) => [path, ''])))).entry
}

function refusal(files: Record<string, string>): string {
  try {
    readSources(upload(files))
  } catch (error) {
    assert.ok(error instanceof SourceError)
    return error.message
  }
  return assert.fail('the upload was accepted')
}

describe('the entry of an application', () => {
  it('is src/index.ts before anything else', () => {
    assert.equal(entryOf('main.ts', 'index.ts', 'src/main.ts', 'src/index.ts'), 'src/index.ts')
    assert.equal(entryOf('main.ts', 'index.ts', 'src/main.ts'), 'index.ts')
    assert.equal(entryOf('main.ts', 'src/main.ts'), 'src/main.ts')
  })

  it('is the only TypeScript file, or the only one at the top', () => {
    assert.equal(entryOf('blink.ts'), 'blink.ts')
    assert.equal(entryOf('blink.ts', 'types.d.ts', 'data.json'), 'blink.ts')
    assert.equal(entryOf('src/blink.ts', 'lib/colour.ts', 'lib/time.ts'), 'src/blink.ts')
  })

  it('is what project.properties says', () => {
    const files = { 'project.properties': 'name=x\nmain = app/start.ts\n', 'app/start.ts': '', 'src/index.ts': '' }
    assert.equal(readSources(upload(files)).entry, 'app/start.ts')
    assert.match(refusal({ 'project.properties': 'main=../x.ts', 'src/index.ts': '' }), /main=\.\.\/x\.ts is not/)
  })

  it('is asked for when it cannot be guessed', () => {
    assert.match(refusal({ 'a.ts': '', 'b.ts': '' }), /name one src\/index\.ts.*a\.ts, b\.ts/)
    assert.match(refusal({ 'readme.md': '' }), /no TypeScript file/)
  })
})

describe('an upload', () => {
  it('keeps TypeScript and JSON, and nothing that could bend how imports are resolved', () => {
    const files = { 'src/index.ts': '1', 'src/a.json': '{}', 'tsconfig.json': '', 'package.json': '', 'x.png': '\xff' }
    assert.deepEqual(
      [...readSources(upload({ ...files, 'node_modules/device-os/index.ts': '' })).files.keys()],
      ['src/index.ts', 'src/a.json'],
    )
  })

  it('of one file may carry the absolute path of its sender', () => {
    assert.equal(entryOf('/home/ada/blink.ts'), 'blink.ts')
    assert.equal(entryOf('C:\\Users\\ada\\blink.ts'), 'blink.ts')
  })

  it('may not lead out of the project', () => {
    assert.match(refusal({ '../index.ts': '' }), /may not lead out/)
    assert.match(refusal({ 'a/../../index.ts': '', 'b.ts': '' }), /may not lead out/)
    assert.match(refusal({ '/etc/passwd': '', 'index.ts': '' }), /must be relative/)
    assert.match(refusal({ 'a\0.ts': '' }), /control characters/)
    assert.match(refusal({ '': '' }), /needs a name/)
    assert.match(refusal({ [`${'a'.repeat(300)}.ts`]: '' }), /at most 255/)
  })

  it('may not have a file twice, however it is spelled', () => {
    assert.match(refusal({ 'src/index.ts': '', './src//index.ts': '' }), /twice/)
  })

  it('is bounded in files and bytes', () => {
    const limits = { maxFiles: 2, maxFileSize: 10, maxTotalSize: 15 }
    const sized = (...sizes: number[]) =>
      sizes.map((size, i) => ({ path: `${i}.ts`, content: new Uint8Array(size).fill(32) }))
    assert.throws(() => readSources(sized(1, 1, 1), limits), /Too many files: 3/)
    assert.throws(() => readSources(sized(11), limits), /0\.ts: 11 bytes/)
    assert.throws(() => readSources(sized(9, 9), limits), /The upload has 18 bytes/)
    assert.throws(() => readSources([], limits), /no files/)
  })

  it('that is no UTF-8 text is refused', () => {
    assert.throws(() => readSources([{ path: 'a.ts', content: Uint8Array.of(0xff, 0xfe) }]), /not UTF-8/)
  })

  it('of C++ sources is refused, and the refusal says why', () => {
    assert.match(refusal({ 'src/app.ino': 'void setup() {}' }), /C\+\+ sources.*no toolchain/)
    assert.match(refusal({ 'src/index.ts': '', 'lib/a.cpp': '', 'lib/a.h': '' }), /and 1 more/)
  })

  it('that wants a library fetched is told that none are', () => {
    assert.match(refusal({ 'project.properties': 'dependencies.foo=1.0.0', 'index.ts': '' }), /not fetched \(foo\)/)
    const vendored = { 'project.properties': 'dependencies.foo=1.0.0', 'index.ts': '', 'lib/foo/src/foo.ts': '' }
    assert.equal(readSources(upload(vendored)).libraries.get('foo'), 'lib/foo/src/foo.ts')
  })

  it('never throws anything but its own error', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.string(), fc.uint8Array({ maxLength: 20 })), { maxLength: 5 }), (files) => {
        try {
          const { files: kept, entry } = readSources(files.map(([path, content]) => ({ path, content })))
          assert.ok(kept.has(entry))
          for (const path of kept.keys()) assert.ok(!path.startsWith('/') && !path.split('/').includes('..'))
        } catch (error) {
          assert.ok(error instanceof SourceError)
        }
      }),
      { numRuns: Number(process.env.ALOE_FUZZ_RUNS ?? 200) },
    )
  })
})
