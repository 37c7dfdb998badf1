/**
 * For tests of resume: a device in simulated time with a real flash, the real bootloader, the real handling of updates
 * and the real channels and sessions, which an external watchdog or a power cut can end at any moment.
 */
import type { KeyObject } from 'node:crypto'
import { type BootDecision, boot, Flash, type Storage, type SystemEnd, Updates } from '@aloe/device-os'
import type { Platform } from '@aloe/firmware'
import { DeviceSession, DtlsClient, encodeSystemDescribe, helloFlag, TcpClientChannel } from '@aloe/protocol'
import type { BothWays, DatagramConditions, StreamConditions } from '../network/conditions.ts'
import { randomBytesOf } from '../network/random.ts'
import type { DatagramClient, SimulatedDatagrams } from '../network/simulated-datagrams.ts'
import type { SimulatedStreams, StreamConnection } from '../network/simulated-streams.ts'
import { Poller, type Simulation, type Timer } from '../network/simulation.ts'
import type { Transport } from './update-cloud.ts'

export interface UpdateDeviceOptions {
  readonly simulation: Simulation
  readonly platform: Platform
  readonly transport: Transport
  readonly datagrams: SimulatedDatagrams
  readonly streams: SimulatedStreams
  readonly network: { readonly datagrams: BothWays<DatagramConditions>; readonly streams: BothWays<StreamConditions> }
  /** RSA for TCP, P-256 for UDP. */
  readonly deviceKey: KeyObject
  /** Public. */
  readonly serverKey: KeyObject
  readonly deviceId: string
}

/** From the reset to the first word to the network: bootloader, system, modem. */
const startTime = 1_500
const retryTime = 1_000
const sessionFile = 'dtls-session.bin'

export class UpdateDevice {
  readonly #options: UpdateDeviceOptions
  readonly #storage: Storage
  readonly #random: (length: number) => Uint8Array
  boots = 0
  decision: BootDecision | undefined
  /** Bytes from the cloud, on all connections. */
  received = 0
  #end: ((end: SystemEnd) => void) | undefined
  #life = 0
  #powerOn = true
  /** Of the present connection. */
  connection: StreamConnection | undefined
  socket: DatagramClient | undefined
  #session: DeviceSession | undefined
  #pollers: Poller[] = []
  #timers: Timer[] = []

  constructor(storage: Storage, options: UpdateDeviceOptions) {
    this.#storage = storage
    this.#options = options
    this.#random = randomBytesOf(options.simulation.fork())
  }

  /** Boots again and again until it is switched off; rejects when the storage lost its power. */
  async run(): Promise<void> {
    for (let on = true; on; this.#powerOn = false) {
      this.boots++
      let asked: SystemEnd | undefined
      await boot({
        storage: this.#storage,
        platform: this.#options.platform,
        powerOn: this.#powerOn,
        log: () => {},
        signal: () => {},
        startSystem: async (decision) => {
          asked = await this.#system(decision)
          return asked
        },
        stay: async (reason) => {
          throw new Error(`the device stays in the bootloader: ${reason}`)
        },
      })
      on = asked?.kind !== 'off'
    }
  }

  /** The watchdog bites, the power goes: whatever was under way ends without a word. */
  stop(end: SystemEnd): void {
    this.#drop()
    const ended = this.#end
    this.#end = undefined
    ended?.(end)
  }

  #system(decision: BootDecision): Promise<SystemEnd> {
    this.decision = decision
    const flash = new Flash(this.#storage, this.#options.platform)
    this.#later(startTime, () => this.#connect(flash, decision))
    return new Promise((resolve) => {
      this.#end = resolve
    })
  }

  #connect(flash: Flash, decision: BootDecision): void {
    if (this.#options.transport === 'tcp') this.#connectTcp(flash, decision)
    else this.#connectUdp(flash, decision)
  }

