/** The limit of a device's memory: a socket of node:net that listens for data, and nothing else. */
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { answer } from './answers.ts'

const sockets = new Set<Socket>()
const heard = (): void => undefined
function closed(this: Socket): void {
  sockets.delete(this)
}
const server = createServer({ noDelay: true }, (socket) => {
  sockets.add(socket)
  socket.on('data', heard)
  socket.on('error', heard)
  socket.on('close', closed)
})
await new Promise<void>((resolve) => server.listen({ port: 0, host: '127.0.0.1', backlog: 1_024 }, resolve))

answer({ connected: () => sockets.size }, { tcpPort: (server.address() as AddressInfo).port })
