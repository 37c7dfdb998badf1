/** Mail that the cloud sends: so far only links to set a new password. */
export interface Mail {
  readonly to: string
  readonly subject: string
  readonly text: string
}

/** Resolves when the mail was taken. */
export type SendMail = (mail: Mail) => Promise<void>
