/** The way to the cloud over TCP (device-protocol.md 1). */
import { loadDeviceKey, serverPublicKeyFromDer, TcpClientChannel } from '@aloe/protocol'
import type { TcpSocket } from '../../hal/hal.ts'
import type { Millis } from '../../hal/time.ts'
import type { ConnectionHal, ConnectionServer } from '../communication.ts'
import { closeTimeout, connectTimeout, type Link, type LinkHandlers } from './link.ts'

export interface TcpLinkOptions {
  readonly hal: ConnectionHal
  readonly deviceId: string
  /** PKCS#1 DER */
  readonly deviceKey: Uint8Array
  /** SPKI DER */
  readonly serverKey: Uint8Array
  readonly server: ConnectionServer
  readonly handlers: LinkHandlers
}

export class TcpLink implements Link {
  readonly transport = 'tcp'
  readonly #options: TcpLinkOptions
  readonly #channel: TcpClientChannel
  #socket: TcpSocket | undefined
  #connectBy: Millis | undefined
  #established = false
  #open = true
  /** Told when the socket is closed, once somebody waits for that. */
  #closed: (() => void) | undefined

  /** @throws ProtocolError when one of the keys is unusable */
  constructor(options: TcpLinkOptions) {
    this.#options = options
    const { deviceId, deviceKey, serverKey, handlers } = options
    this.#channel = new TcpClientChannel({
      deviceId,
      deviceKey: loadDeviceKey(deviceKey),
      serverKey: serverPublicKeyFromDer(serverKey),
      handlers: {
        write: (bytes) => this.#socket?.write(bytes),
        established: ({ messageIdSeed }) => {
          this.#established = true
          handlers.established({ firstMessageId: (messageIdSeed + 1) & 0xffff })
        },
        message: (message) => handlers.message(message),
        failed: (step, error) => handlers.failed(step, error),
      },
    })
  }

  open(): void {
    const { hal, server } = this.#options
    this.#connectBy = hal.now() + connectTimeout
    this.#socket = hal.connectTcp(server.host, server.port, {
      open: () => this.#begin(),
      data: (bytes) => {
        if (!this.#open) return
        this.#channel.receive(bytes, hal.now())
        this.#options.handlers.active()
      },
      closed: (error) => this.#ended(error),
    })
  }

  send(message: Uint8Array): void {
    this.#channel.send(message)
  }

  /** Sessions over TCP end with their socket. */
  remember(): void {}

  poll(now: Millis): void {
    if (this.#connectBy !== undefined && this.#connectBy <= now) {
      this.#options.handlers.failed('connect', undefined, 'the cloud cannot be reached')
      return
    }
    this.#channel.poll(now)
  }

  nextDeadline(): Millis | undefined {
    return this.#connectBy ?? this.#channel.nextDeadline()
  }

  async end(): Promise<void> {
    this.#open = false
    this.#channel.close()
    await new Promise<void>((resolve) => {
      const timer = this.#options.hal.setTimer(closeTimeout, resolve)
      this.#closed = () => {
        timer.cancel()
        resolve()
      }
      this.#socket?.end()
    })
    this.#socket?.destroy()
  }

  drop(): void {
    this.#open = false
    this.#channel.close()
    this.#socket?.destroy()
    this.#closed?.()
  }

  #begin(): void {
    if (!this.#open) return
    this.#connectBy = undefined
    this.#options.handlers.opened()
    this.#channel.start(this.#options.hal.now())
    this.#options.handlers.active()
  }

  #ended(error: Error | undefined): void {
    if (this.#closed !== undefined) {
      this.#closed()
      return
    }
    if (!this.#open) return
    const words = error?.message ?? 'the cloud closed the connection'
    // A channel that has not begun has nothing to report.
    if (this.#connectBy !== undefined) this.#options.handlers.failed('connect', undefined, words)
    else if (this.#established) this.#options.handlers.failed('closed', undefined, words)
    else this.#channel.disconnected(words)
  }
}
