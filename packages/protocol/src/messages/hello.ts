import { coapType, code, noBytes } from '../coap/message.ts'
import { encodeRequest, viewOf } from './build.ts'
import { MessageError } from './error.ts'

/** Bits of a Hello's flags (device-protocol.md 3.5). */
export const helloFlag = {
  /** The last over-the-air update was applied; set in the first connection after it. */
  otaSuccessful: 0x0001,
  /** Metrics describes are supported. */
  vitals: 0x0002,
  /** The device honours the update flags' events. */
  immediateUpdates: 0x0004,
  handshakeComplete: 0x0008,
  /** The device says Goodbye. */
  goodbye: 0x0010,
  /** The device posts its describes; without it the cloud must ask. */
  deviceInitiatedDescribe: 0x0020,
  /** Compressed and combined update files are understood. */
  compressedOta: 0x0040,
  /** Updates go by the windowed transfer (OTA v3). */
  otaV3: 0x0080,
} as const

/** What a device says first. */
export interface HelloFields {
  /** 65535 means none. */
  readonly productId: number
  /** Version of the product's firmware; 65535 means none. */
  readonly productVersion: number
  /** `helloFlag` bits. */
  readonly flags: number
  readonly platformId: number
  /** 24 lower-case hexadecimal digits. Absent over TCP, where the handshake names the device. */
  readonly deviceId?: string
  /** What Device OS 3.0 and newer adds. */
  readonly system?: HelloSystem
}

export interface HelloSystem {
  /** Version number of the system module, for example 6200. */
  readonly version: number
  /** Bytes of the device's message buffer: over UDP the largest message, over TCP 33 bytes less (1.6). */
  readonly maxMessageSize: number
  /** Bytes of the largest update file; 0 is unknown or unlimited. */
  readonly maxBinarySize: number
  /** Bytes of an update's chunk that the device prefers. */
  readonly otaChunkSize: number
}

export type Hello = HelloFields

/** Value of `productId` and `productVersion` that stands for none. */
export const noProduct = 0xffff

/** @throws MessageError when the payload is shorter than the eight bytes that all devices send, or ends in the id */
export function decodeHello(payload: Uint8Array): Hello {
  if (payload.length < 8)
    throw new MessageError('message-format', `a Hello has at least 8 bytes, not ${payload.length}`)
  const view = viewOf(payload)
  const hello = {
    productId: view.getUint16(0),
    productVersion: view.getUint16(2),
    flags: view.getUint16(4),
    platformId: view.getUint16(6),
  }
  if (payload.length < 10) return hello
  // Before 3.0 the length has 16 bits, later a reserved byte precedes it: the low byte is right for both.
  const idLength = view.getUint8(9)
  if (payload.length < 10 + idLength) throw new MessageError('message-format', 'the Hello ends inside its device id')
  const deviceId = idLength > 0 ? { deviceId: Buffer.from(payload.subarray(10, 10 + idLength)).toString('hex') } : {}
  const trailer = 10 + idLength
  if (payload.length < trailer + 10) return { ...hello, ...deviceId }
  const system: HelloSystem = {
    version: view.getUint16(trailer),
    maxMessageSize: view.getUint16(trailer + 2),
    maxBinarySize: view.getUint32(trailer + 4),
    otaChunkSize: view.getUint16(trailer + 8),
  }
  return { ...hello, ...deviceId, system }
}

/** The payload of a device's Hello (3.5). A Hello with neither id nor system part has the eight bytes of old TCP devices. */
export function encodeHelloPayload(hello: HelloFields): Uint8Array {
  const id = hello.deviceId ? Buffer.from(hello.deviceId, 'hex') : noBytes
  const withId = id.length > 0 || hello.system !== undefined
  const payload = new Uint8Array(8 + (withId ? 2 + id.length : 0) + (hello.system ? 10 : 0))
  const view = viewOf(payload)
  view.setUint16(0, hello.productId)
  view.setUint16(2, hello.productVersion)
  view.setUint16(4, hello.flags)
  view.setUint16(6, hello.platformId)
  if (!withId) return payload
  view.setUint16(8, id.length)
  payload.set(id, 10)
  if (!hello.system) return payload
  const trailer = 10 + id.length
  view.setUint16(trailer, hello.system.version)
  view.setUint16(trailer + 2, hello.system.maxMessageSize)
  view.setUint32(trailer + 4, hello.system.maxBinarySize)
  view.setUint16(trailer + 8, hello.system.otaChunkSize)
  return payload
}

/** The device's Hello: NON over TCP, CON over UDP. */
export function encodeHello(type: 0 | 1, id: number, hello: HelloFields): Uint8Array {
  return encodeRequest({ type, id, token: noBytes }, code.post, 'h', [], encodeHelloPayload(hello))
}

/** The cloud's Hello, which TCP devices await for 4 s: `50 02 id id b1 68`. Over UDP it may be confirmable (3.5). */
export function encodeServerHello(id: number, type: 0 | 1 = coapType.non): Uint8Array {
  return encodeRequest({ type, id, token: noBytes }, code.post, 'h')
}

/** No Device OS has a larger message buffer, whatever a Hello says (6.2). */
const largestDeviceBuffer = 1152

/**
 * The largest CoAP message that the device takes (1.6). What says nothing about its size gets the safe limits of
 * 0.3: 607 bytes for the Spark Core, 767 for the rest.
 */
export function maxMessageSizeOf(hello: Hello, transport: 'tcp' | 'udp'): number {
  if (!hello.system) return hello.platformId === 0 ? 607 : 767
  const buffer = Math.min(hello.system.maxMessageSize, largestDeviceBuffer)
  return transport === 'tcp' ? Math.max(0, buffer - 33) : buffer
}
