/**
 * The DTLS listener alone on a socket, without anything above it; and the public key operations that a handshake
 * demands of it, in the same process.
 */
import { createECDH, createPublicKey, type KeyObject, randomBytes, sign, verify } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { DtlsListener, generateEcKey } from '@aloe/protocol'
import { answer } from './answers.ts'

const serverKey = await generateEcKey()
const devicePublicKey: KeyObject = createPublicKey(serverKey)
const peer = createECDH('prime256v1')
const point = peer.generateKeys()
// What is signed is about as large as in a handshake: two randoms and a point; all messages so far.
const parameters = randomBytes(133)
const transcript = randomBytes(600)
const signature = sign('sha256', transcript, serverKey)

const socket = createSocket({ type: 'udp4', lookup: (address, _options, found) => found(null, address, 4) })
const listener = new DtlsListener({
  serverKey,
  random: randomBytes,
  node: 1,
  handlers: {
    send: (datagram, address) => {
      const colon = address.lastIndexOf(':')
      socket.send(datagram, Number(address.slice(colon + 1)), address.slice(0, colon))
    },
    established: () => undefined,
    message: () => undefined,
    closed: () => undefined,
  },
})
await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
socket.setRecvBufferSize(4 * 1_024 * 1_024)
socket.on('message', (datagram, { address, port }) => {
  listener.receive(datagram, `${address}:${port}`, performance.now())
})
setInterval(() => listener.poll(performance.now()), 100)

answer(
  {
    sessions: () => listener.sessionCount,
    cookies: () => listener.counters.cookiesSent,
    operations: (count: number) => {
      for (let i = 0; i < count; i++) {
        const ecdh = createECDH('prime256v1')
        ecdh.generateKeys()
        ecdh.computeSecret(point)
        sign('sha256', parameters, serverKey)
        verify('sha256', transcript, devicePublicKey, signature)
      }
    },
  },
  { udpPort: socket.address().port, publicKey: devicePublicKey.export({ type: 'spki', format: 'pem' }) },
)
