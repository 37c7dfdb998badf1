/** The whole protocol over real TCP sockets: handshake, frames, sessions, transfers. */
import assert from 'node:assert/strict'
import { createHash, type KeyObject, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { after, before, describe, it } from 'node:test'
import {
  CloudSession,
  type CloudSessionHandlers,
  cloudReason,
  type Describe,
  type DeviceEvent,
  DeviceSession,
  decodeVariable,
  devicePublicKeyDer,
  devicePublicKeyFromDer,
  encodeApplicationDescribe,
  encodeSystemDescribe,
  encodeVitals,
  type Goodbye,
  generateDeviceKey,
  generateServerKey,
  type Hello,
  type HelloFields,
  helloFlag,
  type RequestResult,
  serverPublicKeyDer,
  serverPublicKeyFromDer,
  TcpClientChannel,
  TcpServerChannel,
  type TransferResult,
  type UpdateTarget,
} from './index.ts'

const deviceId = '422b0102030405060708090a'
const now = () => performance.now()
const text = (data: Uint8Array) => Buffer.from(data).toString('utf8')

/** Something that comes over the wire, once or repeatedly. */
class Inbox<T> {
  readonly #items: T[] = []
  #waiting: ((item: T) => void)[] = []

  put(item: T): void {
    const waiting = this.#waiting.shift()
    if (waiting) waiting(item)
    else this.#items.push(item)
  }

  async take(): Promise<T> {
    const item = this.#items.shift()
    return item === undefined ? new Promise((resolve) => this.#waiting.push(resolve)) : item
  }
}

/** Gives time to a sans-IO part: polls it when it asks for it. */
function clockwork(part: { poll(now: number): void; nextDeadline(): number | undefined }): NodeJS.Timeout {
  return setInterval(() => {
    if ((part.nextDeadline() ?? Number.POSITIVE_INFINITY) <= now()) part.poll(now())
  }, 2)
}

class CloudEnd implements CloudSessionHandlers {
  readonly hellos = new Inbox<Hello>()
  readonly describes = new Inbox<Describe>()
  readonly events = new Inbox<DeviceEvent>()
  readonly goodbyes = new Inbox<Goodbye>()
  readonly failures = new Inbox<string>()
  readonly ended = new Inbox<string>()
  session: CloudSession | undefined
  readonly #socket: Socket
  readonly #channel: TcpServerChannel

  constructor(socket: Socket, serverKey: KeyObject, known: Uint8Array) {
    this.#socket = socket
    this.#channel = new TcpServerChannel({
      serverKey,
      random: randomBytes,
      handlers: {
        write: (bytes) => socket.write(bytes),
        identify: ({ publicKey }) => {
          if (publicKey && Buffer.compare(publicKey, known) === 0) {
            this.#channel.accept(devicePublicKeyFromDer(known), now())
          } else this.#channel.reject('another key', 'key')
        },
        established: ({ messageIdSeed }) => {
          this.session = new CloudSession({
            transport: 'tcp',
            random: randomBytes,
            unixTime: () => 1_700_000_000,
            firstMessageId: messageIdSeed,
            now: now(),
            handlers: this,
          })
          const timer = clockwork(this.session)
          socket.once('close', () => clearInterval(timer))
        },
        message: (message) => this.session?.receive(message, now()),
        failed: (step) => {
          this.failures.put(step)
          this.#close()
        },
      },
    })
    socket.setNoDelay(true)
    socket.on('data', (bytes) => this.#channel.receive(bytes, now()))
    socket.on('error', () => undefined)
    socket.on('close', () => this.#channel.disconnected())
    this.#channel.start(now())
  }

  send(message: Uint8Array): void {
    this.#channel.send(message)
  }
  congested(): boolean {
    return this.#socket.writableNeedDrain
  }
  hello(hello: Hello): void {
    this.hellos.put(hello)
  }
  describe(describe: Describe): void {
    this.describes.put(describe)
  }
  event(event: DeviceEvent): void {
    this.events.put(event)
  }
  goodbye(goodbye: Goodbye): void {
    this.goodbyes.put(goodbye)
  }
  closed(error: { code: string }): void {
    this.ended.put(error.code)
    this.#close()
  }
  #close(): void {
    this.session?.close()
    this.#channel.close()
    this.#socket.destroy()
  }

  /** A request as a promise. */
  ask<T>(
    start: (session: CloudSession, now: number, done: (result: RequestResult<T>) => void) => void,
  ): Promise<RequestResult<T>> {
    const { session } = this
    assert.ok(session)
    return new Promise((resolve) => start(session, now(), resolve))
  }
}

class DeviceEnd {
  readonly times = new Inbox<number>()
  readonly events = new Inbox<string>()
  readonly signals = new Inbox<boolean>()
  readonly failures = new Inbox<string>()
  readonly ended = new Inbox<string>()
  session: DeviceSession | undefined
  readonly #socket: Socket

  constructor(port: number, keys: Keys, hello: HelloFields, options: { target?: UpdateTarget; cut?: number } = {}) {
    const socket = connect(port, '127.0.0.1')
    this.#socket = socket
    const channel = new TcpClientChannel({
      deviceKey: keys.device,
      serverKey: keys.serverPublic,
      deviceId,
      handlers: {
        write: (bytes) => socket.write(bytes),
        established: ({ messageIdSeed }) => {
          const session = this.#open(channel, messageIdSeed, hello, options.target)
          this.session = session
          const timer = clockwork(session)
          socket.once('close', () => clearInterval(timer))
          session.start(now())
        },
        message: (message) => this.session?.receive(message, now()),
        failed: (step) => {
          this.failures.put(step)
          socket.destroy()
        },
      },
    })
    socket.setNoDelay(true)
    socket.on('connect', () => channel.start(now()))
    socket.on('data', (bytes) => {
      const size = options.cut ?? bytes.length
      for (let at = 0; at < bytes.length; at += size) channel.receive(bytes.subarray(at, at + size), now())
    })
    socket.on('error', () => undefined)
    socket.on('close', () => channel.disconnected())
  }

  #open(channel: TcpClientChannel, seed: number, hello: HelloFields, target: UpdateTarget | undefined): DeviceSession {
    const session: DeviceSession = new DeviceSession({
      transport: 'tcp',
      random: randomBytes,
      firstMessageId: (seed + 1) & 0xffff,
      hello,
      maxMessageSize: channel.maxMessageSize,
      ...(target ? { updateTarget: target } : {}),
      handlers: {
        send: (message) => channel.send(message),
        ready: () => session.announce({ lastReset: 'user', subscriptions: [{ prefix: 'down' }] }, now()),
        describe: (kind) => {
          if (kind === 'system') return encodeSystemDescribe({ modules: manyModules })
          if (kind === 'metrics') return encodeVitals([{ id: 6, value: 42 }])
          return encodeApplicationDescribe(['add'], { answer: 'int32', name: 'string' })
        },
        call: (name, argument, reply) => {
          if (name === 'add') setTimeout(() => reply(Number(argument) + 1), 5)
          return name === 'add'
        },
        variable: (name) => {
          if (name === 'answer') return { type: 'int32', value: 42 }
          return name === 'name' ? { type: 'string', value: 'Aloe' } : undefined
        },
        event: (name, data) => this.events.put(`${name}=${text(data)}`),
        time: (unixTime) => this.times.put(unixTime),
        signal: (on) => this.signals.put(on),
        closed: (error) => {
          this.ended.put(error.code)
          this.#socket.destroy()
        },
      },
    })
    return session
  }

  destroy(): void {
    this.session?.close()
    this.#socket.destroy()
  }
}

