/** A test for every sentence about DTLS in the checklists of device-protocol.md 8, and for the rules behind them. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { hex, unhex } from '../test-bytes.ts'
import { encodeAlert } from './alert.ts'
import { maxFruitlessResumes } from './client.ts'
import { generateEcKey } from './ec-keys.ts'
import { decodeFragments, encodeHandshake } from './handshake-message.ts'
import { connectionIdOf, decodeServerHello } from './hello.ts'
import { handshakeType } from './profile.ts'
import { RecordProtection } from './protection.ts'
import { encodePlainRecord, parseDatagram } from './record.ts'
import { cidNode } from './session-table.ts'
import { connected, deviceAddress, deviceId, pump, serverPublicKey, TestCloud, TestDevice } from './test-world.ts'

const message = unhex('40001234')
const elsewhere = '198.51.100.7:40000'

/** The plain handshake messages of datagrams, by type. */
const typesOf = (datagrams: readonly Uint8Array[]): number[] =>
  datagrams
    .flatMap((datagram) => parseDatagram(datagram).records)
    .filter((record) => record.type === 22 && record.epoch === 0)
    .flatMap((record) => decodeFragments(record.body) ?? [])
    .map((fragment) => fragment.type)

/** The server's first flight to a client. */
const firstFlight = (device = new TestDevice(), cloud = new TestCloud()): Uint8Array[] => {
  device.client.start(1000)
  for (const datagram of device.take()) cloud.listener.receive(datagram, deviceAddress, 1000)
  return cloud.take()
}

const helloOf = (flight: readonly Uint8Array[]) => {
  const [datagram = new Uint8Array()] = flight
  const [record] = parseDatagram(datagram).records
  const [fragment] = record ? (decodeFragments(record.body) ?? []) : []
  return fragment && decodeServerHello(fragment.body)
}

describe('server trap 4', () => {
  it('sends no Certificate, but a CertificateRequest', () => {
    assert.deepEqual(typesOf(firstFlight()), [
      handshakeType.serverHello,
      handshakeType.serverKeyExchange,
      handshakeType.certificateRequest,
      handshakeType.serverHelloDone,
    ])
  })

  it('echoes both certificate types with the value 2', () => {
    const hello = helloOf(firstFlight())
    assert.deepEqual(hello?.extensions.get(19), new Uint8Array([2]))
    assert.deepEqual(hello?.extensions.get(20), new Uint8Array([2]))
  })

  it('makes a device stop with alert 02 0a when the server sends a Certificate', () => {
    const device = new TestDevice()
    const [datagram = new Uint8Array()] = firstFlight(device)
    const [hello] = parseDatagram(datagram).records
    assert.ok(hello)
    device.client.receive(encodePlainRecord(22, 0, hello.body), 1000)
    const certificate = { type: handshakeType.certificate, sequence: 1, body: new Uint8Array([0, 0, 0]) }
    device.client.receive(encodePlainRecord(22, 1, encodeHandshake(certificate)), 1000)
    assert.deepEqual(device.take().map(hex), ['15fefd00000000000000010002020a'])
    assert.deepEqual(
      device.failures.map((failure) => failure.code),
      ['unexpected-message'],
    )
  })

  it('lets a device go without key when the server does not ask, and the device then sends neither proof', () => {
    const cloud = new TestCloud({ requireClientKey: false })
    const device = new TestDevice()
    const flight = firstFlight(device, cloud)
    for (const datagram of flight) device.client.receive(datagram, 1000)
    assert.deepEqual(typesOf(device.sent), [handshakeType.clientKeyExchange])
    pump(cloud, device)
    assert.equal(cloud.sessions[0]?.publicKey, undefined)
    assert.equal(device.established.length, 1)
  })
})

