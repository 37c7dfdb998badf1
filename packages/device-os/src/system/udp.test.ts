/** A device over UDP, in simulated time: its session outlives silence, addresses, resets and the cloud. */
import assert from 'node:assert/strict'
import { createPublicKey, type KeyObject } from 'node:crypto'
import { before, describe, it } from 'node:test'
import { ecPrivateKeyDer, ecPublicKeyDer, generateEcKey } from '@aloe/protocol'
import type { BootDecision } from '../boot/decision.ts'
import type { Flash } from '../flash/flash.ts'
import { VirtualClock } from '../hal/virtual/virtual-clock.ts'
import { VirtualDatagrams } from '../hal/virtual/virtual-datagrams.ts'
import { VirtualNetwork } from '../hal/virtual/virtual-network.ts'
import { communication } from './part1.ts'
import { flashWith, startDevice, type TestDevice, type TestKeys, testDeviceId, testKeys } from './test-device.ts'
import { TestUdpCloud } from './test-udp-cloud.ts'

const port = 5684
const seconds = 1_000
const minutes = 60_000
/** Bytes of a handshake and of a record in a session, before and after the first answer to a resume. */
const handshake = 22
const record = 25
const resumedRecord = 253

const application = `
const { Particle } = require('device-os')
exports.setup = () => {
  Particle.function('twice', (text) => 2 * Number(text))
  Particle.subscribe('weather', () => {})
}
`

let keys: TestKeys
let serverKey: KeyObject
let deviceKey: KeyObject
before(async () => {
  keys = await testKeys()
  serverKey = await generateEcKey()
  deviceKey = await generateEcKey()
})

interface UdpWorld {
  readonly clock: VirtualClock
  readonly network: VirtualDatagrams
  readonly cloud: TestUdpCloud
  readonly flash: Flash
  boot(decision?: Partial<BootDecision>): Promise<TestDevice>
  /** Lets time pass until the device is connected. */
  connected(device: TestDevice, limit?: number): Promise<void>
  /** First bytes of what the cloud received since the last call. */
  heard(): number[]
}

function udpWorld(latency = 20): UdpWorld {
  const clock = new VirtualClock(1_000)
  const network = new VirtualDatagrams({ clock, latency })
  const cloud: TestUdpCloud = new TestUdpCloud({
    serverKey,
    clock,
    send: (datagram, to) => server.send(datagram, to),
  })
  const server = network.listen(port, (datagram, from) => cloud.receive(datagram, from))
  const flash = flashWith({
    keys,
    application,
    config: {
      transport: 'udp',
      udpDeviceKey: ecPrivateKeyDer(deviceKey),
      udpServerKey: ecPublicKeyDer(createPublicKey(serverKey)),
      udpServerAddress: { type: 'ipv4', address: '192.0.2.10', port },
    },
  })
  return {
    clock,
    network,
    cloud,
    flash,
    boot: (decision = {}) =>
      startDevice({
        keys,
        flash,
        clock,
        decision,
        unixTime: 1_600_000_000,
        connectUdp: (_host, at, handlers) => network.connect(at, handlers),
      }),
    connected: async (device, limit = 5 * minutes) => {
      const ok = await clock.advanceUntil(() => device.system.cloudStatus === 'connected', limit, 100)
      assert.ok(ok, `not connected: ${device.logs.map(({ message }) => message).join('; ')}`)
      // What is announced, and answered.
      await clock.advance(7 * seconds)
    },
    heard: () => cloud.received.splice(0),
  }
}

const events = (cloud: TestUdpCloud) => cloud.peer.said.map((text) => text.split('=')[0])

