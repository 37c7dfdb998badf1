import type { KeyObject } from 'node:crypto'
import { ProtocolError } from '../protocol-error.ts'
import type { Millis } from '../time.ts'
import { FrameDecoder, FrameEncoder } from './frames.ts'
import {
  credentialsReplySize,
  messageIdSeed,
  nonceSize,
  type OpenedCredentials,
  openCredentials,
  sealIdentity,
} from './handshake.ts'
import { type HandshakeStep, handshakeReadTimeout } from './handshake-step.ts'
import { InboundBytes } from './inbound.ts'
import { checkServerKey, devicePublicKeyDer } from './keys.ts'
import { defaultMaxInboundFrame, defaultMaxMessageSize } from './limits.ts'

/** What the device's end tells its owner. */
export interface TcpClientChannelHandlers {
  /** Bytes for the socket. */
  write(bytes: Uint8Array): void
  /** Both ends hold the credentials: send the Hello now, the server has nothing to say before it. */
  established(info: TcpClientEstablished): void
  /** One CoAP message, in memory of its own. */
  message(message: Uint8Array): void
  /**
   * The end of the channel: close the socket. `decrypt` means that the server knows another key of this device,
   * `signature` that this is not the expected server. Called at most once, and never after `close`.
   */
  failed(step: HandshakeStep, error: ProtocolError): void
}

export interface TcpClientEstablished {
  /** Count up before each message: the Hello has this number plus one (device-protocol.md 1.5). */
  readonly messageIdSeed: number
}

export interface TcpClientChannelOptions {
  /** The device's RSA-1024 private key. */
  readonly deviceKey: KeyObject
  /** The server's RSA-2048 public key. */
  readonly serverKey: KeyObject
  /** 24 hex digits. */
  readonly deviceId: string
  readonly handlers: TcpClientChannelHandlers
  /** The device's message buffer in bytes, of which 18 are reserved (device-protocol.md 1.6). */
  readonly bufferSize?: number
}

/**
 * The device's end of the TCP transport (device-protocol.md 1).
 *
 * Sans-IO like its counterpart. Needs no random source of its own: all fresh bytes of the handshake come from the
 * server, and RSA's padding from OpenSSL.
 */
export class TcpClientChannel {
  /** Largest message that `send` takes, in bytes. */
  readonly maxMessageSize: number

  readonly #options: TcpClientChannelOptions
  readonly #maxInboundFrame: number
  readonly #inbound = new InboundBytes()
  #step: HandshakeStep = 'nonce'
  #ended = false
  #deadline: Millis | undefined
  #encoder: FrameEncoder | undefined
  #decoder: FrameDecoder | undefined

  /** @throws ProtocolError `server-key`, `device-key` or `device-id` when one of them is unusable */
  constructor(options: TcpClientChannelOptions) {
    checkServerKey(options.serverKey)
    if (!/^[0-9a-f]{24}$/i.test(options.deviceId)) {
      throw new ProtocolError('device-id', 'a device id has 24 hex digits')
    }
    const { bufferSize } = options
    this.#options = options
    this.maxMessageSize = bufferSize === undefined ? defaultMaxMessageSize : bufferSize - 18
    this.#maxInboundFrame = bufferSize === undefined ? defaultMaxInboundFrame : (bufferSize - 18) & ~15
  }

  /** Where the handshake stands; `open` once messages flow. After a failure, where it failed. */
  get step(): HandshakeStep {
    return this.#step
  }

  /** Neither failed nor closed. */
  get alive(): boolean {
    return !this.#ended
  }

  /** The socket is connected: the server speaks first. */
  start(now: Millis): void {
    if (this.#step === 'nonce' && !this.#ended) this.#deadline = now + handshakeReadTimeout
  }

  /** Bytes from the socket, cut in any way. */
  receive(bytes: Uint8Array, now: Millis): void {
    if (this.#ended) return
    this.#inbound.push(bytes)
    if (this.#step === 'nonce') this.#receiveNonce(now)
    if (this.#step === 'credentials') this.#receiveCredentials()
    if (this.#decoder !== undefined) this.#receiveFrames(this.#decoder)
    if (!this.#ended) this.#inbound.settle()
  }

  /**
   * Sends one CoAP message. Without effect once the channel has ended; an empty message is not sent.
   *
   * @throws ProtocolError `not-open` before `established`, `message-too-large` above `maxMessageSize`
   */
  send(message: Uint8Array): void {
    if (this.#ended || message.length === 0) return
    if (this.#encoder === undefined) {
      throw new ProtocolError('not-open', 'the handshake is not over: there is nobody to send to')
    }
    if (message.length > this.maxMessageSize) {
      throw new ProtocolError('message-too-large', `${message.length} bytes are above ${this.maxMessageSize}`)
    }
    this.#options.handlers.write(this.#encoder.encode(message))
  }

  /** Fails a handshake whose next bytes do not come. */
  poll(now: Millis): void {
    if (this.#deadline === undefined || now < this.#deadline) return
    this.#fail(this.#step, new ProtocolError('timeout', 'the server did not go on'))
  }

  /** When `poll` has something to do; undefined once the channel is open or has ended. */
  nextDeadline(): Millis | undefined {
    return this.#deadline
  }

  /** The socket was closed by the other end or broke: reported as a failure of the present step. */
  disconnected(reason = 'the server closed the connection'): void {
    if (!this.#ended) this.#fail(this.#step, new ProtocolError('disconnected', reason))
  }

  /** The owner closes the connection itself; no handler is called any more. */
  close(): void {
    this.#ended = true
    this.#deadline = undefined
  }

  #receiveNonce(now: Millis): void {
    const nonce = this.#inbound.take(nonceSize)
    if (nonce === undefined) return
    const { serverKey, deviceKey, deviceId, handlers } = this.#options
    let identity: Uint8Array
    try {
      identity = sealIdentity(serverKey, nonce, { deviceId, publicKey: devicePublicKeyDer(deviceKey) })
    } catch (cause) {
      this.#fail('key', new ProtocolError('device-key', 'the keys of the device cannot be used', { cause }))
      return
    }
    this.#step = 'credentials'
    this.#deadline = now + handshakeReadTimeout
    handlers.write(identity)
  }

  #receiveCredentials(): void {
    const reply = this.#inbound.take(credentialsReplySize)
    if (reply === undefined) return
    const { serverKey, deviceKey, handlers } = this.#options
    const opened: OpenedCredentials = openCredentials(deviceKey, serverKey, reply)
    if (!opened.ok) {
      const words = { decrypt: 'the credentials are not for this device key', signature: 'the signature is wrong' }
      this.#fail(opened.step, new ProtocolError(opened.step, words[opened.step]))
      return
    }
    this.#step = 'open'
    this.#deadline = undefined
    this.#encoder = new FrameEncoder(opened.credentials)
    this.#decoder = new FrameDecoder(opened.credentials, this.#maxInboundFrame)
    handlers.established({ messageIdSeed: messageIdSeed(opened.credentials) })
  }

  #receiveFrames(decoder: FrameDecoder): void {
    while (!this.#ended) {
      const message = decoder.next(this.#inbound)
      if (message === undefined) return
      if (message instanceof ProtocolError) {
        this.#fail('open', message)
        return
      }
      this.#options.handlers.message(message)
    }
  }

  #fail(step: HandshakeStep, error: ProtocolError): void {
    this.close()
    this.#step = step
    this.#options.handlers.failed(step, error)
  }
}
