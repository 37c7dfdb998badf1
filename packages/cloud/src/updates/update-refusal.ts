/** Something that was asked of the updates cannot be done. */
export class UpdateRefusal extends Error {
  /** As HTTP counts: 400, 404, 409, 503. */
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.name = 'UpdateRefusal'
    this.status = status
  }
}
