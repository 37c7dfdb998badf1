import type { KeyObject } from 'node:crypto'
import { ProtocolError } from '../protocol-error.ts'
import type { Millis } from '../time.ts'
import { FrameDecoder, FrameEncoder } from './frames.ts'
import {
  credentialsSize,
  type Identity,
  identitySize,
  messageIdSeed,
  nonceSize,
  openIdentity,
  sealCredentials,
} from './handshake.ts'
import { type HandshakeStep, handshakeReadTimeout, handshakeTimeout } from './handshake-step.ts'
import { InboundBytes } from './inbound.ts'
import { checkServerKey, isDevicePublicKey } from './keys.ts'
import { defaultMaxInboundFrame, defaultMaxMessageSize } from './limits.ts'

/** What the cloud's end tells its owner. All are called from within `start`, `receive`, `accept`, `reject`, `poll`. */
export interface TcpServerChannelHandlers {
  /** Bytes for the socket. */
  write(bytes: Uint8Array): void
  /** A device says who it is. Answer with `accept` or `reject`, now or later. Nothing is proven yet. */
  identify(identity: Identity): void
  /** The device has proven its key: its first message, handed over next, decrypts with the credentials. */
  established(info: TcpServerEstablished): void
  /** One CoAP message, in memory of its own. The first one is the device's Hello. */
  message(message: Uint8Array): void
  /** The end of the channel: close the socket. Called at most once, and never after `close`. */
  failed(step: HandshakeStep, error: ProtocolError): void
}

export interface TcpServerEstablished extends Identity {
  /** The device's Hello has this message id plus one (device-protocol.md 1.5). */
  readonly messageIdSeed: number
}

export interface TcpServerChannelOptions {
  /** RSA-2048 private key. */
  readonly serverKey: KeyObject
  /** Cryptographically secure random bytes. */
  readonly random: (size: number) => Uint8Array
  readonly handlers: TcpServerChannelHandlers
  /** Largest ciphertext accepted from the device; 1152 bytes unless told otherwise. */
  readonly maxInboundFrame?: number
}

/** What is needed only until the channel is open, so that it does not weigh on thousands of open ones. */
interface Handshake {
  readonly nonce: Uint8Array
  readonly deadline: Millis
  stepDeadline: Millis
  identity: Identity | undefined
  messageIdSeed: number
}

/**
 * The cloud's end of the TCP transport (device-protocol.md 1): RSA handshake, then encrypted frames.
 *
 * Sans-IO: the owner passes on the socket's bytes and the time, and writes what `handlers.write` gets.
 * Whatever comes in, nothing throws; a channel ends with `handlers.failed`.
 */
export class TcpServerChannel {
  /**
   * Largest message that `send` takes, in bytes. Lower it when the Hello tells of a smaller buffer
   * (device-protocol.md 1.6: buffer less 33).
   */
  maxMessageSize = defaultMaxMessageSize

  readonly #options: TcpServerChannelOptions
  readonly #inbound = new InboundBytes()
  #step: HandshakeStep = 'request'
  #ended = false
  #handshake: Handshake | undefined
  #encoder: FrameEncoder | undefined
  #decoder: FrameDecoder | undefined

  /** @throws ProtocolError `server-key` when the key cannot serve devices */
  constructor(options: TcpServerChannelOptions) {
    checkServerKey(options.serverKey)
    this.#options = options
  }

  /** Where the handshake stands; `open` once messages flow. After a failure, where it failed. */
  get step(): HandshakeStep {
    return this.#step
  }

  /** Neither failed nor closed. */
  get alive(): boolean {
    return !this.#ended
  }

  /** The connection was accepted: the server speaks first. */
  start(now: Millis): void {
    if (this.#handshake !== undefined || this.#ended || this.#step !== 'request') return
    const nonce = this.#options.random(nonceSize)
    this.#handshake = {
      nonce,
      deadline: now + handshakeTimeout,
      stepDeadline: now + handshakeReadTimeout,
      identity: undefined,
      messageIdSeed: 0,
    }
    this.#options.handlers.write(nonce)
  }