interface Keys {
  readonly device: KeyObject
  readonly serverPublic: KeyObject
}

/** Enough for a describe of two blocks. */
const manyModules = Array.from({ length: 12 }, (_, index) => ({
  function: 'user_part' as const,
  index,
  version: 6,
  store: 'main' as const,
  maxSize: 65_536,
  checked: 30,
  passed: 30,
  hash: 'ab'.repeat(32),
  dependencies: [{ function: 'system_part' as const, index: 2, version: 1000 }],
  assetDependencies: [{ name: `asset-${index}`, hash: 'cd'.repeat(32) }],
}))

const hello: HelloFields = {
  productId: 65535,
  productVersion: 65535,
  flags: 0x36 | helloFlag.otaV3,
  platformId: 43,
  system: { version: 1000, maxMessageSize: 1152, maxBinarySize: 0, otaChunkSize: 512 },
}

describe('a device and the cloud over TCP sockets', () => {
  let server: Server
  let keys: Keys
  let known: Uint8Array
  const ends = new Inbox<CloudEnd>()
  const open: DeviceEnd[] = []

  before(async () => {
    const serverKey = await generateServerKey()
    const device = await generateDeviceKey()
    keys = { device, serverPublic: serverPublicKeyFromDer(serverPublicKeyDer(serverKey)) }
    known = devicePublicKeyDer(device)
    server = createServer((socket) => ends.put(new CloudEnd(socket, serverKey, known)))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
  })

  after(() => {
    for (const device of open) device.destroy()
    server.close()
  })

  async function pair(options: { target?: UpdateTarget; cut?: number; hello?: HelloFields } = {}) {
    const device = new DeviceEnd((server.address() as AddressInfo).port, keys, options.hello ?? hello, options)
    open.push(device)
    const cloud = await ends.take()
    assert.deepEqual(await cloud.hellos.take(), options.hello ?? hello)
    return { cloud, device }
  }

  it('connect, describe and talk both ways, however TCP cuts the bytes', async () => {
    const { cloud, device } = await pair({ cut: 1 })
    const system = await cloud.describes.take()
    assert.equal(system.kind === 'system' && system.describe.modules.length, 12)
    assert.equal((await cloud.describes.take()).kind, 'application')
    assert.equal((await cloud.events.take()).name, 'spark/device/last_reset')
    assert.equal(await device.times.take(), 1_700_000_000)

    assert.deepEqual(await cloud.ask((session, at, done) => session.call('add', '41', at, 5_000, done)), {
      ok: true,
      value: 42,
    })
    const answer = await cloud.ask<Uint8Array>((session, at, done) => session.readVariable('answer', at, 5_000, done))
    assert.equal(answer.ok && decodeVariable('int32', answer.value), 42)
    const name = await cloud.ask<Uint8Array>((session, at, done) => session.readVariable('name', at, 5_000, done))
    assert.equal(name.ok && decodeVariable('string', name.value), 'Aloe')
    const none = await cloud.ask<Uint8Array>((session, at, done) => session.readVariable('none', at, 5_000, done))
    assert.equal(!none.ok && none.error, 'not-found')

    const acknowledged = new Promise<RequestResult<undefined>>((resolve) => {
      device.session?.publish({ name: 'up', data: Buffer.from('21.5'), ttl: 300 }, now(), resolve)
    })
    const event = await cloud.events.take()
    assert.deepEqual([event.name, text(event.data), event.ttl], ['up', '21.5', 300])
    assert.deepEqual(await acknowledged, { ok: true, value: undefined })

    assert.equal(cloud.session?.deliver({ name: 'down/1', data: Buffer.from('hi') }, now()), true)
    assert.equal(cloud.session?.deliver({ name: 'other', data: Buffer.from('hi') }, now()), false)
    cloud.session?.publishSystem('spark/device/reset', 'reboot', now())
    assert.equal(await device.events.take(), 'down/1=hi')
    assert.equal(await device.events.take(), 'spark/device/reset=reboot')

    assert.equal((await cloud.ask<undefined>((session, at, done) => session.signal(true, at, 5_000, done))).ok, true)
    assert.equal(await device.signals.take(), true)
    assert.equal((await cloud.ask<number>((session, at, done) => session.ping(at, 5_000, done))).ok, true)
    const vitals = await cloud.ask<readonly Describe[]>((session, at, done) =>
      session.requestDescribe('metrics', at, 5_000, done),
    )
    assert.deepEqual(vitals, {
      ok: true,
      value: [{ kind: 'metrics', vitals: [{ id: 6, name: 'sys:uptime', value: 42 }] }],
    })
    const again = await cloud.ask<readonly Describe[]>((session, at, done) =>
      session.requestDescribe('system', at, 5_000, done),
    )
    assert.deepEqual(again.ok && again.value, [system])

    device.session?.goodbye({ cloudReason: cloudReason.user }, now())
    assert.deepEqual(await cloud.goodbyes.take(), { cloudReason: 2 })
    device.destroy()
    assert.equal(await cloud.failures.take(), 'open')
  })

  for (const [name, flags] of [
    ['windowed', hello.flags],
    ['chunked', 0x36],
  ] as const) {
    it(`carry a ${name} update`, async () => {
      const file = randomBytes(300_001)
      const received = Buffer.alloc(file.length)
      const applied = new Inbox<string>()
      const target: UpdateTarget = {
        begin: () => ({ offset: 0 }),
        write: (offset, bytes) => void received.set(bytes, offset),
        finish: () => ({ ok: true }),
        apply: () => applied.put(createHash('sha256').update(received).digest('hex')),
        cancel: () => applied.put('cancelled'),
      }
      const { cloud } = await pair({ target, hello: { ...hello, flags } })
      const result = await new Promise<TransferResult>((resolve) => {
        cloud.session?.startUpdate(file, {}, now(), { done: resolve })
      })
      assert.equal(result.ok, true)
      assert.equal(await applied.take(), createHash('sha256').update(file).digest('hex'))
    })
  }

  it('do not meet when the device has another key', async () => {
    const device = new DeviceEnd(
      (server.address() as AddressInfo).port,
      { ...keys, device: await generateDeviceKey() },
      hello,
    )
    open.push(device)
    const cloud = await ends.take()
    assert.equal(await cloud.failures.take(), 'key')
    assert.equal(await device.failures.take(), 'credentials')
  })
})
