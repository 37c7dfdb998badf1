/** What does not fit one datagram, and what is no text, between real sockets: issue 3, device-protocol.md 3.8, 3.10. */
import assert from 'node:assert/strict'
import { createPublicKey, type KeyObject } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, describe, it } from 'node:test'
import {
  contentFormat,
  decodeCbor,
  ecPublicKeyDer,
  encodeCbor,
  generateEcKey,
  generateServerKey,
  type SubscriptionFormat,
} from '@aloe/protocol'
import { pino } from 'pino'
import { type Bus, createLocalBus } from '../bus/bus.ts'
import { DeviceRegistry } from '../devices/registry.ts'
import type { CloudEvent } from '../events/event.ts'
import { openStore, type Store } from '../store/store.ts'
import { createGateway, type DeviceGateway } from './device-gateway.ts'
import type { FakeUdpChannel } from './fake-channel.ts'
import { FakeDevice, type FakeDeviceOptions, linuxApplication, linuxSystem } from './fake-device.ts'
import { SessionStore } from './session-store.ts'
import { until } from './until.ts'

const id = '422b00000000000000000001'
const other = '422b00000000000000000002'

/** What CBOR says, as a plain object. */
const plain = (cbor: Uint8Array = new Uint8Array()): unknown => JSON.parse(JSON.stringify(decodeCbor(cbor)))

function fail(error: unknown): never {
  assert.fail(String(error))
}

describe('messages over real UDP sockets', () => {
  let folder: string
  let store: Store
  let registry: DeviceRegistry
  let sessions: SessionStore
  let bus: Bus
  let gateway: DeviceGateway
  let serverKey: KeyObject
  const events: CloudEvent[] = []
  const devices: FakeDevice[] = []

  before(async () => {
    serverKey = await generateEcKey()
    folder = await mkdtemp(join(tmpdir(), 'aloe-udp-messages-'))
    store = await openStore(folder)
    registry = await DeviceRegistry.open({ store, now: Date.now, onError: fail })
    sessions = await SessionStore.open({ store, onError: fail, beforeCommit: (ids) => registry.flushOf(ids) })
    bus = createLocalBus(fail)
    bus.subscribe((event) => events.push(event))
    const tcp = { serverKey: await generateServerKey() }
    const log = pino({ level: process.env.ALOE_LOG_LEVEL ?? 'silent' })
    gateway = createGateway({ tcp, udp: { serverKey, sessions }, registry, bus, log })
    await gateway.listen({ host: '127.0.0.1', tcpPort: 0, udpPort: 0 })
    const none = { password_hash: '', account_info: '{}', is_administrator: 0, created_at: 0, updated_at: 0 }
    await store.db
      .insertInto('users')
      .values({ id: 'ann', username: 'ann', ...none })
      .execute()
  })

  afterEach(() => {
    for (const made of devices.splice(0)) made.stop()
  })

  after(async () => {
    await gateway.close()
    await sessions.close()
    await registry.close()
    await store.close()
    await rm(folder, { recursive: true })
  })

  async function connected(options: Partial<FakeDeviceOptions> = {}): Promise<FakeDevice> {
    const deviceId = options.id ?? id
    const deviceKey = await generateEcKey()
    await registry.provision(deviceId, ecPublicKeyDer(deviceKey), { id: 'root', administrator: true })
    await registry.claim(deviceId, 'ann')
    const made = new FakeDevice({
      transport: 'udp',
      id: deviceId,
      port: gateway.udpPort ?? 0,
      deviceKey,
      serverKey: createPublicKey(serverKey),
      modules: [...linuxSystem(1_000, 100), linuxApplication(1_000)],
      ...options,
    })
    devices.push(made)
    made.start()
    await until(() => gateway.isOnline(deviceId))
    await settled(made)
    return made
  }

  const settled = (made: FakeDevice) => until(() => made.session?.ready && made.session.unacknowledged === 0)

  it('a describe larger than a datagram comes in blocks, unasked and asked for', async () => {
    const names = Array.from({ length: 80 }, (_, n) => `function-${n}-${'x'.repeat(40)}`)
    const functions = Object.fromEntries(names.map((name) => [name, () => 0]))
    const made = await connected({ functions })
    await until(() => registry.get(id)?.functions?.length === names.length)
    assert.deepEqual(registry.get(id)?.functions, names)
    const asked = await gateway.requestDescribe(id, 'application')
    assert.ok(asked.ok)
    const [described] = asked.value
    assert.ok(described?.kind === 'application')
    assert.deepEqual(described.functions, names)
    const largest = Math.max(...(made.channel as FakeUdpChannel).received.map((datagram) => datagram.length))
    assert.ok(largest <= 1_232, 'no datagram was larger than a record may be')
  })

  it('an event with structured data is CBOR for devices, JSON for people, each in the form that was subscribed to', async () => {
    const from = await connected()
    const to = await connected({ id: other })
    const formats: readonly SubscriptionFormat[] = ['text', 'binary', 'cbor']
    for (const format of formats) to.session?.subscribe(`as-${format}`, { format }, performance.now())
    await settled(to)
    const value = { celsius: 21.5, rooms: ['attic', 'cellar'], open: false, none: null }
    const publish = (name: string, data: Uint8Array, contentType: number) =>
      from.session?.publish({ name, data, contentType, ack: 'with' }, performance.now())
    for (const format of formats) publish(`as-${format}`, encodeCbor(value), contentFormat.jsonAsCbor)
    publish('as-binary/bytes', Uint8Array.of(0, 255, 7), contentFormat.octetStream)
    publish('as-text/bytes', Uint8Array.of(0, 255, 7), contentFormat.octetStream)
    publish('as-cbor/json', Buffer.from('{"a":[1,2]}'), contentFormat.json)
    publish('as-text/last', Buffer.from('last'), contentFormat.text)
    await settled(from)
    await until(() => to.received.some(({ name }) => name === 'as-text/last'))
    await settled(to)
    await until(() => to.received.filter(({ name }) => name.startsWith('as-')).length >= 6)
    const got = (name: string) => to.received.filter((event) => event.name === name)
    const [text] = got('as-text')
    assert.deepEqual(JSON.parse(Buffer.from(text?.data ?? []).toString()), value)
    for (const name of ['as-binary', 'as-cbor']) {
      const [event] = got(name)
      assert.equal(event?.contentType, contentFormat.cbor, name)
      assert.deepEqual(plain(event?.data), value)
    }
    assert.deepEqual(got('as-binary/bytes')[0]?.data, Uint8Array.of(0, 255, 7))
    assert.equal(got('as-binary/bytes')[0]?.contentType, contentFormat.octetStream)
    assert.deepEqual(plain(got('as-cbor/json')[0]?.data), { a: [1, 2] })
    assert.deepEqual(got('as-text/bytes'), [], 'bytes are no text')
    const shown = events.find(({ name }) => name === 'as-cbor')
    assert.deepEqual(JSON.parse(shown?.data ?? ''), value)
    assert.equal(
      events.find(({ name }) => name === 'as-binary/bytes')?.data,
      'data:application/octet-stream;base64,AP8H',
    )
  })
})
