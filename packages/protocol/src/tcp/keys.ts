/**
 * The RSA keys of the TCP transport (device-protocol.md 1.1).
 *
 * The server has RSA-2048, the device RSA-1024, both with exponent 65537. Devices take the modulus of either key from
 * a fixed place of its DER form instead of parsing it, so a key must have exactly the usual encoding.
 */
import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto'
import { ProtocolError } from '../protocol-error.ts'

/** A server's SubjectPublicKeyInfo: 33 bytes in front, 256 of modulus, the exponent `0203010001`. */
export const serverPublicKeySize = 294
/** A device's SubjectPublicKeyInfo: 29 bytes in front, 128 of modulus, the exponent `0203010001`. */
export const devicePublicKeySize = 162

const serverPrefix = Buffer.from('30820122300d06092a864886f70d01010105000382010f003082010a0282010100', 'hex')
const devicePrefix = Buffer.from('30819f300d06092a864886f70d010101050003818d0030818902818100', 'hex')
const exponent = Buffer.from('0203010001', 'hex')

/** A new RSA-2048 private key for a server. */
export function generateServerKey(): Promise<KeyObject> {
  return generateRsaKey(2048)
}

/** A new RSA-1024 private key for a device: small because that is what the boards of this transport can hold. */
export function generateDeviceKey(): Promise<KeyObject> {
  return generateRsaKey(1024)
}

/**
 * Loads a server's private key.
 *
 * @param key PEM text (PKCS#8 or PKCS#1), or DER (PKCS#8 or PKCS#1)
 * @throws ProtocolError `server-key` when it is not an RSA-2048 private key with exponent 65537
 */
export function loadServerKey(key: string | Uint8Array): KeyObject {
  const loaded = loadPrivateKey(key, 'server-key')
  checkServerKey(loaded)
  return loaded
}

/**
 * The form in which devices store the server's key: 294 bytes of SubjectPublicKeyInfo.
 *
 * @param key private or public
 * @throws ProtocolError `server-key` when devices could not use this key
 */
export function serverPublicKeyDer(key: KeyObject): Uint8Array {
  const der = publicKeyDer(key, 'server-key')
  if (!hasForm(der, serverPrefix, serverPublicKeySize)) throw new ProtocolError('server-key', serverKeyRule)
  return der
}

/**
 * Reads a server's public key as devices store it. Bytes after the key (the address record, or erased flash) are left.
 *
 * @throws ProtocolError `server-key` when it has not exactly the form that devices can use
 */
export function serverPublicKeyFromDer(der: Uint8Array): KeyObject {
  const own = der.subarray(0, serverPublicKeySize)
  if (!hasForm(own, serverPrefix, serverPublicKeySize)) throw new ProtocolError('server-key', serverKeyRule)
  return publicKeyOf(own, 'server-key')
}

const checkedServerKeys = new WeakSet<KeyObject>()

/** @throws ProtocolError `server-key` unless the key, private or public, can serve devices; costs nothing the second time */
export function checkServerKey(key: KeyObject): void {
  if (checkedServerKeys.has(key)) return
  serverPublicKeyDer(key)
  checkedServerKeys.add(key)
}

const serverKeyRule =
  'the server key must be RSA with 2048 bit and exponent 65537: devices take its modulus from bytes 33 to 288'

/**
 * Loads a device's private key.
 *
 * @param key PEM text, or DER (PKCS#1 as devices store it, padded or not, or PKCS#8)
 * @throws ProtocolError `device-key` when it is not an RSA-1024 private key with exponent 65537
 */
export function loadDeviceKey(key: string | Uint8Array): KeyObject {
  const loaded = loadPrivateKey(key, 'device-key')
  devicePublicKeyDer(loaded)
  return loaded
}

/** The PKCS#1 DER form, 606 to 612 bytes, that devices keep in flash. */
export function devicePrivateKeyDer(key: KeyObject): Uint8Array {
  return plain(key.export({ type: 'pkcs1', format: 'der' }))
}

/**
 * The form in which a device presents its key: 162 bytes of SubjectPublicKeyInfo.
 *
 * @param key private or public
 * @throws ProtocolError `device-key` when it is not RSA-1024 with exponent 65537
 */
export function devicePublicKeyDer(key: KeyObject): Uint8Array {
  const der = publicKeyDer(key, 'device-key')
  if (!isDevicePublicKey(der)) throw new ProtocolError('device-key', deviceKeyRule)
  return der
}

/** Reads the 162 byte form. @throws ProtocolError `device-key` when it is anything else */
export function devicePublicKeyFromDer(der: Uint8Array): KeyObject {
  if (!isDevicePublicKey(der)) throw new ProtocolError('device-key', deviceKeyRule)
  return publicKeyOf(der, 'device-key')
}

/** Whether the bytes have the constant parts of a device's public key; compares, and parses nothing. */
export function isDevicePublicKey(der: Uint8Array): boolean {
  return hasForm(der, devicePrefix, devicePublicKeySize)
}

const deviceKeyRule = 'a device key of this transport must be RSA with 1024 bit and exponent 65537'

function hasForm(der: Uint8Array, prefix: Uint8Array, size: number): boolean {
  if (der.length !== size) return false
  // The highest bit of a modulus of full size is set.
  return (
    exponent.equals(der.subarray(size - exponent.length)) &&
    Buffer.compare(der.subarray(0, prefix.length), prefix) === 0 &&
    (der[prefix.length] ?? 0) >= 0x80
  )
}

function publicKeyDer(key: KeyObject, errorCode: string): Uint8Array {
  try {
    const own = key.type === 'private' ? createPublicKey(key) : key
    return plain(own.export({ type: 'spki', format: 'der' }))
  } catch (cause) {
    throw new ProtocolError(errorCode, 'the key is not a public or private key', { cause })
  }
}

function publicKeyOf(der: Uint8Array, errorCode: string): KeyObject {
  try {
    return createPublicKey({ key: Buffer.from(der), format: 'der', type: 'spki' })
  } catch (cause) {
    throw new ProtocolError(errorCode, 'the bytes are not a SubjectPublicKeyInfo', { cause })
  }
}

function loadPrivateKey(key: string | Uint8Array, errorCode: string): KeyObject {
  try {
    if (typeof key === 'string') return createPrivateKey(key)
    const der = derElement(key)
    // After SEQUENCE and version comes the modulus (PKCS#1) or an algorithm identifier (PKCS#8).
    const type = der[7] === 0x02 ? 'pkcs1' : 'pkcs8'
    return createPrivateKey({ key: Buffer.from(der), format: 'der', type })
  } catch (cause) {
    throw new ProtocolError(errorCode, 'this is no RSA private key in PEM, PKCS#1 or PKCS#8', { cause })
  }
}

/** A key file is as large as the place it was read from; the DER header says where the key ends. */
function derElement(bytes: Uint8Array): Uint8Array {
  if (bytes[0] !== 0x30 || bytes[1] !== 0x82) return bytes
  return bytes.subarray(0, 4 + (((bytes[2] ?? 0) << 8) | (bytes[3] ?? 0)))
}

function generateRsaKey(modulusLength: number): Promise<KeyObject> {
  return new Promise((resolve, reject) => {
    generateKeyPair('rsa', { modulusLength, publicExponent: 65537 }, (error, _publicKey, privateKey) => {
      if (error) reject(error)
      else resolve(privateKey)
    })
  })
}

function plain(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer)
}
