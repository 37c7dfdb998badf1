/** The numbers of the one DTLS profile that devices speak (device-protocol.md 2.1). */

/** DTLS 1.2 on the wire (RFC 6347 4.1). */
export const dtlsVersion = 0xfefd

/** Record content types: RFC 5246 6.2.1; 25 and the two markers of moved sessions: device-protocol.md 2.4, 2.6.2. */
export const contentType = {
  changeCipherSpec: 20,
  alert: 21,
  handshake: 22,
  applicationData: 23,
  /** Draft-05 of the connection id; the same number as in RFC 9146. */
  connectionId: 25,
  /** Device OS from 4.0: a record of type 25 whose sender may have moved. */
  movedConnectionId: 253,
  /** Device OS before 3.1: a record of type 23 whose sender may have moved, followed by the device id. */
  movedDevice: 254,
} as const

/** RFC 5246 7.4, RFC 6347 4.3.2. */
export const handshakeType = {
  helloRequest: 0,
  clientHello: 1,
  serverHello: 2,
  helloVerifyRequest: 3,
  certificate: 11,
  serverKeyExchange: 12,
  certificateRequest: 13,
  serverHelloDone: 14,
  certificateVerify: 15,
  clientKeyExchange: 16,
  finished: 20,
} as const

export const extensionType = {
  supportedGroups: 10,
  pointFormats: 11,
  signatureAlgorithms: 13,
  /** RFC 7250. */
  clientCertificateType: 19,
  serverCertificateType: 20,
  /** Draft-05 of the connection id has 254; RFC 9146 has 54, which devices do not know. */
  connectionId: 254,
  renegotiationInfo: 0xff01,
} as const

/** TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8 (RFC 7251). */
export const cipherSuite = 0xc0ae
/** TLS_EMPTY_RENEGOTIATION_INFO_SCSV (RFC 5746). */
export const renegotiationScsv = 0x00ff
export const secp256r1 = 23
/** ECDSA with SHA-256, as hash and signature algorithm of RFC 5246 7.4.1.4.1. */
export const ecdsaSha256 = 0x0403
/** RawPublicKey (RFC 7250). */
export const rawPublicKey = 2

/** Every device insists on a connection id of exactly this many bytes (device-protocol.md 2.3). */
export const cidSize = 8
export const randomSize = 32
/** Largest content of a record that devices take or send (device-protocol.md 2.4). */
export const maxPlaintext = 1152
/** Explicit nonce in front of the ciphertext, and the short tag behind it (RFC 6655). */
export const explicitNonceSize = 8
export const tagSize = 8
/** Datagrams below the size of a record header are keep-alives in clear (device-protocol.md 2.5). */
export const recordHeaderSize = 13
/** A handshake message's header: type, length, sequence, fragment offset and length (RFC 6347 4.2.2). */
export const handshakeHeaderSize = 12

/** Sequence numbers have 48 bits (RFC 6347 4.1). */
export const maxSequence = 2 ** 48 - 1
