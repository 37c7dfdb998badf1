import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Clock } from '../clock.ts'
import { openStore, type Store } from '../store/store.ts'
import { type AuditLimits, AuditLog } from './audit.ts'
import type { Actor } from './caller.ts'

const ann: Actor = { kind: 'user', id: 'ann', name: 'ann@example.com' }
const bob: Actor = { kind: 'user', id: 'bob', name: 'bob@example.com' }

function setUp(store: Store, limits: Partial<AuditLimits> = {}) {
  const clock = { time: 1_000, timers: [] as (() => void)[] }
  const fake: Clock = {
    now: () => clock.time,
    setTimeout: (callback) => clock.timers.push(callback),
    clearTimeout: () => undefined,
  }
  return { clock, log: new AuditLog({ store, clock: fake, limits }) }
}

describe('the audit log', () => {
  it('says who did what to what, the newest first, also after the clock was set back', async () => {
    const store = await openStore()
    const { log, clock } = setUp(store)
    log.record({
      actor: ann,
      action: 'device.rename',
      target: 'd1',
      ip: '192.0.2.1',
      requestId: 'r',
      detail: { name: 'x' },
    })
    clock.time = 500
    log.record({ actor: bob, action: 'device.claim', target: 'd2' })
    const entries = await log.list({ limit: 10 })
    assert.deepEqual(
      entries.map(({ action }) => action),
      ['device.claim', 'device.rename'],
    )
    const { id, ...first } = entries[1] ?? assert.fail()
    assert.match(id, /^[0-9a-f]{24}$/)
    assert.deepEqual(first, {
      at: 1_000,
      actor: ann,
      action: 'device.rename',
      target: 'd1',
      userId: null,
      productId: null,
      ip: '192.0.2.1',
      requestId: 'r',
      detail: { name: 'x' },
    })
    await store.close()
  })

  it('writes in batches, and nobody waits for it', async () => {
    const store = await openStore()
    const { log, clock } = setUp(store)
    for (let i = 0; i < 1_200; i++) log.record({ actor: ann, action: 'a', target: String(i) })
    assert.equal(clock.timers.length, 1)
    assert.equal((await store.db.selectFrom('audit_log').select('id').execute()).length, 0)
    clock.timers[0]?.()
    await log.flush()
    assert.equal((await store.db.selectFrom('audit_log').select('id').execute()).length, 1_200)
    await store.close()
  })

  it('shows people what they did and what concerns them, products what is theirs, page by page', async () => {
    const store = await openStore()
    const { log } = setUp(store)
    log.record({ actor: ann, action: 'one', target: '' })
    log.record({ actor: bob, action: 'two', target: '', userId: 'ann' })
    log.record({ actor: bob, action: 'three', target: '', productId: 10_000 })
    const actions = async (query: Parameters<AuditLog['list']>[0]) =>
      (await log.list(query)).map(({ action }) => action)
    assert.deepEqual(await actions({ userId: 'ann', limit: 9 }), ['two', 'one'])
    assert.deepEqual(await actions({ productId: 10_000, limit: 9 }), ['three'])
    assert.deepEqual(await actions({ action: 'one', limit: 9 }), ['one'])
    const [newest] = await log.list({ limit: 1 })
    assert.deepEqual(await actions({ before: newest?.id ?? '', limit: 9 }), ['two', 'one'])
    await store.close()
  })

  it('keeps no secrets and nothing endless', async () => {
    const store = await openStore()
    const { log } = setUp(store)
    const detail = { password: 'p', inner: { client_secret: 's', fine: 1 }, long: 'x'.repeat(10_000) }
    log.record({ actor: ann, action: 'a', target: 't'.repeat(10_000), detail })
    log.record({
      actor: ann,
      action: 'b',
      target: '',
      detail: { password: 'p', inner: { client_secret: 's', fine: 1 } },
    })
    const [second, first] = await log.list({ limit: 2 })
    assert.deepEqual(second?.detail, { inner: { fine: 1 } })
    assert.ok(JSON.stringify(first).length < 4_000)
    await store.close()
  })

  it('forgets what is too old and what is too much', async () => {
    const store = await openStore()
    const { log, clock } = setUp(store, { age: 1_000, entries: 1_500 })
    for (let i = 0; i < 1_000; i++) log.record({ actor: ann, action: 'old', target: '' })
    await log.flush()
    clock.time += 2_000
    for (let i = 0; i < 1_000; i++) log.record({ actor: ann, action: 'new', target: '' })
    await log.flush()
    assert.equal((await log.list({ action: 'old', limit: 9_999 })).length, 0)
    for (let i = 0; i < 1_000; i++) log.record({ actor: ann, action: 'newer', target: '' })
    assert.equal((await log.list({ limit: 9_999 })).length, 1_500)
    await store.close()
  })

  it('loses nothing while the store cannot be written', async () => {
    const store = await openStore()
    const { log } = setUp(store)
    log.record({ actor: ann, action: 'a', target: '' })
    await store.db.schema.alterTable('audit_log').renameTo('away').execute()
    await assert.rejects(log.flush())
    await store.db.schema.alterTable('away').renameTo('audit_log').execute()
    assert.equal((await log.list({ limit: 9 })).length, 1)
    await store.close()
  })
})
