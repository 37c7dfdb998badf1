/**
 * What the cloud was told in a session and has acknowledged, as checksums: what is the same after a resume is not said
 * again (device-protocol.md 2.6.1, 3.4.3).
 */
import { createHash } from 'node:crypto'
import { type AnnouncedPart, encodeHelloPayload, type HelloFields, helloFlag } from '@aloe/protocol'

const version = 1
const checksumSize = 8
const parts = ['system', 'application', 'subscriptions'] as const satisfies readonly AnnouncedPart[]

export interface Subscribed {
  readonly prefix: string
  readonly format?: string
}

export type Told = { readonly [Part in AnnouncedPart]?: string }

/** A byte for the version, then for each part its checksum, or zeros. */
export function encodeTold(told: Told): Uint8Array {
  return Buffer.concat([Uint8Array.of(version), ...parts.map((part) => checksumBytes(told[part]))])
}

/** Nothing, when the bytes are of another version. */
export function decodeTold(bytes: Uint8Array): Told {
  if (bytes[0] !== version || bytes.length !== 1 + parts.length * checksumSize) return {}
  const told: { [Part in AnnouncedPart]?: string } = {}
  for (const [place, part] of parts.entries()) {
    const checksum = Buffer.from(bytes.subarray(1 + place * checksumSize)).toString('hex', 0, checksumSize)
    if (!/^0*$/.test(checksum)) told[part] = checksum
  }
  return told
}

/** Of everything that a Hello and the describe behind it say. */
export function systemChecksum(hello: HelloFields, describe: Uint8Array, mode: string): string {
  const { otaSuccessful } = helloFlag
  const lasting = encodeHelloPayload({ ...hello, flags: hello.flags & ~otaSuccessful })
  return checksumOf(lasting, describe, Buffer.from(mode))
}

export function applicationChecksum(describe: Uint8Array): string {
  return checksumOf(describe)
}

export function subscriptionsChecksum(subscriptions: readonly Subscribed[]): string {
  return checksumOf(Buffer.from(JSON.stringify(subscriptions.map(({ prefix, format }) => [prefix, format ?? '']))))
}

function checksumOf(...pieces: readonly Uint8Array[]): string {
  const hash = createHash('sha256')
  for (const piece of pieces) {
    const size = Buffer.alloc(4)
    size.writeUInt32BE(piece.length)
    hash.update(size).update(piece)
  }
  return hash.digest('hex').slice(0, 2 * checksumSize)
}

function checksumBytes(checksum: string | undefined): Uint8Array {
  return checksum === undefined ? new Uint8Array(checksumSize) : Buffer.from(checksum, 'hex')
}
