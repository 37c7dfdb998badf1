import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { openStore, StoreError } from './store.ts'

const user = (id: string) => ({
  id,
  username: id,
  password_hash: '',
  account_info: '{}',
  is_administrator: 0,
  created_at: 1,
  updated_at: 1,
})

describe('the store', () => {
  let folder: string
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'aloe-store-'))
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  it('keeps what was written, in a folder that it makes', async () => {
    const dir = join(folder, 'a', 'b')
    const first = await openStore(dir)
    await first.db.insertInto('users').values(user('u1')).execute()
    await first.close()

    const second = await openStore(dir)
    const rows = await second.db.selectFrom('users').select(['id', 'created_at']).execute()
    assert.deepEqual(
      rows.map((row) => ({ ...row })),
      [{ id: 'u1', created_at: 1 }],
    )
    await second.close()
  })

  it('returns rows from RETURNING and rolls a failed transaction back', async () => {
    const store = await openStore()
    const returned = await store.db.insertInto('users').values(user('u1')).returning('id').executeTakeFirst()
    assert.deepEqual(returned && { ...returned }, { id: 'u1' })
    await assert.rejects(
      store.db.transaction().execute(async (tx) => {
        await tx.insertInto('users').values(user('u2')).execute()
        await tx.insertInto('users').values(user('u1')).execute()
      }),
    )
    assert.equal((await store.db.selectFrom('users').selectAll().execute()).length, 1)
    await store.close()
  })

  it('keeps transactions that run at the same time apart', async () => {
    const store = await openStore()
    const pause = () => new Promise((resolve) => setTimeout(resolve, 5))
    const good = store.db.transaction().execute(async (tx) => {
      await tx.insertInto('users').values(user('u1')).execute()
      await pause()
    })
    const bad = store.db.transaction().execute(async (tx) => {
      await tx.insertInto('users').values(user('u2')).execute()
      await pause()
      throw new Error('rolled back')
    })
    const alone = store.db.insertInto('users').values(user('u3')).execute()
    await Promise.allSettled([good, bad, alone])
    const rows = await store.db.selectFrom('users').select('id').orderBy('id').execute()
    assert.deepEqual(
      rows.map(({ id }) => id),
      ['u1', 'u3'],
    )
    await store.close()
  })

  it('is for one process at a time, and says so', async () => {
    const dir = join(folder, 'shared')
    const store = await openStore(dir)
    await assert.rejects(openStore(dir), (error) => error instanceof StoreError && error.code === 'in-use')
    await store.close()
  })

  it('loses nothing that was committed when the process is killed, and opens again at once', async () => {
    const dir = join(folder, 'killed')
    const program = `
      import { openStore } from ${JSON.stringify(new URL('./store.ts', import.meta.url).href)}
      const store = await openStore(${JSON.stringify(dir)})
      for (let i = 0; ; i++) {
        await store.db.insertInto('users').values({ ...${JSON.stringify(user(''))}, id: 'u' + i, username: 'u' + i }).execute()
        process.stdout.write(i + '\\n')
      }`
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let output = ''
    child.stdout.on('data', (chunk) => {
      output += chunk
      if (output.split('\n').length > 20) child.kill('SIGKILL')
    })
    await once(child, 'close')

    const answered = output.split('\n').slice(0, -1).length
    const store = await openStore(dir)
    const { rows } = await store.db
      .selectFrom('users')
      .select(({ fn }) => fn.countAll<number>().as('rows'))
      .executeTakeFirstOrThrow()
    assert.ok(answered >= 20 && rows >= answered, `${rows} of ${answered}`)
    await store.close()
  })
})