  /** Bytes from the socket, cut in any way. */
  receive(bytes: Uint8Array, now: Millis): void {
    if (this.#ended) return
    this.#inbound.push(bytes)
    if (this.#step === 'request') this.#receiveIdentity(now)
    else if (this.#decoder !== undefined) this.#receiveFrames(this.#decoder)
    else this.#fail(unexpectedBytes())
    if (!this.#ended) this.#inbound.settle()
  }

  /**
   * Lets the identified device in.
   *
   * @param publicKey the device's RSA-1024 key as registered (or, under open enrolment, as presented); only its holder
   *   can go on
   */
  accept(publicKey: KeyObject, now: Millis): void {
    const handshake = this.#handshake
    if (this.#ended || this.#step !== 'identify' || handshake === undefined) return
    this.#step = 'credentials'
    const { serverKey, random, handlers, maxInboundFrame = defaultMaxInboundFrame } = this.#options
    const credentials = random(credentialsSize)
    let reply: Uint8Array
    try {
      reply = sealCredentials(serverKey, publicKey, credentials)
    } catch (cause) {
      this.#step = 'key'
      this.#fail(new ProtocolError('device-key', 'the registered key of the device cannot be used', { cause }))
      return
    }
    this.#encoder = new FrameEncoder(credentials)
    this.#decoder = new FrameDecoder(credentials, maxInboundFrame)
    handshake.messageIdSeed = messageIdSeed(credentials)
    handshake.stepDeadline = now + handshakeReadTimeout
    this.#step = 'hello'
    handlers.write(reply)
  }

  /** Turns the identified device away: `identify` when it is not known, `key` when its key is another one. */
  reject(reason: string, step: 'identify' | 'key' = 'identify'): void {
    if (this.#ended || this.#step !== 'identify') return
    this.#step = step
    this.#fail(new ProtocolError('refused', reason))
  }

  /**
   * Sends one CoAP message. Without effect once the channel has ended; an empty message is not sent, as on the device.
   *
   * @throws ProtocolError `not-open` before `established`, `message-too-large` above `maxMessageSize`
   */
  send(message: Uint8Array): void {
    if (this.#ended || message.length === 0) return
    if (this.#encoder === undefined || this.#step !== 'open') {
      throw new ProtocolError('not-open', 'the handshake is not over: there is nobody to send to')
    }
    if (message.length > this.maxMessageSize) {
      const limit = this.maxMessageSize
      throw new ProtocolError('message-too-large', `${message.length} bytes are above the device's limit of ${limit}`)
    }
    this.#options.handlers.write(this.#encoder.encode(message))
  }

  /** Fails a handshake that takes too long. */
  poll(now: Millis): void {
    const deadline = this.nextDeadline()
    if (deadline === undefined || now < deadline) return
    const words = this.#step === 'identify' ? 'nobody decided about the device in time' : 'the device did not go on'
    this.#fail(new ProtocolError('timeout', words))
  }

  /** When `poll` has something to do; undefined once the channel is open or has ended. */
  nextDeadline(): Millis | undefined {
    if (this.#ended || this.#handshake === undefined) return undefined
    return Math.min(this.#handshake.deadline, this.#handshake.stepDeadline)
  }

  /** The socket was closed by the other end or broke: reported as a failure of the present step. */
  disconnected(reason = 'the device closed the connection'): void {
    if (!this.#ended) this.#fail(new ProtocolError('disconnected', reason))
  }

  /** The owner closes the connection itself; no handler is called any more. */
  close(): void {
    this.#ended = true
    this.#handshake = undefined
  }

  #receiveIdentity(now: Millis): void {
    const handshake = this.#handshake
    if (handshake === undefined || this.#inbound.length > identitySize) {
      this.#fail(unexpectedBytes())
      return
    }
    const ciphertext = this.#inbound.take(identitySize)
    if (ciphertext === undefined) return
    this.#step = 'decrypt'
    const identity = openIdentity(this.#options.serverKey, handshake.nonce, ciphertext)
    if (identity === undefined) {
      this.#fail(new ProtocolError('decrypt-or-nonce', 'the identity does not decrypt to the nonce of this handshake'))
      return
    }
    handshake.identity = identity
    handshake.stepDeadline = now + handshakeReadTimeout
    this.#step = 'identify'
    if (identity.publicKey !== undefined && !isDevicePublicKey(identity.publicKey)) {
      this.#step = 'key'
      this.#fail(new ProtocolError('device-key', 'the presented key is not an RSA-1024 public key'))
      return
    }
    this.#options.handlers.identify(identity)
  }

  #receiveFrames(decoder: FrameDecoder): void {
    const { handlers } = this.#options
    while (!this.#ended) {
      const message = decoder.next(this.#inbound)
      if (message === undefined) return
      if (message instanceof ProtocolError) {
        this.#fail(message)
        return
      }
      if (this.#handshake !== undefined && !this.#open(this.#handshake, message)) return
      if (!this.#ended) handlers.message(message)
    }
  }

  /** The first message decides whether the device really holds the key: a wrong one decrypts to noise. */
  #open(handshake: Handshake, hello: Uint8Array): boolean {
    const { identity } = handshake
    if (identity === undefined || !looksLikeHello(hello)) {
      this.#fail(new ProtocolError('not-a-hello', 'the first message is no Hello: the device has another key'))
      return false
    }
    this.#step = 'open'
    this.#handshake = undefined
    this.#options.handlers.established({ ...identity, messageIdSeed: handshake.messageIdSeed })
    return true
  }

  #fail(error: ProtocolError): void {
    this.close()
    this.#options.handlers.failed(this.#step, error)
  }
}

function unexpectedBytes(): ProtocolError {
  return new ProtocolError('unexpected-bytes', 'the device did not wait for its turn in the handshake')
}

/** `POST /h`, confirmable or not, with any token (device-protocol.md 3.5). Frames have no MAC; this stands in for it. */
function looksLikeHello(message: Uint8Array): boolean {
  const first = message[0] ?? 0
  const path = 4 + (first & 0x0f)
  return (first & 0xe0) === 0x40 && message[1] === 0x02 && message[path] === 0xb1 && message[path + 1] === 0x68
}
