import { hash } from 'node:crypto'
import { encodeHandshake, type HandshakeMessage } from './handshake-message.ts'

/**
 * All messages of a handshake that count, as if none was fragmented (RFC 6347 4.2.6); HelloVerifyRequest and the
 * ClientHello before it do not. Kept as bytes, since a signature over them needs the bytes; there are about 700.
 */
export class Transcript {
  #parts: Uint8Array[] = []

  add(message: HandshakeMessage): void {
    this.#parts.push(encodeHandshake(message))
  }

  bytes(): Uint8Array {
    const [first] = this.#parts
    if (first !== undefined && this.#parts.length === 1) return first
    const all = Buffer.concat(this.#parts)
    this.#parts = [all]
    return all
  }

  hash(): Uint8Array {
    return hash('sha256', this.bytes(), 'buffer')
  }
}
