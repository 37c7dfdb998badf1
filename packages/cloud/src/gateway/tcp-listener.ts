/** The port for devices on TCP: takes sockets, within limits, and closes them. */
import type { KeyObject } from 'node:crypto'
import type { Logger } from 'pino'
import type { ConnectionHost } from './connection.ts'
import type { DevicePorts, StreamPort, StreamSocket } from './ports.ts'
import { TcpConnection, type TcpConnectionOwner } from './tcp-connection.ts'

export interface TcpListenerOptions {
  /** RSA-2048, private. */
  readonly serverKey: KeyObject
}

export class TcpListener implements TcpConnectionOwner {
  readonly serverKey: KeyObject
  readonly #host: ConnectionHost
  readonly #log: Logger
  readonly #ports: DevicePorts
  #port: StreamPort | undefined
  /** Every open socket, and those of them that are not admitted yet. */
  readonly #connections = new Set<TcpConnection>()
  readonly #handshakes = new Set<TcpConnection>()
  #closing = false

  constructor(host: ConnectionHost, log: Logger, ports: DevicePorts, options: TcpListenerOptions) {
    this.#host = host
    this.#log = log
    this.serverKey = options.serverKey
    this.#ports = ports
  }

  async listen(host: string, port: number): Promise<void> {
    this.#port = await this.#ports.openTcp(host, port, {
      accept: (socket) => this.#accept(socket),
      failed: (error) => this.#log.error({ error }, 'the gateway cannot take connections'),
    })
  }

  get port(): number {
    return this.#port?.port ?? 0
  }

  #accept(socket: StreamSocket): void {
    const { maxConnections, maxHandshakes } = this.#host.limits
    const full =
      this.#connections.size >= maxConnections
        ? 'the gateway has as many connections as it may have'
        : this.#handshakes.size >= maxHandshakes
          ? 'too many devices are connecting at once'
          : undefined
    if (full || this.#closing) {
      const address = `${socket.remoteAddress}:${socket.remotePort}`
      socket.destroy()
      if (full) this.#host.refused({ address, step: 'accept', reason: full })
      return
    }
    const connection = new TcpConnection(this.#host, this, socket)
    this.#connections.add(connection)
    this.#handshakes.add(connection)
    connection.start()
  }

  admitted(connection: TcpConnection): void {
    this.#handshakes.delete(connection)
  }

  ended(connection: TcpConnection): void {
    this.#handshakes.delete(connection)
    this.#connections.delete(connection)
  }

  async close(): Promise<void> {
    this.#closing = true
    const closed = this.#port?.close()
    for (const connection of [...this.#connections]) connection.close('the cloud is closing')
    await closed
  }
}
