import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { openCoreStore, type StoreLife } from './core-store.ts'

const user = (id: string) => ({
  id,
  username: id,
  password_hash: '',
  account_info: '{}',
  is_administrator: 0,
  created_at: 1,
  updated_at: 1,
})

async function users({ db }: StoreLife): Promise<string[]> {
  return (await db.selectFrom('users').select('id').orderBy('id').execute()).map(({ id }) => id)
}

describe('a store that outlives its clouds', () => {
  it('keeps what was committed', async () => {
    const store = await openCoreStore()
    const first = store.open()
    await first.db.insertInto('users').values(user('a')).execute()
    await first.close()
    assert.deepEqual(await users(store.open()), ['a'])
    store.close()
  })

  it('forgets what a killed cloud had begun, and never answers it again', async () => {
    const store = await openCoreStore()
    const killed = store.open()
    let ended = false
    const begun = Promise.withResolvers<void>()
    killed.db
      .transaction()
      .execute(async (tx) => {
        await tx.insertInto('users').values(user('half')).execute()
        begun.resolve()
        await new Promise(setImmediate)
        await tx.insertInto('users').values(user('other half')).execute()
      })
      .finally(() => {
        ended = true
      })
    await begun.promise
    killed.kill()
    const next = store.open()
    assert.deepEqual(await users(next), [])
    await next.db.insertInto('users').values(user('b')).execute()
    for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate)
    assert.equal(ended, false)
    assert.deepEqual(await users(next), ['b'])
    store.close()
  })
})