describe('a device over UDP', () => {
  it('shakes hands, says Hello with its id, and all that a device says', async () => {
    const { clock, cloud, boot, connected } = udpWorld()
    const device = await boot()
    await connected(device)
    const { peer } = cloud
    assert.equal(peer.hellos[0]?.deviceId, testDeviceId)
    assert.deepEqual(
      peer.describes.map(({ kind }) => kind),
      ['system', 'application'],
    )
    assert.deepEqual(
      peer.session.subscriptions.map(({ prefix }) => prefix),
      ['particle', 'spark', 'weather'],
    )
    const called = peer.call('twice', '21')
    await clock.advance(2 * seconds)
    assert.deepEqual(await called, { ok: true, value: 42 })
  })

  it('goes on after a reset without handshake, Hello, describes, time and subscriptions', async () => {
    const { clock, cloud, boot, connected, heard } = udpWorld()
    const first = await boot()
    await connected(first)
    await first.system.stop(false)
    const before = { ...cloud.peer, hellos: cloud.peer.hellos.length, events: cloud.peer.events.length }
    heard()
    const second = await boot({ resetReason: 'user', resetData: 0 })
    await connected(second)
    const types = heard()
    assert.equal(cloud.peers.length, 1)
    assert.ok(!types.includes(handshake))
    assert.equal(types[0], resumedRecord)
    assert.equal(types.at(-1), record)
    assert.equal(cloud.peer.hellos.length, before.hellos)
    assert.equal(cloud.peer.describes.length, 2)
    assert.deepEqual(events(cloud).slice(before.events), [
      'spark/device/last_reset',
      'particle/device/updates/enabled',
      'particle/device/updates/forced',
    ])
    const called = cloud.peer.call('twice', '4')
    await clock.advance(2 * seconds)
    assert.deepEqual(await called, { ok: true, value: 8 })
  })

  it('says Hello in the resumed session when it is another than it was', async () => {
    const { cloud, boot, connected, heard, clock } = udpWorld()
    const first = await boot()
    await connected(first)
    await first.system.stop(false)
    heard()
    const safe = await boot({ mode: 'safe', why: 'asked for' } as Partial<BootDecision>)
    await connected(safe)
    assert.ok(!heard().includes(handshake))
    assert.equal(cloud.peer.hellos.length, 2)
    assert.ok(events(cloud).includes('spark/device/safemode'))
    await safe.system.stop(false)
    const third = await boot()
    await connected(third)
    assert.equal(cloud.peer.hellos.length, 3)
    await clock.advance(10 * minutes)
    assert.equal(cloud.peers.length, 1)
  })

  it('keeps its session through goodbye and reset', async () => {
    const { clock, cloud, boot, connected, heard } = udpWorld()
    const first = await boot()
    await connected(first)
    const stopped = first.system.stop(true)
    await clock.advance(6 * seconds)
    await stopped
    assert.equal(cloud.peer.goodbyes.length, 1)
    heard()
    await connected(await boot())
    assert.ok(!heard().includes(handshake))
  })

  it('pings after 25 s of silence, and keeps the NAT open', async () => {
    const { clock, boot, connected, heard } = udpWorld()
    await connected(await boot())
    heard()
    await clock.advance(100 * seconds)
    assert.deepEqual(heard(), [record, record, record, record])
  })

  it('does not notice when the NAT gives it another address', async () => {
    const { clock, network, cloud, boot, connected } = udpWorld()
    const device = await boot()
    await connected(device)
    network.rebind()
    await clock.advance(30 * seconds)
    assert.equal(cloud.moves, 1)
    const called = cloud.peer.call('twice', '5')
    await clock.advance(2 * seconds)
    assert.deepEqual(await called, { ok: true, value: 10 })
    assert.equal(cloud.peers.length, 1)
    assert.equal(device.logs.filter(({ level }) => level === 'warn').length, 0)
  })

  it('goes on after a restart of a cloud that keeps its sessions, unnoticed', async () => {
    const { clock, cloud, boot, connected } = udpWorld()
    const device = await boot()
    await connected(device)
    cloud.restart(true)
    await clock.advance(60 * seconds)
    assert.equal(device.system.cloudStatus, 'connected')
    assert.ok(!cloud.received.includes(handshake))
    const called = cloud.peer.call('twice', '6')
    await clock.advance(2 * seconds)
    assert.deepEqual(await called, { ok: true, value: 12 })
  })

  it('makes a new session when the cloud has lost it: after three resumes without an answer', async () => {
    const { clock, cloud, boot, connected } = udpWorld()
    const device = await boot()
    await connected(device)
    cloud.restart(false)
    const lost = clock.now()
    assert.ok(await clock.advanceUntil(() => cloud.peers.length === 2, 5 * minutes, 100))
    // 25 s until the ping, 30 s without answer, three resumes of 30 s, and the waits between.
    const took = clock.now() - lost
    assert.ok(took > 140 * seconds && took < 155 * seconds, `${took}`)
    await connected(device)
    assert.equal(cloud.peer.hellos.length, 1)
    assert.deepEqual(
      cloud.peer.describes.map(({ kind }) => kind),
      ['system', 'application'],
    )
  })

  it('survives an outage of a minute with its session', async () => {
    const { clock, network, cloud, boot, connected, heard } = udpWorld()
    const device = await boot()
    await connected(device)
    heard()
    network.lose = () => true
    await clock.advance(100 * seconds)
    assert.notEqual(device.system.cloudStatus, 'connected')
    network.lose = () => false
    await connected(device)
    assert.ok(!heard().includes(handshake))
    assert.equal(cloud.peers.length, 1)
  })

  it('erases the session when the cloud ends it, and shakes hands again', async () => {
    const { clock, cloud, boot, connected, flash } = udpWorld()
    const device = await boot()
    await connected(device)
    cloud.peer.closeNotify()
    await clock.advance(100)
    assert.equal(flash.readData('session'), undefined)
    await connected(device)
    assert.equal(cloud.peers.length, 2)
  })

  it('connects and stays through heavy loss', async () => {
    const { clock, network, cloud, boot, connected } = udpWorld(80)
    let count = 0
    network.lose = () => {
      count += 1
      return count % 10 === 3 || count % 7 === 5 || count % 11 === 0
    }
    const device = await boot()
    await connected(device)
    await clock.advance(60 * seconds)
    assert.equal(cloud.peers.length, 1)
    const { peer } = cloud
    assert.deepEqual(
      peer.describes.map(({ kind }) => kind),
      ['system', 'application'],
    )
    assert.equal(new Set(peer.said).size, peer.said.length)
    assert.deepEqual(peer.session.subscriptions.length, 3)
  })

  it('is refused by a cloud with another key, and says why', async () => {
    const { clock, boot, flash } = udpWorld()
    const other = await generateEcKey()
    flash.updateConfig({ udpServerKey: ecPublicKeyDer(createPublicKey(other)) })
    const device = await boot()
    await clock.advance(3 * seconds)
    assert.match(device.logs.find(({ level }) => level === 'warn')?.message ?? '', /not the expected server/)
  })

  it('makes nothing of a damaged session', async () => {
    const { cloud, boot, connected, flash } = udpWorld()
    const first = await boot()
    await connected(first)
    await first.system.stop(false)
    const bytes = flash.readData('session')?.slice()
    assert.ok(bytes)
    bytes[20] = (bytes[20] ?? 0) ^ 1
    flash.writeData('session', bytes)
    await connected(await boot())
    assert.equal(cloud.peers.length, 2)
  })

  it('runs over TCP with a system part 1 from before UDP', async () => {
    const { flash, clock } = udpWorld()
    const { transports: _, ...parts } = communication
    const tcp = new VirtualNetwork()
    let connections = 0
    tcp.listen(5683, () => {
      connections += 1
      return { data: () => {}, closed: () => {} }
    })
    const device = await startDevice({
      keys,
      flash,
      clock,
      communication: { ...parts, createConnection: ({ udp: _unknown, ...options }) => parts.createConnection(options) },
      connectTcp: (_host, at, handlers) => tcp.connect(at, handlers),
    })
    await clock.advance(1 * seconds)
    assert.equal(connections, 1)
    assert.match(device.logs.map(({ message }) => message).join(), /too old for UDP/)
    await device.system.stop(false)
  })

  it('stays on TCP without a key for UDP', async () => {
    const { boot, clock, flash, cloud } = udpWorld()
    flash.updateConfig({ udpDeviceKey: undefined })
    const device = await boot()
    await clock.advance(2 * seconds)
    assert.equal(cloud.peers.length, 0)
    assert.match(device.logs.map(({ message }) => message).join(), /refused/)
  })
})
