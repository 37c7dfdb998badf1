/** A change to a device that is refused; the message is fit for the API's answer. */
export class DeviceError extends Error {
  readonly code: DeviceErrorCode

  constructor(code: DeviceErrorCode, message: string) {
    super(message)
    this.name = 'DeviceError'
    this.code = code
  }
}

export type DeviceErrorCode =
  | 'unknown-device'
  | 'not-yours'
  | 'belongs-to-someone-else'
  | 'name-taken'
  | 'bad-name'
  | 'bad-id'
  | 'bad-key'
  | 'bad-serial-number'
  | 'too-many'
  | 'decided'
