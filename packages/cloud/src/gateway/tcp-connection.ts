/**
 * One device on one TCP socket: joins the socket, the secure channel and the session, and knows how far they got.
 * Its socket's listeners are shared functions.
 */
import type { KeyObject } from 'node:crypto'
import {
  CloudSession,
  type HandshakeStep,
  type Hello,
  handshakeStepHints,
  type Identity,
  type Millis,
  type ProtocolError,
  TcpServerChannel,
  type TcpServerChannelHandlers,
  type TcpServerEstablished,
} from '@aloe/protocol'
import type { Admission } from './admission.ts'
import { type ConnectionHost, DeviceConnection, plainAddress } from './connection.ts'
import type { StreamSocket } from './ports.ts'

/** What a connection needs of the listener that took its socket. */
export interface TcpConnectionOwner {
  readonly serverKey: KeyObject
  /** The handshake is over, and went well. */
  admitted(connection: TcpConnection): void
  ended(connection: TcpConnection): void
}

const connectionKey = Symbol('connection')

interface DeviceSocket extends StreamSocket {
  [connectionKey]?: TcpConnection
}

function onData(this: DeviceSocket, bytes: Uint8Array): void {
  this[connectionKey]?.received(bytes)
}
function onDrain(this: DeviceSocket): void {
  this[connectionKey]?.drained()
}
function onError(this: DeviceSocket, error: Error): void {
  this[connectionKey]?.disconnected(`the connection broke: ${error.message}`)
}
function onClose(this: DeviceSocket): void {
  this[connectionKey]?.disconnected('the device closed the connection')
}

export class TcpConnection extends DeviceConnection implements TcpServerChannelHandlers {
  readonly #owner: TcpConnectionOwner
  readonly #socket: DeviceSocket
  readonly #channel: TcpServerChannel
  #corked = false
  /** Whatever is written now belongs together. */
  #gathering = false

  constructor(host: ConnectionHost, owner: TcpConnectionOwner, socket: StreamSocket) {
    super(host, plainAddress(socket.remoteAddress), socket.remotePort ?? 0)
    this.#owner = owner
    this.#socket = socket
    this.#channel = new TcpServerChannel({ serverKey: owner.serverKey, random: host.random, handlers: this })
    this.#socket[connectionKey] = this
    socket.on('data', onData)
    socket.on('drain', onDrain)
    socket.on('error', onError)
    socket.on('close', onClose)
  }

  override congested(): boolean {
    return this.#socket.writableLength > this.host.limits.writeQueue
  }

  start(): void {
    this.#channel.start(this.host.now())
    this.reschedule()
  }

  // The socket's side.

  received(bytes: Uint8Array): void {
    if (this.stage === 'closed') return
    const now = this.host.now()
    this.lastReceived = now
    this.countReceived(bytes.length)
    this.#gathering = true
    this.#channel.receive(bytes, now)
    this.#release()
    // A device that sends and does not read would let its answers pile up here; an update fills the queue by itself.
    if (this.congested() && !this.updating) this.#socket.pause()
    if (this.stage === 'online') this.host.heard(this)
    this.reschedule()
  }

  drained(): void {
    if (this.stage === 'closed') return
    this.#socket.resume()
    if (this.session) this.#poll(this.session, this.host.now())
    this.reschedule()
  }

  override timeCame(now: Millis): void {
    if (this.stage === 'closed') return
    if (this.session) this.#poll(this.session, now)
    else this.#channel.poll(now)
    this.reschedule()
  }

  #poll(session: CloudSession, now: Millis): void {
    this.#gathering = true
    session.poll(now)
    this.#release()
  }

  override reschedule(): void {
    if (this.stage === 'closed') return
    const next = this.session ? this.session.nextDeadline() : this.#channel.nextDeadline()
    if (next !== undefined) this.host.schedule(this, next)
  }

  // The channel's side.

  write(bytes: Uint8Array): void {
    if (this.stage === 'closed') return
    if (this.#gathering && !this.#corked) {
      // One system call for all answers to one piece of input, or all that was due.
      this.#corked = true
      this.#socket.cork()
    }
    this.countSent(bytes.length)
    this.#socket.write(bytes)
    if (this.#socket.writableLength > this.host.limits.writeQueueMax) this.close('the device does not read')
  }

  #release(): void {
    this.#gathering = false
    if (!this.#corked) return
    this.#corked = false
    this.#socket.uncork()
  }

  identify({ deviceId, publicKey }: Identity): void {
    this.deviceId = deviceId
    const admission = this.host.admit(deviceId, publicKey, 'rsa')
    if (admission instanceof Promise) {
      admission.then(
        (decided) => this.#admitted(decided),
        (error: unknown) => this.#channel.reject(`the cloud could not decide: ${String(error)}`),
      )
    } else this.#admitted(admission)
  }

  #admitted(admission: Admission): void {
    if (this.stage !== 'handshake') return
    if (!admission.ok) this.#channel.reject(admission.reason, admission.step)
    else if (admission.publicKey) {
      this.enrolled = admission.enrolled
      this.#channel.accept(admission.publicKey, this.host.now())
      this.reschedule()
    }
  }

  established({ messageIdSeed }: TcpServerEstablished): void {
    this.session = new CloudSession({
      transport: 'tcp',
      random: this.host.random,
      unixTime: this.host.unixTime,
      firstMessageId: messageIdSeed,
      handlers: this,
      now: this.lastReceived,
      ping: this.host.limits.ping,
    })
  }

  message(plaintext: Uint8Array): void {
    this.session?.receive(plaintext, this.lastReceived)
  }

  failed(step: HandshakeStep, error: ProtocolError): void {
    if (this.stage === 'closed') return
    if (this.stage === 'handshake') this.refused(step, `${error.message} (${handshakeStepHints[step]})`)
    this.#end(error.message)
  }

  /** The socket ended by itself: the channel knows at which step that was. */
  disconnected(reason: string): void {
    if (this.stage !== 'closed') this.#channel.disconnected(reason)
  }

  // The session's side.

  override send(message: Uint8Array): void {
    this.#channel.send(message)
  }

  override hello(hello: Hello): void {
    if (this.stage !== 'handshake') return
    if (hello.deviceId !== undefined && hello.deviceId !== this.deviceId) {
      this.#refuse(`the Hello names another device: ${hello.deviceId}`)
      return
    }
    this.stage = 'online'
    this.#owner.admitted(this)
    this.host.online(this, hello)
  }

  override closed(error: ProtocolError): void {
    if (this.stage === 'handshake') this.#refuse(error.message)
    else this.close(error.message)
  }

  // The end.

  #refuse(reason: string): void {
    this.refused('hello', reason)
    this.#end(reason)
  }

  override close(reason: string): void {
    if (this.stage !== 'closed') this.#end(reason)
  }

  #end(reason: string): void {
    this.stage = 'closed'
    this.host.unschedule(this)
    this.session?.close()
    this.#channel.close()
    this.#socket.destroy()
    this.#owner.ended(this)
    this.host.offline(this, reason)
  }
}
