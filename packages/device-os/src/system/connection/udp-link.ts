/**
 * The way to the cloud over UDP (device-protocol.md 2). Its session outlives it: it is kept in flash, and the next link
 * goes on with it from wherever it is, without a handshake.
 */
import {
  DtlsClient,
  type DtlsDialect,
  type DtlsHandshakeStep,
  ecPublicKeyFromDer,
  loadEcPrivateKey,
  type ProtocolError,
} from '@aloe/protocol'
import type { UdpSocket } from '../../hal/hal.ts'
import type { Millis } from '../../hal/time.ts'
import type { ConnectionHal, ConnectionServer, SessionStorage } from '../communication.ts'
import { decodeKept, encodeKept, messageIdReserve } from './kept-session.ts'
import { connectTimeout, type Link, type LinkHandlers } from './link.ts'

export interface UdpLinkOptions {
  readonly hal: ConnectionHal
  readonly deviceId: string
  /** SEC1 DER */
  readonly deviceKey: Uint8Array
  /** SPKI DER */
  readonly serverKey: Uint8Array
  readonly server: ConnectionServer
  /** The message id with which a session goes on in this life; undefined: there was none yet. */
  readonly nextMessageId: number | undefined
  readonly sessions: SessionStorage
  readonly dialect?: DtlsDialect | undefined
  readonly handlers: LinkHandlers
}

export class UdpLink implements Link {
  readonly transport = 'udp'
  readonly #options: UdpLinkOptions
  readonly #client: DtlsClient
  readonly #firstMessageId: number
  #nextMessageId: () => number
  #socket: UdpSocket | undefined
  #connectBy: Millis | undefined
  #open = true

  /** @throws ProtocolError when one of the keys is unusable */
  constructor(options: UdpLinkOptions) {
    this.#options = options
    const { hal, deviceId, deviceKey, serverKey, server, sessions, handlers } = options
    const stored = sessions.load()
    const kept = stored && decodeKept(stored)
    // What was sent after the session was stored last is unknown: no id of it must come again (device-protocol.md 3.3).
    const first = options.nextMessageId ?? (kept ? kept.nextMessageId + messageIdReserve : 1)
    this.#firstMessageId = first & 0xffff
    this.#nextMessageId = () => this.#firstMessageId
    this.#client = new DtlsClient({
      deviceId,
      deviceKey: loadEcPrivateKey(deviceKey),
      serverKey: ecPublicKeyFromDer(serverKey),
      random: (size) => hal.random(size),
      // What cannot be read is as good as nothing.
      ...(stored && { stored: kept?.session ?? new Uint8Array() }),
      server: `${server.host}:${server.port}`,
      ...(options.dialect && { dialect: options.dialect }),
      handlers: {
        send: (datagram) => this.#socket?.send(datagram),
        established: ({ resumed, application }) =>
          handlers.established({ firstMessageId: this.#firstMessageId, ...(resumed && { resumed: application }) }),
        message: (message) => handlers.message(message),
        store: (session) => sessions.save(session && encodeKept(session, this.#nextMessageId())),
        failed: (step, error) => handlers.failed(stepName(step, error), error),
      },
    })
  }

  open(): void {
    const { hal, server, handlers } = this.#options
    const { connectUdp } = hal
    if (connectUdp === undefined) {
      handlers.failed('connect', undefined, 'this device has no UDP')
      return
    }
    this.#connectBy = hal.now() + connectTimeout
    this.#socket = connectUdp.call(hal, server.host, server.port, {
      open: () => {
        if (!this.#open) return
        this.#connectBy = undefined
        handlers.opened()
        this.#client.start(hal.now())
        handlers.active()
      },
      datagram: (bytes) => {
        if (!this.#open) return
        this.#client.receive(bytes, hal.now())
        handlers.active()
      },
      closed: (error) => {
        if (this.#open) handlers.failed('connect', undefined, error.message)
      },
    })
  }

  send(message: Uint8Array): void {
    this.#client.send(message)
  }

  remember(told: Uint8Array, nextMessageId: () => number): void {
    this.#nextMessageId = nextMessageId
    this.#client.remember(told)
  }

  poll(now: Millis): void {
    if (this.#connectBy !== undefined && this.#connectBy <= now) {
      this.#options.handlers.failed('connect', undefined, 'the address of the cloud is not found')
      return
    }
    this.#client.poll(now)
  }

  nextDeadline(): Millis | undefined {
    return this.#connectBy ?? this.#client.nextDeadline()
  }

  async end(): Promise<void> {
    this.drop(false)
  }

  drop(erase: boolean): void {
    this.#open = false
    if (erase) this.#client.discard()
    else this.#client.close()
    this.#socket?.close()
  }
}

/** Steps of the connection are told apart from those of the handshake. */
function stepName(step: DtlsHandshakeStep, error: ProtocolError): string {
  if (step === 'open') return 'closed'
  if (step !== 'hello') return step
  return error.code === 'timeout' ? 'connect' : 'server-hello'
}

/**
 * Whether an error of the session means that it must not go on (device-protocol.md 2.10, 6.5). After silence alone it
 * may: the cloud, or the way to it, may come back.
 */
export function endsSession(error: ProtocolError): boolean {
  return ['message-timeout', 'message-reset', 'discard-session', 'hello-refused'].includes(error.code)
}
