import assert from 'node:assert/strict'
import { createPublicKey, type KeyObject, randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, before, beforeEach, describe, it } from 'node:test'
import { ecPublicKeyDer, generateEcKey, generateServerKey, helloFlag } from '@aloe/protocol'
import { pino } from 'pino'
import { type Bus, createLocalBus } from '../bus/bus.ts'
import { DeviceRegistry } from '../devices/registry.ts'
import type { CloudEvent } from '../events/event.ts'
import { openStore, type Store } from '../store/store.ts'
import { createGateway, type DeviceGateway } from './device-gateway.ts'
import { type FakeUdpChannel, openUdp } from './fake-channel.ts'
import { FakeDevice, type FakeDeviceOptions, linuxApplication, linuxSystem } from './fake-device.ts'
import { lastingUdpPort } from './lasting-port.ts'
import type { GatewayLimits } from './limits.ts'
import { SessionStore } from './session-store.ts'
import { decodeSubscriptions } from './stored-subscriptions.ts'
import { until } from './until.ts'

const log = pino({ level: process.env.ALOE_LOG_LEVEL ?? 'silent' })
const id = '422b00000000000000000001'
const other = '422b00000000000000000002'
const modules = [...linuxSystem(1_000, 100), linuxApplication(1_000)]

function fail(error: unknown): never {
  assert.fail(String(error))
}

