/** For tests: the least that a cloud over UDP can be, made of the protocol's cloud ends. It can forget, and remember. */
import { type KeyObject, randomBytes } from 'node:crypto'
import {
  CloudSession,
  type Describe,
  type DeviceEvent,
  DtlsListener,
  type DtlsSession,
  type Goodbye,
  type Hello,
  type RequestResult,
  type TransferResult,
} from '@aloe/protocol'
import type { Clock } from '../hal/clock.ts'
import type { Timer } from '../hal/time.ts'

/** What one device said in one life of the cloud. */
export class TestPeer {
  readonly hellos: Hello[] = []
  readonly describes: Describe[] = []
  readonly events: DeviceEvent[] = []
  readonly goodbyes: Goodbye[] = []
  readonly session: CloudSession
  readonly dtls: DtlsSession
  readonly #cloud: TestUdpCloud

  constructor(cloud: TestUdpCloud, dtls: DtlsSession, earlier?: TestPeer) {
    this.#cloud = cloud
    this.dtls = dtls
    const hello = earlier?.session.hello
    this.session = new CloudSession({
      transport: 'udp',
      random: (size) => randomBytes(size),
      unixTime: () => 1_700_000_000,
      firstMessageId: randomBytes(2).readUInt16BE(),
      ...(hello && { resume: { hello, subscriptions: earlier.session.subscriptions } }),
      handlers: {
        send: (message) => cloud.listener.send(dtls, message),
        hello: (said) => {
          this.hellos.push(said)
          cloud.listener.bind(dtls, said.deviceId ?? '')
        },
        describe: (describe) => this.describes.push(describe),
        event: (event) => this.events.push({ ...event, data: event.data.slice() }),
        goodbye: (goodbye) => this.goodbyes.push(goodbye),
        closed: () => cloud.listener.close(dtls, true),
      },
    })
  }

  /** Names and texts of the events so far. */
  get said(): string[] {
    return this.events.map(({ name, data }) => `${name}=${Buffer.from(data).toString()}`)
  }

  call(name: string, argument: string, timeout = 20_000): Promise<RequestResult<number>> {
    return new Promise((resolve) => {
      this.session.call(name, argument, this.#cloud.now(), timeout, resolve)
      this.#cloud.poll()
    })
  }

  update(file: Uint8Array): Promise<TransferResult> {
    return new Promise((resolve) => {
      this.session.startUpdate(file, {}, this.#cloud.now(), { done: resolve })
      this.#cloud.poll()
    })
  }

  /** Ends the session as a cloud that knows better does. */
  closeNotify(): void {
    this.#cloud.listener.close(this.dtls, true)
  }
}

export interface TestUdpCloudOptions {
  readonly serverKey: KeyObject
  readonly clock: Clock
  readonly send: (datagram: Uint8Array, to: string) => void
}

export class TestUdpCloud {
  listener: DtlsListener
  /** Everyone who ever had a session, oldest first; of a restored session the newest. */
  readonly peers: TestPeer[] = []
  /** Datagrams since the last start, by the first byte: 22 handshake, 25 a session's record, 253 the same after a resume. */
  readonly received: number[] = []
  moves = 0
  /** Called before a datagram is taken; a false loses it. */
  admit: (datagram: Uint8Array) => boolean = () => true
  readonly #options: TestUdpCloudOptions
  #bySession = new Map<DtlsSession, TestPeer>()
  #timer: Timer | undefined

  constructor(options: TestUdpCloudOptions) {
    this.#options = options
    this.listener = this.#listen()
  }

  now(): number {
    return this.#options.clock.now()
  }

  receive(datagram: Uint8Array, from: string): void {
    this.received.push(datagram[0] ?? 0)
    if (this.admit(datagram)) this.listener.receive(datagram, from, this.now())
    this.poll()
  }

  /** The newest peer. */
  get peer(): TestPeer {
    const peer = this.peers.at(-1)
    if (peer === undefined) throw new Error('no device has a session')
    return peer
  }

  /** Dies and starts again. @param keep sessions and what belongs to them lie in a store */
  restart(keep: boolean): void {
    const stored = [...this.#bySession].map(([session, peer]) => ({ bytes: session.serialize(), peer }))
    this.#bySession = new Map()
    this.received.length = 0
    this.listener = this.#listen()
    if (!keep) return
    for (const { bytes, peer } of stored) this.#add(this.listener.restore(bytes), peer)
  }

  stop(): void {
    this.#timer?.cancel()
    this.#bySession.clear()
  }

  poll(): void {
    this.#timer?.cancel()
    const now = this.now()
    this.listener.poll(now)
    const sessions = [...this.#bySession.values()].map((peer) => peer.session)
    for (const session of sessions) session.poll(now)
    const next = Math.min(...[this.listener, ...sessions].map((one) => one.nextDeadline() ?? Infinity))
    if (next !== Infinity) this.#timer = this.#options.clock.setTimer(Math.max(1, next - now), () => this.poll())
  }

  #add(session: DtlsSession, earlier?: TestPeer): void {
    const peer = new TestPeer(this, session, earlier)
    this.#bySession.set(session, peer)
    this.peers.push(peer)
  }

  #listen(): DtlsListener {
    return new DtlsListener({
      serverKey: this.#options.serverKey,
      random: (size) => randomBytes(size),
      needCookie: () => false,
      handlers: {
        send: (datagram, to) => this.#options.send(datagram, to),
        established: (session) => this.#add(session),
        message: (session, message, now) => this.#bySession.get(session)?.session.receive(message, now),
        moved: () => {
          this.moves += 1
        },
        closed: (session) => this.#bySession.delete(session),
      },
    })
  }
}
