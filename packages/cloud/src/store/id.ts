import { randomBytes } from 'node:crypto'

/** A new opaque id: 24 hex characters (cloud-api.md 0.4). */
export function newId(): string {
  return randomBytes(12).toString('hex')
}
