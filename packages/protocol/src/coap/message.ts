/** What a CoAP message is made of (RFC 7252, section 3), and the numbers that Particle's protocol uses. */

/** 0 confirmable, 1 non-confirmable, 2 acknowledgement, 3 reset. */
export type CoapType = 0 | 1 | 2 | 3

export const coapType = { con: 0, non: 1, ack: 2, rst: 3 } as const

export interface CoapOption {
  readonly number: number
  readonly value: Uint8Array
}

/** Decoded parts may be views of the bytes that were decoded: copy what outlives the receive call. */
export interface CoapMessage {
  readonly type: CoapType
  /** Class in the upper three bits, detail in the lower five: 0x02 is 0.02 POST, 0x45 is 2.05 Content. */
  readonly code: number
  /** 16 bit message id. */
  readonly id: number
  /** 0 to 8 bytes; Particle's devices use 0 or 1 (device-protocol.md 3.1). */
  readonly token: Uint8Array
  readonly options: readonly CoapOption[]
  readonly payload: Uint8Array
}

/** Request methods and response codes (RFC 7252, section 12.1; RFC 7959 for 2.31 and 4.08). */
export const code = {
  empty: 0x00,
  get: 0x01,
  post: 0x02,
  put: 0x03,
  delete: 0x04,
  created: 0x41,
  deleted: 0x42,
  valid: 0x43,
  changed: 0x44,
  content: 0x45,
  continue: 0x5f,
  badRequest: 0x80,
  unauthorized: 0x81,
  badOption: 0x82,
  forbidden: 0x83,
  notFound: 0x84,
  methodNotAllowed: 0x85,
  requestEntityIncomplete: 0x88,
  requestEntityTooLarge: 0x8d,
  unsupportedContentFormat: 0x8f,
  internalServerError: 0xa0,
  notImplemented: 0xa1,
  badGateway: 0xa2,
  serviceUnavailable: 0xa3,
  gatewayTimeout: 0xa4,
} as const

/** Option numbers: RFC 7252 section 12.2, RFC 7959, RFC 7967, RFC 9175, and OTA v3's own (device-protocol.md 3.19). */
export const optionNumber = {
  etag: 4,
  uriPath: 11,
  contentFormat: 12,
  maxAge: 14,
  uriQuery: 15,
  block2: 23,
  block1: 27,
  noResponse: 258,
  requestTag: 292,
  chunkIndex: 2049,
  windowSize: 2053,
  fileSize: 2057,
  fileSha256: 2061,
  chunkSize: 2065,
  discardData: 2069,
  cancelUpdate: 2073,
  moduleFunction: 2077,
} as const

export const noBytes: Uint8Array = new Uint8Array(0)

/** `2.05` for 0x45. */
export function codeName(value: number): string {
  return `${value >> 5}.${String(value & 0x1f).padStart(2, '0')}`
}

/** True for 0.01 to 0.31. */
export function isRequestCode(value: number): boolean {
  return value > 0 && value < 0x20
}

/** True for 4.00 and above: the peer did not do what was asked. */
export function isErrorCode(value: number): boolean {
  return value >= 0x80
}
