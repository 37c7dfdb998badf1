import { hash } from 'node:crypto'
import { type HandshakeMessage, writeFragment } from './handshake-message.ts'
import { handshakeHeaderSize } from './profile.ts'
import { brief } from './reader.ts'

/** All messages of a device's handshake have about 700 bytes. */
const usualSize = 1_024

/**
 * All messages of a handshake that count, as if none was fragmented (RFC 6347 4.2.6); HelloVerifyRequest and the
 * ClientHello before it do not. Kept as bytes, since a signature over them needs the bytes.
 */
export class Transcript {
  #bytes = brief(usualSize)
  #length = 0

  /** Copies it. */
  add(message: HandshakeMessage): void {
    const { length } = message.body
    const end = this.#length + handshakeHeaderSize + length
    if (end > this.#bytes.length) {
      const larger = new Uint8Array(2 * end)
      larger.set(this.bytes())
      this.#bytes = larger
    }
    writeFragment(this.#bytes, this.#length, message, 0, length)
    this.#length = end
  }

  /** A view. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  hash(): Uint8Array {
    return hash('sha256', this.bytes(), 'buffer')
  }
}
