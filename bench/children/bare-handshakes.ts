/**
 * The floor of a DTLS handshake on a socket: a process that receives as many datagrams of the same sizes as the listener,
 * sends as many, and does the public key operations in between, with node:dgram and node:crypto and nothing else. No
 * message is read or built, nothing hashed or encrypted; the first byte of a datagram counts those of its sender.
 */
import { createECDH, createPublicKey, type KeyObject, randomBytes, sign, verify } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { generateEcKey } from '@aloe/protocol'
import { answer } from './answers.ts'

const serverKey = await generateEcKey()
const publicKey: KeyObject = createPublicKey(serverKey)
const point = createECDH('prime256v1').generateKeys()
const parameters = randomBytes(133)
const transcript = randomBytes(600)
const signature = sign('sha256', transcript, serverKey)

/** HelloVerifyRequest, first and last flight: as large as the listener's. */
const cookieAnswer = Buffer.alloc(60)
const firstFlight = Buffer.alloc(326)
const lastFlight = Buffer.alloc(67)

const socket = createSocket({ type: 'udp4', lookup: (address, _options, found) => found(null, address, 4) })
const senders = new Map<number, ReturnType<typeof createECDH>>()
socket.on('message', (datagram, { address, port }) => {
  switch (datagram[0]) {
    case 0:
      socket.send(cookieAnswer, port, address)
      break
    case 1: {
      const ecdh = createECDH('prime256v1')
      ecdh.generateKeys()
      sign('sha256', parameters, serverKey)
      senders.set(port, ecdh)
      socket.send(firstFlight, port, address)
      break
    }
    case 2:
      senders.get(port)?.computeSecret(point)
      senders.delete(port)
      verify('sha256', transcript, publicKey, signature)
      socket.send(lastFlight, port, address)
      break
  }
})
await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
socket.setRecvBufferSize(4 * 1_024 * 1_024)

answer({}, { udpPort: socket.address().port })
