/** What a cloud tells about itself to whoever knows only its URL: `GET /.well-known/aloe` (docs/api.md). */

import { createPublicKey } from 'node:crypto'
import { CliError, exitCode, messageOf } from './cli-error.ts'

export type Transport = 'tcp' | 'udp'

export interface DeviceEndpoint {
  readonly host: string
  readonly port: number
}

export interface CloudDescription {
  /** Undefined when the cloud does not serve that transport. */
  readonly tcp: DeviceEndpoint | undefined
  readonly udp: DeviceEndpoint | undefined
  /** The cloud's public keys, SPKI DER: RSA-2048 for TCP, P-256 for UDP. */
  readonly keys: Readonly<Partial<Record<Transport, Uint8Array>>>
}

const timeout = 10_000

/** Asks a cloud where devices connect and with which key. */
export async function readWellKnown(url: string): Promise<CloudDescription> {
  let body: unknown
  try {
    const response = await fetch(`${url}/.well-known/aloe`, { signal: AbortSignal.timeout(timeout) })
    if (!response.ok) throw new Error(`HTTP ${response.status}`)
    body = await response.json()
  } catch (error) {
    const reason = error instanceof Error && error.cause !== undefined ? messageOf(error.cause) : messageOf(error)
    throw new CliError(`The cloud at ${url} does not tell where devices connect: ${reason}.`, {
      code: exitCode.unreachable,
      hint: 'Is it running, and is it an Aloe cloud? Start one with: aloe up',
      cause: error,
    })
  }
  const { tcp, udp, keys } = fields(body)
  const host = new URL(url).hostname
  const tcpKey = publicKey(fields(fields(keys).tcp).publicKey)
  const udpKey = publicKey(fields(fields(keys).udp).publicKey)
  return {
    tcp: endpoint(tcp, host),
    udp: endpoint(udp, host),
    keys: { ...(tcpKey && { tcp: tcpKey }), ...(udpKey && { udp: udpKey }) },
  }
}

/** Without a host of its own a cloud means the one that it was asked at. */
function endpoint(value: unknown, fallback: string): DeviceEndpoint | undefined {
  const { host, port } = fields(value)
  if (typeof port !== 'number') return undefined
  return { host: typeof host === 'string' && host !== '' ? host : fallback, port }
}

function publicKey(value: unknown): Uint8Array | undefined {
  if (typeof value !== 'string') return undefined
  return new Uint8Array(createPublicKey(value).export({ type: 'spki', format: 'der' }))
}

function fields(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}
