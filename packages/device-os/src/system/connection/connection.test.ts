import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { devicePrivateKeyDer, serverPublicKeyDer } from '@aloe/protocol'
import type { TcpHandlers, TcpSocket } from '../../hal/hal.ts'
import { VirtualClock } from '../../hal/virtual/virtual-clock.ts'
import { VirtualHal } from '../../hal/virtual/virtual-hal.ts'
import { VirtualNetwork } from '../../hal/virtual/virtual-network.ts'
import type { ConnectionFailure, ConnectionStatus } from '../communication.ts'
import { TestCloudConnection } from '../test-cloud.ts'
import { type TestKeys, testKeys } from '../test-device.ts'
import { backOff } from './back-off.ts'
import { CloudConnection } from './connection.ts'
import { failureOf } from './failure.ts'

const port = 5683
let keys: TestKeys
before(async () => {
  keys = await testKeys()
})

interface Setup {
  readonly server?: { readonly host: string; readonly port: number } | undefined
  readonly serverKey?: Uint8Array
  readonly deviceKey?: Uint8Array
  readonly connectTcp?: (handlers: TcpHandlers) => TcpSocket
}

function setUp(options: Setup = {}) {
  const clock = new VirtualClock()
  const network = new VirtualNetwork()
  const statuses: [at: number, ConnectionStatus][] = []
  const failures: (ConnectionFailure & { readonly at: number })[] = []
  const attempts: number[] = []
  let ready = 0
  const hal = new VirtualHal({
    clock,
    connectTcp: (_host, at, handlers) => {
      attempts.push(clock.now())
      return options.connectTcp?.(handlers) ?? network.connect(at, handlers)
    },
  })
  const connection = new CloudConnection({
    hal,
    deviceId: '422b00000000000000000001',
    deviceKey: options.deviceKey ?? devicePrivateKeyDer(keys.device),
    serverKey: options.serverKey ?? serverPublicKeyDer(keys.server),
    server: 'server' in options ? options.server : { host: '127.0.0.1', port },
    hello: () => ({ productId: 65535, productVersion: 65535, flags: 0xb6, platformId: 43 }),
    updateTarget: {
      begin: () => ({ offset: 0 }),
      write: () => {},
      finish: () => ({ ok: true }),
      apply: () => {},
      cancel: () => {},
    },
    handlers: {
      status: (status) => statuses.push([clock.now(), status]),
      ready: () => {
        ready += 1
      },
      failed: (failure) => failures.push({ ...failure, at: clock.now() }),
      describe: () => new Uint8Array(),
      call: () => false,
      variable: (_name, reply) => reply(undefined),
      event: () => {},
      time: () => {},
      signal: () => {},
    },
  })
  const clouds: TestCloudConnection[] = []
  const listen = (serverKey = keys.server) =>
    network.listen(port, (socket) => {
      const cloud = new TestCloudConnection(socket, { serverKey, clock })
      clouds.push(cloud)
      return { data: (bytes) => cloud.data(bytes), closed: () => cloud.ended() }
    })
  return { clock, network, connection, statuses, failures, attempts, clouds, listen, ready: () => ready }
}

describe('the back-off of connecting', () => {
  it('waits five times as long as each power of two, up to 128 s', () => {
    const waits = Array.from({ length: 42 }, (_, place) => backOff(place + 1) / 1000)
    assert.deepEqual(
      waits,
      [1, 2, 4, 8, 16, 32, 64, 128].flatMap((wait) => Array(wait === 128 ? 7 : 5).fill(wait)),
    )
  })

  it('paces the attempts, and begins anew after a success', async () => {
    const { clock, connection, attempts, listen, network, statuses } = setUp()
    connection.connect()
    await clock.advance(16_000)
    assert.deepEqual(attempts, [0, 1000, 2000, 3000, 4000, 5000, 7000, 9000, 11_000, 13_000, 15_000])
    assert.equal(connection.counters.attempts, 11)
    const close = listen()
    await clock.advance(4_000)
    assert.equal(connection.status, 'connected')
    assert.deepEqual(
      statuses.map(([, status]) => status),
      ['connecting', 'handshake', 'connected'],
    )
    close()
    network.cut()
    attempts.length = 0
    const lost = clock.now()
    await clock.advance(2_500)
    assert.deepEqual(attempts, [lost + 1000, lost + 2000])
    assert.equal(connection.counters.disconnects, 1)
  })
})

