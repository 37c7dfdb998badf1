/** Records as they lie in a datagram (RFC 6347 4.1, device-protocol.md 2.4 and 2.6.2). */
import { cidSize, contentType, dtlsVersion, recordHeaderSize } from './profile.ts'
import { brief, joinBriefly } from './reader.ts'

export interface DtlsRecord {
  /** 20 to 23, or 25: the markers 253 and 254 are already translated, as the AAD needs it. */
  readonly type: number
  readonly epoch: number
  readonly sequence: number
  /** Epoch and sequence number as on the wire, 8 bytes; a view. */
  readonly number: Uint8Array
  /** With type 25 only; a view. */
  readonly cid: Uint8Array | undefined
  /** What follows the header; a view. */
  readonly body: Uint8Array
}

export interface ParsedDatagram {
  readonly records: readonly DtlsRecord[]
  /** Whether its sender says that it may have moved. */
  readonly moved: boolean
  /** 24 hex digits, from the suffix of the old form of moved sessions. */
  readonly deviceId: string | undefined
  /** Bytes that are no record were left: behind the records, or all of them. */
  readonly malformed: boolean
}

/** Length of the suffix of type 254: 12 bytes of device id and their number (device-protocol.md 2.6.2). */
const movedSuffixSize = 13

/** Splits a datagram into its records. Checks form, not content; never throws. */
export function parseDatagram(datagram: Uint8Array): ParsedDatagram {
  const first = datagram[0]
  if (first === contentType.movedDevice) return parseMovedDevice(datagram)
  const moved = first === contentType.movedConnectionId
  const records: DtlsRecord[] = []
  let offset = 0
  while (offset < datagram.length) {
    const record = parseRecord(datagram, offset)
    if (record === undefined) return { records, moved, deviceId: undefined, malformed: true }
    records.push(record)
    offset = record.body.byteOffset - datagram.byteOffset + record.body.length
  }
  return { records, moved, deviceId: undefined, malformed: false }
}

function parseMovedDevice(datagram: Uint8Array): ParsedDatagram {
  const end = datagram.length - movedSuffixSize
  const record = datagram[datagram.length - 1] === 12 && end > 0 ? parseRecord(datagram.subarray(0, end), 0) : undefined
  if (record === undefined || recordHeaderSize + record.body.length !== end) {
    return { records: [], moved: true, deviceId: undefined, malformed: true }
  }
  const deviceId = Buffer.from(datagram.buffer, datagram.byteOffset + end, 12).toString('hex')
  return { records: [record], moved: true, deviceId, malformed: false }
}

function parseRecord(datagram: Uint8Array, offset: number): DtlsRecord | undefined {
  const type = innerType(datagram[offset] ?? 0)
  const headerSize = recordHeaderSize + (type === contentType.connectionId ? cidSize : 0)
  if (type === 0 || datagram.length - offset < headerSize) return undefined
  // The first hello of other clients says DTLS 1.0, as RFC 6347 4.1 allows; later records say 1.2.
  const version = u16(datagram, offset + 1)
  if (version !== dtlsVersion && version !== 0xfeff) return undefined
  const length = u16(datagram, offset + headerSize - 2)
  const start = offset + headerSize
  if (datagram.length - start < length) return undefined
  return {
    type,
    epoch: u16(datagram, offset + 3),
    sequence: u16(datagram, offset + 5) * 2 ** 32 + u16(datagram, offset + 7) * 2 ** 16 + u16(datagram, offset + 9),
    number: datagram.subarray(offset + 3, offset + 11),
    cid: type === contentType.connectionId ? datagram.subarray(offset + 11, offset + 11 + cidSize) : undefined,
    body: datagram.subarray(start, start + length),
  }
}

/** 0 when it is no content type of a record. */
function innerType(type: number): number {
  if (type === contentType.movedConnectionId || type === contentType.connectionId) return contentType.connectionId
  if (type === contentType.movedDevice) return contentType.applicationData
  return type >= contentType.changeCipherSpec && type <= contentType.applicationData ? type : 0
}

function u16(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset] ?? 0) << 8) | (bytes[offset + 1] ?? 0)
}

/** Writes epoch and sequence number. */
export function writeNumber(out: Uint8Array, offset: number, epoch: number, sequence: number): void {
  const high = Math.floor(sequence / 2 ** 32)
  out[offset] = epoch >>> 8
  out[offset + 1] = epoch
  out[offset + 2] = high >>> 8
  out[offset + 3] = high
  out[offset + 4] = sequence >>> 24
  out[offset + 5] = sequence >>> 16
  out[offset + 6] = sequence >>> 8
  out[offset + 7] = sequence
}

/** A record of epoch 0. */
export function encodePlainRecord(type: number, sequence: number, body: Uint8Array): Uint8Array {
  const out = brief(recordHeaderSize + body.length)
  out[0] = type
  out[1] = dtlsVersion >>> 8
  out[2] = dtlsVersion & 0xff
  writeNumber(out, 3, 0, sequence)
  out[11] = body.length >>> 8
  out[12] = body.length
  out.set(body, recordHeaderSize)
  return out
}

/** Joins records of one flight into datagrams of at most `mtu` bytes; a larger record travels alone. */
export function packRecords(records: readonly Uint8Array[], mtu: number): Uint8Array[] {
  const datagrams: Uint8Array[] = []
  let group: Uint8Array[] = []
  let size = 0
  const flush = () => {
    if (group.length > 0) datagrams.push(joinBriefly(...group))
    group = []
    size = 0
  }
  for (const record of records) {
    if (size + record.length > mtu) flush()
    group.push(record)
    size += record.length
  }
  flush()
  return datagrams
}
