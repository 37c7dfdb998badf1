/** What the cloud's session is made of and tells its owner. */

import type { Describe } from '../messages/describe.ts'
import type { DeviceEvent } from '../messages/event.ts'
import type { Goodbye } from '../messages/goodbye.ts'
import type { Hello } from '../messages/hello.ts'
import type { Subscription } from '../messages/subscription.ts'
import type { ProtocolError } from '../protocol-error.ts'
import type { Millis } from '../time.ts'
import type { PingLimits } from './pinger.ts'

export interface CloudSessionHandlers {
  /** Puts one CoAP message into the channel. */
  send(message: Uint8Array): void
  /** True while the channel has so much to write that file data had better wait. */
  congested?(): boolean
  /** The device said Hello; over UDP this is where its id and key must be compared, and `close()` called if they differ. */
  hello(hello: Hello): void
  /** Old devices answer with system and application in one, which comes as two calls. */
  describe(describe: Describe): void
  /** An event of the application or of the system. Its data may be a view of the received bytes. */
  event(event: DeviceEvent): void
  /** False refuses an event with 4.00, for example by a rate limit: it is then not handed to `event`. */
  admit?(event: DeviceEvent): boolean
  subscribe?(subscription: Subscription): void
  goodbye?(goodbye: Goodbye): void
  /** Something that the device sent could not be used; the session goes on. For logs. */
  problem?(error: ProtocolError): void
  /** The session ended by itself: the owner closes the channel. Not told after `close()`. */
  closed(error: ProtocolError): void
}

export interface CloudSessionOptions {
  readonly transport: 'tcp' | 'udp'
  /** Random bytes. */
  readonly random: (size: number) => Uint8Array
  /** Seconds since 1970, UTC. */
  readonly unixTime: () => number
  readonly firstMessageId: number
  readonly handlers: CloudSessionHandlers
  /** The time now: with it, a device that never says Hello is given up after `helloTimeout`. */
  readonly now?: Millis
  readonly helloTimeout?: Millis
  /** Silence before this end pings, and after. */
  readonly ping?: PingLimits
  /** Most subscriptions of one device; Device OS makes no more than 6. */
  readonly maxSubscriptions?: number
  /** State of a resumed UDP session, whose device says neither Hello nor subscribes again (device-protocol.md 3.4.3). */
  readonly resume?: { readonly hello: Hello; readonly subscriptions: readonly Subscription[] }
}

export const defaultHelloTimeout: Millis = 20_000

/** Six of Device OS, and room for devices of the future. */
export const defaultMaxSubscriptions = 16

/**
 * TCP devices ping after 15 to 25 s, so a minute of silence is two pings missed (1.7). UDP devices on cellular ping every
 * 23 minutes: twice that (cloud-api.md 3.1).
 */
export const defaultPing: Readonly<Record<'tcp' | 'udp', PingLimits>> = {
  tcp: { interval: 60_000, timeout: 15_000 },
  udp: { interval: 46 * 60_000, timeout: 90_000 },
}
