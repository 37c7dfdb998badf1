/**
 * The ports by which devices come in: the machine's sockets, or those of a simulated network. Their shape is that of
 * Node's own sockets, so that in a cloud that serves nothing stands between them and a connection.
 */
import { createSocket, type RemoteInfo } from 'node:dgram'
import { createServer, isIPv6 } from 'node:net'

/** What a connection uses of `net.Socket`. */
export interface StreamSocket {
  readonly remoteAddress?: string | undefined
  readonly remotePort?: number | undefined
  /** Bytes that wait to be sent. */
  readonly writableLength: number
  write(bytes: Uint8Array): boolean
  cork(): void
  uncork(): void
  pause(): unknown
  resume(): unknown
  destroy(): unknown
  on(event: 'data', listener: (bytes: Uint8Array) => void): unknown
  on(event: 'drain' | 'close', listener: () => void): unknown
  on(event: 'error', listener: (error: Error) => void): unknown
}

export interface StreamPort {
  readonly port: number
  /** Takes no more connections; resolves when those that are open have ended. */
  close(): Promise<void>
}

export interface StreamPortHandlers {
  accept(socket: StreamSocket): void
  failed(error: Error): void
}

/** What the listener uses of `dgram.Socket`. */
export interface DatagramPort {
  send(datagram: Uint8Array, port: number, host: string, done: (error: Error | null) => void): void
  /** Bytes that wait to be sent. */
  getSendQueueSize(): number
  address(): { readonly port: number }
  close(closed: () => void): unknown
}

export interface DatagramPortHandlers {
  received(datagram: Uint8Array, from: Pick<RemoteInfo, 'address' | 'port'>): void
  failed(error: Error): void
}

export interface DevicePorts {
  /** Port 0 takes a free one. Rejects with the system's error when it cannot be had. */
  openTcp(host: string, port: number, handlers: StreamPortHandlers): Promise<StreamPort>
  openUdp(host: string, port: number, handlers: DatagramPortHandlers): Promise<DatagramPort>
}

/** As large as a burst of thousands of devices after a restart. */
const receiveBuffer = 4 * 1_024 * 1_024

/** The machine's own. */
export const nodePorts: DevicePorts = {
  async openTcp(host, port, { accept, failed }) {
    const server = createServer({ noDelay: true }, accept)
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host, port, backlog: 1_024 }, () => {
        server.off('error', reject)
        resolve()
      })
    })
    server.on('error', failed)
    return {
      get port() {
        const address = server.address()
        return typeof address === 'object' && address ? address.port : 0
      },
      close: () => new Promise((resolve) => server.close(() => resolve())),
    }
  },

  async openUdp(host, port, { received, failed }) {
    const type = isIPv6(host) ? 'udp6' : 'udp4'
    const socket = createSocket({
      type,
      // Only addresses are sent to, never names: the answer is at hand.
      lookup: (address, _options, found) => found(null, address, type === 'udp6' ? 6 : 4),
    })
    await new Promise<void>((resolve, reject) => {
      socket.once('error', (error) => {
        socket.close()
        reject(error)
      })
      socket.bind({ address: host, port }, () => {
        socket.removeAllListeners('error')
        resolve()
      })
    })
    socket.on('error', failed)
    try {
      socket.setRecvBufferSize(receiveBuffer)
    } catch {
      // The system gives no larger buffer: a burst loses more datagrams, which their senders repeat.
    }
    socket.on('message', received)
    return socket
  },
}
