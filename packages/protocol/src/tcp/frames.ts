/**
 * Framing of the TCP transport (device-protocol.md 1.3, 1.4): a 16 bit length and AES-128-CBC with PKCS#7 padding.
 *
 * The IV of a message is the first ciphertext block of the message before it in the same direction, not the last one.
 * A cipher object for each message would be the direct way, but making one costs more than using it. One cipher object
 * lives as long as the connection instead and runs as one endless CBC chain; since CBC xors the block before into a
 * block, the chain's own last block is exchanged for the wanted IV by xoring both into the first block of a message.
 * Measured on Node 24 (time of a cipher per message / time of this): encrypt 2.7 at 4 bytes, 2.3 at 600, 2.2 at 1100;
 * decrypt 2.7, 2.5, 1.9. A persistent ECB cipher with the whole chain in JavaScript is as fast up to 200 bytes and
 * slower beyond (1.3 times at 1100).
 */
import { type Cipheriv, createCipheriv, createDecipheriv, createSecretKey, type Decipheriv } from 'node:crypto'
import { ProtocolError } from '../protocol-error.ts'
import { credentialsSize } from './handshake.ts'
import type { InboundBytes } from './inbound.ts'

const blockSize = 16
const algorithm = 'aes-128-cbc'

/** Room for the padded plaintext of the largest frame. Used within one call only, so that all connections share it. */
let scratch = Buffer.alloc(2048)

/** Encrypts the messages of one direction. */
export class FrameEncoder {
  readonly #cipher: Cipheriv
  /** What the cipher chains into the next block, xored with what should be there instead. */
  readonly #correction = new Uint8Array(blockSize)

  /** @param credentials the 40 bytes of the handshake */
  constructor(credentials: Uint8Array) {
    const { key, iv } = keyAndIv(credentials)
    this.#cipher = createCipheriv(algorithm, key, iv).setAutoPadding(false)
  }

  /** A frame for the wire. @param message 1 byte or more */
  encode(message: Uint8Array): Uint8Array {
    const padding = blockSize - (message.length % blockSize)
    const size = message.length + padding
    if (size > scratch.length) scratch = Buffer.alloc(size)
    scratch.set(message)
    scratch.fill(padding, message.length, size)
    correct(scratch, this.#correction)
    const ciphertext = this.#cipher.update(scratch.subarray(0, size))
    remember(this.#correction, ciphertext)
    const frame = new Uint8Array(2 + size)
    frame[0] = size >> 8
    frame[1] = size & 0xff
    frame.set(ciphertext, 2)
    return frame
  }
}

/** Takes frames off a stream and decrypts the messages of one direction. */
export class FrameDecoder {
  readonly #decipher: Decipheriv
  readonly #correction = new Uint8Array(blockSize)
  readonly #maxFrame: number

  /**
   * @param credentials the 40 bytes of the handshake
   * @param maxFrame largest acceptable ciphertext in bytes
   */
  constructor(credentials: Uint8Array, maxFrame: number) {
    const { key, iv } = keyAndIv(credentials)
    this.#decipher = createDecipheriv(algorithm, key, iv).setAutoPadding(false)
    this.#maxFrame = maxFrame
  }

  /**
   * The next message, in memory of its own; undefined while no whole frame has arrived; an error, after which the
   * connection is of no more use, when the bytes are no frame.
   */
  next(inbound: InboundBytes): Uint8Array | ProtocolError | undefined {
    const size = inbound.peekUint16()
    if (size === undefined) return undefined
    if (size === 0 || size % blockSize !== 0) {
      return new ProtocolError('frame-size', `a frame of ${size} bytes is not made of 16 byte blocks`)
    }
    if (size > this.#maxFrame) {
      return new ProtocolError('frame-too-large', `a frame of ${size} bytes is above the limit of ${this.#maxFrame}`)
    }
    const ciphertext = inbound.take(2 + size)?.subarray(2)
    if (ciphertext === undefined) return undefined
    const plaintext = this.#decipher.update(ciphertext)
    correct(plaintext, this.#correction)
    remember(this.#correction, ciphertext)
    const length = unpaddedLength(plaintext)
    if (length === undefined) {
      return new ProtocolError('frame-padding', 'a frame decrypts to wrong padding: wrong key, or bytes were changed')
    }
    if (length === 0) return new ProtocolError('frame-empty', 'a frame holds no message')
    return new Uint8Array(plaintext.buffer, plaintext.byteOffset, length)
  }
}

function correct(bytes: Uint8Array, correction: Uint8Array): void {
  for (let index = 0; index < blockSize; index++) bytes[index] = (bytes[index] ?? 0) ^ (correction[index] ?? 0)
}

/** After a message of one block both are the same, and there is nothing to correct. */
function remember(correction: Uint8Array, ciphertext: Uint8Array): void {
  const last = ciphertext.length - blockSize
  for (let index = 0; index < blockSize; index++) {
    correction[index] = (ciphertext[index] ?? 0) ^ (ciphertext[last + index] ?? 0)
  }
}

/** Devices look at the last byte only, but write all of PKCS#7: to check all of it finds broken frames sooner. */
function unpaddedLength(plaintext: Uint8Array): number | undefined {
  const padding = plaintext[plaintext.length - 1] ?? 0
  if (padding === 0 || padding > blockSize) return undefined
  const length = plaintext.length - padding
  for (let index = length; index < plaintext.length; index++) if (plaintext[index] !== padding) return undefined
  return length
}

function keyAndIv(credentials: Uint8Array) {
  if (credentials.length !== credentialsSize) {
    throw new ProtocolError('credentials', `credentials have ${credentialsSize} bytes, not ${credentials.length}`)
  }
  return { key: createSecretKey(credentials.subarray(0, 16)), iv: credentials.slice(16, 32) }
}