describe('the cloud connection', () => {
  it('goes through handshake and Hello to connected', async () => {
    const { clock, connection, statuses, clouds, listen, ready } = setUp()
    listen()
    connection.connect()
    await clock.advance(100)
    assert.deepEqual(
      statuses.map(([, status]) => status),
      ['connecting', 'handshake', 'connected'],
    )
    assert.equal(ready(), 1)
    assert.equal(clouds[0]?.hello?.platformId, 43)
    assert.deepEqual(connection.counters, { attempts: 0, disconnects: 0, lastError: 0 })
  })

  it('says goodbye and stays away until it is told to connect', async () => {
    const { clock, connection, clouds, listen } = setUp()
    listen()
    connection.connect()
    await clock.advance(100)
    const left = connection.disconnect({ cloudReason: 2 })
    await clock.advance(100)
    await left
    assert.deepEqual(clouds[0]?.goodbye, { cloudReason: 2 })
    await clock.advance(300_000)
    assert.equal(connection.status, 'disconnected')
    assert.equal(clouds.length, 1)
    connection.connect()
    await clock.advance(100)
    assert.equal(connection.status, 'connected')
  })

  it('connects again when it is told so while it leaves', async () => {
    const { clock, connection, clouds, listen } = setUp()
    listen()
    connection.connect()
    await clock.advance(100)
    const left = connection.disconnect(undefined)
    connection.connect()
    await clock.advance(100)
    await left
    assert.equal(connection.status, 'connected')
    assert.equal(clouds.length, 2)
  })

  it('gives up a network that does not answer after 20 s, and a cloud that says nothing', async () => {
    const silent: TcpSocket = { write: () => {}, end: () => {}, destroy: () => {} }
    const lost = setUp({ connectTcp: () => silent })
    lost.connection.connect()
    await lost.clock.advance(20_500)
    assert.deepEqual(
      lost.failures.map(({ at, step, kind }) => [at, step, kind]),
      [[20_000, 'connect', 'error']],
    )
    const mute = setUp({
      connectTcp: (handlers) => {
        queueMicrotask(() => handlers.open())
        return silent
      },
    })
    mute.connection.connect()
    await mute.clock.advance(20_500)
    assert.deepEqual(
      mute.failures.map(({ at, step, kind, error }) => [at, step, kind, error]),
      [[20_000, 'nonce', 'handshake', 25]],
    )
  })

  it('tells a cloud with another key from one that knows another key of the device', async () => {
    const other = await testKeys()
    const wrongServer = setUp()
    wrongServer.listen(other.server)
    wrongServer.connection.connect()
    await wrongServer.clock.advance(100)
    assert.equal(wrongServer.failures.length, 1)
    assert.notEqual(wrongServer.connection.status, 'connected')
    assert.equal(failureOf('decrypt', 'decrypt').kind, 'decryption')
    assert.equal(failureOf('signature', 'signature').kind, 'authentication')
    assert.equal(failureOf('connect', undefined).kind, 'error')
  })

  it('knows no way without a server', async () => {
    const { clock, connection, failures } = setUp({ server: undefined })
    connection.connect()
    await clock.advance(1_500)
    assert.deepEqual(
      failures.map(({ step, retryIn }) => [step, retryIn]),
      [
        ['address', 1000],
        ['address', 1000],
      ],
    )
    await connection.disconnect(undefined)
    assert.equal(connection.status, 'disconnected')
  })

  it('reports keys that it cannot use', async () => {
    const { clock, connection, failures } = setUp({ deviceKey: Uint8Array.of(1, 2, 3) })
    connection.connect()
    await clock.advance(500)
    assert.deepEqual(
      failures.map(({ step, kind }) => [step, kind]),
      [['key', 'decryption']],
    )
  })

  it('leaves nothing behind when it is closed', async () => {
    const { clock, connection, attempts } = setUp()
    connection.connect()
    await clock.advance(500)
    connection.close()
    await clock.advance(100_000)
    assert.equal(attempts.length, 1)
    assert.equal(connection.status, 'disconnected')
  })

  it('does not publish without a session', async () => {
    const { connection } = setUp()
    const sent = await new Promise((resolve) => connection.publish({ name: 'a' }, resolve))
    assert.equal(sent, false)
  })
})
