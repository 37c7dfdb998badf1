/**
 * The limit of an event's way over UDP: receive a datagram, open its record with node:crypto, seal an acknowledgement
 * and send it. No session is looked for, no replay window kept, no CoAP read, and nobody gets the event.
 */
import { createCipheriv, createDecipheriv, createSecretKey } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { answer } from './answers.ts'

const algorithm = 'aes-128-ccm'
const options = { authTagLength: 8 }
const salt = Buffer.alloc(4, 3)
const readKey = createSecretKey(Buffer.alloc(16, 1))
const writeKey = createSecretKey(Buffer.alloc(16, 2))
/** Of a record with connection id, and of one without. */
const head = 21
const answerHead = 13
const acknowledgement = Buffer.from('60001234', 'hex')
let sequence = 0
let failed = 0

const socket = createSocket({ type: 'udp4', lookup: (address, _options, found) => found(null, address, 4) })
socket.on('message', (datagram, { address, port }) => {
  const tag = datagram.length - 8
  const nonce = Buffer.concat([salt, datagram.subarray(head, head + 8)])
  const decipher = createDecipheriv(algorithm, readKey, nonce, options)
  decipher.setAuthTag(datagram.subarray(tag))
  decipher.setAAD(datagram.subarray(0, head), { plaintextLength: tag - head - 8 })
  decipher.update(datagram.subarray(head + 8, tag))
  try {
    decipher.final()
  } catch {
    // Counted: the benchmark asks whether all were authentic.
    failed++
    return
  }
  const out = Buffer.allocUnsafe(answerHead + 8 + acknowledgement.length + 8)
  out.fill(0, 0, answerHead)
  out[0] = 23
  out.writeUIntBE(++sequence, 5, 6)
  out.copy(out, answerHead, 3, 11)
  const cipher = createCipheriv(algorithm, writeKey, Buffer.concat([salt, out.subarray(3, 11)]), options)
  cipher.setAAD(out.subarray(0, answerHead), { plaintextLength: acknowledgement.length })
  out.set(cipher.update(acknowledgement), answerHead + 8)
  cipher.final()
  out.set(cipher.getAuthTag(), answerHead + 8 + acknowledgement.length)
  socket.send(out, port, address)
})
await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
socket.setRecvBufferSize(4 * 1_024 * 1_024)

answer({ failed: () => failed }, { udpPort: socket.address().port })
