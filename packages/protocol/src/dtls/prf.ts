/** The key schedule of TLS 1.2 with SHA-256 (RFC 5246 5, 6.3, 7.4.9, 8.1). */
import { hash } from 'node:crypto'

export const masterSecretSize = 48
/** Two keys of 16 bytes and two salts of 4; CCM needs no MAC keys (RFC 6655). */
export const keyBlockSize = 40
export const verifyDataSize = 12

/** Block and output of SHA-256. */
const blockSize = 64
const hashSize = 32

/**
 * P_SHA256 of RFC 5246 5, with HMAC as two plain hashes (RFC 2104): an object of node:crypto for each HMAC, and one for
 * its key, costs several times as much as the hashing, and a handshake has twelve.
 *
 * @param secret at most 64 bytes, as all secrets of the key schedule are
 */
export function prf(secret: Uint8Array, label: string, seed: Uint8Array, size: number): Uint8Array {
  if (secret.length > blockSize) throw new RangeError(`a secret has at most ${blockSize} bytes`)
  const labelled = Buffer.concat([Buffer.from(label, 'latin1'), seed])
  // Padded key, A(i), label and seed: what HMAC hashes first. Padded key and that hash: what it hashes then.
  const inner = Buffer.alloc(blockSize + hashSize + labelled.length, 0x36)
  const outer = Buffer.alloc(blockSize + hashSize, 0x5c)
  for (let i = 0; i < secret.length; i++) {
    inner[i] = 0x36 ^ (secret[i] ?? 0)
    outer[i] = 0x5c ^ (secret[i] ?? 0)
  }
  inner.set(labelled, blockSize + hashSize)
  const hmac = (input: Uint8Array): Uint8Array => {
    outer.set(sha256(input), blockSize)
    return sha256(outer)
  }
  const out = new Uint8Array(size)
  let a = hmac(Buffer.concat([inner.subarray(0, blockSize), labelled]))
  for (let filled = 0; filled < size; ) {
    inner.set(a, blockSize)
    const block = hmac(inner)
    out.set(block.subarray(0, size - filled), filled)
    filled += block.length
    if (filled < size) a = hmac(inner.subarray(0, blockSize + hashSize))
  }
  // Keys in clear do not stay behind.
  inner.fill(0, 0, blockSize)
  outer.fill(0, 0, blockSize)
  return out
}

function sha256(input: Uint8Array): Uint8Array {
  return hash('sha256', input, 'buffer')
}

/** The plain derivation: devices do not offer the extended master secret (device-protocol.md 2.1). */
export function masterSecret(preMaster: Uint8Array, clientRandom: Uint8Array, serverRandom: Uint8Array): Uint8Array {
  return prf(preMaster, 'master secret', Buffer.concat([clientRandom, serverRandom]), masterSecretSize)
}

/** Client key, server key, client salt, server salt. */
export function keyBlock(master: Uint8Array, clientRandom: Uint8Array, serverRandom: Uint8Array): Uint8Array {
  return prf(master, 'key expansion', Buffer.concat([serverRandom, clientRandom]), keyBlockSize)
}

/** @param transcript SHA-256 of all handshake messages so far */
export function verifyData(master: Uint8Array, sender: 'client' | 'server', transcript: Uint8Array): Uint8Array {
  return prf(master, `${sender} finished`, transcript, verifyDataSize)
}
