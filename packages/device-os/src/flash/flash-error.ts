export type FlashErrorCode = 'bad-config' | 'no-config' | 'bad-list' | 'bad-module' | 'no-slot' | 'too-large'

/** A flash whose content is not what it must be, or that cannot take what it was given. */
export class FlashError extends Error {
  readonly code: FlashErrorCode

  constructor(code: FlashErrorCode, message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'FlashError'
    this.code = code
  }
}
