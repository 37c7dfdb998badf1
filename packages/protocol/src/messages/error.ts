import { ProtocolError } from '../protocol-error.ts'

export type MessageErrorCode =
  /** A message is well-formed CoAP, but not what its path promises. */
  | 'message-format'
  /** A describe's payload cannot be read. */
  | 'describe-format'
  /** A vitals packet cannot be read. */
  | 'vitals-format'
  /** CBOR or JSON event data cannot be translated. */
  | 'data-format'
  /** A value to encode is out of range. */
  | 'field-range'

/** A well-formed CoAP message whose content is not what the device protocol says. */
export class MessageError extends ProtocolError {
  declare readonly code: MessageErrorCode

  constructor(code: MessageErrorCode, message: string, options?: ErrorOptions) {
    super(code, message, options)
  }
}
