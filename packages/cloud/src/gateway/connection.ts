/**
 * One device that is connected, or is about to be: what the gateway knows of it, whatever the transport, and how what
 * the device says comes to the gateway.
 *
 * Ten thousand of these live in one process, so a connection is the handler object of its channel and of its session
 * itself (no closures), and it hangs on the gateway's one timing wheel.
 */
import type {
  CloudSession,
  CloudSessionHandlers,
  Describe,
  DeviceEvent,
  Goodbye,
  Hello,
  Millis,
  ProtocolError,
  Subscription,
} from '@aloe/protocol'
import type { Refusal } from '../devices/refusals.ts'
import type { Admission, DeviceKeyKind } from './admission.ts'
import type { Timed } from './deadlines.ts'
import type { Traffic } from './gateway.ts'
import type { GatewayLimits } from './limits.ts'

/** `asleep`: offline, while its session goes on with the next datagram (UDP only). */
export type Stage = 'handshake' | 'online' | 'asleep' | 'closed'

/** What a connection needs of its gateway. */
export interface ConnectionHost {
  readonly limits: GatewayLimits
  now(): Millis
  /** Cryptographically strong, unless chance is simulated. */
  readonly random: (size: number) => Uint8Array
  /** Unix seconds. */
  unixTime(): number
  unixMillis(): number
  admit(deviceId: string, publicKey: Uint8Array | undefined, kind: DeviceKeyKind): Admission | Promise<Admission>
  schedule(connection: DeviceConnection, at: Millis): void
  unschedule(connection: DeviceConnection): void
  refused(refusal: Refusal): void
  /** The Hello came: from now on this is the device's connection. */
  online(connection: DeviceConnection, hello: Hello): void
  /** The device goes on with a session whose Hello came earlier: it does not say again what it said then. */
  resumed(connection: DeviceConnection, hello: Hello): void
  /** The device is gone; without effect when this is not, or no longer, its connection. */
  offline(connection: DeviceConnection, reason: string): void
  heard(connection: DeviceConnection): void
  described(connection: DeviceConnection, report: Describe): void
  event(connection: DeviceConnection, event: DeviceEvent): void
  subscribed(connection: DeviceConnection, subscription: Subscription): void
  /** The device sent something that is of no use. */
  problem(connection: DeviceConnection, error: ProtocolError): void
}

let lastSerial = 0

export abstract class DeviceConnection implements Timed, CloudSessionHandlers {
  dueTick = -1
  nextTimed: Timed | undefined
  previousTimed: Timed | undefined

  /** Tells this time of being connected from all others of the process. */
  serial = ++lastSerial
  address: string
  port: number
  /** Empty until the device has said who it is. */
  deviceId = ''
  stage: Stage = 'handshake'
  session: CloudSession | undefined
  /** Unix milliseconds of the Hello. */
  since = 0
  /** Monotonic time of the last bytes, and of the last that the registry heard of. */
  lastReceived: Millis
  heardAt: Millis = 0
  /** Under which owner, or product, the subscriptions are indexed. */
  audience: string | null = null
  /** The device's key was learnt at this very connect. */
  enrolled = false
  /** What this session said of itself, and what was done about it. */
  safeMode = false
  safeModeAnnounced = false
  systemDescribed = false
  /** Monotonic time at which the device was last asked for its describe, or came online. */
  askedAt: Millis = 0
  forcedTold = false
  claiming = false
  updating = false
  /** The session went on without a Hello: the device need not have restarted. */
  resumed = false
  /** Bytes on the network since they were last taken: of updates, and of everything else. */
  otaSent = 0
  otaReceived = 0
  messagesSent = 0
  messagesReceived = 0
  /** Events of the device. */
  published = 0
  /** Milliseconds from the last ping to its answer. */
  roundTrip: Millis | undefined
  goodbyeReason: Goodbye | undefined

  protected readonly host: ConnectionHost

  constructor(host: ConnectionHost, address: string, port: number) {
    this.host = host
    this.address = address
    this.port = port
    this.lastReceived = host.now()
  }

  /** The device is slow to take what is sent: what can be left out is, and what can wait waits. */
  abstract congested(): boolean

  countSent(bytes: number): void {
    if (this.updating) this.otaSent += bytes
    else this.messagesSent += bytes
  }

  countReceived(bytes: number): void {
    if (this.updating) this.otaReceived += bytes
    else this.messagesReceived += bytes
  }

  /** What was counted since the last call; undefined when that is nothing. */
  takeTraffic(): Traffic | undefined {
    const { otaSent, otaReceived, messagesSent, messagesReceived } = this
    if (otaSent + otaReceived + messagesSent + messagesReceived === 0) return undefined
    this.otaSent = 0
    this.otaReceived = 0
    this.messagesSent = 0
    this.messagesReceived = 0
    return { otaSent, otaReceived, messagesSent, messagesReceived }
  }

  /** Does what is due. */
  abstract timeCame(now: Millis): void

  /** Puts the connection on the wheel for the next thing it waits for; to be called after the session was used. */
  abstract reschedule(): void

  /** Ends the connection, for a reason of the cloud's; again without effect. */
  abstract close(reason: string): void

  // The session's side.

  abstract send(message: Uint8Array): void

  abstract hello(hello: Hello): void

  /** The session cannot go on. */
  abstract closed(error: ProtocolError): void

  describe(report: Describe): void {
    if (this.stage === 'online') this.host.described(this, report)
  }

  event(event: DeviceEvent): void {
    if (this.stage === 'online') this.host.event(this, event)
  }

  subscribe(subscription: Subscription): void {
    if (this.stage === 'online') this.host.subscribed(this, subscription)
  }

  goodbye(goodbye: Goodbye): void {
    this.goodbyeReason = goodbye
  }

  problem(error: ProtocolError): void {
    this.host.problem(this, error)
  }

  /** The device was not let in. */
  protected refused(step: string, reason: string): void {
    const address = `${this.address}:${this.port}`
    const { deviceId } = this
    this.host.refused(deviceId ? { deviceId, address, step, reason } : { address, step, reason })
  }

  /** The same device and channel, and yet a new connection: nothing that was said before counts. */
  protected renew(): void {
    this.serial = ++lastSerial
    this.safeMode = false
    this.safeModeAnnounced = false
    this.systemDescribed = false
    this.forcedTold = false
    this.updating = false
    this.published = 0
    this.goodbyeReason = undefined
  }
}

/** An IPv4 address that came over an IPv6 socket, as people write it. */
export function plainAddress(address: string | undefined): string {
  if (!address) return 'unknown'
  return address.startsWith('::ffff:') ? address.slice(7) : address
}
