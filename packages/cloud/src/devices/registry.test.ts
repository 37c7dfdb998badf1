import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { openStore, type Store } from '../store/store.ts'
import type { DeviceErrorCode } from './device-error.ts'
import { DeviceError } from './device-error.ts'
import { DeviceRegistry } from './registry.ts'

const id = '422b00000000000000000001'
const otherId = '422b00000000000000000002'
const rsa = () => generateKeyPairSync('rsa', { modulusLength: 1_024 }).publicKey
const pem = rsa().export({ format: 'pem', type: 'spki' }).toString()
const otherPem = rsa().export({ format: 'pem', type: 'spki' }).toString()
const ecPem = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  .publicKey.export({ format: 'pem', type: 'spki' })
  .toString()
const alice = { id: 'a'.repeat(24), administrator: false }
const bob = { id: 'b'.repeat(24), administrator: false }
const refusedWith = (code: DeviceErrorCode) => (error: unknown) => error instanceof DeviceError && error.code === code

describe('the device registry', () => {
  let folder: string
  let dir: string
  let count = 0
  let now = 1_000
  let store: Store
  let registry: DeviceRegistry
  const open = async (): Promise<void> => {
    store = await openStore(dir)
    const onError = (error: unknown): never => {
      throw error
    }
    registry = await DeviceRegistry.open({ store, now: () => now, onError, batchAfter: 60_000 })
  }
  const restart = async (graceful = true): Promise<void> => {
    if (graceful) await registry.close()
    await store.close()
    await open()
  }

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'aloe-registry-'))
  })
  after(() => rmSync(folder, { recursive: true, force: true }))
  beforeEach(async () => {
    dir = join(folder, String(count++))
    await open()
    for (const { id } of [alice, bob]) {
      const fields = { password_hash: '', account_info: '{}', is_administrator: 0, created_at: 0, updated_at: 0 }
      await store.db
        .insertInto('users')
        .values({ id, username: id, ...fields })
        .execute()
    }
  })
  afterEach(async () => {
    await registry.close()
    await store.close()
  })

  it('keeps keys, owners, names and notes over a restart, without waiting for a batch', async () => {
    await registry.provision(id.toUpperCase(), pem, alice)
    await registry.claim(id, alice.id)
    await registry.rename(id, alice.id, ' Lamp ')
    await registry.setNotes(id, alice.id, 'on the desk')
    await registry.setUpdatesForced(id, alice.id, true)
    await restart(false)

    const device = registry.find('lamp', alice.id)
    assert.equal(device?.id, id)
    assert.equal(device?.name, 'Lamp')
    assert.equal(device?.notes, 'on the desk')
    assert.equal(device?.keyAlgorithm, 'rsa')
    assert.equal(device?.updatesForced, true)
    assert.equal(registry.find(id, bob.id), undefined)
    assert.equal(registry.find(id.toUpperCase(), alice.id)?.id, id)
  })

  it('keeps what devices tell in memory at once, and in the store with the next batch', async () => {
    await registry.provision(id, pem, alice)
    now = 5_000
    registry.recordConnection(id, { address: '192.0.2.1', platformId: 43, productId: 43 })
    const module = {
      function: 'system_part' as const,
      store: 'main' as const,
      maxSize: 1,
      checked: 30,
      passed: 30,
      dependencies: [],
    }
    const system = {
      modules: [
        { ...module, index: 2, version: 1_101 },
        { ...module, index: 1, version: 1_000 },
      ],
    }
    registry.recordDescribe(id, { system, functions: ['led'], variables: { temp: 'double' } })
    registry.recordStatus(id, 'safe_mode')
    registry.recordUpdatesEnabled(id, false)
    now = 6_000
    registry.heard(id)
    const before = { ...registry.get(id) }
    assert.equal(before.systemVersion, 1_101)
    assert.equal(before.lastHeardAt, 6_000)
    await restart()

    assert.deepEqual(registry.get(id), before)
  })

  it('takes telemetry that comes while an owner’s change is committed', async () => {
    await registry.provision(id, pem, alice)
    const claimed = registry.claim(id, alice.id)
    registry.recordDescribe(id, { functions: ['led'] })
    await claimed
    assert.deepEqual(registry.get(id)?.functions, ['led'])
    assert.equal(registry.get(id)?.ownerId, alice.id)
  })

  it('makes devices known many at a time, and gives those of nobody to a user', async () => {
    await registry.provision(otherId, pem, bob)
    await registry.claim(otherId, bob.id)
    const known = await registry.makeKnown([id.toUpperCase(), otherId, id])
    assert.deepEqual(
      known.map((device) => device.id),
      [id, otherId, id],
    )
    await registry.claimUnowned([id, otherId], alice.id)
    await restart(false)
    assert.deepEqual([registry.get(id)?.ownerId, registry.get(otherId)?.ownerId], [alice.id, bob.id])
    assert.equal(registry.get(id)?.publicKey, null)
  })

  it('finds devices by serial number, IMEI and ICCID, and by the product that they report', async () => {
    await registry.makeKnown([id, otherId])
    await registry.setSerialNumber(id, ' SN-1 ')
    await assert.rejects(registry.setSerialNumber(otherId, 'sn-1'), refusedWith('bad-serial-number'))
    await assert.rejects(registry.setSerialNumber(otherId, id), refusedWith('bad-serial-number'))
    registry.recordDescribe(otherId, { system: { modules: [], imei: '357500000000001', iccid: '8901AB' } })
    registry.recordConnection(id, { platformId: 43, productId: 10_000 })
    await registry.flush()
    await restart(false)
    assert.equal(registry.identified('sn-1')?.id, id)
    assert.equal(registry.identified('357500000000001')?.id, otherId)
    assert.equal(registry.identified('8901ab')?.id, otherId)
    assert.equal(registry.identified(id.toUpperCase())?.id, id)
    assert.deepEqual([...registry.reporting(10_000)], [id])
    // Whoever says that its IMEI is another's serial number does not take its place.
    registry.recordDescribe(otherId, { system: { modules: [], imei: 'SN-1' } })
    assert.equal(registry.identified('sn-1')?.id, id)
    assert.equal(registry.identified('357500000000001'), undefined)
    registry.recordDescribe(otherId, { system: { modules: [], imei: '357500000000001' } })
    await registry.setSerialNumber(id, 'SN-2')
    registry.recordConnection(id, { productId: 43 })
    assert.equal(registry.identified('SN-1'), undefined)
    assert.deepEqual([...registry.reporting(10_000)], [])
  })

  it('lets a code for a product’s devices claim only what the product says', async () => {
    await registry.makeKnown([id, otherId])
    const code = await registry.createClaimCode(alice.id, 10_000)
    assert.equal(await registry.claimByCode(id, code), undefined)
    registry.onProductClaim(async (deviceId, userId, productId) => {
      return deviceId === otherId && userId === alice.id && productId === 10_000
    })
    assert.equal(await registry.claimByCode(id, code), undefined)
    assert.equal(await registry.claimByCode(otherId, code), alice.id)
    assert.equal(await registry.claimByCode(otherId, code), alice.id)
  })

  it('gives a device to one of two who claim it at the same time', async () => {
    await registry.provision(id, pem, alice)
    const results = await Promise.allSettled([registry.claim(id, alice.id), registry.claim(id, bob.id)])
    assert.deepEqual(
      results.map(({ status }) => status),
      ['fulfilled', 'rejected'],
    )
    await assert.rejects(registry.claim(id, bob.id), refusedWith('belongs-to-someone-else'))
    await assert.rejects(registry.claim(id, bob.id), /belongs to someone else/)
    await assert.rejects(registry.claim(otherId, bob.id), refusedWith('unknown-device'))
    await assert.rejects(registry.unclaim(id, bob.id), refusedWith('not-yours'))
  })

  it('forgets names and notes of a device that is given away, and lets the next owner name it', async () => {
    for (const each of [id, otherId]) await registry.provision(each, pem, alice)
    await registry.claim(id, alice.id)
    await registry.claim(otherId, bob.id)
    await registry.rename(id, alice.id, 'lamp')
    await registry.rename(otherId, bob.id, 'lamp')
    await registry.unclaim(id, alice.id)
    assert.equal(registry.find('lamp', alice.id), undefined)
    await registry.claim(id, bob.id)
    assert.equal(registry.get(id)?.name, null)
    await assert.rejects(registry.rename(id, bob.id, 'LAMP'), refusedWith('name-taken'))
    await registry.rename(otherId, bob.id, 'Lamp')
    assert.equal(registry.find('LAMP', bob.id)?.id, otherId)
    assert.equal(registry.list(bob.id).length, 2)
    assert.equal(registry.list(alice.id).length, 0)
  })

  it('refuses names that could not be told from paths or ids', async () => {
    await registry.provision(id, pem, alice)
    await registry.claim(id, alice.id)
    for (const name of ['', '  ', 'a/b', 'events', 'Mine', otherId, 'x'.repeat(65), 'a\nb', 'what?', 'a#b', '\ud800']) {
      await assert.rejects(registry.rename(id, alice.id, name), refusedWith('bad-name'), JSON.stringify(name))
    }
  })

  it('lets only its owner, an administrator or its first registrar change a key', async () => {
    await registry.provision(id, pem, alice)
    await assert.rejects(registry.provision(id, otherPem, bob), refusedWith('not-yours'))
    await registry.provision(id, otherPem, alice)
    await registry.claim(id, bob.id)
    await assert.rejects(registry.provision(id, pem, alice), refusedWith('not-yours'))
    await registry.provision(id, ecPem, bob)
    assert.equal(registry.get(id)?.keyAlgorithm, 'ecc')
    await registry.provision(id, pem, { ...alice, administrator: true })
  })

  it('takes only keys that devices have', async () => {
    const ed = generateKeyPairSync('ed25519').publicKey.export({ format: 'pem', type: 'spki' }).toString()
    const small = generateKeyPairSync('rsa', { modulusLength: 512 })
      .publicKey.export({ format: 'pem', type: 'spki' })
      .toString()
    const secret = generateKeyPairSync('rsa', { modulusLength: 1_024 })
      .privateKey.export({ format: 'pem', type: 'pkcs8' })
      .toString()
    for (const key of [ed, small, secret, '', 'x', Uint8Array.of(1, 2, 3), 'x'.repeat(10_000)]) {
      await assert.rejects(registry.provision(id, key, alice), refusedWith('bad-key'))
    }
    await assert.rejects(registry.provision('123', pem, alice), refusedWith('bad-id'))
    assert.equal(registry.get(id), undefined)
  })

  it('enrols an unknown device, but never over a registered key', async () => {
    const der = rsa().export({ format: 'der', type: 'spki' })
    const device = await registry.enrol(id, der)
    assert.equal(device.publicKey, der.toString('base64'))
    await registry.enrol(id, der)
    await assert.rejects(registry.enrol(id, pem), refusedWith('not-yours'))
  })

  it('claims by code: for one device, as often as that says it, for a day', async () => {
    for (const each of [id, otherId]) await registry.provision(each, pem, alice)
    const code = await registry.createClaimCode(bob.id)
    assert.equal(code.length, 63)
    assert.equal(await registry.claimByCode(id, 'wrong'), undefined)
    assert.equal(await registry.claimByCode(id, code), bob.id)
    assert.equal(await registry.claimByCode(id, code), bob.id)
    assert.equal(await registry.claimByCode(otherId, code), undefined)
    await restart(false)
    assert.equal(registry.get(id)?.ownerId, bob.id)

    const old = await registry.createClaimCode(alice.id)
    assert.equal(await registry.claimByCode(id, old), undefined, 'a device of somebody else')
    now += 24 * 60 * 60 * 1_000
    assert.equal(await registry.claimByCode(otherId, old), undefined)
  })

  it('stays as it was when the store fails', async () => {
    await registry.provision(id, pem, alice)
    await store.db.schema.dropTable('devices').execute()
    await assert.rejects(registry.claim(id, alice.id))
    assert.equal(registry.get(id)?.ownerId, null)
  })

  it('remembers refusals in bounded memory, alike ones together', () => {
    for (let i = 0; i < 3; i++) {
      registry.recordRefusal({ deviceId: id, address: `192.0.2.1:${i}`, step: 'key', reason: 'unknown key' })
    }
    assert.equal(registry.refusals()[0]?.count, 3)
    for (let i = 0; i < 5_000; i++) registry.recordRefusal({ address: `192.0.2.1:1`, step: 'nonce', reason: `${i}` })
    assert.equal(registry.refusals().length, 1_000)
    assert.equal(registry.refusals()[0]?.reason, '4999')
  })
})
