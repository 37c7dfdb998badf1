import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'

/** @param der PKCS#1 of an RSA-1024 key, as boards store it (device-protocol.md 1.1) */
export function deviceKeyOf(der: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.from(der), format: 'der', type: 'pkcs1' })
}

/** @param der SubjectPublicKeyInfo of an RSA-2048 key */
export function serverKeyOf(der: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.from(der), format: 'der', type: 'spki' })
}
