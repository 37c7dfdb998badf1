/**
 * The root of every error that this package throws or hands over.
 *
 * `code` is stable and meant for programs, logs and the API; the message is for people.
 */
export class ProtocolError extends Error {
  readonly code: string

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = new.target.name
    this.code = code
  }
}