describe('server trap 5', () => {
  it('negotiates extension 254 with a connection id of 8 bytes that begins with the node', () => {
    const hello = helloOf(firstFlight(new TestDevice(), new TestCloud({ node: 0xbeef })))
    assert.ok(hello)
    const cid = connectionIdOf(hello)
    assert.ok(cid instanceof Uint8Array)
    assert.equal(cid.length, 8)
    assert.equal(cidNode(cid), 0xbeef)
  })

  it('does not answer the extension when the device does not know it', () => {
    const hello = helloOf(firstFlight(new TestDevice({ dialect: '0.6' })))
    assert.equal(hello?.extensions.has(254), false)
    const { cloud, device, session } = connected({ dialect: '0.6' })
    assert.equal(session.cid, undefined)
    device.client.send(message)
    assert.equal(device.sent[0]?.[0], 23)
    pump(cloud, device)
    assert.deepEqual(cloud.messages, ['40001234'])
  })

  it('sends records without connection id to the device', () => {
    const { cloud, device, session } = connected()
    cloud.listener.send(session, message)
    assert.equal(cloud.sent[0]?.datagram[0], 23)
    assert.equal(cloud.sent[0]?.datagram.length, 13 + 8 + 4 + 8)
    pump(cloud, device)
    assert.deepEqual(device.messages, ['40001234'])
  })

  it('makes a device that got no connection id of 8 bytes give the handshake up', () => {
    for (const size of [undefined, 0, 7, 9]) {
      const device = new TestDevice()
      const hello = helloOf(firstFlight(device))
      assert.ok(hello)
      const extension = size === undefined ? '' : `00fe00${(size + 1).toString(16).padStart(2, '0')}0${size}`
      const extensions = extension + '00'.repeat(size ?? 0)
      const length = (extensions.length / 2).toString(16).padStart(4, '0')
      const body = unhex(`fefd${hex(hello.random)}00c0ae00${length}${extensions}`)
      const answer = { type: handshakeType.serverHello, sequence: 0, body }
      device.client.receive(encodePlainRecord(22, 0, encodeHandshake(answer)), 1000)
      assert.deepEqual(
        device.failures.map((failure) => failure.code),
        ['connection-id'],
      )
    }
  })
})

describe('server trap 6', () => {
  it('understands the outer type 253', () => {
    const { cloud, device, session } = connected()
    device.client.remember(new Uint8Array())
    const later = new TestDevice({ stored: device.stored })
    later.client.start(2000)
    later.client.send(message)
    assert.equal(later.sent[0]?.[0], 253)
    pump(cloud, later, 2000, elsewhere)
    assert.deepEqual(cloud.messages, ['40001234'])
    assert.equal(session.address, elsewhere)
    assert.deepEqual(cloud.moves, [`${deviceAddress} > ${elsewhere}`])
  })

  it('understands the outer type 254 with 13 bytes behind the record', () => {
    const { cloud, device, session } = connected({ dialect: '0.6' })
    device.client.remember(new Uint8Array())
    const later = new TestDevice({ dialect: '0.6', stored: device.stored })
    later.client.start(2000)
    later.client.send(message)
    assert.equal(later.sent[0]?.[0], 254)
    assert.match(hex(later.sent[0] ?? new Uint8Array()), new RegExp(`${deviceId}0c$`))
    pump(cloud, later, 2000, elsewhere)
    assert.deepEqual(cloud.messages, ['40001234'])
    assert.equal(session.address, elsewhere)
    // From now on it is found by its new address.
    cloud.listener.send(session, message)
    pump(cloud, later, 2000, elsewhere)
    later.client.send(unhex('40001235'))
    assert.equal(later.sent[0]?.[0], 23)
    pump(cloud, later, 2000, elsewhere)
    assert.deepEqual(cloud.messages, ['40001234', '40001235'])
  })

  it('follows a record of type 25 to a new address without any mark', () => {
    const { cloud, device, session } = connected()
    device.client.send(message)
    pump(cloud, device, 1000, elsewhere)
    assert.equal(session.address, elsewhere)
  })

  it('takes no mark of the device for an address before the record proved authentic', () => {
    const { cloud, device, session } = connected()
    device.client.send(message)
    const [datagram = new Uint8Array()] = device.take()
    const forged = datagram.with(datagram.length - 1, (datagram.at(-1) ?? 0) ^ 1)
    cloud.listener.receive(forged, elsewhere, 1000)
    cloud.listener.receive(forged.with(0, 253), elsewhere, 1000)
    assert.equal(session.address, deviceAddress)
    assert.equal(cloud.listener.drops.mac, 2)
    cloud.listener.receive(datagram, deviceAddress, 1000)
    cloud.listener.receive(datagram, elsewhere, 1000)
    assert.equal(session.address, deviceAddress, 'a replay moves nothing')
    assert.equal(cloud.listener.drops.replay, 1)
  })

  it('does not follow a record that is older than the newest', () => {
    const { cloud, device, session } = connected()
    device.client.send(message)
    device.client.send(message)
    const [older = new Uint8Array(), newer = new Uint8Array()] = device.take()
    cloud.listener.receive(newer, deviceAddress, 1000)
    cloud.listener.receive(older, elsewhere, 1000)
    assert.equal(cloud.messages.length, 2)
    assert.equal(session.address, deviceAddress)
  })
})

