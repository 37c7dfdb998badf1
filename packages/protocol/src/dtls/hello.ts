/** ClientHello, HelloVerifyRequest and ServerHello in the device profile (device-protocol.md 2.1, 2.3). */
import {
  cidSize,
  cipherSuite,
  dtlsVersion,
  ecdsaSha256,
  extensionType,
  randomSize,
  rawPublicKey,
  renegotiationScsv,
  secp256r1,
} from './profile.ts'
import { joinBriefly, Reader, u16, uint16List } from './reader.ts'

export interface ClientHello {
  readonly version: number
  readonly random: Uint8Array
  readonly sessionId: Uint8Array
  readonly cookie: Uint8Array
  readonly cipherSuites: readonly number[]
  readonly compressions: Uint8Array
  /** Contents by extension number. */
  readonly extensions: ReadonlyMap<number, Uint8Array>
}

/** @returns undefined when the body is malformed */
export function decodeClientHello(body: Uint8Array): ClientHello | undefined {
  const reader = new Reader(body)
  const version = reader.uint(2)
  const random = reader.bytes(randomSize)
  const sessionId = reader.vector(1)
  const cookie = reader.vector(1)
  const cipherSuites = uint16List(reader.vector(2))
  const compressions = reader.vector(1)
  const extensions = decodeExtensions(reader)
  if (!reader.done || sessionId.length > 32 || cipherSuites === undefined || extensions === undefined) return undefined
  return { version, random, sessionId, cookie, cipherSuites, compressions, extensions }
}

/** Byte for byte what devices send, in their order of extensions. */
export function encodeClientHello(hello: {
  random: Uint8Array
  cookie: Uint8Array
  connectionId: boolean
}): Uint8Array {
  const extensions = joinBriefly(
    // ecdsa and rsa with SHA-256 and SHA-224
    extension(extensionType.signatureAlgorithms, [0, 8, 4, 3, 4, 1, 3, 3, 3, 1]),
    extension(extensionType.supportedGroups, [0, 2, ...u16(secp256r1)]),
    extension(extensionType.pointFormats, [1, 0]),
    hello.connectionId ? extension(extensionType.connectionId, [0]) : [],
    extension(extensionType.clientCertificateType, [1, rawPublicKey]),
    extension(extensionType.serverCertificateType, [1, rawPublicKey]),
  )
  return joinBriefly(
    u16(dtlsVersion),
    hello.random,
    [0, hello.cookie.length],
    hello.cookie,
    [0, 4, ...u16(cipherSuite), ...u16(renegotiationScsv), 1, 0],
    u16(extensions.length),
    extensions,
  )
}

/** Everything of a ClientHello that a cookie is bound to, that is, all but the cookie itself (RFC 6347 4.2.1). */
export function helloParameters(body: Uint8Array): Uint8Array {
  const cookieAt = 2 + randomSize + 1 + (body[2 + randomSize] ?? 0)
  return joinBriefly(body.subarray(0, cookieAt), body.subarray(cookieAt + 1 + (body[cookieAt] ?? 0)))
}

export function encodeHelloVerifyRequest(cookie: Uint8Array): Uint8Array {
  return joinBriefly(u16(dtlsVersion), [cookie.length], cookie)
}

/** The cookie; undefined when the body is malformed. */
export function decodeHelloVerifyRequest(body: Uint8Array): Uint8Array | undefined {
  const reader = new Reader(body)
  reader.uint(2)
  const cookie = reader.vector(1)
  return reader.done ? cookie : undefined
}

export interface ServerHello {
  readonly version: number
  readonly random: Uint8Array
  readonly sessionId: Uint8Array
  readonly cipherSuite: number
  readonly compression: number
  readonly extensions: ReadonlyMap<number, Uint8Array>
}

/** @returns undefined when the body is malformed */
export function decodeServerHello(body: Uint8Array): ServerHello | undefined {
  const reader = new Reader(body)
  const version = reader.uint(2)
  const random = reader.bytes(randomSize)
  const sessionId = reader.vector(1)
  const suite = reader.uint(2)
  const compression = reader.uint(1)
  const extensions = decodeExtensions(reader)
  if (!reader.done || sessionId.length > 32 || extensions === undefined) return undefined
  return { version, random, sessionId, cipherSuite: suite, compression, extensions }
}

/**
 * The answer to a hello, which has no extension that the client did not offer (RFC 5246 7.4.1.4).
 *
 * The session id is empty: devices never send it back, and it keeps the flight below three times the ClientHello.
 */
