/** The diagnostics packet (device-protocol.md 5), little-endian, which a describe of type metrics carries. */
import { viewOf } from './build.ts'
import { MessageError } from './error.ts'

/** How the 32 bits of a source are to be read. */
type VitalEncoding = 'unsigned' | 'signed' | 'unsigned8.8' | 'signed16.16'

interface VitalSource {
  readonly name: string
  readonly encoding: VitalEncoding
}

export interface Vital {
  /** Without the error bit. Application sources have 32768 and more. */
  readonly id: number
  /** The name of a known source, for example `sys:uptime`. */
  readonly name?: string
  /** In the source's unit: percents and dBm have fractions. Absent when the source could not be read. */
  readonly value?: number
  /** The system error for which the source could not be read, negative. */
  readonly error?: number
}

const errorBit = 0x8000
const headerSize = 7
const idSize = 2
const valueSize = 4

const source = (name: string, encoding: VitalEncoding = 'unsigned'): VitalSource => ({ name, encoding })

/** All sources of Device OS 6.2. */
export const vitalSources: ReadonlyMap<number, VitalSource> = new Map([
  [1, source('sys:reset')],
  [2, source('mem:free')],
  [3, source('batt:soc', 'unsigned8.8')],
  [4, source('sys:loop')],
  [5, source('app:loop')],
  [6, source('sys:uptime')],
  [7, source('batt:state')],
  [8, source('net:stat')],
  [9, source('net:err', 'signed')],
  [10, source('cloud:stat')],
  [12, source('net:dconn')],
  [13, source('cloud:err', 'signed')],
  [14, source('cloud:dconn')],
  [15, source('net:ip:addr')],
  [16, source('net:ip:gw')],
  [17, source('net:flags')],
  [18, source('net:cntry')],
  [19, source('net:rssi', 'signed')],
  [20, source('pub:limit')],
  [21, source('coap:retransmit')],
  [22, source('coap:unack')],
  [23, source('coap:transmit')],
  [24, source('pwr:src')],
  [25, source('sys:tram')],
  [26, source('sys:uram')],
  [27, source('net:connatt')],
  [28, source('net:dconnrsn')],
  [29, source('cloud:connatt')],
  [30, source('cloud:dconnrsn')],
  [31, source('coap:roundtrip')],
  [33, source('net:sigstr', 'unsigned8.8')],
  [34, source('net:sigqual', 'unsigned8.8')],
  [35, source('net:sigqualv', 'signed16.16')],
  [36, source('net:at')],
  [37, source('net:sigstrv', 'signed16.16')],
  [40, source('net:cell:cgi:mcc')],
  // A two-digit network code is sent negated: -4 is "04", 4 is "004".
  [41, source('net:cell:cgi:mnc', 'signed')],
  [42, source('net:cell:cgi:lac')],
  [43, source('net:cell:cgi:ci')],
  [44, source('cloud:connif')],
  [45, source('net:alt:sigstrv', 'signed16.16')],
  [46, source('net:alt:sigstr', 'unsigned8.8')],
  [47, source('net:alt:sigqual', 'unsigned8.8')],
  [48, source('net:alt:sigqualv', 'signed16.16')],
  [49, source('net:alt:at')],
  [60, source('sys:protected')],
])

/** Reads the packet in its own order. @throws MessageError when it is no such packet */
export function decodeVitals(payload: Uint8Array): Vital[] {
  const view = viewOf(payload)
  if (payload.length < headerSize) throw new MessageError('vitals-format', 'a vitals packet has at least 7 bytes')
  const ids = view.getUint16(3, true)
  const values = view.getUint16(5, true)
  if (payload[0] !== 0 || view.getUint16(1, true) !== 4 || ids < idSize || values < valueSize) {
    throw new MessageError('vitals-format', 'a vitals packet with an unknown header')
  }
  const vitals: Vital[] = []
  // Larger ids and values of the future are little-endian too: their low bytes come first.
  for (let at = headerSize; at + ids + values <= payload.length; at += ids + values) {
    vitals.push(vitalOf(view.getUint16(at, true), view.getInt32(at + ids, true)))
  }
  return vitals
}

/** The packet of these vitals, in their order. Values are rounded to what their encoding can say. */
export function encodeVitals(vitals: readonly Vital[]): Uint8Array {
  const payload = new Uint8Array(headerSize + vitals.length * (idSize + valueSize))
  const view = viewOf(payload)
  view.setUint16(1, 4, true)
  view.setUint16(3, idSize, true)
  view.setUint16(5, valueSize, true)
  vitals.forEach(({ id, value, error }, index) => {
    const at = headerSize + index * (idSize + valueSize)
    const failed = error !== undefined
    view.setUint16(at, failed ? id | errorBit : id, true)
    view.setInt32(at + idSize, failed ? error : rawOf(id, value ?? 0), true)
  })
  return payload
}

function vitalOf(wireId: number, raw: number): Vital {
  // With the error bit set, a known source wins over an application's of the same number (5).
  const id = wireId & ~errorBit
  const failed = vitalSources.get(id)
  if (wireId & errorBit && failed) return { id, name: failed.name, error: raw }
  const known = vitalSources.get(wireId)
  if (!known) return { id: wireId, value: raw }
  return { id, name: known.name, value: scaled(raw, known.encoding) }
}

function scaled(raw: number, encoding: VitalEncoding): number {
  if (encoding === 'signed') return raw
  if (encoding === 'signed16.16') return raw / 65536
  return encoding === 'unsigned' ? raw >>> 0 : (raw >>> 0) / 256
}

function rawOf(id: number, value: number): number {
  const encoding = vitalSources.get(id)?.encoding
  if (encoding === 'signed16.16') return Math.round(value * 65536)
  return encoding === 'unsigned8.8' ? Math.round(value * 256) : Math.trunc(value)
}
