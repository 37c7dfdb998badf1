import { ProtocolError } from '../protocol-error.ts'

/** Alert descriptions of RFC 5246 7.2 and RFC 5746 that this profile sends or explains. */
export const alertNumber = {
  close_notify: 0,
  unexpected_message: 10,
  bad_record_mac: 20,
  record_overflow: 22,
  handshake_failure: 40,
  no_certificate: 41,
  bad_certificate: 42,
  unsupported_certificate: 43,
  certificate_revoked: 44,
  certificate_expired: 45,
  certificate_unknown: 46,
  illegal_parameter: 47,
  unknown_ca: 48,
  access_denied: 49,
  decode_error: 50,
  decrypt_error: 51,
  protocol_version: 70,
  insufficient_security: 71,
  internal_error: 80,
  user_canceled: 90,
  no_renegotiation: 100,
  unsupported_extension: 110,
} as const

export type AlertName = keyof typeof alertNumber

export interface Alert {
  readonly fatal: boolean
  readonly description: number
}

/** `close_notify` is a warning, everything else that this profile sends is fatal (device-protocol.md 2.9). */
export function encodeAlert(name: AlertName): Uint8Array {
  return Uint8Array.of(name === 'close_notify' ? 1 : 2, alertNumber[name])
}

/** Undefined when the bytes are no alert. */
export function decodeAlert(bytes: Uint8Array): Alert | undefined {
  const [level, description] = bytes
  if (bytes.length !== 2 || description === undefined || (level !== 1 && level !== 2)) return undefined
  return { fatal: level === 2, description }
}

/** The name of a description as RFC 5246 spells it, or its number. */
export function alertName(description: number): string {
  const known = Object.entries(alertNumber).find(([, number]) => number === description)
  return known?.[0] ?? `alert ${description}`
}

/** The other end broke the rules of the handshake; `alert` is what it is told. */
export class DtlsError extends ProtocolError {
  readonly alert: AlertName

  constructor(code: string, alert: AlertName, message: string, options?: ErrorOptions) {
    super(code, message, options)
    this.alert = alert
  }
}
