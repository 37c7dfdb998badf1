/** The limit of a transfer: encrypt, frame and write the bytes, as fast as the other end reads. */
import { createCipheriv, randomBytes } from 'node:crypto'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { answer } from './answers.ts'

let client: Socket | undefined
const server = createServer({ noDelay: true }, (socket) => {
  client = socket
  socket.on('error', () => socket.destroy())
})
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))

answer(
  {
    /** Sends `bytes` of file in messages of `chunk` bytes each with `overhead` bytes of CoAP in front. */
    send: async ({ bytes, chunk, overhead }: { bytes: number; chunk: number; overhead: number }) => {
      const cipher = createCipheriv('aes-128-cbc', Buffer.alloc(16, 1), Buffer.alloc(16, 2)).setAutoPadding(false)
      const padded = (chunk + overhead + 16) & ~15
      const message = randomBytes(padded)
      for (let sent = 0; sent < bytes; sent += chunk) {
        const frame = Buffer.allocUnsafe(2 + padded)
        frame.writeUInt16BE(padded)
        frame.set(cipher.update(message), 2)
        if (client?.write(frame) === false) await new Promise((resolve) => client?.once('drain', resolve))
      }
      return Math.ceil(bytes / chunk) * (2 + padded)
    },
  },
  { tcpPort: (server.address() as AddressInfo).port },
)
