/** Sessions that outlive restarts, and the keys they belong to: traps 17 and 18 of device-protocol.md 8.1. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { unhex } from '../test-bytes.ts'
import { ecPublicKeyDer, generateEcKey } from './ec-keys.ts'
import { connected, deviceAddress, deviceId, deviceKey, pump, TestCloud, TestDevice } from './test-world.ts'

const message = unhex('40001234')
const elsewhere = '198.51.100.7:40000'

/** The server's first flight to a client. */
const firstFlight = (device = new TestDevice(), cloud = new TestCloud()): Uint8Array[] => {
  device.client.start(1000)
  for (const datagram of device.take()) cloud.listener.receive(datagram, deviceAddress, 1000)
  return cloud.take()
}

describe('server trap 17 and the sessions behind it', () => {
  it('goes on after a restart without handshake, and uses no record number twice', () => {
    const { cloud, device, session } = connected()
    cloud.listener.send(session, message)
    const stored = session.serialize(100)
    for (let i = 0; i < 60; i++) cloud.listener.send(session, message)
    pump(cloud, device)
    const highest = session.sendSequence

    const restarted = new TestCloud()
    const restored = restarted.listener.restore(stored)
    assert.ok(restored.sendSequence >= highest)
    assert.equal(restored.deviceId, deviceId)
    assert.equal(restored.address, deviceAddress)
    assert.deepEqual(restored.publicKey, ecPublicKeyDer(deviceKey))
    device.client.send(message)
    pump(restarted, device)
    restarted.listener.send(restored, unhex('60001236'))
    pump(restarted, device)
    assert.deepEqual(restarted.messages, ['40001234'])
    assert.equal(device.messages.at(-1), '60001236')
  })

  it('stops rather than to use a number that the stored session may use, and says before that it is time to store', () => {
    const { cloud, session } = connected()
    assert.equal(session.saveDue, false)
    session.serialize(10)
    for (let i = 0; i < 10; i++) {
      assert.equal(session.saveDue, i > 5)
      session.seal(message)
    }
    assert.throws(() => session.seal(message), { code: 'sequence-reserve' })
    cloud.listener.send(session, message)
    assert.deepEqual(cloud.sent, [])
    assert.equal(cloud.listener.drops.unsaved, 1)
    session.serialize(10)
    cloud.listener.send(session, message)
    assert.equal(cloud.sent.length, 1)
  })

  it('remembers over a restart which records came', () => {
    const { cloud, device, session } = connected()
    device.client.send(message)
    const [datagram = new Uint8Array()] = device.sent
    pump(cloud, device)
    const restarted = new TestCloud()
    restarted.listener.restore(session.serialize())
    restarted.listener.receive(datagram, deviceAddress, 2000)
    assert.equal(restarted.listener.drops.replay, 1)
    assert.deepEqual(restarted.messages, [])
  })

  it('looks in the store for a session that is not in memory, by what the datagram tells', () => {
    for (const dialect of ['4.0', '3.1', '0.6'] as const) {
      const { device, session } = connected({ dialect })
      device.client.remember(new Uint8Array())
      const stored = session.serialize()
      const asked: string[] = []
      const restarted: TestCloud = new TestCloud({
        handlers: {
          find: (key: { kind: string }) => {
            asked.push(key.kind)
            return restarted.listener.unpack(stored)
          },
        } as never,
      })
      device.client.send(message)
      pump(restarted, device)
      const later = new TestDevice({ dialect, stored: device.stored })
      later.client.start(2000)
      later.client.send(message)
      pump(restarted, later, 2000, elsewhere)
      assert.deepEqual(restarted.messages, ['40001234', '40001234'])
      assert.deepEqual(asked, [dialect === '0.6' ? 'address' : 'cid'])
    }
  })

  it('stores a session in some 200 bytes, and refuses damaged ones', () => {
    const { cloud, session } = connected()
    const stored = session.serialize()
    assert.ok(stored.length < 300)
    for (let i = 0; i < stored.length; i++) {
      const damaged = stored.with(i, (stored[i] ?? 0) ^ 1)
      assert.throws(() => cloud.listener.restore(damaged), { code: 'stored-session' })
    }
    assert.throws(() => cloud.listener.restore(new Uint8Array()), { code: 'stored-session' })
  })
})

describe('server trap 18', () => {
  it('tells the key that the device has proven, so that the Hello can be compared', () => {
    const { session } = connected()
    assert.deepEqual(session.publicKey, ecPublicKeyDer(deviceKey))
  })

  it('refuses who does not hold the key', async () => {
    const other = await generateEcKey()
    const cloud = new TestCloud()
    const device = new TestDevice({ deviceKey: other })
    const flight = firstFlight(device, cloud)
    for (const datagram of flight) device.client.receive(datagram, 1000)
    const [answer = new Uint8Array()] = device.take()
    // The key of another device in front of a proof with the own one.
    const at = Buffer.from(answer).indexOf(Buffer.from(ecPublicKeyDer(other)))
    answer.set(ecPublicKeyDer(deviceKey), at)
    cloud.listener.receive(answer, deviceAddress, 1000)
    assert.deepEqual(cloud.failures, [{ step: 'certificate-verify', code: 'signature' }])
    assert.deepEqual(cloud.sessions, [])
    for (const datagram of cloud.take()) device.client.receive(datagram, 1000)
    assert.match(device.failures[0]?.error.message ?? '', /decrypt_error/)
  })

  it('keeps the old session until a Hello proves the new one', () => {
    const { cloud, device, session } = connected()
    const again = new TestDevice()
    again.client.start(2000)
    pump(cloud, again, 2000, elsewhere)
    assert.equal(cloud.sessions.length, 2)
    device.client.send(message)
    pump(cloud, device)
    assert.deepEqual(cloud.messages, ['40001234'])
    const [, newer] = cloud.sessions
    assert.ok(newer)
    assert.equal(cloud.listener.bind(newer, deviceId), session)
    assert.equal(session.alive, false)
    assert.equal(cloud.listener.sessionOf(deviceId), newer)
    device.client.send(message)
    pump(cloud, device)
    assert.equal(cloud.messages.length, 1)
    assert.equal(cloud.listener.drops['unknown-cid'], 1)
  })

  it('keeps the old session of a device without connection id at the same address just so', () => {
    const { cloud, device, session } = connected({ dialect: '0.6' })
    const again = new TestDevice({ dialect: '0.6' })
    again.client.start(2000)
    pump(cloud, again, 2000)
    device.client.send(message)
    again.client.send(unhex('40001235'))
    pump(cloud, device)
    pump(cloud, again)
    assert.deepEqual(cloud.messages, ['40001234', '40001235'])
    const [, newer] = cloud.sessions
    assert.ok(newer)
    assert.equal(cloud.listener.bind(newer, deviceId), session)
    device.client.send(message)
    pump(cloud, device)
    assert.equal(cloud.messages.length, 2)
    assert.equal(cloud.listener.drops.mac, 1)
  })
})
