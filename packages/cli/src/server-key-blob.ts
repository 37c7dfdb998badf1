/**
 * The server key as a board keeps it: the cloud's public key and its address in one segment of flash
 * (cloud-api.md 2.2, row "keys save/server/address").
 *
 * | layout | size | key       | address at | port (big-endian) at |
 * |--------|------|-----------|------------|----------------------|
 * | tcp    | 512  | RSA, SPKI | 384        | 450                  |
 * | udp    | 320  | EC, SPKI  | 192        | 258                  |
 *
 * Everything else is 0xff, as erased flash is.
 */

import { isIPv4 } from 'node:net'
import { CliError, exitCode } from './cli-error.ts'
import type { Transport } from './well-known.ts'

interface Layout {
  readonly size: number
  readonly address: number
  readonly port: number
  /** Where the segment lies in the board's DCT. */
  readonly dctOffset: number
}

export const layouts: Readonly<Record<Transport, Layout>> = {
  tcp: { size: 512, address: 384, port: 450, dctOffset: 2082 },
  udp: { size: 320, address: 192, port: 258, dctOffset: 3298 },
}

const addressIpv4 = 0
const addressDomain = 1

/**
 * @param key public key of the cloud, SPKI DER
 * @param host IPv4 address or domain name
 * @throws CliError when key or host do not fit the segment
 */
export function serverKeyBlob(transport: Transport, key: Uint8Array, host: string, port: number): Uint8Array {
  const layout = layouts[transport]
  if (key.length > layout.address) {
    throw new CliError(`The key has ${key.length} bytes; the ${transport} layout has room for ${layout.address}.`, {
      code: exitCode.usage,
      hint: 'TCP wants the RSA key, UDP the EC key of the cloud.',
    })
  }
  const address = encodeAddress(host)
  const room = layout.port - layout.address
  if (address.length > room) {
    throw new CliError(`The name ${host} is too long: the board has room for ${room - 2} characters.`, {
      code: exitCode.usage,
    })
  }
  const blob = new Uint8Array(layout.size).fill(0xff)
  blob.set(key, 0)
  blob.set(address, layout.address)
  new DataView(blob.buffer).setUint16(layout.port, port, false)
  return blob
}

/** Type, length, value: `00 04 a b c d` for IPv4, `01 length text` for a domain name. */
function encodeAddress(host: string): Uint8Array {
  if (isIPv4(host)) return Uint8Array.of(addressIpv4, 4, ...host.split('.').map(Number))
  const text = new TextEncoder().encode(host)
  if (!/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i.test(host) || text.length > 255) {
    throw new CliError(`${JSON.stringify(host)} is neither an IPv4 address nor a domain name.`, {
      code: exitCode.usage,
    })
  }
  return Uint8Array.of(addressDomain, text.length, ...text)
}
