import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { openStore, type Store } from '../store/store.ts'
import { SessionStore, type SessionStoreOptions, type Storable, type StoredSession } from './session-store.ts'
import { until } from './until.ts'

const device = '422b00000000000000000001'
const other = '422b00000000000000000002'

const session: StoredSession = {
  deviceId: device,
  connectionId: '0001a1a2a3a4a5a6',
  address: '192.0.2.7 40312',
  secrets: Uint8Array.of(1, 2, 3),
  hello: Uint8Array.of(4, 5),
  subscriptions: [
    { prefix: 'spark', format: 'text', scope: 'owner' },
    { prefix: 'a', format: 'cbor', scope: 'device', deviceId: other },
  ],
  safeMode: true,
  described: false,
  online: true,
  left: false,
  usedAt: 1_700_000_000_000,
}

function live(snapshot: () => StoredSession | undefined): Storable {
  return { deviceId: snapshot()?.deviceId ?? device, snapshot, stored: () => undefined }
}

describe('the store of sessions', () => {
  let folder: string
  let store: Store
  let sessions: SessionStore

  async function open(options: Partial<SessionStoreOptions> = {}): Promise<void> {
    store = await openStore(folder)
    sessions = await SessionStore.open({ store, onError: (error) => assert.fail(String(error)), ...options })
  }

  async function reopen(): Promise<void> {
    await sessions.close()
    await store.close()
    await open()
  }

  function put(stored: StoredSession): void {
    sessions.index(stored)
    sessions.save(live(() => stored))
  }

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'aloe-sessions-'))
    await open()
  })

  afterEach(async () => {
    await sessions.close()
    await store.close()
    await rm(folder, { recursive: true })
  })

  it('gives back what was put in, after a restart', async () => {
    put(session)
    await reopen()
    assert.equal(sessions.size, 1)
    assert.deepEqual(sessions.wereOnline, [device])
    assert.equal(sessions.byConnectionId('0001a1a2a3a4a5a6'), device)
    assert.deepEqual(await sessions.load(device), session)
  })

  it('finds the session of an old device by its address, also when that has changed', async () => {
    put({ ...session, connectionId: undefined })
    put({ ...session, connectionId: undefined, address: '192.0.2.8 1' })
    await reopen()
    assert.equal(sessions.byAddress('192.0.2.7 40312'), undefined)
    assert.equal(sessions.byAddress('192.0.2.8 1'), device)
  })

  it('says that a session is durable within 50 ms, and not before it is', async () => {
    sessions.index(session)
    const start = performance.now()
    await new Promise<void>((resolve) =>
      sessions.save(
        live(() => session),
        resolve,
      ),
    )
    assert.ok(performance.now() - start < 1_000)
    const row = await store.db.selectFrom('device_sessions').select('device_id').executeTakeFirst()
    assert.equal(row?.device_id, device)
  })

  it('writes what is so at the time of writing', async () => {
    let usedAt = 1
    put(session)
    sessions.save(live(() => ({ ...session, usedAt })))
    usedAt = 2
    await sessions.flush()
    assert.equal((await sessions.load(device))?.usedAt, 2)
  })

  it('reads what was not written yet', async () => {
    put(session)
    assert.deepEqual(await sessions.load(device), session)
    sessions.touch(live(() => ({ ...session, usedAt: 7 })))
    assert.equal((await sessions.load(device))?.usedAt, 7)
  })

  it('reads many at once', async () => {
    const ids = Array.from({ length: 500 }, (_, i) => i.toString(16).padStart(24, '0'))
    for (const id of ids) put({ ...session, deviceId: id, connectionId: id.slice(-16) })
    await sessions.flush()
    const loaded = await Promise.all([...ids, device].map((id) => sessions.load(id)))
    assert.deepEqual(
      loaded.map((one) => one?.deviceId),
      [...ids, undefined],
    )
  })

  it('forgets a session', async () => {
    put(session)
    await sessions.flush()
    sessions.remove(device)
    assert.equal(sessions.byConnectionId('0001a1a2a3a4a5a6'), undefined)
    assert.equal(await sessions.load(device), undefined)
    await reopen()
    assert.equal(sessions.size, 0)
  })

  it('replaces a session by that of a new handshake', async () => {
    put(session)
    put({ ...session, connectionId: '0001ffffffffffff' })
    await reopen()
    assert.equal(sessions.byConnectionId('0001a1a2a3a4a5a6'), undefined)
    assert.equal(sessions.byConnectionId('0001ffffffffffff'), device)
  })

  it('keeps the session that took the place of one that had something to write', async () => {
    const ended = live(() => undefined)
    sessions.touch(ended)
    put(session)
    await sessions.flush()
    sessions.save(ended)
    assert.deepEqual(await sessions.load(device), session)
  })

  it('writes what a device told of itself before its session', async () => {
    await sessions.close()
    const order: string[] = []
    sessions = await SessionStore.open({
      store,
      onError: (error) => assert.fail(String(error)),
      beforeCommit: async (ids) => void order.push(`told ${ids.length}`),
    })
    sessions.index(session)
    sessions.save(
      live(() => session),
      () => order.push('durable'),
    )
    await sessions.flush()
    assert.deepEqual(order, ['told 1', 'durable'])
  })

  it('tries again what could not be written', async () => {
    await sessions.close()
    let failures = 1
    const errors: unknown[] = []
    sessions = await SessionStore.open({
      store,
      onError: (error) => errors.push(error),
      retryAfter: 5,
      beforeCommit: async () => {
        if (failures-- > 0) throw new Error('disk full')
      },
    })
    let durable = false
    sessions.index(session)
    sessions.save(
      live(() => session),
      () => {
        durable = true
      },
    )
    await until(() => errors.length === 1)
    assert.equal(durable, false)
    await until(() => durable)
    assert.deepEqual(await sessions.load(device), session)
  })
})
