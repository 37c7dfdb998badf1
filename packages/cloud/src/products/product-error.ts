/** A change to a product that is refused; the message is fit for the API's answer. */
export class ProductError extends Error {
  readonly code: ProductErrorCode

  constructor(code: ProductErrorCode, message: string) {
    super(message)
    this.name = 'ProductError'
    this.code = code
  }
}

export type ProductErrorCode =
  | 'unknown-product'
  | 'unknown-device'
  | 'unknown-group'
  | 'unknown-firmware'
  | 'not-in-product'
  | 'bad-value'
  | 'taken'
  | 'in-use'
  | 'never-run'