describe('the gateway on UDP', () => {
  let tcpKey: KeyObject
  let serverKey: KeyObject
  let deviceKey: KeyObject
  let otherKey: KeyObject
  let folder: string
  let store: Store
  let registry: DeviceRegistry
  let sessions: SessionStore
  let bus: Bus
  let gateway: DeviceGateway
  let events: CloudEvent[]
  const devices: FakeDevice[] = []
  const channels: FakeUdpChannel[] = []
  let sockets: { close(): void }[] = []

  before(async () => {
    tcpKey = await generateServerKey()
    serverKey = await generateEcKey()
    deviceKey = await generateEcKey()
    otherKey = await generateEcKey()
  })

  async function open(options: { openEnrolment?: boolean; limits?: Partial<GatewayLimits>; port?: number } = {}) {
    const { port = await lastingUdpPort(), ...rest } = options
    store = await openStore(folder)
    registry = await DeviceRegistry.open({ store, now: Date.now, onError: fail })
    sessions = await SessionStore.open({ store, onError: fail, beforeCommit: (ids) => registry.flushOf(ids) })
    bus = createLocalBus(fail)
    events = []
    bus.subscribe((event) => events.push(event))
    gateway = createGateway({ tcp: { serverKey: tcpKey }, udp: { serverKey, sessions }, registry, bus, log, ...rest })
    await gateway.listen({ host: '127.0.0.1', tcpPort: 0, udpPort: port })
  }

  async function shut(): Promise<void> {
    await gateway.close()
    await sessions.close()
    await registry.close()
    await store.close()
  }

  async function restart(): Promise<void> {
    const port = gateway.udpPort ?? 0
    await shut()
    await open({ port })
  }

  async function makeUsers(): Promise<void> {
    for (const user of ['ann', 'bob']) {
      await store.db
        .insertInto('users')
        .values({
          id: user,
          username: user,
          password_hash: '',
          account_info: '{}',
          is_administrator: 0,
          created_at: 0,
          updated_at: 0,
        })
        .execute()
    }
  }

  async function provision(deviceId: string, key: KeyObject, owner?: string): Promise<void> {
    await registry.provision(deviceId, ecPublicKeyDer(key), { id: 'root', administrator: true })
    if (owner) await registry.claim(deviceId, owner)
  }

  function device(options: Partial<FakeDeviceOptions> = {}): FakeDevice {
    const made = new FakeDevice({
      transport: 'udp',
      id,
      port: gateway.udpPort ?? 0,
      deviceKey,
      serverKey: createPublicKey(serverKey),
      modules,
      ...options,
    })
    devices.push(made)
    return made
  }

  /** The device's own end of its session, to be looked at or misused. */
  const channelOf = (made: FakeDevice) => made.channel as FakeUdpChannel

  /** A device that has lost all but its flash, and resumes. */
  function resume(stored: Uint8Array | undefined, options: { dialect?: '4.0' | '3.1' | '0.6'; id?: string } = {}) {
    const received: Uint8Array[] = []
    const failures: string[] = []
    let resumed: boolean | undefined
    const channel = openUdp(
      {
        id: options.id ?? id,
        port: gateway.udpPort ?? 0,
        deviceKey,
        serverKey: createPublicKey(serverKey),
        handlers: {
          established: (_, how) => {
            resumed = how
          },
          message: (message) => received.push(message),
          failed: (_, error) => failures.push(error.message),
        },
      },
      { stored, ...options },
    )
    channels.push(channel)
    return { channel, received, failures, resumed: () => resumed }
  }

  const named = (name: string) => events.filter((event) => event.name === name)
  const statuses = () => named('spark/status').map((event) => event.data)
  const online = (deviceId = id) => until(() => gateway.isOnline(deviceId))
  const described = (deviceId = id) => until(() => registry.get(deviceId)?.functions)
  const settled = (made: FakeDevice) => until(() => made.session?.ready && made.session.unacknowledged === 0)
  const drops = () => gateway.statistics().udp?.drops ?? {}

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'aloe-udp-'))
  })

  afterEach(async () => {
    for (const made of devices.splice(0)) made.stop()
    for (const made of channels.splice(0)) made.close()
    for (const made of sockets) made.close()
    sockets = []
    await shut()
    await rm(folder, { recursive: true })
  })

  describe('lets a device in', () => {
    beforeEach(async () => {
      await open()
      await makeUsers()
    })

    it('with its registered key, and does everything that TCP does', async () => {
      await provision(id, deviceKey, 'ann')
      const made = device({
        functions: { led: (argument) => argument.length },
        variables: { temp: { type: 'double', value: 21.5 }, msg: { type: 'string', value: 'hi' } },
        subscriptions: ['foo'],
      }).start()
      await described()
      assert.deepEqual(registry.get(id)?.functions, ['led'])
      assert.equal(registry.get(id)?.systemVersion, 1_000)
      assert.equal(registry.get(id)?.lastIp, '127.0.0.1')
      await settled(made)
      assert.deepEqual(await gateway.call(id, 'led', 'abc'), { ok: true, value: 3 })
      assert.deepEqual(await gateway.readVariable(id, 'temp'), { ok: true, value: 21.5 })
      assert.deepEqual(await gateway.readVariable(id, 'msg'), { ok: true, value: 'hi' })
      assert.equal(await gateway.ping(id), true)
      assert.deepEqual(await gateway.signal(id, true), { ok: true, value: undefined })
      await until(() => made.signalling)
      await until(() => made.time)
      made.publish('greeting', 'hello')
      await until(() => named('greeting')[0])
      assert.equal(named('greeting')[0]?.data, 'hello')
      bus.publish({ name: 'foo/bar', data: 'x', ttl: 60, publishedAt: 0, coreid: 'api', owner: 'ann' })
      await until(() => made.events.some(({ name, data }) => name === 'foo/bar' && data === 'x'))
      assert.deepEqual(statuses(), ['online'])
      await settled(made)
      assert.equal(gateway.statistics().udp?.handshakes.established, 1)
    })

    it('and takes an update', async () => {
      await provision(id, deviceKey, 'ann')
      const made = device().start()
      await described()
      await settled(made)
      for (const otaV3 of [true, false]) {
        made.drop()
        const next = device({ otaV3 }).start()
        await until(() => next.reports === 1 && next.session?.unacknowledged === 0 && gateway.isOnline(id))
        const update = gateway.startUpdate(id, linuxApplication(1_000, 30_000), {})
        assert.equal((await update?.outcome)?.ok, true)
        await until(() => next.log.some((line) => line.startsWith('took user_part 1')))
        next.stop()
      }
    })

    it('that nobody knows, with open enrolment, and keeps its key', async () => {
      await shut()
      await open({ openEnrolment: true })
      device().start()
      await online()
      assert.equal(registry.get(id)?.publicKey, Buffer.from(ecPublicKeyDer(deviceKey)).toString('base64'))
      device({ deviceKey: otherKey }).start()
      await until(() => registry.refusals().some(({ step }) => step === 'key'))
    })

    it('and says on UDP too that it has seen the flag of a successful update', async () => {
      await provision(id, deviceKey)
      const made = device({ helloFlags: helloFlag.otaSuccessful })
      const messages: Uint8Array[] = []
      made.start()
      const receive = made.channel
      assert.ok(receive)
      await online()
      const { session } = made
      assert.ok(session)
      const original = session.receive.bind(session)
      session.receive = (message, now) => {
        messages.push(message)
        original(message, now)
      }
      await until(() => messages.some((message) => (message[1] ?? 0) === 0x02 && message[5] === 0x68))
      await settled(made)
    })
  })

  describe('refuses', () => {
    beforeEach(() => open())

    it('a device that nobody knows, and says why', async () => {
      const made = device().start()
      const [refusal] = await until(() => (registry.refusals().length > 0 ? registry.refusals() : undefined))
      assert.equal(refusal?.deviceId, id)
      assert.equal(refusal?.step, 'identify')
      assert.match(refusal?.reason ?? '', /open enrolment/)
      // It is told, so that it does not wait for its own timeouts.
      await until(() => made.failure)
      assert.match(made.failure?.message ?? '', /close_notify/)
      assert.equal(sessions.size, 0)
    })

    it('a device with another key, and leaves the session of the right one alone', async () => {
      await provision(id, deviceKey)
      const right = device().start()
      await settled(right)
      const wrong = device({ deviceKey: otherKey }).start()
      await until(() => registry.refusals().some(({ step }) => step === 'key'))
      await until(() => wrong.failure)
      right.publish('still/here', '1')
      await settled(right)
      assert.equal(gateway.isOnline(id), true)
      assert.equal(named('still/here').length, 1)
    })

    it('a server key that is not ours, at the step where the device stops', async () => {
      await provision(id, deviceKey)
      const wrong = device({ serverKey: createPublicKey(await generateEcKey()) }).start()
      await until(() => wrong.failure)
      const [refusal] = await until(() => (registry.refusals().length > 0 ? registry.refusals() : undefined))
      assert.equal(refusal?.step, 'certificate')
    })

    it('noise, and counts why', async () => {
      const socket = createSocket('udp4')
      sockets.push(socket)
      let answers = 0
      socket.on('message', () => answers++)
      const noise = [Buffer.alloc(1), randomBytes(40), Buffer.concat([Buffer.from('19fefd', 'hex'), randomBytes(60)])]
      const forged = Buffer.concat([
        Buffer.from('19fefd00010000000000010001020304050607', 'hex'),
        Buffer.from([0, 32]),
        randomBytes(32),
      ])
      for (const datagram of [...noise, forged]) socket.send(datagram, gateway.udpPort ?? 0, '127.0.0.1')
      await until(() => (drops().short ?? 0) > 0 && (drops()['unknown-cid'] ?? 0) > 0)
      assert.equal(answers, 0)
    })
  })

  describe('keeps sessions', () => {
    beforeEach(async () => {
      await open()
      await makeUsers()
      await provision(id, deviceKey, 'ann')
    })

    it('over a restart: no handshake, no Hello, no lost subscription', async () => {
      const made = device({ functions: { led: () => 7 }, subscriptions: ['foo'] }).start()
      await described()
      await settled(made)
      await restart()
      const sent = channelOf(made).sent.length
      made.publish('after', 'restart')
      await until(() => named('after')[0])
      await settled(made)
      assert.equal(gateway.statistics().udp?.handshakes.started, 0)
      assert.equal(gateway.statistics().udp?.drops['unknown-cid'], 0)
      // The event, and the answer to the ping with which the cloud looked for the device.
      assert.ok(channelOf(made).sent.length <= sent + 2)
      assert.deepEqual(await gateway.call(id, 'led', ''), { ok: true, value: 7 })
      bus.publish({ name: 'foo', data: 'x', ttl: 60, publishedAt: 0, coreid: 'api', owner: 'ann' })
      await until(() => made.events.some(({ name }) => name === 'foo'))
      assert.deepEqual(statuses(), ['online'])
      assert.ok(gateway.connection(id)?.describe)
    })

    it('and comes back to devices that were online, also to one that waits in silence', async () => {
      const made = device({ subscriptions: ['foo'] }).start()
      await described()
      await settled(made)
      const gone = device({ id: other, deviceKey: otherKey })
      await provision(other, otherKey, 'ann')
      gone.start()
      await until(() => registry.get(other)?.functions)
      await settled(gone)
      gone.stop()
      await restart()
      await online()
      assert.equal(gateway.isOnline(other), false)
      assert.deepEqual(statuses(), ['online'])
      bus.publish({ name: 'foo', data: 'x', ttl: 60, publishedAt: 0, coreid: 'api', owner: 'ann' })
      await until(() => made.events.some(({ name }) => name === 'foo'))
    })

    it('and never uses a record number twice', async () => {
      const made = device().start()
      await described()
      for (let i = 0; i < 3; i++) {
        made.publish('x', String(i))
        await settled(made)
        await restart()
      }
      made.publish('x', 'last')
      await settled(made)
      const numbers = channelOf(made)
        .received.filter((d) => d[4] === 1)
        .map((d) => Buffer.from(d.subarray(3, 11)).toString('hex'))
      assert.equal(new Set(numbers).size, numbers.length)
    })

    it('and acknowledges what is said once only after it is durable', async () => {
      const made = device({ subscriptions: ['a', 'b'] }).start()
      await described()
      await settled(made)
      const row = await store.db.selectFrom('device_sessions').selectAll().executeTakeFirstOrThrow()
      const prefixes = decodeSubscriptions(row.subscriptions).map(({ prefix }) => prefix)
      assert.deepEqual(prefixes.sort(), ['a', 'b', 'particle', 'spark'])
      const size = row.secrets.length + row.hello.length
      assert.ok(size < 300, `${size} bytes`)
      const device_ = await store.db.selectFrom('devices').select('functions').executeTakeFirstOrThrow()
      assert.notEqual(device_.functions, null)
    })

    it('when the device resumes from its flash, at another address', async () => {
      const made = device({ subscriptions: ['foo'] }).start()
      await described()
      await settled(made)
      const channel = channelOf(made)
      channel.client.remember(new Uint8Array())
      made.stop()
      const { stored } = channel
      assert.ok(stored)
      const serial = gateway.connection(id)?.serial
      const back = resume(stored)
      assert.equal(back.resumed(), true)
      back.channel.send(Buffer.from('40000101', 'hex'))
      await until(() => back.received.some((message) => Buffer.from(message).toString('hex') === '60000101'))
      assert.equal(back.channel.sent[0]?.[0], 253)
      // A resume is a new connection: what was under way in the older one is not any more.
      assert.notEqual(gateway.connection(id)?.serial, serial)
      assert.deepEqual(statuses(), ['online', 'offline', 'online'])
      bus.publish({ name: 'foo', data: 'x', ttl: 60, publishedAt: 0, coreid: 'api', owner: 'ann' })
      await until(() => back.received.some((message) => Buffer.from(message).includes('foo')))
    })

    it('of a device before 3.1 too, which names itself when it has moved', async () => {
      const first = resume(undefined, { dialect: '0.6' })
      await until(() => first.resumed() === false)
      const hello = Buffer.from(`40020001b168ffffffffff00360006000c${id}`, 'hex')
      first.channel.send(hello)
      await until(() => first.received.some((message) => Buffer.from(message).toString('hex') === '60000001'))
      await online()
      first.channel.client.remember(new Uint8Array())
      first.channel.close()
      await restart()
      const back = resume(first.channel.stored, { dialect: '0.6' })
      back.channel.send(Buffer.from('40000201', 'hex'))
      await until(() => back.received.some((message) => Buffer.from(message).toString('hex') === '60000201'))
      assert.equal(back.channel.sent[0]?.[0], 254)
      back.channel.send(Buffer.from('40000202', 'hex'))
      await until(() => back.received.some((message) => Buffer.from(message).toString('hex') === '60000202'))
      assert.equal(back.channel.sent[1]?.[0], 23)
    })

    it('behind a NAT that gives another port, and answers there', async () => {
      const made = device({ functions: { led: () => 1 } }).start()
      await described()
      await settled(made)
      await channelOf(made).rebind()
      made.publish('moved', '1')
      await settled(made)
      assert.deepEqual(await gateway.call(id, 'led', ''), { ok: true, value: 1 })
      assert.equal(gateway.statistics().udp?.sessions.moved, 1)
      assert.deepEqual(statuses(), ['online'])
    })

    it('until a new handshake of the same device proves itself', async () => {
      const made = device().start()
      await settled(made)
      made.drop()
      device().start()
      await until(() => statuses().length === 3)
      assert.deepEqual(statuses(), ['online', 'offline', 'online'])
      assert.equal(gateway.statistics().udp?.sessions.inMemory, 1)
      assert.equal(sessions.size, 1)
    })

    it('until the key of the device is changed', async () => {
      const made = device().start()
      await settled(made)
      gateway.disconnect(id, 'the key was changed')
      await until(() => made.failure)
      assert.equal(sessions.size, 0)
      assert.equal(gateway.isOnline(id), false)
    })

    it('not of a device whose key was changed while it slept', async () => {
      const made = device().start()
      await settled(made)
      await provision(id, otherKey)
      await restart()
      made.publish('x', 'y')
      await until(() => registry.refusals().some(({ step }) => step === 'key'))
      await until(() => sessions.size === 0)
      assert.equal(named('x').length, 0)
    })
  })

  describe('does not mind abuse', () => {
    it('answers strangers with cookies alone beyond a small rate, and lets a device in all the same', async () => {
      await open()
      await makeUsers()
      await provision(id, deviceKey, 'ann')
      const strangers = Array.from({ length: 40 }, () => {
        const made = resume(undefined, { id: other })
        return made
      })
      await until(() => (gateway.statistics().udp?.handshakes.cookiesSent ?? 0) > 0)
      const made = device().start()
      await settled(made)
      for (const { channel } of strangers) channel.close()
      assert.equal(gateway.isOnline(id), true)
      assert.ok((gateway.statistics().udp?.sessions.inMemory ?? 0) <= 41)
      assert.equal(sessions.size, 1)
    })

    it('takes in no more sessions without Hello than it may', async () => {
      await open({ limits: { maxHandshakes: 3 } })
      for (let i = 0; i < 6; i++) resume(undefined, { id: other })
      await until(
        () => registry.refusals().some(({ reason }) => /too many/.test(reason)) || (drops()['half-open'] ?? 0) > 0,
      )
      assert.ok((gateway.statistics().udp?.sessions.inMemory ?? 0) <= 3)
    })

    it('takes nothing that was recorded, changed or cut, before a restart and after', async () => {
      await open()
      await makeUsers()
      await provision(id, deviceKey, 'ann')
      const made = device().start()
      await described()
      await settled(made)
      made.publish('once', '1')
      await settled(made)
      const recorded = channelOf(made).sent.filter((datagram) => datagram[0] === 25)
      const attack = async () => {
        const socket = createSocket('udp4')
        sockets.push(socket)
        let answers = 0
        socket.on('message', () => answers++)
        for (const datagram of recorded) {
          const changed = Uint8Array.from(datagram)
          const at = 21 + Math.floor(Math.random() * (changed.length - 21))
          changed[at] = (changed[at] ?? 0) ^ 1
          for (const bad of [datagram, changed, datagram.subarray(0, datagram.length - 3)]) {
            socket.send(bad, gateway.udpPort ?? 0, '127.0.0.1')
          }
        }
        await until(() => Object.values(drops()).reduce((sum, count) => sum + count, 0) >= 3 * recorded.length)
        return answers
      }
      assert.equal(await attack(), 0)
      assert.equal(named('once').length, 1)
      assert.ok((drops().replay ?? 0) >= recorded.length)
      assert.equal(gateway.statistics().udp?.sessions.moved, 0)
      await restart()
      assert.equal(await attack(), 0)
      assert.equal(named('once').length, 0)
      made.publish('twice', '2')
      await settled(made)
      assert.equal(named('twice').length, 1)
    })
  })

  describe('notices that a device is gone', () => {
    it('when it says goodbye, and that it is back', async () => {
      await open()
      await makeUsers()
      await provision(id, deviceKey, 'ann')
      const made = device().start()
      await settled(made)
      made.session?.goodbye({ cloudReason: 5, networkReason: 0, resetReason: 0, sleepDuration: 0 }, performance.now())
      await until(() => !gateway.isOnline(id))
      await settled(made)
      await until(() => gateway.statistics().udp?.sessions.inMemory === 0)
      assert.equal(sessions.size, 1)
      // What was overtaken by the goodbye counts, and is no sign that the device is back.
      made.publish('overtaken', '1')
      await until(() => named('overtaken')[0])
      await settled(made)
      assert.deepEqual(statuses(), ['online', 'offline'])
      await until(() => gateway.statistics().udp?.sessions.inMemory === 0)
      made.session?.ping(performance.now())
      await until(() => gateway.isOnline(id))
      assert.deepEqual(statuses(), ['online', 'offline', 'online'])
    })

    it('when it is silent, and takes it back with its next datagram', async () => {
      const udpPing = { interval: 100, timeout: 200 }
      await open({ limits: { udpPing: { wifi: udpPing, cellular: udpPing } } })
      await makeUsers()
      await provision(id, deviceKey, 'ann')
      const made = device().start()
      await settled(made)
      const { channel } = made
      assert.ok(channel)
      // A device that answers pings stays.
      await new Promise((resolve) => setTimeout(resolve, 500))
      assert.equal(gateway.isOnline(id), true)
      const { session } = made
      assert.ok(session)
      const receive = session.receive.bind(session)
      session.receive = () => undefined
      await until(() => !gateway.isOnline(id))
      await until(() => gateway.statistics().udp?.sessions.inMemory === 0)
      session.receive = receive
      made.publish('back', '1')
      await until(() => named('back')[0])
      assert.deepEqual(statuses(), ['online', 'offline', 'online'])
    })
  })
})
