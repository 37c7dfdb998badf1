import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { sha256Hex } from '@aloe/firmware'
import { Kysely } from 'kysely'
import { Migrator } from 'kysely/migration'
import { migrations } from '../store/migrations.ts'
import type { Schema } from '../store/schema.ts'
import { openSqlite, sqliteDialect } from '../store/sqlite-dialect.ts'
import { openStore } from '../store/store.ts'
import { FileStore } from './file-store.ts'
import { GroupCommit } from './group-commit.ts'
import { freshDetail } from './job.ts'
import { JobStore } from './job-store.ts'

describe('update jobs in the store', () => {
  it('keep their files when a cloud of before is brought to the present schema', async () => {
    const db = new Kysely<Schema>({ dialect: sqliteDialect(openSqlite({ path: ':memory:' })) })
    const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations('sqlite') } })
    await migrator.migrateTo('0006-telemetry')
    const row = {
      device_id: 'd',
      requested_by: 'ann',
      detail: JSON.stringify(freshDetail),
      created_at: 1,
      updated_at: 1,
    }
    const file = Buffer.from('a module')
    await db
      // What came later is not there yet.
      .insertInto('update_jobs' as never)
      .values([
        { id: 'a', kind: 'flash', state: 'running', file, finished_at: null, ...row },
        { id: 'b', kind: 'heal', state: 'stopped', file: null, finished_at: 1, ...row },
      ] as never)
      .execute()
    const { error } = await migrator.migrateToLatest()
    assert.equal(error, undefined)
    const store = { db, close: () => db.destroy() }
    const commits = new GroupCommit(store)
    const [job, ...others] = await new JobStore(store, commits, () => 2).open('d')
    assert.deepEqual([job?.id, job?.state, job?.fileHash, others], ['a', 'planned', sha256Hex(file), []])
    const files = new FileStore(store, commits, () => 2)
    await files.sweep()
    assert.deepEqual(Buffer.from((await files.get(job?.fileHash ?? '')) ?? []), file)
    await db.destroy()
  })

  it('share a file, which goes with the last of them', async () => {
    const store = await openStore()
    const commits = new GroupCommit(store)
    let now = 0
    const jobs = new JobStore(store, commits, () => now)
    const files = new FileStore(store, commits, () => now)
    const fileHash = await files.keep(Buffer.from('a module'))
    const made = await Promise.all(
      ['d', 'e'].map((deviceId) =>
        jobs.create({ deviceId, kind: 'release', state: 'planned', requestedBy: null, fileHash, detail: freshDetail }),
      ),
    )
    const [first, second] = made
    assert.ok(first && second)
    now = 120_000
    await jobs.update(first, { state: 'done' })
    await files.sweep()
    assert.ok(await files.get(fileHash))
    await jobs.update(second, { state: 'done' })
    await files.sweep()
    assert.equal(await files.get(fileHash), undefined)
    await store.close()
  })

  it('are committed although another write of the same turn fails', async () => {
    const store = await openStore()
    const commits = new GroupCommit(store)
    const jobs = new JobStore(store, commits, () => 0)
    const job = { kind: 'heal', state: 'planned', requestedBy: null, fileHash: null, detail: freshDetail } as const
    const results = await Promise.allSettled([
      jobs.create({ ...job, deviceId: 'd' }),
      commits.write(async () => {
        throw new Error('not this one')
      }),
      jobs.create({ ...job, deviceId: 'e' }),
    ])
    assert.deepEqual(
      results.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    )
    assert.deepEqual((await jobs.devicesWithWork()).sort(), ['d', 'e'])
    await store.close()
  })
})
