/** A device on UDP that generates load: the protocol's own device end on a socket of its own, and little else. */
import { type KeyObject, randomBytes } from 'node:crypto'
import { createSocket, type Socket } from 'node:dgram'
import {
  cloudReason,
  coapType,
  DeviceSession,
  DtlsClient,
  encodeEventPublish,
  encodePing,
  generateEcKey,
  helloFlag,
  noBytes,
} from '@aloe/protocol'
import { described } from './bench-device.ts'

export interface UdpDeviceKind {
  readonly port: number
  /** The cloud's public key. */
  readonly serverKey: KeyObject
  /** Which device has which key is a matter of its id: the cloud cannot know one from another. */
  readonly deviceKeys: readonly KeyObject[]
  /** Only the DTLS handshake, nothing above it. */
  readonly bare?: boolean
}

const linux = 43
const flags = helloFlag.vitals | helloFlag.immediateUpdates | helloFlag.goodbye | helloFlag.deviceInitiatedDescribe
/** Datagrams get lost even here, when the other end has none to spare. */
const pollEvery = 100
const patience = 30_000
/** Ids of events: far from those that the session gives, and round again before they reach them. */
const firstEventId = 0x1000

let deviceKeys: Promise<KeyObject[]> | undefined

/** Keys of devices, more than a benchmark of handshakes has devices. */
export function benchDeviceKeys(): Promise<KeyObject[]> {
  deviceKeys ??= Promise.all(Array.from({ length: 4_000 }, generateEcKey))
  return deviceKeys
}

function keyOf(id: string, keys: readonly KeyObject[]): KeyObject {
  // The last half of an id counts the devices of a series.
  const key = keys[Number.parseInt(id.slice(-12), 16) % keys.length]
  if (!key) throw new Error('a kind of device has at least one key')
  return key
}

export class UdpBenchDevice {
  readonly id: string
  /** Events that the cloud has acknowledged. */
  acknowledged = 0
  readonly #socket: Socket
  readonly #client: DtlsClient
  #session: DeviceSession | undefined
  #timer: NodeJS.Timeout | undefined
  #ready: () => void = () => undefined
  #failed: (error: Error) => void = () => undefined
  #eventId = firstEventId
  #stopped = false

  private constructor(id: string, kind: UdpDeviceKind) {
    this.id = id
    this.#socket = createSocket({ type: 'udp4', lookup: (address, _options, found) => found(null, address, 4) })
    this.#socket.on('message', (datagram) => this.#client.receive(datagram, performance.now()))
    this.#socket.on('error', (error) => this.#lost(error))
    this.#client = new DtlsClient({
      deviceId: id,
      deviceKey: keyOf(id, kind.deviceKeys),
      serverKey: kind.serverKey,
      random: randomBytes,
      handlers: {
        send: (datagram) => this.#socket.send(datagram, kind.port, '127.0.0.1'),
        established: () => (kind.bare ? this.#greet() : this.#established()),
        message: (message) => this.#message(message),
        store: () => undefined,
        failed: (_, error) => this.#lost(error),
      },
    })
  }

  /** Connects; resolves when the cloud has answered everything that a device says, or the bare handshake is over. */
  static connect(id: string, kind: UdpDeviceKind): Promise<UdpBenchDevice> {
    return new Promise((resolve, reject) => {
      const device = new UdpBenchDevice(id, kind)
      device.#ready = () => resolve(device)
      device.#failed = reject
      const began = performance.now()
      device.#timer = setInterval(() => {
        const now = performance.now()
        device.#client.poll(now)
        device.#session?.poll(now)
        if (now - began > patience) device.#lost(new Error('the cloud does not answer'))
      }, pollEvery)
      device.#client.start(began)
    })
  }

  /** Publishes an event that the cloud acknowledges; it is not sent again. */
  publish(name: string, data: Uint8Array): void {
    const id = this.#eventId++ & 0xffff
    if (this.#eventId > 0xffff) this.#eventId = firstEventId
    this.#client.send(encodeEventPublish({ type: coapType.con, id, token: noBytes }, { name, data }))
  }

  /** Says goodbye, which the cloud acknowledges to nobody, and is gone. */
  stop(): void {
    if (this.#stopped) return
    this.#stopped = true
    clearInterval(this.#timer)
    this.#session?.goodbye({ cloudReason: cloudReason.user }, performance.now())
    this.#session?.close()
    this.#client.close()
    // What was just sent still goes out.
    setImmediate(() => this.#socket.close())
  }

  #done(): void {
    clearInterval(this.#timer)
    this.#ready()
  }

  /** A first message: with it the handshake's last flight is known to have arrived. */
  #greet(): void {
    this.#client.send(encodePing(1))
    this.#done()
  }

  #lost(error: Error): void {
    if (this.#stopped) return
    this.stop()
    this.#failed(new Error(`device ${this.id}: ${error.message}`))
  }

  #message(message: Uint8Array): void {
    if (((message[0] ?? 0) >> 4) % 4 === coapType.ack && (message[2] ?? 0) >= firstEventId >> 8) this.acknowledged++
    else this.#session?.receive(message, performance.now())
  }

  #established(): void {
    const session = new DeviceSession({
      transport: 'udp',
      random: randomBytes,
      firstMessageId: 1,
      hello: {
        productId: 0xffff,
        productVersion: 0xffff,
        flags,
        deviceId: this.id,
        platformId: linux,
        system: { version: 1_000, maxMessageSize: 1_152, maxBinarySize: 0, otaChunkSize: 1_024 },
      },
      handlers: {
        send: (message) => this.#client.send(message),
        ready: () => this.#announce(session, performance.now()),
        describe: (kind) => (kind === 'system' ? described.system : described.application),
        call: () => false,
        variable: () => undefined,
        event: () => undefined,
        time: () => undefined,
        signal: () => undefined,
        closed: (error) => this.#lost(error),
      },
    })
    this.#session = session
    session.start(performance.now())
  }

  #announce(session: DeviceSession, now: number): void {
    session.announce({ updatesEnabled: true, updatesForced: false, application: false }, now)
    for (const prefix of ['particle', 'spark', this.id]) session.subscribe(prefix, {}, now)
    session.postDescribe('application', described.application, now, () => this.#done())
  }
}

/** Datagrams of a device in a handshake: hello, hello with cookie, the rest of it, a first message. */
const bareSizes = [116, 148, 392, 53]

/** Sends to `children/bare-handshakes.ts` what a device sends to the listener, as far as its size goes. */
export function bareHandshake(port: number): Promise<void> {
  return new Promise((resolve) => {
    const socket = createSocket({ type: 'udp4', lookup: (address, _options, found) => found(null, address, 4) })
    let sent = 0
    const next = (): void => {
      socket.send(Buffer.alloc(bareSizes[sent] ?? 0, sent), port, '127.0.0.1')
      sent++
    }
    socket.on('message', () => {
      next()
      if (sent < bareSizes.length) return
      setImmediate(() => socket.close())
      resolve()
    })
    next()
  })
}