  #reconnect(flash: Flash, decision: BootDecision): void {
    this.#drop()
    this.#later(retryTime, () => this.#connect(flash, decision))
  }

  #connectTcp(flash: Flash, decision: BootDecision): void {
    const { simulation, streams, network, deviceId, deviceKey, serverKey } = this.#options
    const life = this.#life
    const again = () => {
      if (life === this.#life) this.#reconnect(flash, decision)
    }
    const channel = new TcpClientChannel({
      deviceId,
      deviceKey,
      serverKey,
      handlers: {
        write: (bytes) => connection.write(bytes),
        established: ({ messageIdSeed }) => {
          const session = this.#greet(flash, decision, (message) => channel.send(message), messageIdSeed + 1, again)
          session.start(simulation.now())
          this.#changed()
        },
        message: (message) => this.#take(message),
        failed: again,
      },
    })
    const poller = this.#poller(
      () => channel.nextDeadline(),
      (now) => channel.poll(now),
    )
    const connection = streams.connect(network.streams, {
      open: () => {
        channel.start(simulation.now())
        poller.changed()
      },
      data: (bytes) => {
        this.received += bytes.length
        channel.receive(bytes, simulation.now())
        poller.changed()
      },
      closed: again,
    })
    this.connection = connection
  }

  #connectUdp(flash: Flash, decision: BootDecision): void {
    const { simulation, datagrams, network, deviceId, deviceKey, serverKey } = this.#options
    const life = this.#life
    const again = (erase: boolean) => {
      if (life !== this.#life) return
      if (erase) channel.discard()
      this.#reconnect(flash, decision)
    }
    const socket = datagrams.connect(network.datagrams, (datagram) => {
      if (life !== this.#life) return
      this.received += datagram.length
      channel.receive(datagram, simulation.now())
      poller.changed()
    })
    this.socket = socket
    const channel = new DtlsClient({
      deviceKey,
      serverKey,
      deviceId,
      random: this.#random,
      stored: this.#storage.read(sessionFile),
      handlers: {
        send: (datagram) => socket.send(datagram),
        established: () => {
          const firstId = Buffer.from(this.#random(2)).readUInt16BE()
          const remember = () => channel.remember(new Uint8Array())
          const send = (message: Uint8Array) => channel.send(message)
          const session = this.#greet(flash, decision, send, firstId, () => again(true), remember)
          // A device that was reset tells everything anew, in the session that it had.
          session.start(simulation.now())
          this.#changed()
        },
        message: (message) => this.#take(message),
        store: (bytes) => {
          if (!bytes) this.#storage.remove(sessionFile)
          else {
            this.#storage.write(sessionFile, bytes)
            this.#storage.sync(sessionFile)
          }
          this.#storage.syncDirectory()
        },
        failed: () => again(false),
      },
    })
    const poller = this.#poller(
      () => channel.nextDeadline(),
      (now) => channel.poll(now),
    )
    channel.start(simulation.now())
    poller.changed()
  }

  #take(message: Uint8Array): void {
    this.#session?.receive(message, this.#options.simulation.now())
    this.#changed()
  }

  #changed(): void {
    for (const poller of this.#pollers) poller.changed()
  }

  #greet(
    flash: Flash,
    decision: BootDecision,
    send: (message: Uint8Array) => void,
    firstMessageId: number,
    closed: () => void,
    ready: () => void = () => {},
  ): DeviceSession {
    const { simulation, platform, transport, deviceId } = this.#options
    const updates = new Updates(flash, {
      allowed: () => true,
      begun: () => {},
      progress: () => {},
      failed: () => {},
      applied: () => this.#later(300, () => this.stop({ kind: 'reset', reason: 'update' })),
    })
    const describe = encodeSystemDescribe({ platformId: platform.id, modules: decision.modules })
    const session: DeviceSession = new DeviceSession({
      transport,
      random: this.#random,
      firstMessageId: firstMessageId & 0xffff,
      hello: {
        productId: 0xffff,
        productVersion: 0xffff,
        flags: helloFlag.deviceInitiatedDescribe | helloFlag.otaV3,
        platformId: platform.id,
        ...(transport === 'udp' && { deviceId }),
        system: { version: 1000, maxMessageSize: 1152, maxBinarySize: 0, otaChunkSize: 512 },
      },
      updateTarget: updates,
      handlers: {
        send,
        ready: () => {
          ready()
          session.announce({ safeMode: decision.mode === 'safe' }, simulation.now())
        },
        describe: (kind) => (kind === 'system' ? describe : Buffer.from('{"f":[],"v":{}}')),
        call: () => false,
        variable: () => undefined,
        event: () => {},
        time: () => {},
        signal: () => {},
        closed,
      },
    })
    this.#session = session
    this.#poller(
      () => session.nextDeadline(),
      (now) => session.poll(now),
    )
    return session
  }

  #poller(deadline: () => number | undefined, poll: (now: number) => void): Poller {
    const poller = new Poller(this.#options.simulation, deadline, poll)
    this.#pollers.push(poller)
    return poller
  }

  #later(delay: number, act: () => void): void {
    this.#timers.push(this.#options.simulation.setTimer(delay, act))
  }

  /** Everything that lives in memory is gone; the other end notices nothing. */
  #drop(): void {
    this.#life++
    for (const timer of this.#timers) timer.cancel()
    for (const poller of this.#pollers) poller.end()
    this.#timers = []
    this.#pollers = []
    this.#session = undefined
    this.connection?.vanish()
    this.connection = undefined
    this.socket?.close()
    this.socket = undefined
  }
}
