/** What a failed connection shows on the LED, and its number for `cloud:err` (device-protocol.md 1.2, 6.4). */
import type { FailureKind } from '../communication.ts'

interface Failure {
  readonly kind: FailureKind
  readonly error: number
}

/** By code of the protocol error first, then by the step at which it happened. */
const byCode: Readonly<Record<string, Failure>> = {
  decrypt: { kind: 'decryption', error: 6 },
  signature: { kind: 'authentication', error: 8 },
  'server-key': { kind: 'authentication', error: 16 },
  'device-key': { kind: 'decryption', error: 17 },
  'ec-key': { kind: 'decryption', error: 17 },
  'message-timeout': { kind: 'error', error: 10 },
  'ping-timeout': { kind: 'error', error: 1 },
  'message-reset': { kind: 'error', error: 12 },
  'ota-update': { kind: 'error', error: 32 },
}

const byStep: Readonly<Record<string, Failure>> = {
  address: { kind: 'error', error: 3 },
  connect: { kind: 'error', error: 2 },
  nonce: { kind: 'handshake', error: 25 },
  credentials: { kind: 'handshake', error: 26 },
  decrypt: { kind: 'decryption', error: 6 },
  signature: { kind: 'authentication', error: 8 },
  key: { kind: 'authentication', error: 16 },
  hello: { kind: 'handshake', error: 10 },
  // Over UDP any failed handshake has the same number.
  'server-hello': { kind: 'handshake', error: 17 },
  certificate: { kind: 'handshake', error: 17 },
  'key-exchange': { kind: 'authentication', error: 17 },
  'certificate-verify': { kind: 'authentication', error: 17 },
  finished: { kind: 'handshake', error: 17 },
  closed: { kind: 'error', error: 35 },
}

const unknown: Failure = { kind: 'error', error: 18 }

export function failureOf(step: string, code: string | undefined): Failure {
  return (code === undefined ? undefined : byCode[code]) ?? byStep[step] ?? unknown
}
