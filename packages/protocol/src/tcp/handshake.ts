/**
 * The cryptography of the TCP handshake, one function for each message of it (device-protocol.md 1.2).
 *
 * Fresh bytes (nonce, credentials) are arguments; only the random padding of RSA is drawn by OpenSSL itself.
 */
import {
  constants,
  createHmac,
  createSecretKey,
  type KeyObject,
  privateDecrypt,
  privateEncrypt,
  publicDecrypt,
  publicEncrypt,
  timingSafeEqual,
} from 'node:crypto'
import { ProtocolError } from '../protocol-error.ts'
import { devicePublicKeySize } from './keys.ts'

/** Server to device, in the clear. */
export const nonceSize = 40
/** Device to server: nonce, device id and public key under the server's RSA-2048 key. */
export const identitySize = 256
/** AES-128 key, IV of both directions, 8 bytes of salt. */
export const credentialsSize = 40
/** Server to device: the credentials under the device's RSA-1024 key, then the signature. */
export const credentialsReplySize = 384

const deviceIdSize = 12
const sealedCredentialsSize = 128
const padding = constants.RSA_PKCS1_PADDING

/** Who a device says it is. Nothing of it is proven before its first frame decrypts. */
export interface Identity {
  /** 24 lower-case hex digits. */
  readonly deviceId: string
  /** SubjectPublicKeyInfo as sent, unchecked; missing from the first Spark Core firmware. */
  readonly publicKey: Uint8Array | undefined
}

/** Step 2: nonce, id and key, encrypted for the server. Without `publicKey` the short form of the first Spark Cores. */
export function sealIdentity(serverKey: KeyObject, nonce: Uint8Array, identity: Identity): Uint8Array {
  const id = Buffer.from(identity.deviceId, 'hex')
  if (id.length !== deviceIdSize) throw new ProtocolError('device-id', 'a device id has 24 hex digits')
  const plaintext = Buffer.concat([nonce, id, identity.publicKey ?? Buffer.alloc(0)])
  return publicEncrypt({ key: serverKey, padding }, plaintext)
}

/**
 * Step 4: opens what `sealIdentity` made; undefined when it is not of this handshake.
 *
 * Bad padding, a foreign nonce and a wrong length take one path, so that the server is no padding oracle:
 * OpenSSL's implicit rejection turns bad padding into a pseudo-random plaintext of pseudo-random length without an
 * error (Node 24 never throws for it), whose nonce then does not match. The single case that does throw, a ciphertext
 * not below the modulus, depends on nothing secret and joins the same path with an empty plaintext.
 */
export function openIdentity(serverKey: KeyObject, nonce: Uint8Array, ciphertext: Uint8Array): Identity | undefined {
  const plaintext = decryptOrNothing(serverKey, ciphertext)
  const head = Buffer.alloc(nonceSize)
  plaintext.copy(head, 0, 0, nonceSize)
  const sameNonce = timingSafeEqual(head, nonce)
  const bare = nonceSize + deviceIdSize
  const rightSize = plaintext.length === bare || plaintext.length === bare + devicePublicKeySize
  if (!(sameNonce && rightSize)) return undefined
  return {
    deviceId: plaintext.toString('hex', nonceSize, bare),
    publicKey: plaintext.length === bare ? undefined : new Uint8Array(plaintext.subarray(bare)),
  }
}

/**
 * Steps 6 to 9: the credentials for the device, and the server's signature of their HMAC.
 *
 * @throws Error of node:crypto when the device's key cannot encrypt
 */
export function sealCredentials(serverKey: KeyObject, deviceKey: KeyObject, credentials: Uint8Array): Uint8Array {
  const sealed = publicEncrypt({ key: deviceKey, padding }, credentials)
  if (sealed.length !== sealedCredentialsSize) throw new ProtocolError('device-key', 'the device key is not RSA-1024')
  // A type 1 block around the bare MAC, without the DigestInfo that sign() would add: devices verify with "no hash".
  // PKCS#1 padding is what a bare key means here; Node takes an object with options for a key first, and that costs.
  const signature = privateEncrypt(serverKey, credentialsMac(credentials, sealed))
  return Buffer.concat([sealed, signature])
}

export type OpenedCredentials =
  | { readonly ok: true; readonly credentials: Uint8Array }
  | { readonly ok: false; readonly step: 'decrypt' | 'signature' }

/** Step 10, on the device. `decrypt`: not meant for this device key; `signature`: not from the expected server. */
export function openCredentials(deviceKey: KeyObject, serverKey: KeyObject, reply: Uint8Array): OpenedCredentials {
  const sealed = reply.subarray(0, sealedCredentialsSize)
  const plaintext = decryptOrNothing(deviceKey, sealed)
  const rightSize = plaintext.length === credentialsSize
  // The signature is checked in any case, so that the time says nothing about the padding.
  const credentials = rightSize ? new Uint8Array(plaintext) : new Uint8Array(credentialsSize)
  const signed = isSigned(serverKey, reply.subarray(sealedCredentialsSize), credentialsMac(credentials, sealed))
  if (!rightSize) return { ok: false, step: 'decrypt' }
  return signed ? { ok: true, credentials } : { ok: false, step: 'signature' }
}

/** Seed of the device's message ids: it counts up before each message, so its Hello has this number plus one (1.5). */
export function messageIdSeed(credentials: Uint8Array): number {
  return (credentials[32] ?? 0) | ((credentials[33] ?? 0) << 8)
}

/** HMAC-SHA1 over the ciphertext, keyed with all 40 bytes. A KeyObject spares a copy that costs two thirds of the time. */
export function credentialsMac(credentials: Uint8Array, sealed: Uint8Array): Buffer {
  return createHmac('sha1', createSecretKey(credentials)).update(sealed).digest()
}

function isSigned(serverKey: KeyObject, signature: Uint8Array, mac: Uint8Array): boolean {
  try {
    const signed = publicDecrypt({ key: serverKey, padding }, signature)
    return signed.length === mac.length && timingSafeEqual(signed, mac)
  } catch {
    return false // what is no type 1 block is no signature
  }
}

function decryptOrNothing(key: KeyObject, ciphertext: Uint8Array): Buffer {
  try {
    return privateDecrypt({ key, padding }, ciphertext)
  } catch {
    return Buffer.alloc(0)
  }
}
