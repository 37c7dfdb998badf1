/**
 * AES-128-CCM with a tag of 8 bytes (RFC 3610, RFC 6655), in two ways that give the same bytes.
 *
 * `CcmCipher` makes a cipher of node:crypto for each record, the plain way. `HotCcmCipher` keeps two for a direction and
 * saves the making, which for small records is most of the time: AES-ECB turns counter blocks into the key stream, and
 * AES-CBC computes the MAC. CBC goes on from its last ciphertext block, so that block is cancelled out of the first
 * block of the next record.
 */
import { type Cipheriv, createCipheriv, createDecipheriv, type KeyObject } from 'node:crypto'
import { tagSize } from './profile.ts'

export interface Ccm {
  /** @param nonce 12 bytes. Writes ciphertext and tag to `out` at `offset`. */
  seal(nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array, out: Uint8Array, offset: number): void
  /** @param sealed ciphertext and tag, at least `tagSize` bytes. Undefined when the tag is wrong. */
  open(nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Uint8Array | undefined
}

const algorithm = 'aes-128-ccm'
const ccmOptions = { authTagLength: tagSize }

export class CcmCipher implements Ccm {
  readonly #key: KeyObject

  constructor(key: KeyObject) {
    this.#key = key
  }

  seal(nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array, out: Uint8Array, offset: number): void {
    const cipher = createCipheriv(algorithm, this.#key, nonce, ccmOptions)
    cipher.setAAD(aad, { plaintextLength: plaintext.length })
    out.set(cipher.update(plaintext), offset)
    cipher.final()
    out.set(cipher.getAuthTag(), offset + plaintext.length)
  }

  open(nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
    const end = sealed.length - tagSize
    const decipher = createDecipheriv(algorithm, this.#key, nonce, ccmOptions)
    decipher.setAuthTag(sealed.subarray(end))
    decipher.setAAD(aad, { plaintextLength: end })
    try {
      const plaintext = decipher.update(sealed.subarray(0, end))
      decipher.final()
      return new Uint8Array(plaintext.buffer, plaintext.byteOffset, plaintext.length)
    } catch {
      // A wrong tag is the only failure here, and an ordinary event: the caller counts it.
      return undefined
    }
  }
}

const block = 16
/** Counter and length have 3 bytes with a nonce of 12. */
const lengthSize = 3
/** Flags of the first MAC block: associated data, tag of 8, length of 3 (RFC 3610 2.2). */
const macFlags = 0x40 | (((tagSize - 2) / 2) << 3) | (lengthSize - 1)
/** Longest plaintext and associated data of the hot way; what is longer would not be faster. */
export const maxHotPlaintext = 2048
const maxAad = 30

// One record is worked on at a time, so all ciphers share their scratch memory.
const counters = new Uint8Array(block + maxHotPlaintext)
const macInput = new Uint8Array(block + 2 * block + maxHotPlaintext)

export class HotCcmCipher implements Ccm {
  readonly #stream: Cipheriv
  readonly #mac: Cipheriv
  #chain: Uint8Array = new Uint8Array(block)

  constructor(key: KeyObject) {
    this.#stream = createCipheriv('aes-128-ecb', key, null)
    this.#mac = createCipheriv('aes-128-cbc', key, new Uint8Array(block))
  }

  seal(nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array, out: Uint8Array, offset: number): void {
    const stream = this.#keyStream(nonce, plaintext.length)
    const tag = this.#tag(nonce, aad, plaintext)
    for (let i = 0; i < plaintext.length; i++) out[offset + i] = (plaintext[i] ?? 0) ^ (stream[block + i] ?? 0)
    const end = offset + plaintext.length
    for (let i = 0; i < tagSize; i++) out[end + i] = (tag[i] ?? 0) ^ (stream[i] ?? 0)
  }

  open(nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
    const size = sealed.length - tagSize
    const stream = this.#keyStream(nonce, size)
    const plaintext = new Uint8Array(size)
    for (let i = 0; i < size; i++) plaintext[i] = (sealed[i] ?? 0) ^ (stream[block + i] ?? 0)
    const tag = this.#tag(nonce, aad, plaintext)
    let difference = 0
    for (let i = 0; i < tagSize; i++) difference |= (tag[i] ?? 0) ^ (stream[i] ?? 0) ^ (sealed[size + i] ?? 0)
    return difference === 0 ? plaintext : undefined
  }

  /** A block that hides the tag, then the blocks that hide the plaintext (RFC 3610 2.3). */
  #keyStream(nonce: Uint8Array, size: number): Uint8Array {
    const end = block + roundUp(size)
    for (let at = 0, counter = 0; at < end; at += block, counter++) {
      counters[at] = lengthSize - 1
      counters.set(nonce, at + 1)
      counters[at + 13] = 0
      counters[at + 14] = counter >>> 8
      counters[at + 15] = counter
    }
    return this.#stream.update(counters.subarray(0, end))
  }

  /** The last block of the CBC-MAC over lengths, associated data and plaintext (RFC 3610 2.2). */
  #tag(nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Uint8Array {
    const chain = this.#chain
    macInput[0] = macFlags
    macInput.set(nonce, 1)
    macInput[13] = 0
    macInput[14] = plaintext.length >>> 8
    macInput[15] = plaintext.length
    for (let i = 0; i < block; i++) macInput[i] = (macInput[i] ?? 0) ^ (chain[i] ?? 0)
    const aadEnd = block + roundUp(2 + aad.length)
    macInput[block] = 0
    macInput[block + 1] = aad.length
    macInput.set(aad, block + 2)
    macInput.fill(0, block + 2 + aad.length, aadEnd)
    const end = aadEnd + roundUp(plaintext.length)
    macInput.set(plaintext, aadEnd)
    macInput.fill(0, aadEnd + plaintext.length, end)
    const encrypted = this.#mac.update(macInput.subarray(0, end))
    // A copy: the whole output would otherwise stay alive until the next record.
    chain.set(encrypted.subarray(end - block, end))
    return chain
  }
}

/** Whether the hot way can take a record of this size. */
export function fitsHot(plaintextSize: number, aadSize: number): boolean {
  return plaintextSize <= maxHotPlaintext && aadSize <= maxAad
}

function roundUp(size: number): number {
  return (size + block - 1) & ~(block - 1)
}