describe('datagrams in clear', () => {
  it('of less than 13 bytes are left, as the keep-alives that they are', () => {
    const { cloud, device } = connected()
    for (let size = 0; size < 13; size++) {
      cloud.listener.receive(new Uint8Array(size).fill(22), deviceAddress, 1000)
      device.client.receive(new Uint8Array(size).fill(22), 1000)
    }
    assert.equal(cloud.listener.drops.short, 13)
    assert.equal(device.client.drops.short, 13)
    assert.deepEqual(cloud.sent, [])
  })

  it('end no session, whatever they claim', () => {
    const { cloud, device, session } = connected()
    const alert = encodePlainRecord(21, 9, encodeAlert('internal_error'))
    cloud.listener.receive(alert, deviceAddress, 1000)
    device.client.receive(alert, 1000)
    assert.equal(session.alive, true)
    assert.equal(device.client.alive, true)
    assert.equal(cloud.listener.drops.handshake, 1)
    assert.equal(device.client.drops.epoch, 1)
  })

  it('are the answer to no record of an unknown session', () => {
    const { device } = connected()
    const other = new TestCloud()
    device.client.send(message)
    pump(other, device)
    assert.deepEqual(other.sent, [])
    assert.equal(other.listener.drops['unknown-cid'], 1)
  })
})

describe('alerts', () => {
  it('close_notify of the server makes the device erase its session', () => {
    const { cloud, device, session } = connected()
    device.client.remember(new Uint8Array())
    cloud.listener.close(session, true)
    assert.equal(cloud.sent[0]?.datagram[0], 21)
    pump(cloud, device)
    assert.deepEqual(
      device.failures.map((failure) => [failure.step, failure.code]),
      [['open', 'alert']],
    )
    assert.equal(device.stored, undefined)
    assert.equal(cloud.listener.sessionCount, 0)
    assert.throws(() => session.seal(message), { code: 'not-open' })
  })

  it('of the device end its session', () => {
    for (const name of ['close_notify', 'internal_error'] as const) {
      const { cloud, device, session } = connected()
      const stored = session.serialize()
      // The device's end has no way to send one, so its protection is made here.
      const keys = stored.subarray(1, 41)
      const cid = session.cid
      const client = new RecordProtection({
        end: 'client',
        keyBlock: keys,
        cid,
        sendSequence: 50,
        window: { top: -1, high: 0, low: 0 },
      })
      cloud.listener.receive(client.seal(21, encodeAlert(name)), deviceAddress, 1000)
      assert.deepEqual(cloud.closed, ['alert'])
      assert.equal(cloud.listener.sessionCount, 0)
      assert.equal(device.client.alive, true)
    }
  })
})

