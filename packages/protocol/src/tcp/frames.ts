/**
 * Framing of the TCP transport (device-protocol.md 1.3, 1.4): a 16 bit length and AES-128-CBC with PKCS#7 padding.
 *
 * The IV of a message is the first ciphertext block of the message before it in the same direction, not the last one.
 * A cipher object for each message would be the direct way, but making one costs more than using it. One cipher object
 * lives as long as the connection instead and runs as one endless CBC chain; since CBC xors the block before into a
 * block, the chain's own last block is exchanged for the wanted IV by xoring both into the first block of a message.
 * Measured on Node 24 (time of a cipher per message / time of this): encrypt 2.4 at 4 bytes, 2.1 at 600, 1.9 at 1100;
 * decrypt 2.5, 2.3, 2.1. A persistent ECB cipher with the whole chain in JavaScript is as fast up to 200 bytes and
 * slower beyond (1.3 times at 1100). The price is memory: 3 KB for the two directions of a connection.
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
  readonly #correction = new Correction()

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
    this.#correction.apply(scratch)
    const ciphertext = this.#cipher.update(scratch.subarray(0, size))
    this.#correction.follow(ciphertext)
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
  readonly #correction = new Correction()
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
    this.#correction.apply(plaintext)
    this.#correction.follow(ciphertext)
    const length = unpaddedLength(plaintext)
    if (length === undefined) {
      return new ProtocolError('frame-padding', 'a frame decrypts to wrong padding: wrong key, or bytes were changed')
    }
    if (length === 0) return new ProtocolError('frame-empty', 'a frame holds no message')
    return new Uint8Array(plaintext.buffer, plaintext.byteOffset, length)
  }
}

/**
 * The block that the endless chain has, xored with the block that a message is to begin with. Four numbers, because a
 * typed array of 16 bytes weighs 400, twice for each connected device.
 */
class Correction {
  #a = 0
  #b = 0
  #c = 0
  #d = 0

  /** Xors itself into the first block. */
  apply(bytes: Uint8Array): void {
    xorWord(bytes, 0, this.#a)
    xorWord(bytes, 4, this.#b)
    xorWord(bytes, 8, this.#c)
    xorWord(bytes, 12, this.#d)
  }

  /** The chain goes on with the last block of a message, the next message with the first; 0 when both are the same. */
  follow(ciphertext: Uint8Array): void {
    const last = ciphertext.length - blockSize
    this.#a = wordAt(ciphertext, 0) ^ wordAt(ciphertext, last)
    this.#b = wordAt(ciphertext, 4) ^ wordAt(ciphertext, last + 4)
    this.#c = wordAt(ciphertext, 8) ^ wordAt(ciphertext, last + 8)
    this.#d = wordAt(ciphertext, 12) ^ wordAt(ciphertext, last + 12)
  }
}

function wordAt(bytes: Uint8Array, at: number): number {
  return (
    byteAt(bytes, at) | (byteAt(bytes, at + 1) << 8) | (byteAt(bytes, at + 2) << 16) | (byteAt(bytes, at + 3) << 24)
  )
}

function xorWord(bytes: Uint8Array, at: number, word: number): void {
  bytes[at] = byteAt(bytes, at) ^ word
  bytes[at + 1] = byteAt(bytes, at + 1) ^ (word >> 8)
  bytes[at + 2] = byteAt(bytes, at + 2) ^ (word >> 16)
  bytes[at + 3] = byteAt(bytes, at + 3) ^ (word >> 24)
}

/** Callers keep to the bounds; the fallback only satisfies the index check of the compiler. */
function byteAt(bytes: Uint8Array, index: number): number {
  return bytes[index] ?? 0
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
