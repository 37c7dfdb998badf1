import assert from 'node:assert/strict'
import { createSocket, type Socket as Datagrams } from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { after, describe, it } from 'node:test'
import type { DatagramConditions } from './conditions.ts'
import { TcpRelay } from './tcp-relay.ts'
import { UdpRelay } from './udp-relay.ts'

const host = '127.0.0.1'
const closing: (() => unknown)[] = []
after(async () => {
  for (const close of closing.reverse()) await close()
})

/** `once` would reject for the error that comes first. */
const closed = (socket: Socket) => new Promise<void>((resolve) => socket.on('close', () => resolve()))

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; !condition(); tries++) {
    assert.ok(tries < 1_000, 'it never came about')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

describe('a UDP relay', () => {
  async function bound(): Promise<Datagrams> {
    const socket = createSocket('udp4')
    socket.bind(0, host)
    await once(socket, 'listening')
    closing.push(() => socket.close())
    return socket
  }

  async function echoThrough(conditions: DatagramConditions) {
    const server = await bound()
    const ports = new Set<number>()
    server.on('message', (bytes, { address, port }) => {
      ports.add(port)
      server.send(bytes, port, address)
    })
    const target = { host, port: server.address().port }
    const relay = await UdpRelay.listen({ target, conditions: { up: conditions, down: conditions } })
    closing.push(() => relay.close())
    const device = await bound()
    const heard: string[] = []
    device.on('message', (bytes) => heard.push(bytes.toString()))
    const send = (text: string) => device.send(text, relay.port, host)
    return { relay, heard, ports, send }
  }

  it('carries both ways, after a delay, and through a rebinding of the NAT', async () => {
    const { relay, heard, ports, send } = await echoThrough({ delay: 20 })
    const began = performance.now()
    send('a')
    await until(() => heard.length === 1)
    assert.ok(performance.now() - began >= 38)
    await relay.rebind()
    send('b')
    await until(() => heard.length === 2)
    assert.deepEqual(heard, ['a', 'b'])
    assert.equal(ports.size, 2)
    assert.equal(relay.clients, 1)
  })

  it('loses all during an outage, and counts', async () => {
    const { relay, heard, send } = await echoThrough({})
    send('a')
    await until(() => heard.length === 1)
    relay.down = true
    send('b')
    await until(() => relay.counts.up.duringOutage === 1)
    relay.down = false
    send('c')
    await until(() => heard.length === 2)
    assert.deepEqual(heard, ['a', 'c'])
    assert.equal(relay.counts.up.delivered, 2)
  })
})

describe('a TCP relay', () => {
  async function serverOf(handler: (socket: Socket) => void): Promise<Server> {
    const server = createServer(handler)
    server.listen(0, host)
    await once(server, 'listening')
    closing.push(() => server.close())
    return server
  }

  async function through(handler: (socket: Socket) => void, conditions: object) {
    const server = await serverOf(handler)
    const target = { host, port: (server.address() as AddressInfo).port }
    const relay = await TcpRelay.listen({ target, conditions: { up: {}, down: {}, ...conditions } })
    closing.push(() => relay.close())
    const device = connect(relay.port, host)
    closing.push(() => device.destroy())
    await once(device, 'connect')
    return { relay, device }
  }

  const bytes = Buffer.from(Uint8Array.from({ length: 100_000 }, (_, index) => (index * 31 + (index >> 8)) & 0xff))

  it('keeps every byte in order, in ragged pieces and at the rate of the link', async () => {
    const down = { rate: 400_000, delay: 20, jitter: 10, segment: 900, ragged: true }
    const began = performance.now()
    const { device } = await through((socket) => socket.end(bytes), { down })
    const pieces: Buffer[] = []
    device.on('data', (piece) => pieces.push(piece))
    await once(device, 'end')
    assert.ok(Buffer.concat(pieces).equals(bytes))
    assert.ok(performance.now() - began >= 250)
    assert.ok(pieces.length > 10)
  })

  it('breaks at a byte, and all connections when told to', async () => {
    let received = 0
    let errors = 0
    const handler = (socket: Socket) => {
      socket.on('data', (piece) => {
        received += piece.length
      })
      socket.on('error', () => errors++)
    }
    const { device } = await through(handler, { up: { cutAfter: 12_345 } })
    device.on('error', () => errors++)
    device.write(bytes)
    await closed(device)
    await until(() => errors === 2)
    assert.ok(received <= 12_345)
    const second = await through(handler, {})
    second.device.on('error', () => {})
    assert.equal(second.relay.connections, 1)
    second.relay.cut()
    await closed(second.device)
    assert.equal(second.relay.connections, 0)
  })

  it('refuses while told to', async () => {
    const { relay } = await through((socket) => socket.on('error', () => {}), {})
    relay.refusing = true
    const device = connect(relay.port, host)
    device.on('error', () => {})
    await closed(device)
  })
})
