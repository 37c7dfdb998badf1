/**
 * The imported keys of devices that proved theirs lately: a device that makes its next handshake need not have its key
 * parsed and checked again, which costs a third of what a verification costs.
 */
import { type KeyObject, verify } from 'node:crypto'
import { ecPublicKeyFromDer } from './ec-keys.ts'

/** Some 2 KB of native memory each. */
const defaultMaxKeys = 1_024

export class KnownKeys {
  readonly #max: number
  /** By the bytes of the key; the one that was used longest ago first. */
  readonly #keys = new Map<string, KeyObject>()

  /** @param max keys that are kept; 0 for none */
  constructor(max = defaultMaxKeys) {
    this.#max = max
  }

  get size(): number {
    return this.#keys.size
  }

  /**
   * Whether the holder of a key has signed. Only a key whose holder has is kept: who cannot prove one displaces none.
   *
   * @param publicKey 91 bytes of SubjectPublicKeyInfo
   * @throws ProtocolError `ec-key` when it is no point of the curve
   */
  verify(publicKey: Uint8Array, signed: Uint8Array, signature: Uint8Array): boolean {
    const name = Buffer.from(publicKey.buffer, publicKey.byteOffset, publicKey.length).toString('latin1')
    const key = this.#keys.get(name) ?? ecPublicKeyFromDer(publicKey)
    if (!verify('sha256', signed, key, signature)) return false
    this.#keys.delete(name)
    if (this.#max > 0) this.#keys.set(name, key)
    if (this.#keys.size > this.#max) {
      const [oldest] = this.#keys.keys()
      if (oldest !== undefined) this.#keys.delete(oldest)
    }
    return true
  }
}
