/** The key schedule of TLS 1.2 with SHA-256 (RFC 5246 5, 6.3, 7.4.9, 8.1). */
import { createHmac, createSecretKey } from 'node:crypto'

export const masterSecretSize = 48
/** Two keys of 16 bytes and two salts of 4; CCM needs no MAC keys (RFC 6655). */
export const keyBlockSize = 40
export const verifyDataSize = 12

/** P_SHA256 of RFC 5246 5. */
export function prf(secret: Uint8Array, label: string, seed: Uint8Array, size: number): Uint8Array {
  // A KeyObject: raw keys cost several times as much.
  const key = createSecretKey(secret)
  const labelled = Buffer.concat([Buffer.from(label, 'latin1'), seed])
  const out = new Uint8Array(size)
  let a: Uint8Array = labelled
  for (let filled = 0; filled < size; ) {
    a = createHmac('sha256', key).update(a).digest()
    const block = createHmac('sha256', key).update(a).update(labelled).digest()
    out.set(block.subarray(0, size - filled), filled)
    filled += block.length
  }
  return out
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