describe('device trap 7', () => {
  it('stores its send number before use, so that a crash repeats none', () => {
    const { cloud, device } = connected({ sequenceReserve: 16 })
    device.client.remember(new Uint8Array())
    const numbers = new Set<number>()
    let life = device
    for (let crash = 0; crash < 3; crash++) {
      for (let i = 0; i < 10 + crash * 17; i++) life.client.send(message)
      for (const datagram of life.sent) {
        const [record] = parseDatagram(datagram).records
        assert.ok(record && !numbers.has(record.sequence))
        numbers.add(record.sequence)
      }
      pump(cloud, life)
      life = new TestDevice({ stored: life.stored, sequenceReserve: 16 })
      life.client.start(2000)
    }
    assert.equal(cloud.messages.length, 10 + 27 + 44)
  })

  it('goes on exactly where it was after an orderly end', () => {
    const { cloud, device } = connected()
    device.client.remember(unhex('aabb'))
    device.client.close()
    const later = new TestDevice({ stored: device.stored })
    later.client.start(2000)
    assert.deepEqual(later.established, [{ resumed: true, application: 'aabb' }])
    later.client.send(message)
    assert.equal(parseDatagram(later.sent[0] ?? new Uint8Array()).records[0]?.sequence, 1)
    pump(cloud, later)
    assert.deepEqual(cloud.messages, ['40001234'])
  })

  it(`drops the session after ${maxFruitlessResumes} resumes without answer`, () => {
    const { device } = connected()
    device.client.remember(new Uint8Array())
    let { stored } = device
    for (let i = 0; i < maxFruitlessResumes; i++) {
      const life = new TestDevice({ stored })
      life.client.start(2000)
      life.client.send(message)
      assert.deepEqual(
        life.established.map((info) => info.resumed),
        [true],
      )
      stored = life.stored
    }
    const last = new TestDevice({ stored })
    last.client.start(2000)
    assert.equal(last.stored, undefined)
    assert.deepEqual(typesOf(last.sent), [handshakeType.clientHello])
  })

  it('counts anew, and marks its records no longer, after one authentic record', () => {
    const { cloud, device, session } = connected()
    device.client.remember(new Uint8Array())
    let { stored } = device
    for (let i = 0; i < 2 * maxFruitlessResumes; i++) {
      const life = new TestDevice({ stored })
      life.client.start(2000)
      life.client.send(message)
      life.client.send(message)
      assert.deepEqual(
        life.sent.map((datagram) => datagram[0]),
        [253, 253],
      )
      pump(cloud, life)
      cloud.listener.send(session, message)
      pump(cloud, life)
      life.client.send(message)
      assert.equal(life.sent[0]?.[0], 25)
      pump(cloud, life)
      stored = life.stored
    }
    assert.equal(cloud.messages.length, 6 * maxFruitlessResumes)
  })

  it('is not moved to count anew by a forged record', () => {
    const { device } = connected()
    device.client.remember(new Uint8Array())
    const life = new TestDevice({ stored: device.stored })
    life.client.start(2000)
    const forged = unhex('17fefd00010000000001000014000100000000000156f78a06aa555ec1d3993522')
    life.client.receive(forged, 2000)
    assert.equal(life.client.drops.mac, 1)
    life.client.send(message)
    assert.equal(life.sent[0]?.[0], 253)
  })

  it('begins anew when the key of the server, its own, or the server is another, or the bytes are damaged', async () => {
    const { device } = connected({ server: 'a' })
    device.client.remember(new Uint8Array())
    const { stored } = device
    assert.ok(stored)
    const key = await generateEcKey()
    const cases = [
      { server: 'b' },
      { server: 'a', deviceKey: key },
      { server: 'a', serverKey: key },
      { server: 'a', dialect: '0.6' as const },
      { server: 'a', stored: stored.with(20, (stored[20] ?? 0) ^ 1) },
      { server: 'a', stored: new Uint8Array() },
    ]
    for (const options of cases) {
      const other = new TestDevice({ stored, ...options })
      other.client.start(2000)
      assert.deepEqual(typesOf(other.sent), [handshakeType.clientHello])
      assert.equal(other.stored, undefined)
    }
  })
})

describe('device trap 8', () => {
  it('erases the session when it is discarded', () => {
    const { device } = connected()
    device.client.remember(new Uint8Array())
    assert.ok(device.stored)
    device.client.discard()
    assert.equal(device.stored, undefined)
    assert.equal(device.client.alive, false)
    device.client.send(message)
    assert.deepEqual(device.sent, [])
  })

  it('keeps nothing of a session whose Hello was not acknowledged', () => {
    const { device } = connected()
    assert.equal(device.stores, 0)
    device.client.close()
    assert.equal(device.stores, 0)
  })
})

describe('device trap 9', () => {
  it('pads the inner plaintext to a multiple of 16', () => {
    const { device } = connected()
    for (const size of [1, 4, 15, 16, 17, 1152]) {
      device.client.send(new Uint8Array(size))
      const [datagram = new Uint8Array()] = device.take()
      const inner = datagram.length - 21 - 8 - 8
      assert.equal(inner % 16, 0)
      assert.ok(inner > size && inner <= size + 16)
    }
    assert.throws(() => device.client.send(new Uint8Array(1153)), { code: 'message-too-large' })
  })

  it('is not needed by the server, which takes any padding', () => {
    const { cloud, device } = connected()
    for (let size = 1; size < 40; size++) device.client.send(new Uint8Array(size).fill(size))
    pump(cloud, device)
    assert.deepEqual(
      cloud.messages.map((text) => text.length / 2),
      Array.from({ length: 39 }, (_, i) => i + 1),
    )
  })
})

describe('the server key', () => {
  it('is the only thing that a device trusts', async () => {
    const device = new TestDevice({ serverKey: await generateEcKey() })
    const flight = firstFlight(device)
    for (const datagram of flight) device.client.receive(datagram, 1000)
    assert.deepEqual(
      device.failures.map((failure) => [failure.step, failure.code]),
      [['key-exchange', 'signature']],
    )
    assert.ok(serverPublicKey)
  })
})
