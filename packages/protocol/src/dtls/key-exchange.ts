/** The messages of the key exchange and the proofs of possession (RFC 8422 5.4, 5.7, 5.8; RFC 7250; RFC 5246 7.4.8). */
import { type KeyObject, sign, verify } from 'node:crypto'
import { ecPointSize, ecPublicKeySize, isEcPublicKey } from './ec-keys.ts'
import { ecdsaSha256, secp256r1 } from './profile.ts'
import { joinBriefly, Reader, u16, u24, uint16List } from './reader.ts'

/** What the server signs: randoms and parameters. */
export interface SignedParameters {
  readonly clientRandom: Uint8Array
  readonly serverRandom: Uint8Array
  /** The server's ephemeral point, 65 bytes. */
  readonly point: Uint8Array
}

/** @param serverKey P-256 private key */
export function encodeServerKeyExchange(serverKey: KeyObject, parameters: SignedParameters): Uint8Array {
  const curve = curveParameters(parameters.point)
  const signature = sign('sha256', joinBriefly(parameters.clientRandom, parameters.serverRandom, curve), serverKey)
  return joinBriefly(curve, encodeSignature(signature))
}

/** The server's point and its signature; undefined when malformed or of another curve or algorithm. */
export function decodeServerKeyExchange(body: Uint8Array): { point: Uint8Array; signature: Uint8Array } | undefined {
  const reader = new Reader(body)
  const curveType = reader.uint(1)
  const curve = reader.uint(2)
  const point = reader.vector(1)
  const signature = readSignature(reader)
  const good = curveType === 3 && curve === secp256r1 && point.length === ecPointSize && signature !== undefined
  return good ? { point, signature } : undefined
}

/** Whether the server that holds this key has signed. */
export function verifyServerKeyExchange(key: KeyObject, parameters: SignedParameters, signature: Uint8Array): boolean {
  const { clientRandom, serverRandom, point } = parameters
  return verify('sha256', joinBriefly(clientRandom, serverRandom, curveParameters(point)), key, signature)
}

/** Certificate types rsa_sign and ecdsa_sign, ECDSA with SHA-256, no authorities (device-protocol.md 2.3). */
export const certificateRequestBody: Uint8Array = joinBriefly([1, 64], u16(2), u16(ecdsaSha256), u16(0))

/** Whether a CertificateRequest can be answered with an ECDSA key; undefined when malformed. */
export function acceptsEcdsa(body: Uint8Array): boolean | undefined {
  const reader = new Reader(body)
  const types = reader.vector(1)
  const algorithms = uint16List(reader.vector(2))
  reader.vector(2)
  if (!reader.done || algorithms === undefined) return undefined
  return types.includes(64) && algorithms.includes(ecdsaSha256)
}

/** A raw public key instead of a certificate (RFC 7250 3): its length and the 91 bytes. */
export function encodeCertificate(publicKey: Uint8Array): Uint8Array {
  return joinBriefly(u24(publicKey.length), publicKey)
}

/** The raw public key, a view; `none` when the client has none; undefined for anything but P-256. */
export function decodeCertificate(body: Uint8Array): Uint8Array | 'none' | undefined {
  const reader = new Reader(body)
  const publicKey = reader.vector(3)
  if (!reader.done) return undefined
  if (publicKey.length === 0) return 'none'
  return publicKey.length === ecPublicKeySize && isEcPublicKey(publicKey) ? publicKey : undefined
}

export function encodeClientKeyExchange(point: Uint8Array): Uint8Array {
  return joinBriefly([point.length], point)
}

/** The client's point; undefined when malformed. */
export function decodeClientKeyExchange(body: Uint8Array): Uint8Array | undefined {
  const reader = new Reader(body)
  const point = reader.vector(1)
  return reader.done && point.length === ecPointSize && point[0] === 0x04 ? point : undefined
}

/** @param transcript all handshake messages so far */
export function encodeCertificateVerify(deviceKey: KeyObject, transcript: Uint8Array): Uint8Array {
  return encodeSignature(sign('sha256', transcript, deviceKey))
}

/** The signature; undefined when malformed or of another algorithm. */
export function decodeCertificateVerify(body: Uint8Array): Uint8Array | undefined {
  return readSignature(new Reader(body))
}

function curveParameters(point: Uint8Array): Uint8Array {
  return joinBriefly([3], u16(secp256r1), [point.length], point)
}

function encodeSignature(signature: Uint8Array): Uint8Array {
  return joinBriefly(u16(ecdsaSha256), u16(signature.length), signature)
}

function readSignature(reader: Reader): Uint8Array | undefined {
  const algorithm = reader.uint(2)
  const signature = reader.vector(2)
  return reader.done && algorithm === ecdsaSha256 ? signature : undefined
}
