/**
 * For tests of resume: a cloud in simulated time that speaks to one device over TCP or UDP by the real channels and
 * sessions, and does for updates what the real one does in short: look at each describe, send what is next.
 */
import type { KeyObject } from 'node:crypto'
import type { SystemDescribe } from '@aloe/firmware'
import {
  CloudSession,
  DtlsListener,
  type DtlsSession,
  devicePublicKeyFromDer,
  type Hello,
  type Subscription,
  TcpServerChannel,
  type TransferResult,
  type UpdateHandle,
} from '@aloe/protocol'
import { randomBytesOf } from '../network/random.ts'
import type { SimulatedDatagrams } from '../network/simulated-datagrams.ts'
import type { SimulatedStreams, StreamSocket } from '../network/simulated-streams.ts'
import { Poller, type Simulation } from '../network/simulation.ts'

export type Transport = 'tcp' | 'udp'

export interface UpdateCloudOptions {
  readonly simulation: Simulation
  readonly transport: Transport
  readonly datagrams: SimulatedDatagrams
  readonly streams: SimulatedStreams
  /** RSA for TCP, P-256 for UDP. */
  readonly serverKey: KeyObject
  /** What to send to a device of which this is the describe; undefined: it has all. */
  readonly next: (describe: SystemDescribe) => Uint8Array | undefined
}

export interface Attempt {
  readonly file: Uint8Array
  /** Where the device resumed; undefined when it did not take the start. */
  offset: number | undefined
  result: TransferResult | undefined
}

/** What survives a restart of the cloud. */
interface Stored {
  dtls: Uint8Array
  hello: Hello
  subscriptions: readonly Subscription[]
  describe: SystemDescribe | undefined
}

/** Bytes that may wait in a socket before file data does. */
const writeQueue = 4_096
const settleTime = 200

/** One connection of the device. */
class Visit {
  readonly session: CloudSession
  readonly poller: Poller
  describe: SystemDescribe | undefined
  update: UpdateHandle | undefined
  ended = false

  constructor(session: CloudSession, poller: Poller) {
    this.session = session
    this.poller = poller
  }

  end(): void {
    if (this.ended) return
    this.ended = true
    this.session.close()
    this.poller.end()
  }
}

export class UpdateCloud {
  readonly attempts: Attempt[] = []
  /** Connections that said Hello. */
  hellos = 0
  /** Handshakes over UDP that were not resumes. */
  handshakes = 0
  readonly #options: UpdateCloudOptions
  readonly #random: (length: number) => Uint8Array
  #running: (() => void) | undefined
  #stored: Stored | undefined
  #visit: Visit | undefined
  #discard = false

  constructor(options: UpdateCloudOptions) {
    this.#options = options
    this.#random = randomBytesOf(options.simulation.fork())
  }

  start(): void {
    this.#running = this.#options.transport === 'tcp' ? this.#listenTcp() : this.#listenUdp()
  }

  /** Ends at once, as by `kill -9`: only what was stored is left. */
  kill(): void {
    this.#running?.()
    this.#running = undefined
    this.#visit?.end()
    this.#visit = undefined
  }

  // TCP.

