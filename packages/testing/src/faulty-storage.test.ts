import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { replaceFile } from '@aloe/device-os'
import { FaultyStorage, PowerCut } from './faulty-storage.ts'

const text = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString()

/** What can be in a file after a power cut, over many seeds. */
function outcomes(prepare: (storage: FaultyStorage) => void, name = 'a'): Set<string | undefined> {
  const found = new Set<string | undefined>()
  for (let seed = 0; seed < 200; seed++) {
    const storage = new FaultyStorage()
    prepare(storage)
    storage.reboot(seed)
    found.add(text(storage.read(name)))
  }
  return found
}

describe('a storage that loses power', () => {
  it('keeps what was synced, with its name', () => {
    assert.deepEqual(
      outcomes((storage) => {
        storage.write('a', Buffer.from('safe'))
        storage.sync('a')
        storage.syncDirectory()
      }),
      new Set(['safe']),
    )
  })

  it('loses or tears what was not', () => {
    const found = outcomes((storage) => {
      storage.write('a', Buffer.from('old'))
      storage.sync('a')
      storage.syncDirectory()
      storage.write('a', Buffer.from('newer'))
    })
    for (const possible of ['old', 'newer', '', 'new', '\0\0\0\0\0'])
      assert.ok(found.has(possible), `never ${possible}`)
  })

  it('tears a long write at pages', () => {
    const found = outcomes((storage) => storage.write('a', Buffer.alloc(3 * 4096, 'x')))
    assert.ok([...found].some((content) => /^\0{4096}x{4096}\0{4096}$/.test(content ?? '')))
  })

  it('may forget names, although the bytes were synced', () => {
    assert.deepEqual(
      outcomes((storage) => {
        storage.write('a', Buffer.from('x'))
        storage.sync('a')
      }),
      new Set([undefined, 'x']),
    )
    assert.deepEqual(
      outcomes((storage) => {
        storage.write('a', Buffer.from('old'))
        storage.sync('a')
        storage.syncDirectory()
        storage.write('b', Buffer.from('new'))
        storage.sync('b')
        storage.rename('b', 'a')
      }),
      new Set(['old', 'new']),
    )
  })

  it('is dead after the cut until it is rebooted', () => {
    const storage = new FaultyStorage()
    storage.cutAt(1)
    storage.write('a', Buffer.from('x'))
    assert.throws(() => storage.sync('a'), PowerCut)
    assert.throws(() => storage.read('a'), PowerCut)
    storage.reboot(0)
    assert.equal(storage.read('a'), undefined)
    assert.equal(storage.operations, 0)
  })

  it('leaves an atomic replacement old or new at every cut', () => {
    for (let cut = 0; ; cut++) {
      const storage = new FaultyStorage()
      replaceFile(storage, 'a', Buffer.from('old'))
      const before = storage.operations
      storage.cutAt(before + cut)
      try {
        replaceFile(storage, 'a', Buffer.alloc(10_000, 'n'))
        assert.equal(cut, 4)
        return
      } catch (error) {
        if (!(error instanceof PowerCut)) throw error
      }
      for (let seed = 0; seed < 50; seed++) {
        const after = new FaultyStorage()
        replaceFile(after, 'a', Buffer.from('old'))
        after.cutAt(after.operations + cut)
        assert.throws(() => replaceFile(after, 'a', Buffer.alloc(10_000, 'n')), PowerCut)
        after.reboot(seed)
        const content = text(after.read('a'))
        assert.ok(content === 'old' || content === 'n'.repeat(10_000), `cut ${cut}, seed ${seed}: ${content}`)
      }
    }
  })
})
