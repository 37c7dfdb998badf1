/**
 * The two checksums of a module file: CRC-32 (IEEE 802.3, as zlib has it) and SHA-256
 * (modules-and-platforms.md 1.5).
 */

import { createHash, hash } from 'node:crypto'
import { crc32 as zlibCrc32 } from 'node:zlib'

/** CRC-32 of `bytes`, as an unsigned number. `123456789` in ASCII gives 0xcbf43926. */
export function crc32(bytes: Uint8Array): number {
  return zlibCrc32(bytes)
}

/** SHA-256 of `bytes`: 32 bytes. */
export function sha256(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(bytes).digest())
}

/** SHA-256 of `bytes`: 64 lower-case hexadecimal digits. */
export function sha256Hex(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'hex')
}
