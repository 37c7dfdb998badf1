/** Random secrets that clients keep, and their digests, which are all that the store knows. */
import { hash, randomBytes, timingSafeEqual } from 'node:crypto'

/** 40 hex characters, 160 random bits: nobody finds them from their digest, so that a fast one is enough. */
export function newSecret(): string {
  return randomBytes(20).toString('hex')
}

export function digestOf(secret: string): string {
  return hash('sha256', secret, 'hex')
}

/** Compares in constant time; both sides are digests first, so that their lengths say nothing. */
export function matches(secret: string, digest: string): boolean {
  return timingSafeEqual(Buffer.from(digestOf(secret)), Buffer.from(digest.padEnd(64, ' ').slice(0, 64)))
}
