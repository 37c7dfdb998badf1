import { connect } from 'node:net'
import type { TcpHandlers, TcpSocket } from '../hal.ts'

/** A real TCP connection. Small messages go out at once (device-protocol.md 1.7). */
export function connectTcp(host: string, port: number, handlers: TcpHandlers): TcpSocket {
  const socket = connect({ host, port, noDelay: true })
  let failure: Error | undefined
  let destroyed = false
  socket.on('connect', () => !destroyed && handlers.open())
  socket.on('data', (bytes: Buffer) => !destroyed && handlers.data(bytes))
  socket.on('error', (error) => {
    failure = error
  })
  socket.on('close', () => !destroyed && handlers.closed(failure))
  return {
    write: (bytes) => {
      if (!socket.destroyed) socket.write(bytes)
    },
    end: () => socket.end(),
    destroy: () => {
      destroyed = true
      socket.destroy()
    },
  }
}
