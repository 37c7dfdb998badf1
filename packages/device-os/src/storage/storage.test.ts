import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import fc from 'fast-check'
import { FileStorage } from './file-storage.ts'
import { MemoryStorage } from './memory-storage.ts'
import { replaceFile, type Storage, StorageError } from './storage.ts'

const folder = mkdtempSync(join(tmpdir(), 'aloe-storage-'))
after(() => rmSync(folder, { recursive: true }))
let made = 0

const kinds: readonly [string, () => Storage][] = [
  ['in a folder', () => new FileStorage(join(folder, `flash-${made++}`))],
  ['in memory', () => new MemoryStorage()],
]

const text = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString()

for (const [kind, create] of kinds) {
  describe(`storage ${kind}`, () => {
    it('keeps what is written, as a whole or in parts', () => {
      const storage = create()
      storage.write('a', Buffer.from('hello world'))
      storage.write('a', Buffer.from('W'), 6)
      storage.write('b', Buffer.from('x'), 2)

      assert.equal(text(storage.read('a')), 'hello World')
      assert.equal(text(storage.read('a', 6, 3)), 'Wor')
      assert.equal(text(storage.read('a', 9, 100)), 'ld')
      assert.equal(text(storage.read('a', 20)), '')
      assert.deepEqual([...(storage.read('b') ?? [])], [0, 0, 120])
      assert.equal(storage.size('b'), 3)
      assert.deepEqual(storage.list(), ['a', 'b'])
    })

    it('replaces a shorter or longer content as a whole', () => {
      const storage = create()
      storage.write('a', Buffer.from('long content'))
      storage.write('a', Buffer.from('short'))
      assert.equal(text(storage.read('a')), 'short')
      replaceFile(storage, 'a', Buffer.from('replaced'))
      assert.equal(text(storage.read('a')), 'replaced')
      assert.deepEqual(storage.list(), ['a'])
    })

    it('says that a file is not there, and removes none', () => {
      const storage = create()
      assert.equal(storage.read('none'), undefined)
      assert.equal(storage.size('none'), undefined)
      storage.remove('none')
      for (const use of [() => storage.sync('none'), () => storage.rename('none', 'other')]) {
        assert.throws(use, (error) => error instanceof StorageError && error.code === 'not-found')
      }
    })

    it('refuses names that reach out of it', () => {
      const storage = create()
      for (const name of ['../a', 'a/b', '', '.a', 'A', 'a\0']) {
        assert.throws(
          () => storage.write(name, Buffer.from('x')),
          (error) => error instanceof StorageError && error.code === 'bad-name',
        )
      }
    })

    it('never changes bytes that another device may share', () => {
      const storage = create()
      const bytes = Buffer.from('shared')
      storage.write('a', bytes)
      storage.write('a', Buffer.from('XX'), 1)
      storage.truncate('a', 3)
      assert.equal(bytes.toString(), 'shared')
      assert.equal(text(storage.read('a')), 'sXX')
    })
  })
}

describe('the two storages', () => {
  it('behave alike', () => {
    const name = fc.constantFrom('a', 'b', 'c')
    const step = fc.oneof(
      fc.record({ do: fc.constant('write' as const), name, bytes: fc.uint8Array({ maxLength: 40 }) }),
      fc.record({
        do: fc.constant('patch' as const),
        name,
        bytes: fc.uint8Array({ minLength: 1, maxLength: 40 }),
        offset: fc.nat(60),
      }),
      fc.record({ do: fc.constant('truncate' as const), name, size: fc.nat(60) }),
      fc.record({ do: fc.constant('rename' as const), name, to: name }),
      fc.record({ do: fc.constant('remove' as const), name }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const storages = kinds.map(([, create]) => create())
        for (const storage of storages) {
          for (const one of steps) {
            if (one.do === 'write') storage.write(one.name, one.bytes)
            else if (one.do === 'patch') storage.write(one.name, one.bytes, one.offset)
            else if (one.do === 'truncate') storage.truncate(one.name, one.size)
            else if (one.do === 'remove') storage.remove(one.name)
            else if (storage.size(one.name) !== undefined) storage.rename(one.name, one.to)
          }
        }
        const [first, second] = storages.map((storage) =>
          storage.list().map((name) => [name, Buffer.from(storage.read(name) ?? []).toString('hex')]),
        )
        assert.deepEqual(first, second)
      }),
      { numRuns: 50 },
    )
  })
})

describe('storage in a folder', () => {
  it('keeps its files from other users', { skip: process.platform === 'win32' }, () => {
    const storage = new FileStorage(join(folder, 'private'))
    storage.write('key', Buffer.from('secret'))
    assert.equal(statSync(join(folder, 'private', 'key')).mode & 0o077, 0)
  })
})
