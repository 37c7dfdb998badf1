import { timingSafeEqual } from 'node:crypto'
import type { Millis } from '../time.ts'
import { hmacSha256 } from './prf.ts'

/** How long a secret makes cookies; they are good for at least this and at most twice this time. */
const secretLifetime: Millis = 60_000

export const cookieSize = 32

/**
 * Cookies that cost the server no memory: a MAC over address and hello with a secret that changes (RFC 6347 4.2.1). Who
 * sends one back has read what was sent to its address.
 */
export class Cookies {
  readonly #random: (size: number) => Uint8Array
  #secret: Uint8Array
  #previous: Uint8Array
  #renewAt: Millis | undefined

  constructor(random: (size: number) => Uint8Array) {
    this.#random = random
    this.#secret = random(32)
    this.#previous = this.#secret
  }

  /** @param parameters all of the ClientHello but its cookie */
  make(address: string, parameters: Uint8Array, now: Millis): Uint8Array {
    this.#renew(now)
    return cookieOf(this.#secret, address, parameters)
  }

  check(cookie: Uint8Array, address: string, parameters: Uint8Array, now: Millis): boolean {
    if (cookie.length !== cookieSize) return false
    this.#renew(now)
    return [this.#secret, this.#previous].some((secret) =>
      timingSafeEqual(cookie, cookieOf(secret, address, parameters)),
    )
  }

  #renew(now: Millis): void {
    this.#renewAt ??= now + secretLifetime
    if (now < this.#renewAt) return
    // After a long pause the old secret has had its time as well.
    this.#previous = now < this.#renewAt + secretLifetime ? this.#secret : this.#random(32)
    this.#secret = this.#random(32)
    this.#renewAt = now + secretLifetime
  }
}

function cookieOf(secret: Uint8Array, address: string, parameters: Uint8Array): Uint8Array {
  const from = Buffer.from(address)
  return hmacSha256(secret, Uint8Array.of(from.length), from, parameters)
}
