/** What the device's session is made of and tells its owner. */
import type { DescribeKind } from '../messages/describe.ts'
import type { EventFields } from '../messages/event.ts'
import type { HelloFields } from '../messages/hello.ts'
import type { SubscriptionFormat } from '../messages/subscription.ts'
import type { VariableValue } from '../messages/variable.ts'
import type { ProtocolError } from '../protocol-error.ts'
import type { Millis } from '../time.ts'
import type { UpdateTarget } from '../transfer/transfer.ts'
import type { PingLimits } from './pinger.ts'

export interface DeviceSessionHandlers {
  /** Puts one CoAP message into the channel. */
  send(message: Uint8Array): void
  /** The cloud answered the Hello: now is the time for describes, events and subscriptions, see `announce`. */
  ready(): void
  /** The payload of a describe: `encodeSystemDescribe`, `encodeApplicationDescribe` or `encodeVitals`. */
  describe(kind: DescribeKind): Uint8Array
  /**
   * System and application in one JSON document, for a device of the dialect before Device OS 2.0, which describes
   * itself only when it is asked; without it such a request is refused, as later devices do (device-protocol.md 3.8.2).
   */
  describeAll?(): Uint8Array
  /**
   * The cloud calls a function: false when there is none of that name. `reply` may be called at once or later, once;
   * the value is sent as a signed 32 bit integer.
   */
  call(name: string, argument: string, reply: (value: number) => void): boolean
  /**
   * The cloud reads a variable: its value; undefined when there is none of that name; `later` when `reply` will be called
   * with either.
   */
  variable(
    name: string,
    reply: (value: VariableValue | undefined) => void,
  ): VariableValue | { readonly later: true } | undefined
  /** An event from the cloud, of any subscription: the owner looks by prefix and format who wants it. */
  event(name: string, data: Uint8Array, contentType: number): void
  /** Unix time in seconds, asked for or not. */
  time(unixTime: number): void
  /** The rainbow starts or stops. */
  signal(on: boolean): void
  /** The cloud wants a new session key. Over UDP the session ends with it. */
  keyChange?(): void
  /** An update begins or ends. While it runs, user events are refused. */
  updating?(active: boolean): void
  /** The session ended by itself: the owner closes the channel and connects anew. Not told after `close()`. */
  closed(error: ProtocolError): void
}

export interface DeviceSessionOptions {
  readonly transport: 'tcp' | 'udp'
  /** Random bytes. */
  readonly random: (size: number) => Uint8Array
  /** The id of the first message; over TCP the channel's seed plus 1 (device-protocol.md 1.5). */
  readonly firstMessageId: number
  /** The session adds nothing to it: over UDP it must name the device. */
  readonly hello: HelloFields
  readonly handlers: DeviceSessionHandlers
  /** Where updates go; without it the device takes none. The Hello's flags decide by which transfer. */
  readonly updateTarget?: UpdateTarget
  /** Bytes of the largest message that this end sends. */
  readonly maxMessageSize?: number
  readonly ping?: PingLimits
}

export interface PublishOptions extends EventFields {
  /** `with`: confirmable on every transport; `without`: never; else as the transport has it (device-protocol.md 3.2). */
  readonly ack?: 'with' | 'without'
}

/** What is announced together, and what a cloud that took it need not be told again (device-protocol.md 3.4.3). */
export type AnnouncedPart = 'system' | 'application' | 'subscriptions'

export interface ApplicationParts {
  /** False: the cloud knows the application's describe. */
  readonly describe?: boolean
  /** False: the cloud knows all subscriptions. */
  readonly subscribe?: boolean
  /** Over UDP: the cloud has acknowledged all of that part. */
  readonly taken?: ((part: AnnouncedPart) => void) | undefined
}

/** What a device says after its Hello (device-protocol.md 3.4.1), in that order; what is left out is not said. */
export interface Announcement extends ApplicationParts {
  /** False: the cloud knows the system describe. */
  readonly system?: boolean
  /** False: the device knows the time. */
  readonly time?: boolean
  readonly claimCode?: string | undefined
  readonly safeMode?: boolean
  /** Reset reason by name, once a boot. */
  readonly lastReset?: string | undefined
  readonly updatesEnabled?: boolean
  readonly updatesForced?: boolean
  /** False while the application's setup is not done: then `announceApplication` follows later. */
  readonly application?: boolean
  /** Beside `particle` and `spark`, to which every device subscribes. */
  readonly subscriptions?: readonly { readonly prefix: string; readonly format?: SubscriptionFormat }[]
}

/** The device waits this long for the cloud's Hello over TCP (device-protocol.md 6.1). */
export const serverHelloTimeout: Millis = 4_000

/** How long a publish waits for its acknowledgement (device-protocol.md 6.1). */
export const publishAckTimeout: Millis = 20_000

/** What fits the buffer of Device OS 6.2 in both directions: over TCP 33 bytes less (device-protocol.md 1.6). */
export const defaultDeviceMessageSize: Readonly<Record<'tcp' | 'udp', number>> = { tcp: 1119, udp: 1152 }

/** Keep-alive (device-protocol.md 6.1). */
export const defaultDevicePing: Readonly<Record<'tcp' | 'udp', PingLimits>> = {
  tcp: { interval: 15_000, timeout: 10_000 },
  udp: { interval: 25_000, timeout: 30_000 },
}
