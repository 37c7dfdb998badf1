/** A change to users or tokens that is refused; the message is fit for the API's answer. */
export class IdentityError extends Error {
  readonly code: IdentityErrorCode

  constructor(code: IdentityErrorCode, message: string) {
    super(message)
    this.name = 'IdentityError'
    this.code = code
  }
}

export type IdentityErrorCode =
  | 'bad-username'
  | 'bad-password'
  | 'bad-account-info'
  | 'username-taken'
  | 'last-administrator'
  | 'not-an-administrator'
  | 'bad-client'
  | 'bad-api-user'
