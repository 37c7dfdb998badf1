/** The P-256 keys of the UDP transport (device-protocol.md 2.2). */
import {
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPair,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto'
import { ProtocolError } from '../protocol-error.ts'

/** SubjectPublicKeyInfo of P-256: 26 bytes in front of the uncompressed point. */
export const ecPublicKeySize = 91
/** `04`, X and Y. */
export const ecPointSize = 65

const spkiPrefix = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'hex')

/** A new P-256 private key, for a server or a device. */
export function generateEcKey(): Promise<KeyObject> {
  return new Promise((resolve, reject) => {
    generateKeyPair('ec', { namedCurve: 'P-256' }, (error, _publicKey, privateKey) => {
      if (error) reject(error)
      else resolve(privateKey)
    })
  })
}

/**
 * Loads a P-256 private key.
 *
 * @param key PEM text, or DER: SEC1 as devices store it, followed by anything, or PKCS#8
 * @throws ProtocolError `ec-key` when it is not a P-256 private key
 */
export function loadEcPrivateKey(key: string | Uint8Array): KeyObject {
  let loaded: KeyObject
  try {
    if (typeof key === 'string') loaded = createPrivateKey(key)
    else {
      const der = derElement(key)
      // After SEQUENCE and version comes the private key (SEC1) or an algorithm identifier (PKCS#8).
      const type = der[der[1] === 0x81 ? 6 : 5] === 0x04 ? 'sec1' : 'pkcs8'
      loaded = createPrivateKey({ key: Buffer.from(der), format: 'der', type })
    }
  } catch (cause) {
    throw new ProtocolError('ec-key', 'this is no EC private key in PEM, SEC1 or PKCS#8', { cause })
  }
  checkEcKey(loaded)
  return loaded
}

/** The SEC1 DER form, 121 bytes, that devices keep in flash. */
export function ecPrivateKeyDer(key: KeyObject): Uint8Array {
  checkEcKey(key)
  return new Uint8Array(key.export({ type: 'sec1', format: 'der' }))
}

/**
 * The 91 bytes of SubjectPublicKeyInfo in which a device presents its key and stores its server's.
 *
 * @param key private or public
 * @throws ProtocolError `ec-key` when it is not P-256
 */
export function ecPublicKeyDer(key: KeyObject): Uint8Array {
  checkEcKey(key)
  const own = key.type === 'private' ? createPublicKey(key) : key
  return new Uint8Array(own.export({ type: 'spki', format: 'der' }))
}

/**
 * Reads the 91 byte form; what follows it (erased flash, the address record) is left.
 *
 * @throws ProtocolError `ec-key` when it has another form, or is no point of the curve
 */
export function ecPublicKeyFromDer(der: Uint8Array): KeyObject {
  const own = der.subarray(0, ecPublicKeySize)
  if (!isEcPublicKey(own)) throw new ProtocolError('ec-key', 'a P-256 public key has 91 bytes of SubjectPublicKeyInfo')
  try {
    return createPublicKey(pemOf(own))
  } catch (cause) {
    throw new ProtocolError('ec-key', 'the public key is not on the curve', { cause })
  }
}

/** Whether the bytes have the constant parts of a P-256 public key; compares, and parses nothing. */
export function isEcPublicKey(der: Uint8Array): boolean {
  if (der.length !== ecPublicKeySize || der[spkiPrefix.length] !== 0x04) return false
  return Buffer.compare(der.subarray(0, spkiPrefix.length), spkiPrefix) === 0
}

/** @param point 65 bytes, uncompressed */
export function ecPublicKeyDerOfPoint(point: Uint8Array): Uint8Array {
  const der = new Uint8Array(ecPublicKeySize)
  der.set(spkiPrefix)
  der.set(point, spkiPrefix.length)
  return der
}

/** The uncompressed point within the 91 byte form; a view. */
export function ecPointOf(der: Uint8Array): Uint8Array {
  return der.subarray(spkiPrefix.length)
}

/** As text: for options, node first finds out by exceptions that they are no key, which doubles the cost. */
function pemOf(der: Uint8Array): string {
  const text = Buffer.from(der.buffer, der.byteOffset, der.length).toString('base64')
  return `-----BEGIN PUBLIC KEY-----\n${text}\n-----END PUBLIC KEY-----\n`
}

/** A key of one handshake. */
export interface EphemeralKey {
  readonly privateKey: KeyObject
  /** The public part: 65 bytes, uncompressed. */
  readonly point: Uint8Array
}

/**
 * A new key for one handshake. With the export of its point, and the import of the other end's, it takes as long as with
 * `createECDH`, which checks its own key at each derivation (docs/benchmarks.md).
 */
export function generateEphemeralKey(): EphemeralKey {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' })
  const point = new Uint8Array(ecPointSize)
  point[0] = 0x04
  // Coordinates of a JWK have all their bytes, leading zeros too (RFC 7518 6.2.1.2).
  point.set(Buffer.from(x, 'base64url'), 1)
  point.set(Buffer.from(y, 'base64url'), 33)
  return { privateKey, point }
}

/** Undefined when the other end's point is not on the curve. */
export function sharedSecret(own: EphemeralKey, point: Uint8Array): Uint8Array | undefined {
  try {
    const publicKey = createPublicKey(pemOf(ecPublicKeyDerOfPoint(point)))
    return diffieHellman({ privateKey: own.privateKey, publicKey })
  } catch {
    // Only a wrong point makes this fail; the caller reports it.
    return undefined
  }
}

const checked = new WeakSet<KeyObject>()

function checkEcKey(key: KeyObject): void {
  if (checked.has(key)) return
  if (key.asymmetricKeyType !== 'ec' || key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    throw new ProtocolError('ec-key', 'keys of the UDP transport are EC keys on the curve P-256')
  }
  checked.add(key)
}

/** A key file is as large as the place it was read from; the DER header says where the key ends. */
function derElement(bytes: Uint8Array): Uint8Array {
  if (bytes[0] !== 0x30) return bytes
  if ((bytes[1] ?? 0) < 0x80) return bytes.subarray(0, 2 + (bytes[1] ?? 0))
  if (bytes[1] === 0x81) return bytes.subarray(0, 3 + (bytes[2] ?? 0))
  return bytes
}