  #listenTcp(): () => void {
    const { simulation, streams, serverKey } = this.#options
    const sockets = new Set<StreamSocket>()
    const stop = streams.listen((socket) => {
      sockets.add(socket)
      let visit: Visit | undefined
      const close = () => {
        sockets.delete(socket)
        visit?.end()
        poller.end()
        socket.destroy()
      }
      const channel = new TcpServerChannel({
        serverKey,
        random: this.#random,
        handlers: {
          write: (bytes) => socket.write(bytes),
          identify: ({ publicKey }) => {
            if (publicKey) channel.accept(devicePublicKeyFromDer(publicKey), simulation.now())
          },
          established: ({ messageIdSeed }) => {
            this.#visit?.end()
            visit = this.#greet(
              (message) => channel.send(message),
              messageIdSeed,
              () => socket.buffered > writeQueue,
            )
          },
          message: (message) => {
            visit?.session.receive(message, simulation.now())
            visit?.poller.changed()
          },
          failed: close,
        },
      })
      const poller = new Poller(
        simulation,
        () => channel.nextDeadline(),
        (now) => channel.poll(now),
      )
      channel.start(simulation.now())
      poller.changed()
      return {
        data: (bytes) => {
          channel.receive(bytes, simulation.now())
          poller.changed()
        },
        closed: close,
      }
    })
    return () => {
      stop()
      for (const socket of sockets) socket.destroy()
    }
  }

  // UDP.

  #listenUdp(): () => void {
    const { simulation, datagrams, serverKey } = this.#options
    const visits = new Map<DtlsSession, { visit: Visit; helloId: number | undefined }>()
    const socket = datagrams.listen((datagram, from) => {
      listener.receive(datagram, from, simulation.now())
      poller.changed()
    })
    const sendBy = (dtls: DtlsSession) => (message: Uint8Array) => {
      listener.send(dtls, message)
      if (dtls.saveDue && this.#stored) this.#stored.dtls = dtls.serialize()
    }
    const listener = new DtlsListener({
      serverKey,
      random: this.#random,
      handlers: {
        send: (datagram, to) => socket.send(datagram, to),
        established: () => {
          this.handshakes++
        },
        message: (dtls, message, now) => {
          let known = visits.get(dtls)
          const helloId = helloIdOf(message)
          if (helloId !== undefined && known?.helloId !== helloId) {
            known?.visit.end()
            known = { visit: this.#greet(sendBy(dtls), firstId(this.#random)), helloId }
            visits.set(dtls, known)
          } else if (!known) {
            // A device that goes on in a session that was stored.
            const stored = this.#stored
            if (!stored || dtls.deviceId === undefined) return
            known = { visit: this.#greet(sendBy(dtls), firstId(this.#random), undefined, stored), helloId: undefined }
            visits.set(dtls, known)
          }
          const { visit } = known
          visit.session.receive(message, now)
          visit.poller.changed()
          const { hello } = visit.session
          if (helloId === undefined || !hello?.deviceId) return
          listener.bind(dtls, hello.deviceId)
          const { subscriptions } = visit.session
          this.#stored = { dtls: dtls.serialize(), hello, subscriptions, describe: visit.describe }
        },
        closed: (dtls) => visits.get(dtls)?.visit.end(),
      },
    })
    // Stored again at once: no other life may use the record numbers of this one.
    if (this.#stored) this.#stored.dtls = listener.restore(this.#stored.dtls).serialize()
    const poller = new Poller(
      simulation,
      () => listener.nextDeadline(),
      (now) => listener.poll(now),
    )
    return () => {
      poller.end()
      socket.close()
      for (const { visit } of visits.values()) visit.end()
    }
  }

  // Both.

  #greet(
    send: (message: Uint8Array) => void,
    firstMessageId: number,
    congested: () => boolean = () => false,
    resume?: Stored,
  ): Visit {
    const { simulation, transport } = this.#options
    const session = new CloudSession({
      transport,
      random: this.#random,
      unixTime: () => 1_700_000_000 + Math.floor(simulation.now() / 1000),
      firstMessageId,
      ...(resume && { resume }),
      handlers: {
        send,
        congested,
        hello: () => {
          this.hellos++
        },
        describe: (told) => {
          if (told.kind === 'system') this.#described(visit, told.describe)
        },
        event: () => {},
        closed: () => visit.end(),
      },
    })
    const poller = new Poller(
      simulation,
      () => session.nextDeadline(),
      (now) => session.poll(now),
    )
    const visit = new Visit(session, poller)
    this.#visit = visit
    if (resume?.describe) this.#described(visit, resume.describe)
    return visit
  }

  #described(visit: Visit, describe: SystemDescribe): void {
    visit.describe = describe
    if (this.#stored) this.#stored.describe = describe
    this.#options.simulation.setTimer(settleTime, () => this.#send(visit))
  }

  #send(visit: Visit): void {
    const { simulation, next } = this.#options
    const file = visit.describe && next(visit.describe)
    if (!file || visit.ended || visit.session.updating) return
    const attempt: Attempt = { file, offset: undefined, result: undefined }
    this.attempts.push(attempt)
    visit.update = visit.session.startUpdate(file, { discard: this.#discard }, simulation.now(), {
      accepted: (offset) => {
        attempt.offset = offset
      },
      done: (result) => {
        attempt.result = result
        if (visit.ended) return
        this.#discard = !result.ok && result.code === -1331
        // The device restarts when it took the file; otherwise it is asked again before long.
        if (!result.ok) simulation.setTimer(5_000, () => this.#send(visit))
      },
    })
    visit.poller.changed()
  }
}

const firstId = (random: (length: number) => Uint8Array): number => Buffer.from(random(2)).readUInt16BE()

/** The message id of a device's Hello (`POST /h`); undefined for other messages. */
function helloIdOf(message: Uint8Array): number | undefined {
  const path = 4 + ((message[0] ?? 0) & 0x0f)
  const isHello = message[1] === 0x02 && message[path] === 0xb1 && message[path + 1] === 0x68
  return isHello ? ((message[2] ?? 0) << 8) | (message[3] ?? 0) : undefined
}