export function encodeServerHello(hello: ClientHello, random: Uint8Array, cid: Uint8Array | undefined): Uint8Array {
  const offered = hello.extensions
  const renegotiation = offered.has(extensionType.renegotiationInfo) || hello.cipherSuites.includes(renegotiationScsv)
  const extensions = joinBriefly(
    renegotiation ? extension(extensionType.renegotiationInfo, [0]) : [],
    cid !== undefined ? extension(extensionType.connectionId, joinBriefly([cid.length], cid)) : [],
    offered.has(extensionType.pointFormats) ? extension(extensionType.pointFormats, [1, 0]) : [],
    offered.has(extensionType.clientCertificateType)
      ? extension(extensionType.clientCertificateType, [rawPublicKey])
      : [],
    offered.has(extensionType.serverCertificateType)
      ? extension(extensionType.serverCertificateType, [rawPublicKey])
      : [],
  )
  const end = extensions.length === 0 ? [] : u16(extensions.length)
  return joinBriefly(u16(dtlsVersion), random, [0], u16(cipherSuite), [0], end, extensions)
}

/** What a server cannot serve about a hello, in words, with the alert for it. */
export function refusalOf(hello: ClientHello): { alert: HelloAlert; reason: string } | undefined {
  const { extensions } = hello
  // Higher versions offer 1.2 as well by RFC 5246; DTLS counts downwards.
  if (hello.version > dtlsVersion || hello.version >>> 8 !== dtlsVersion >>> 8)
    return { alert: 'protocol_version', reason: 'the client does not speak DTLS 1.2' }
  if (!hello.cipherSuites.includes(cipherSuite)) {
    return { alert: 'handshake_failure', reason: 'the client does not offer ECDHE-ECDSA-AES128-CCM8' }
  }
  if (!hello.compressions.includes(0)) {
    return { alert: 'illegal_parameter', reason: 'the client insists on compression' }
  }
  if (!lists16(extensions.get(extensionType.supportedGroups), secp256r1)) {
    return { alert: 'handshake_failure', reason: 'the client does not offer the curve P-256' }
  }
  if (!lists16(extensions.get(extensionType.signatureAlgorithms), ecdsaSha256)) {
    return { alert: 'handshake_failure', reason: 'the client does not offer ECDSA with SHA-256' }
  }
  for (const type of [extensionType.clientCertificateType, extensionType.serverCertificateType]) {
    const list = extensions.get(type)
    if (list === undefined || list[0] !== list.length - 1 || !list.subarray(1).includes(rawPublicKey)) {
      return { alert: 'unsupported_certificate', reason: 'the client does not offer raw public keys' }
    }
  }
  return undefined
}

type HelloAlert = 'protocol_version' | 'handshake_failure' | 'illegal_parameter' | 'unsupported_certificate'

/**
 * Whether the client wants a connection id in its records and none in ours. One that asks for an id of its own is served
 * without: no device does (device-protocol.md 2.1).
 */
export function wantsConnectionId(hello: ClientHello): boolean {
  const offer = hello.extensions.get(extensionType.connectionId)
  return offer !== undefined && offer.length === 1 && offer[0] === 0
}

/** The connection id of a ServerHello: undefined without the extension, `malformed` when it is not one of 8 bytes. */
export function connectionIdOf(hello: ServerHello): Uint8Array | 'malformed' | undefined {
  const extension = hello.extensions.get(extensionType.connectionId)
  if (extension === undefined) return undefined
  return extension.length === 1 + cidSize && extension[0] === cidSize ? extension.slice(1) : 'malformed'
}

function extension(type: number, content: Uint8Array | readonly number[]): Uint8Array {
  return joinBriefly(u16(type), u16(content.length), content)
}

/** Undefined when malformed or when a type comes twice; none at all is allowed. */
function decodeExtensions(reader: Reader): Map<number, Uint8Array> | undefined {
  const extensions = new Map<number, Uint8Array>()
  if (reader.left === 0) return extensions
  const list = new Reader(reader.vector(2))
  while (list.left > 0) {
    const type = list.uint(2)
    const content = list.vector(2)
    if (!list.ok || extensions.has(type)) return undefined
    extensions.set(type, content)
  }
  return extensions
}

/** Whether an extension with a list of 16 bit numbers has this one. */
function lists16(content: Uint8Array | undefined, value: number): boolean {
  if (content === undefined) return false
  const reader = new Reader(content)
  const values = uint16List(reader.vector(2))
  return reader.done && values?.includes(value) === true
}
