import { ProtocolError } from '../protocol-error.ts'

export type CoapErrorCode =
  /** The message ends inside its header, token or an option. */
  | 'truncated'
  /** The version is not 1. */
  | 'version'
  /** The token is longer than 8 bytes. */
  | 'token-length'
  /** An option uses a reserved nibble, or its number exceeds 65535. */
  | 'option-format'
  /** An option's value cannot be what its number promises. */
  | 'option-value'
  /** An empty message (code 0.00) carries more than its header. */
  | 'empty-with-content'
  /** The code's class is reserved (RFC 7252, section 12.1). */
  | 'reserved-code'
  /** A message to encode has a field out of range. */
  | 'field-range'

/** Malformed CoAP: the only error that the codec throws, whatever the input. */
export class CoapError extends ProtocolError {
  declare readonly code: CoapErrorCode

  constructor(code: CoapErrorCode, message: string) {
    super(code, message)
  }
}
