/** The limit of a connect: the RSA operations that the handshake demands, and nothing else. */
import {
  constants,
  createPublicKey,
  generateKeyPairSync,
  privateDecrypt,
  privateEncrypt,
  publicEncrypt,
} from 'node:crypto'
import { answer } from './answers.ts'

const padding = constants.RSA_PKCS1_PADDING
const server = generateKeyPairSync('rsa', { modulusLength: 2_048 })
const device = generateKeyPairSync('rsa', { modulusLength: 1_024 })
const deviceDer = device.publicKey.export({ type: 'spki', format: 'der' })
const identity = publicEncrypt({ key: server.publicKey, padding }, Buffer.alloc(214, 1))
const credentials = Buffer.alloc(40, 2)
const mac = Buffer.alloc(20, 3)

answer({
  handshakes: (count: number) => {
    for (let i = 0; i < count; i++) {
      privateDecrypt({ key: server.privateKey, padding }, identity)
      const key = createPublicKey({ key: deviceDer, type: 'spki', format: 'der' })
      publicEncrypt({ key, padding }, credentials)
      privateEncrypt({ key: server.privateKey, padding }, mac)
    }
  },
})
