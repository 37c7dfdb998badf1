import assert from 'node:assert/strict'
import { createPublicKey } from 'node:crypto'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { describe, it } from 'node:test'
import { ecPrivateKeyDer, ecPublicKeyDer, generateEcKey } from '@aloe/protocol'
import { flashWith, startDevice, testDeviceId, testKeys } from '../../system/test-device.ts'
import { TestUdpCloud } from '../../system/test-udp-cloud.ts'
import { realClock } from '../clock.ts'
import { connectUdp } from './udp.ts'

async function bound(port = 0): Promise<{ socket: Socket; port: number }> {
  const socket = createSocket('udp4')
  socket.bind(port, '127.0.0.1')
  await once(socket, 'listening')
  return { socket, port: socket.address().port }
}

async function until(condition: () => boolean, limit = 10_000): Promise<void> {
  const end = performance.now() + limit
  while (!condition()) {
    if (performance.now() > end) throw new Error('it did not happen in time')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

describe('a real UDP socket', () => {
  it('carries datagrams both ways, of one host only', async () => {
    const server = await bound()
    const stranger = await bound()
    const heard: string[] = []
    const socket = connectUdp('localhost', server.port, {
      open: () => socket.send(Buffer.from('hello')),
      datagram: (bytes) => heard.push(Buffer.from(bytes).toString()),
      closed: (error) => assert.fail(error),
    })
    const [bytes, from] = await once(server.socket, 'message')
    assert.equal(String(bytes), 'hello')
    stranger.socket.send('from a stranger', from.port, '127.0.0.1')
    server.socket.send('welcome', from.port, '127.0.0.1')
    await until(() => heard.length > 0)
    assert.deepEqual(heard, ['welcome'])
    socket.close()
    socket.send(Buffer.from('nothing'))
    server.socket.close()
    stranger.socket.close()
  })

  it('does not end because nobody listens', async () => {
    const { socket: gone, port } = await bound()
    gone.close()
    const heard: string[] = []
    const socket = connectUdp('127.0.0.1', port, {
      open: () => socket.send(Buffer.from('is there anybody?')),
      datagram: (bytes) => heard.push(Buffer.from(bytes).toString()),
      closed: (error) => assert.fail(error),
    })
    await new Promise((resolve) => setTimeout(resolve, 50))
    const server = await bound(port)
    server.socket.on('message', (_bytes, from) => server.socket.send('now', from.port, from.address))
    await until(() => {
      socket.send(Buffer.from('and now?'))
      return heard.includes('now')
    })
    socket.close()
    server.socket.close()
  })

  it('says when a name is not known', async () => {
    const error = await new Promise<Error>((resolve) => {
      connectUdp('nobody.invalid', 5684, { open: () => {}, datagram: () => {}, closed: resolve })
    })
    assert.match(error.message, /nobody\.invalid/)
  })

  it('connects a device to a cloud, and again after a reset without a handshake', async () => {
    const serverKey = await generateEcKey()
    const server = await bound()
    const cloud = new TestUdpCloud({
      serverKey,
      clock: realClock,
      send: (datagram, to) => {
        const [host = '', port = ''] = to.split(':')
        server.socket.send(datagram, Number(port), host)
      },
    })
    server.socket.on('message', (bytes, from) => cloud.receive(bytes, `${from.address}:${from.port}`))
    const keys = await testKeys()
    const flash = flashWith({
      keys,
      config: {
        transport: 'udp',
        udpDeviceKey: ecPrivateKeyDer(await generateEcKey()),
        udpServerKey: ecPublicKeyDer(createPublicKey(serverKey)),
        udpServerAddress: { type: 'ipv4', address: '127.0.0.1', port: server.port },
      },
    })
    const boot = () => startDevice({ keys, flash, clock: realClock, connectUdp, decision: { mode: 'safe' } })
    const first = await boot()
    await until(() => cloud.peers.at(-1)?.describes.length === 2 && cloud.peer.said.length >= 3)
    assert.equal(cloud.peer.hellos[0]?.deviceId, testDeviceId)
    await first.system.stop(true)
    assert.equal(cloud.peer.goodbyes.length, 1)
    cloud.received.length = 0
    const second = await boot()
    await until(() => second.system.cloudStatus === 'connected')
    assert.equal(cloud.peers.length, 1)
    assert.equal(cloud.received[0], 253)
    await second.system.stop(false)
    server.socket.close()
    cloud.stop()
  })
})
