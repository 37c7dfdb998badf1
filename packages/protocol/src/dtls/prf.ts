/** The key schedule of TLS 1.2 with SHA-256 (RFC 5246 5, 6.3, 7.4.9, 8.1). */
import { createHmac, hash } from 'node:crypto'

export const masterSecretSize = 48
/** Two keys of 16 bytes and two salts of 4; CCM needs no MAC keys (RFC 6655). */
export const keyBlockSize = 40
export const verifyDataSize = 12

/** Block and output of SHA-256. */
const blockSize = 64
const hashSize = 32

/** Longest label and seed: "master secret" with two randoms. */
const maxLabelled = 128

// Nothing waits between the steps of a derivation, so all share this memory: padded key, A(i), label and seed, which is
// what HMAC hashes first; padded key and that hash, which it hashes then.
const inner = Buffer.alloc(blockSize + hashSize + maxLabelled)
const outer = Buffer.alloc(blockSize + hashSize)
/** Behind the key in `outer`: first the inner hash, then the HMAC. */
const result = outer.subarray(blockSize)

/**
 * P_SHA256 of RFC 5246 5, with HMAC as two plain hashes (RFC 2104): an object of node:crypto for each HMAC, and one for
 * its key, costs several times as much as the hashing, and a handshake has twelve.
 *
 * @param secret at most 64 bytes, as all secrets of the key schedule are
 * @param label ASCII; with the seed at most 128 bytes
 */
export function prf(secret: Uint8Array, label: string, seed: Uint8Array, size: number): Uint8Array {
  if (secret.length > blockSize) throw new RangeError(`a secret has at most ${blockSize} bytes`)
  const labelled = label.length + seed.length
  if (labelled > maxLabelled) throw new RangeError(`label and seed have at most ${maxLabelled} bytes`)
  pad(secret)
  const out = new Uint8Array(size)
  const labelAt = blockSize + hashSize
  // The first A follows from label and seed alone.
  place(label, seed, blockSize)
  hmacOf(blockSize + labelled)
  place(label, seed, labelAt)
  for (let filled = 0; filled < size; filled += hashSize) {
    // It is the next A.
    inner.set(result, blockSize)
    hmacOf(labelAt + labelled)
    out.set(size - filled < hashSize ? result.subarray(0, size - filled) : result, filled)
    if (filled + hashSize < size) hmacOf(labelAt)
  }
  forget()
  return out
}

/**
 * HMAC-SHA256 (RFC 2104).
 *
 * @param secret at most 64 bytes
 * @param parts at most 160 bytes in all go the fast way
 */
export function hmacSha256(secret: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  if (secret.length > blockSize) throw new RangeError(`a secret has at most ${blockSize} bytes`)
  const size = parts.reduce((sum, part) => sum + part.length, 0)
  if (blockSize + size > inner.length) {
    const mac = createHmac('sha256', secret)
    for (const part of parts) mac.update(part)
    return mac.digest()
  }
  pad(secret)
  let end = blockSize
  for (const part of parts) {
    inner.set(part, end)
    end += part.length
  }
  hmacOf(end)
  const mac = new Uint8Array(result)
  forget()
  return mac
}

function place(label: string, seed: Uint8Array, at: number): void {
  inner.write(label, at, 'latin1')
  inner.set(seed, at + label.length)
}

/** The key in front of both hashes. */
function pad(secret: Uint8Array): void {
  inner.fill(0x36, 0, blockSize)
  outer.fill(0x5c, 0, blockSize)
  for (let i = 0; i < secret.length; i++) {
    inner[i] = 0x36 ^ (secret[i] ?? 0)
    outer[i] = 0x5c ^ (secret[i] ?? 0)
  }
}

/** The HMAC of what is in `inner` up to `end`, into `result`. */
function hmacOf(end: number): void {
  sha256(inner.subarray(0, end))
  sha256(outer)
}

/** Keys and what follows from them do not stay behind. */
function forget(): void {
  inner.fill(0)
  outer.fill(0)
}

/** Into `result`, which `input` may contain. As text, since a new array for each hash takes as long as the hash. */
function sha256(input: Uint8Array): void {
  outer.write(hash('sha256', input, 'binary'), blockSize, 'latin1')
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
