/** A device that generates load: the protocol's own device end on a real socket, and as little else as possible. */
import { type KeyObject, randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import {
  bootCheck,
  buildModule,
  type InstalledModule,
  installedModule,
  type ModuleFunction,
  parseModule,
  platformById,
} from '@aloe/firmware'
import {
  DeviceSession,
  encodeApplicationDescribe,
  encodeSystemDescribe,
  helloFlag,
  TcpClientChannel,
  type UpdateRequest,
  type UpdateTarget,
} from '@aloe/protocol'

const linux = 43

export interface DeviceKind {
  readonly port: number
  /** The cloud's public key. */
  readonly serverKey: KeyObject
  /** One key serves all devices: the cloud is asked for the same work, and the generator need not make thousands. */
  readonly deviceKey: KeyObject
  readonly otaV3?: boolean
  /** The connection ended although the benchmark did not end it. */
  readonly lost?: (reason: string) => void
}

const chain = [
  ['bootloader', 0, 100],
  ['system_part', 1, 1_000],
  ['system_part', 2, 1_000],
  ['user_part', 1, 1],
] as const satisfies readonly (readonly [ModuleFunction, number, number])[]

/** A module that platform `linux` takes, depending on the one before it in the chain. */
function linuxModule(position: number, size: number): Uint8Array {
  const [name, index, version] = chain[position] ?? chain[0]
  const below = chain[position - 1]
  const dependencies = below ? [{ function: below[0], index: below[1], version: below[2] }] : []
  return buildModule({ platformId: linux, function: name, index, version, dependencies, body: randomBytes(size) })
}

/** An application of about `size` bytes. */
export function application(size: number): Uint8Array {
  return linuxModule(3, size)
}

function describes(): { system: Uint8Array; application: Uint8Array } {
  const platform = platformById(linux)
  if (!platform) throw new Error('there is no platform 43')
  const installed = chain.map((_, at): InstalledModule => installedModule(parseModule(linuxModule(at, 600))))
  return {
    system: encodeSystemDescribe({ modules: bootCheck(platform, installed).modules }),
    application: encodeApplicationDescribe(['toggle', 'calibrate'], { temperature: 'double', uptime: 'int32' }),
  }
}

/** The payloads of both describes. */
export const described = describes()
const flags =
  helloFlag.vitals |
  helloFlag.immediateUpdates |
  helloFlag.goodbye |
  helloFlag.deviceInitiatedDescribe |
  helloFlag.compressedOta

export class BenchDevice implements UpdateTarget {
  readonly id: string
  readonly socket: Socket
  /** What the last update's start said. */
  request: UpdateRequest | undefined
  /** Called when an update begins; its answer stays here until the socket is uncorked. */
  updating: (() => void) | undefined
  /** Called when an update is there and its result known to the cloud. */
  updated: (() => void) | undefined
  readonly #kind: DeviceKind
  readonly #channel: TcpClientChannel
  #session: DeviceSession | undefined
  #ready: (() => void) | undefined
  #failed: ((error: Error) => void) | undefined
  #stopped = false

  private constructor(id: string, kind: DeviceKind) {
    this.id = id
    this.#kind = kind
    const { serverKey, deviceKey } = kind
    this.socket = connect({ port: kind.port, host: '127.0.0.1', noDelay: true })
    this.#channel = new TcpClientChannel({
      deviceId: id,
      deviceKey,
      serverKey,
      bufferSize: 1_152,
      handlers: {
        write: (bytes) => this.socket.write(bytes),
        established: ({ messageIdSeed }) => this.#established(messageIdSeed),
        message: (message) => this.#session?.receive(message, performance.now()),
        failed: (step, error) => this.#lost(`${step}: ${error.message}`),
      },
    })
    this.#channel.start(performance.now())
    this.socket.on('data', (bytes) => this.#channel.receive(bytes, performance.now()))
    this.socket.on('error', (error) => this.#lost(error.message))
    this.socket.on('close', () => this.#lost('the connection was closed'))
  }

  /**
   * Connects, says everything that a device says (Hello, describes, subscriptions, time), and resolves once the cloud
   * has answered the last of it.
   */
  static connect(id: string, kind: DeviceKind): Promise<BenchDevice> {
    return new Promise((resolve, reject) => {
      const device = new BenchDevice(id, kind)
      device.#ready = () => resolve(device)
      device.#failed = reject
    })
  }

  /** Publishes an event that the cloud does not acknowledge. */
  publish(name: string, data: Uint8Array): void {
    this.#session?.publish({ name, data, ack: 'without' }, performance.now())
  }

  stop(): void {
    this.#stopped = true
    this.#channel.close()
    this.#session?.close()
    this.socket.destroy()
  }

  #lost(reason: string): void {
    if (this.#stopped) return
    this.stop()
    this.#failed?.(new Error(`device ${this.id}: ${reason}`))
    this.#kind.lost?.(reason)
  }

  #established(messageIdSeed: number): void {
    const now = performance.now()
    const session = new DeviceSession({
      transport: 'tcp',
      random: randomBytes,
      firstMessageId: messageIdSeed + 1,
      hello: {
        productId: 0xffff,
        productVersion: 0xffff,
        flags: (this.#kind.otaV3 ?? true) ? flags | helloFlag.otaV3 : flags,
        platformId: linux,
        system: { version: 1_000, maxMessageSize: 1_152, maxBinarySize: 0, otaChunkSize: 1_024 },
      },
      updateTarget: this,
      handlers: {
        send: (message) => this.#channel.send(message),
        ready: () => this.#announce(session, performance.now()),
        describe: (kind) => (kind === 'system' ? described.system : described.application),
        call: (_name, argument, reply) => {
          reply(argument.length)
          return true
        },
        variable: () => undefined,
        event: () => undefined,
        time: () => undefined,
        signal: () => undefined,
        closed: (error) => this.#lost(error.message),
      },
    })
    this.#session = session
    session.start(now)
  }

  #announce(session: DeviceSession, now: number): void {
    session.announce({ updatesEnabled: true, updatesForced: false, application: false }, now)
    session.postDescribe('application', described.application, now, () => this.#ready?.())
    for (const prefix of ['particle', 'spark', this.id]) session.subscribe(prefix, {}, now)
  }

  // The staging area, which keeps nothing.

  begin(request: UpdateRequest): { offset: number } {
    this.request = request
    this.socket.cork()
    this.updating?.()
    return { offset: 0 }
  }

  write(): void {}

  finish(): { ok: true } {
    return { ok: true }
  }

  cancel(): void {}

  apply(): void {
    this.updated?.()
  }
}
