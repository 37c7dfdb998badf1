/**
 * One device on one socket: joins the socket, the secure channel and the session, and knows how far they got.
 *
 * Ten thousand of these live in one process, so a connection is the handler object of its channel and of its session
 * itself (no closures), its socket's listeners are shared functions, and it hangs on the gateway's one timing wheel.
 */
import { type KeyObject, randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import {
  CloudSession,
  type CloudSessionHandlers,
  type Describe,
  type DeviceEvent,
  type Goodbye,
  type HandshakeStep,
  type Hello,
  handshakeStepHints,
  type Identity,
  type Millis,
  type ProtocolError,
  type Subscription,
  TcpServerChannel,
  type TcpServerChannelHandlers,
  type TcpServerEstablished,
} from '@aloe/protocol'
import type { Admission } from './admission.ts'
import type { Timed } from './deadlines.ts'
import type { GatewayLimits } from './limits.ts'

export type Stage = 'handshake' | 'online' | 'closed'

/** What a connection needs of its gateway. */
export interface ConnectionHost {
  readonly serverKey: KeyObject
  readonly limits: GatewayLimits
  now(): Millis
  unixTime(): number
  admit(deviceId: string, publicKey: Uint8Array | undefined): Admission | Promise<Admission>
  schedule(connection: DeviceConnection, at: Millis): void
  unschedule(connection: DeviceConnection): void
  refused(connection: DeviceConnection, step: string, reason: string): void
  /** The Hello came: from now on this is the device's connection. */
  online(connection: DeviceConnection, hello: Hello): void
  heard(connection: DeviceConnection): void
  described(connection: DeviceConnection, report: Describe): void
  event(connection: DeviceConnection, event: DeviceEvent): void
  subscribed(connection: DeviceConnection, subscription: Subscription): void
  /** The device sent something that is of no use. */
  problem(connection: DeviceConnection, error: ProtocolError): void
  closed(connection: DeviceConnection, reason: string): void
}

const connectionKey = Symbol('connection')

interface DeviceSocket extends Socket {
  [connectionKey]?: DeviceConnection
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

let lastSerial = 0

export class DeviceConnection implements Timed, TcpServerChannelHandlers, CloudSessionHandlers {
  dueTick = -1
  nextTimed: Timed | undefined
  previousTimed: Timed | undefined

  /** Tells this connection from all others of the process. */
  readonly serial = ++lastSerial
  readonly address: string
  readonly port: number
  /** Empty until the device has said who it is. */
  deviceId = ''
  stage: Stage = 'handshake'
  session: CloudSession | undefined
  /** Unix milliseconds of the Hello. */
  since = 0
  /** Monotonic time of the last bytes, and of the last that the registry heard of. */
  lastReceived: Millis
  heardAt: Millis = 0
  /** Under which owner the subscriptions are indexed. */
  ownerId: string | null = null
  /** The device's key was learnt at this very connect. */
  enrolled = false
  /** What this session said of itself, and what was done about it. */
  safeMode = false
  safeModeAnnounced = false
  systemDescribed = false
  forcedTold = false
  claiming = false
  updating = false
  goodbyeReason: Goodbye | undefined

  readonly #host: ConnectionHost
  readonly #socket: DeviceSocket
  readonly #channel: TcpServerChannel
  #corked = false
  #receiving = false

  constructor(host: ConnectionHost, socket: Socket) {
    this.#host = host
    this.#socket = socket
    this.lastReceived = host.now()
    this.address = plainAddress(socket.remoteAddress)
    this.port = socket.remotePort ?? 0
    this.#channel = new TcpServerChannel({ serverKey: host.serverKey, random: randomBytes, handlers: this })
    this.#socket[connectionKey] = this
    socket.on('data', onData)
    socket.on('drain', onDrain)
    socket.on('error', onError)
    socket.on('close', onClose)
  }

  /** Bytes that wait for the device to take them. */
  get queued(): number {
    return this.#socket.writableLength
  }

  /** The device is slow to read: what can be left out is, and what can wait waits. */
  congested(): boolean {
    return this.#socket.writableLength > this.#host.limits.writeQueue
  }

  start(): void {
    this.#channel.start(this.#host.now())
    this.reschedule()
  }

  // The socket's side.

  received(bytes: Uint8Array): void {
    if (this.stage === 'closed') return
    const now = this.#host.now()
    this.lastReceived = now
    this.#receiving = true
    this.#channel.receive(bytes, now)
    this.#receiving = false
    this.#uncork()
    // A device that sends and does not read would let its answers pile up here; an update fills the queue by itself.
    if (this.congested() && !this.updating) this.#socket.pause()
    if (this.stage === 'online') this.#host.heard(this)
    this.reschedule()
  }

  drained(): void {
    if (this.stage === 'closed') return
    this.#socket.resume()
    if (this.session) this.session.poll(this.#host.now())
    this.reschedule()
  }

  timeCame(now: Millis): void {
    if (this.stage === 'closed') return
    if (this.session) this.session.poll(now)
    else this.#channel.poll(now)
    this.reschedule()
  }

  /** Puts the connection on the wheel for the next thing it waits for; to be called after the session was used. */
  reschedule(): void {
    if (this.stage === 'closed') return
    const next = this.session ? this.session.nextDeadline() : this.#channel.nextDeadline()
    if (next !== undefined) this.#host.schedule(this, next)
  }

  // The channel's side.

  write(bytes: Uint8Array): void {
    if (this.stage === 'closed') return
    if (this.#receiving && !this.#corked) {
      // One system call for all answers to one piece of input.
      this.#corked = true
      this.#socket.cork()
    }
    this.#socket.write(bytes)
    if (this.#socket.writableLength > this.#host.limits.writeQueueMax) this.close('the device does not read')
  }

  #uncork(): void {
    if (!this.#corked) return
    this.#corked = false
    this.#socket.uncork()
  }

  identify({ deviceId, publicKey }: Identity): void {
    this.deviceId = deviceId
    const admission = this.#host.admit(deviceId, publicKey)
    if (admission instanceof Promise) {
      admission.then(
        (decided) => this.#admitted(decided),
        (error: unknown) => this.#channel.reject(`the cloud could not decide: ${String(error)}`),
      )
    } else this.#admitted(admission)
  }

  #admitted(admission: Admission): void {
    if (this.stage !== 'handshake') return
    if (admission.ok) {
      this.enrolled = admission.enrolled
      this.#channel.accept(admission.publicKey, this.#host.now())
      this.reschedule()
    } else this.#channel.reject(admission.reason, admission.step)
  }

  established({ messageIdSeed }: TcpServerEstablished): void {
    this.session = new CloudSession({
      transport: 'tcp',
      random: randomBytes,
      unixTime: this.#host.unixTime,
      firstMessageId: messageIdSeed,
      handlers: this,
      now: this.lastReceived,
      ping: this.#host.limits.ping,
    })
  }

  message(plaintext: Uint8Array): void {
    this.session?.receive(plaintext, this.lastReceived)
  }

  failed(step: HandshakeStep, error: ProtocolError): void {
    if (this.stage === 'closed') return
    if (this.stage === 'handshake') this.#host.refused(this, step, `${error.message} (${handshakeStepHints[step]})`)
    this.#end(error.message)
  }

  /** The socket ended by itself: the channel knows at which step that was. */
  disconnected(reason: string): void {
    if (this.stage !== 'closed') this.#channel.disconnected(reason)
  }

  // The session's side.

  send(message: Uint8Array): void {
    this.#channel.send(message)
  }

  hello(hello: Hello): void {
    if (this.stage !== 'handshake') return
    if (hello.deviceId !== undefined && hello.deviceId !== this.deviceId) {
      this.#refuse(`the Hello names another device: ${hello.deviceId}`)
      return
    }
    this.stage = 'online'
    this.#host.online(this, hello)
  }

  describe(report: Describe): void {
    if (this.stage === 'online') this.#host.described(this, report)
  }

  event(event: DeviceEvent): void {
    if (this.stage === 'online') this.#host.event(this, event)
  }

  subscribe(subscription: Subscription): void {
    if (this.stage === 'online') this.#host.subscribed(this, subscription)
  }

  goodbye(goodbye: Goodbye): void {
    this.goodbyeReason = goodbye
  }

  problem(error: ProtocolError): void {
    this.#host.problem(this, error)
  }

  /** The session cannot go on. */
  closed(error: ProtocolError): void {
    if (this.stage === 'handshake') this.#refuse(error.message)
    else this.close(error.message)
  }

  // The end.

  #refuse(reason: string): void {
    this.#host.refused(this, 'hello', reason)
    this.#end(reason)
  }

  /** Ends the connection, for a reason of the cloud's; again without effect. */
  close(reason: string): void {
    if (this.stage !== 'closed') this.#end(reason)
  }

  #end(reason: string): void {
    this.stage = 'closed'
    this.#host.unschedule(this)
    this.session?.close()
    this.#channel.close()
    this.#socket.destroy()
    this.#host.closed(this, reason)
  }
}

/** An IPv4 address that came over an IPv6 socket, as people write it. */
function plainAddress(address: string | undefined): string {
  if (!address) return 'unknown'
  return address.startsWith('::ffff:') ? address.slice(7) : address
}
