import assert from 'node:assert/strict'
import { createPublicKey, type KeyObject, randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { devicePublicKeyDer, generateDeviceKey, generateServerKey, TcpClientChannel } from '@aloe/protocol'
import { pino } from 'pino'
import { type Bus, createLocalBus } from '../bus/bus.ts'
import { DeviceRegistry } from '../devices/registry.ts'
import type { CloudEvent } from '../events/event.ts'
import { openStore, type Store } from '../store/store.ts'
import { createGateway, type DeviceGateway } from './device-gateway.ts'
import { FakeDevice, type FakeDeviceOptions, linuxApplication, linuxSystem } from './fake-device.ts'
import type { GatewayLimits } from './limits.ts'
import { until } from './until.ts'

const log = pino({ level: process.env.ALOE_LOG_LEVEL ?? 'silent' })
const id = '422b00000000000000000001'
const other = '422b00000000000000000002'

function fail(error: unknown): never {
  assert.fail(String(error))
}

describe('the gateway on TCP', () => {
  let serverKey: KeyObject
  let deviceKey: KeyObject
  let otherKey: KeyObject
  let store: Store
  let registry: DeviceRegistry
  let bus: Bus
  let gateway: DeviceGateway
  let events: CloudEvent[]
  const devices: FakeDevice[] = []

  before(async () => {
    serverKey = await generateServerKey()
    deviceKey = await generateDeviceKey()
    otherKey = await generateDeviceKey()
  })

  async function start(options: { openEnrolment?: boolean; limits?: Partial<GatewayLimits> } = {}): Promise<void> {
    store = await openStore()
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
    registry = await DeviceRegistry.open({ store, now: Date.now, onError: fail })
    bus = createLocalBus(fail)
    events = []
    bus.subscribe((event) => events.push(event))
    gateway = createGateway({ tcp: { serverKey }, registry, bus, log, ...options })
    await gateway.listen({ host: '127.0.0.1', tcpPort: 0 })
  }

  async function provision(deviceId: string, key: KeyObject, owner?: string): Promise<void> {
    await registry.provision(deviceId, devicePublicKeyDer(key), { id: 'root', administrator: true })
    if (owner) await registry.claim(deviceId, owner)
  }

  function device(options: Partial<FakeDeviceOptions> = {}): FakeDevice {
    const made = new FakeDevice({
      id,
      port: gateway.tcpPort,
      deviceKey,
      serverKey: createPublicKey(serverKey),
      modules: [...linuxSystem(1_000, 100), linuxApplication(1_000)],
      ...options,
    })
    devices.push(made)
    return made
  }

  const named = (name: string) => events.filter((event) => event.name === name)
  const online = (deviceId = id) => until(() => gateway.isOnline(deviceId))
  const described = (deviceId = id) => until(() => registry.get(deviceId)?.functions)

  afterEach(async () => {
    for (const made of devices.splice(0)) made.stop()
    await gateway.close()
    await registry.close()
    await store.close()
  })

  describe('lets a device in', () => {
    beforeEach(() => start())

    it('with its registered key, and says so', async () => {
      await provision(id, deviceKey, 'ann')
      device({ functions: { led: () => 1 }, variables: { temp: { type: 'double', value: 21.5 } } }).start()
      await described()
      assert.deepEqual(registry.get(id)?.functions, ['led'])
      assert.deepEqual(registry.get(id)?.variables, { temp: 'double' })
      assert.equal(registry.get(id)?.platformId, 43)
      assert.equal(registry.get(id)?.productId, 43)
      assert.equal(registry.get(id)?.systemVersion, 1_000)
      assert.equal(registry.get(id)?.lastIp, '127.0.0.1')
      const [status] = named('spark/status')
      assert.deepEqual([status?.data, status?.coreid, status?.owner], ['online', id, 'ann'])
    })

    it('and gives it the time', async () => {
      await provision(id, deviceKey)
      const made = device().start()
      await until(() => made.time)
      assert.ok(Math.abs((made.time ?? 0) - Date.now() / 1_000) < 5)
    })

    it('again, and then the older connection ends before the newer one begins', async () => {
      await provision(id, deviceKey, 'ann')
      device().start()
      await described()
      const newer = device().start()
      await until(() => named('spark/status').length === 3)
      assert.deepEqual(
        named('spark/status').map((event) => event.data),
        ['online', 'offline', 'online'],
      )
      await until(() => newer.time)
      assert.equal(gateway.connected, 1)
      assert.ok(newer.connected)
    })

    it('and notices when it leaves', async () => {
      await provision(id, deviceKey, 'ann')
      const made = device().start()
      await online()
      made.stop()
      await until(() => !gateway.isOnline(id))
      assert.equal(named('spark/status').at(-1)?.data, 'offline')
    })
  })

  describe('does not let in', () => {
    const refusal = async () => await until(() => registry.refusals()[0])

    it('a device that nobody provisioned', async () => {
      await start()
      const made = device().start()
      const { step, reason, deviceId, address } = await refusal()
      assert.deepEqual([step, deviceId], ['identify', id])
      assert.match(reason, /unknown device/)
      assert.match(address, /^127\.0\.0\.1:\d+$/)
      await until(() => made.failure)
      assert.equal(gateway.connected, 0)
    })

    it('a device with another key than the registered one', async () => {
      await start()
      await provision(id, otherKey)
      device().start()
      const { step, reason } = await refusal()
      assert.equal(step, 'key')
      assert.match(reason, /another public key/)
    })

    it('a device that holds another server key: what it sends cannot be decrypted', async () => {
      await start()
      await provision(id, deviceKey)
      device({ serverKey: createPublicKey(await generateServerKey()) }).start()
      assert.equal((await refusal()).step, 'decrypt')
    })

    it('a device that shows the right public key and does not have the private one', async () => {
      await start()
      await provision(id, deviceKey)
      const socket = connect(gateway.tcpPort, '127.0.0.1')
      // Replays the identity with a key that is not its own: the answer is of no use to it, so it sends noise.
      const channel = new TcpClientChannel({
        deviceId: id,
        deviceKey,
        serverKey: createPublicKey(serverKey),
        handlers: {
          write: (bytes) => socket.write(bytes),
          established: () => socket.write(Buffer.concat([Buffer.from([0, 16]), randomBytes(16)])),
          message: () => undefined,
          failed: () => undefined,
        },
      })
      channel.start(0)
      socket.on('data', (bytes) => channel.receive(bytes, 0))
      socket.on('error', () => undefined)
      const { step, deviceId } = await refusal()
      assert.deepEqual([step, deviceId], ['hello', id])
    })

    it('garbage, and who hangs up before the end', async () => {
      await start()
      const garbage = connect(gateway.tcpPort, '127.0.0.1', () => garbage.write(randomBytes(256)))
      garbage.on('error', () => undefined)
      assert.equal((await refusal()).step, 'decrypt')
      const short = connect(gateway.tcpPort, '127.0.0.1', () => short.end(randomBytes(10)))
      await until(() => registry.refusals().length === 2)
      assert.equal(registry.refusals()[0]?.step, 'request')
      assert.match(registry.refusals()[0]?.reason ?? '', /closed the connection/)
    })

    it('who says nothing until the time is over', async () => {
      let now = 0
      store = await openStore()
      registry = await DeviceRegistry.open({ store, now: Date.now, onError: fail })
      bus = createLocalBus(fail)
      gateway = createGateway({ tcp: { serverKey }, registry, bus, log, now: () => now })
      await gateway.listen({ host: '127.0.0.1', tcpPort: 0 })
      const silent = connect(gateway.tcpPort, '127.0.0.1')
      silent.on('error', () => undefined)
      await new Promise((resolve) => silent.once('data', resolve))
      now = 60_000
      const { step, reason } = await refusal()
      assert.equal(step, 'request')
      assert.match(reason, /did not go on/)
    })

    it('more than it may hold', async () => {
      await start({ limits: { maxHandshakes: 1 } })
      const first = connect(gateway.tcpPort, '127.0.0.1')
      await new Promise((resolve) => first.once('data', resolve))
      const second = connect(gateway.tcpPort, '127.0.0.1')
      second.on('error', () => undefined)
      assert.equal((await refusal()).step, 'accept')
      first.destroy()
    })
  })

  describe('with open enrolment', () => {
    beforeEach(() => start({ openEnrolment: true }))

    it('learns a key at first sight and refuses another one later', async () => {
      const first = device().start()
      await online()
      assert.equal(registry.get(id)?.publicKey, Buffer.from(devicePublicKeyDer(deviceKey)).toString('base64'))
      first.stop()
      await until(() => !gateway.isOnline(id))
      device({ deviceKey: otherKey }).start()
      const refused = await until(() => registry.refusals()[0])
      assert.equal(refused.step, 'key')
    })

    it('lets only one in of two that come with the same new id at once', async () => {
      const both = [device().start(), device({ deviceKey: otherKey }).start()]
      await until(() => registry.refusals()[0] && gateway.connected === 1)
      await until(() => both.some((made) => made.failure))
      assert.equal(registry.refusals().length, 1)
    })
  })

  describe('carries', () => {
    beforeEach(() => start())

    it("an application's events to the bus", async () => {
      await provision(id, deviceKey, 'ann')
      const made = device().start()
      await described()
      made.publish('temperature/kitchen', '21.5')
      made.publish('empty', '', true)
      await until(() => named('empty').length)
      const [event] = named('temperature/kitchen')
      const { name, data, ttl, coreid, deviceId, owner, productId } = event ?? {}
      assert.deepEqual(
        { name, data, ttl, coreid, deviceId, owner, productId },
        {
          name: 'temperature/kitchen',
          data: '21.5',
          ttl: 60,
          coreid: id,
          deviceId: id,
          owner: 'ann',
          productId: undefined,
        },
      )
      assert.equal(named('empty')[0]?.data, null)
    })

    it('no application events under the names of the system', async () => {
      await provision(id, deviceKey, 'ann')
      const made = device().start()
      await described()
      const before = events.length
      made.publish('spark/device/reset', 'reboot')
      made.publish('particle/anything', 'x')
      made.publish('end', '')
      await until(() => named('end').length)
      assert.equal(events.length, before + 1)
    })

    it('events to the devices of the same owner that subscribed', async () => {
      await provision(id, deviceKey, 'ann')
      await provision(other, otherKey, 'bob')
      const mine = device({ subscriptions: ['temp'] }).start()
      const foreign = device({ id: other, deviceKey: otherKey, subscriptions: ['temp', 'end'] }).start()
      await described()
      await described(other)
      const publish = (name: string, data: string, owner: string) =>
        bus.publish({ name, data, ttl: 60, publishedAt: 0, coreid: 'api', owner })
      publish('temperature', '20', 'ann')
      publish('particle/device/updates/forced', 'true', 'ann')
      publish('tem', 'too short', 'ann')
      publish('end', '', 'bob')
      await until(() => mine.events.length && foreign.events.some((event) => event.name === 'end'))
      assert.deepEqual(mine.events, [{ name: 'temperature', data: '20' }])
      assert.deepEqual(
        foreign.events.map((event) => event.name),
        ['end'],
      )
      await registry.unclaim(id, 'ann')
      await registry.claim(id, 'bob')
      gateway.ownerChanged(id)
      publish('temperature', '21', 'ann')
      publish('temperature', '22', 'bob')
      await until(() => mine.events.length === 2)
      assert.equal(mine.events[1]?.data, '22')
    })

    it('what the webhooks of its product say to a device that nobody has claimed, and nothing else', async () => {
      await provision(id, deviceKey)
      await provision(other, otherKey, 'bob')
      for (const each of [id, other]) registry.setProduct(each, 10_001)
      const unclaimed = device({ subscriptions: ['hook-response/'] }).start()
      const claimed = device({ id: other, deviceKey: otherKey, subscriptions: ['hook-response/'] }).start()
      await described()
      await described(other)
      const publish = (data: string, more: object) =>
        bus.publish({ name: 'hook-response/a/0', data, ttl: 60, publishedAt: 0, coreid: 'particle-internal', ...more })
      publish('of another product', { productId: 10_002 })
      publish('of a device', { productId: 10_001, coreid: other })
      publish('of bob', { owner: 'bob' })
      publish('of the product', { productId: 10_001 })
      publish('of both', { productId: 10_001, owner: 'bob' })
      await until(() => unclaimed.events.length === 2 && claimed.events.length === 2)
      assert.deepEqual(
        [unclaimed, claimed].map((each) => each.events.map(({ data }) => data)),
        [
          ['of the product', 'of both'],
          ['of bob', 'of both'],
        ],
      )
      await registry.claim(id, 'ann')
      gateway.ownerChanged(id)
      publish('no more', { productId: 10_001 })
      publish('of ann', { owner: 'ann' })
      await until(() => unclaimed.events.length === 3)
      assert.equal(unclaimed.events[2]?.data, 'of ann')
    })

    it('function calls, variables, pings and signals', async () => {
      await provision(id, deviceKey, 'ann')
      const made = device({
        functions: { double: (argument) => Number(argument) * 2 },
        variables: {
          on: { type: 'bool', value: true },
          count: { type: 'int32', value: -7 },
          temp: { type: 'double', value: 21.5 },
          text: { type: 'string', value: 'grüß' },
        },
      }).start()
      await described()
      assert.deepEqual(await gateway.call(id, 'double', '-21'), { ok: true, value: -42 })
      assert.deepEqual(await gateway.readVariable(id, 'on'), { ok: true, value: true })
      assert.deepEqual(await gateway.readVariable(id, 'count'), { ok: true, value: -7 })
      assert.deepEqual(await gateway.readVariable(id, 'temp'), { ok: true, value: 21.5 })
      assert.deepEqual(await gateway.readVariable(id, 'text'), { ok: true, value: 'grüß' })
      assert.equal((await gateway.readVariable(id, 'nothing')).ok, false)
      assert.equal(await gateway.ping(id), true)
      assert.equal((await gateway.signal(id, true)).ok, true)
      assert.equal(made.signalling, true)
      const offline = await gateway.call(other, 'double', '1')
      assert.equal(offline.ok || offline.error, 'closed')
      assert.equal(await gateway.ping(other), false)
    })

    it('a call that is under way to its end when the device is lost', async () => {
      await provision(id, deviceKey)
      const made = device({ functions: { stay: () => 0 } })
      made.start()
      await described()
      const call = gateway.call(id, 'unknown', '')
      made.stop()
      const result = await call
      assert.equal(result.ok || result.error, 'closed')
    })
  })

  describe('acts on what devices say', () => {
    beforeEach(() => start())

    it('in safe mode: it tells the owner why', async () => {
      await provision(id, deviceKey, 'ann')
      device({ modules: [...linuxSystem(1_000, 100), linuxApplication(2_000)] }).start()
      const event = await until(() => named('spark/status/safe-mode')[0])
      const modules = JSON.parse(event.data ?? '').m
      assert.deepEqual(
        modules.map((m: { f: string; n: string; vv: number }) => [m.f, m.n, m.vv]),
        [
          ['b', '0', 30],
          ['s', '1', 30],
          ['s', '2', 30],
          ['u', '1', 26],
        ],
      )
      assert.equal(registry.get(id)?.status, 'safe_mode')
    })

    it('with its claim code: it belongs to whom the code was made for', async () => {
      await provision(id, deviceKey)
      const claimCode = await registry.createClaimCode('ann')
      const made = device({ claimCode }).start()
      await until(() => made.events.find((event) => event.name.startsWith('spark/device/claim/')))
      assert.equal(registry.get(id)?.ownerId, 'ann')
    })

    it('about updates: it is recorded, and the word of the owner is passed on', async () => {
      await provision(id, deviceKey, 'ann')
      await registry.setUpdatesForced(id, 'ann', true)
      const made = device({ updatesEnabled: false }).start()
      await until(() => named('particle/device/updates/forced').some((event) => event.data === 'true'))
      assert.equal(made.updatesForced, true)
      assert.equal(registry.get(id)?.updatesEnabled, false)
      assert.equal(named('particle/device/updates/enabled')[0]?.data, 'false')
    })

    it('by telling the hash of a new application', async () => {
      await provision(id, deviceKey, 'ann')
      const first = device().start()
      await described()
      const hash = first.installed.find((module) => module.function === 'user_part')?.hash
      assert.deepEqual(
        named('spark/device/app-hash').map((event) => event.data),
        [hash],
      )
    })

    it('by answering for its name, address and randomness', async () => {
      await provision(id, deviceKey, 'ann')
      await registry.rename(id, 'ann', 'lamp')
      const made = device().start()
      await described()
      made.publish('particle/device/name', '')
      made.publish('spark/device/ip', '')
      made.publish('particle/device/random', '')
      await until(() => made.events.length === 3)
      assert.deepEqual(made.events.slice(0, 2), [
        { name: 'particle/device/name', data: 'lamp' },
        { name: 'spark/device/ip', data: '127.0.0.1' },
      ])
    })
  })

  after(() => undefined)
})
