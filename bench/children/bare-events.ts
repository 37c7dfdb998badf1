/**
 * The limit of an event's way: receive, split frames, decrypt, write as many bytes as the cloud writes, to each client.
 * No CoAP, no device, no owner, no filter; the bytes for the clients lie ready.
 */
import { createDecipheriv } from 'node:crypto'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { answer } from './answers.ts'

const clients = new Set<Socket>()
let text = Buffer.alloc(0)
let size = 0

const devices = createServer({ noDelay: true }, (socket) => {
  const decipher = createDecipheriv('aes-128-cbc', Buffer.alloc(16, 1), Buffer.alloc(16, 2)).setAutoPadding(false)
  let rest = Buffer.alloc(0)
  socket.on('error', () => socket.destroy())
  socket.on('data', (segment) => {
    const bytes = rest.length > 0 ? Buffer.concat([rest, segment]) : segment
    let at = 0
    let events = 0
    while (at + 2 <= bytes.length) {
      const end = at + 2 + bytes.readUInt16BE(at)
      if (end > bytes.length) break
      decipher.update(bytes.subarray(at + 2, end))
      events++
      at = end
    }
    rest = at === bytes.length ? Buffer.alloc(0) : Buffer.from(bytes.subarray(at))
    if (events === 0) return
    if (text.length < events * size) text = Buffer.alloc(events * size * 2, text.subarray(0, size))
    const bytesOut = text.subarray(0, events * size)
    for (const client of clients) client.write(bytesOut)
  })
})
const http = createHttpServer((request, response) => {
  // The end of the connection is the end of the stream: no chunk headers.
  response.useChunkedEncodingByDefault = false
  response.shouldKeepAlive = false
  response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
  const { socket: client } = request
  client.setNoDelay(true)
  client.on('error', () => undefined)
  client.once('close', () => clients.delete(client))
  clients.add(client)
})
await new Promise<void>((resolve) => devices.listen(0, '127.0.0.1', resolve))
await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))

answer(
  {
    frame: (frame: string) => {
      text = Buffer.from(frame)
      size = text.length
    },
  },
  {
    tcpPort: (devices.address() as AddressInfo).port,
    httpUrl: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
  },
)
