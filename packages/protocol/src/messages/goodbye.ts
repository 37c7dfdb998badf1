import { type CoapOption, coapType, code, noBytes, optionNumber } from '../coap/message.ts'
import { encodeRequest } from './build.ts'
import { MessageError } from './error.ts'

/** Why the device leaves the cloud (device-protocol.md 3.15). */
export const cloudReason = {
  error: 1,
  user: 2,
  networkDisconnect: 3,
  listening: 4,
  systemReset: 5,
  sleep: 6,
  unknown: 7,
  serverMoved: 8,
} as const

/** Why the device leaves its network. */
export const networkReason = { error: 1, user: 2, networkOff: 3, listening: 4, sleep: 5, reset: 6, unknown: 7 } as const

export interface Goodbye {
  /** `cloudReason` value. */
  readonly cloudReason?: number
  /** `resetReason` value of firmware. */
  readonly resetReason?: number
  /** Seconds. */
  readonly sleepDuration?: number
  /** `networkReason` value. */
  readonly networkReason?: number
}

const fields = ['cloudReason', 'resetReason', 'sleepDuration', 'networkReason'] as const

/** `POST /x`: CON over UDP, NON with an empty No-Response option over TCP. */
export function encodeGoodbye(transport: 'tcp' | 'udp', id: number, goodbye: Goodbye): Uint8Array {
  const tcp = transport === 'tcp'
  const options: CoapOption[] = tcp ? [{ number: optionNumber.noResponse, value: noBytes }] : []
  const head = { type: tcp ? coapType.non : coapType.con, id, token: noBytes }
  return encodeRequest(head, code.post, 'x', options, encodeGoodbyePayload(goodbye))
}

/** Flags and the fields that they announce, each an unsigned LEB128 number. */
export function encodeGoodbyePayload(goodbye: Goodbye): Uint8Array {
  let flags = 0
  const bytes: number[] = []
  fields.forEach((field, bit) => {
    const value = goodbye[field]
    if (value === undefined) return
    flags |= 1 << bit
    writeVarint(value, bytes)
  })
  return Uint8Array.from([flags, ...bytes])
}

/** @throws MessageError when it is cut off or a number exceeds 32 bits. Flags of the future are ignored. */
export function decodeGoodbye(payload: Uint8Array): Goodbye {
  const reader = { bytes: payload, position: 0 }
  const flags = readVarint(reader)
  const goodbye: { -readonly [K in keyof Goodbye]: Goodbye[K] } = {}
  fields.forEach((field, bit) => {
    if (flags & (1 << bit)) goodbye[field] = readVarint(reader)
  })
  return goodbye
}

function writeVarint(value: number, bytes: number[]): void {
  if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff) {
    throw new MessageError('field-range', `${value} is not an unsigned 32 bit integer`)
  }
  let rest = value
  while (rest >= 0x80) {
    bytes.push((rest & 0x7f) | 0x80)
    rest >>>= 7
  }
  bytes.push(rest)
}

function readVarint(reader: { bytes: Uint8Array; position: number }): number {
  let value = 0
  for (let index = 0; index < 5; index++) {
    const byte = reader.bytes[reader.position++]
    if (byte === undefined) throw new MessageError('message-format', 'a Goodbye is cut off')
    value += (byte & 0x7f) * 2 ** (7 * index)
    if (byte < 0x80) {
      if (value > 0xffff_ffff) break
      return value
    }
  }
  throw new MessageError('message-format', 'a number of a Goodbye exceeds 32 bits')
}
