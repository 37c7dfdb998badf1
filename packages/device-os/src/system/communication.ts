/**
 * What system part 1 offers to system part 2. The two are updated one after the other, so that a newer part 1 must
 * serve an older part 2: what is here is only ever added to.
 */
import type { SystemDescribe } from '@aloe/firmware'
import type {
  Announcement,
  DescribeKind,
  DtlsDialect,
  Goodbye,
  HelloFields,
  UpdateTarget,
  VariableType,
  VariableValue,
  Vital,
} from '@aloe/protocol'
import type { Hal } from '../hal/hal.ts'
import type { Millis } from '../hal/time.ts'

export type ConnectionStatus = 'disconnected' | 'connecting' | 'handshake' | 'connected' | 'disconnecting'

/** How a failure to connect shows on the LED. */
export type FailureKind = 'error' | 'handshake' | 'decryption' | 'authentication'

export interface ConnectionFailure {
  readonly kind: FailureKind
  /** Where: `address`, `connect`, a step of the handshake, `hello` or `session`. */
  readonly step: string
  /** The number that `cloud:err` shows (device-protocol.md 6.4). */
  readonly error: number
  readonly message: string
  /** How long until the next attempt; undefined when there is none. */
  readonly retryIn: Millis | undefined
}

export interface ConnectionHandlers {
  status(status: ConnectionStatus): void
  /**
   * A session stands; nothing was announced in it yet. Resumed: it is one from before, in which the cloud knows what it
   * acknowledged: an announcement says the rest (device-protocol.md 3.4.3).
   */
  ready(resumed?: boolean): void
  failed(failure: ConnectionFailure): void
  /** The cloud asks for a describe. */
  describe(kind: DescribeKind): Uint8Array
  /** System and application in one, of a device from before Device OS 2.0 (a twin). */
  describeAll?(): Uint8Array
  /** The cloud calls a function; without a reply the caller times out. @returns false when there is no such function */
  call(name: string, argument: string, reply: (value: number) => void): boolean
  /** The cloud reads a variable; undefined: there is none of that name. */
  variable(name: string, reply: (value: VariableValue | undefined) => void): void
  event(name: string, data: Uint8Array, contentType: number): void
  time(unixSeconds: number): void
  signal(on: boolean): void
}

/** An older host has no UDP. */
export type ConnectionHal = Pick<Hal, 'now' | 'setTimer' | 'random' | 'connectTcp'> & Partial<Pick<Hal, 'connectUdp'>>

export interface ConnectionServer {
  readonly host: string
  readonly port: number
}

/** Where the session with the cloud outlives resets and power cuts. */
export interface SessionStorage {
  load(): Uint8Array | undefined
  /** Safe when it returns; undefined erases it. */
  save(session: Uint8Array | undefined): void
}

export interface UdpOptions {
  /** SEC1 DER */
  readonly deviceKey: Uint8Array
  /** SPKI DER */
  readonly serverKey: Uint8Array | undefined
  readonly server: ConnectionServer | undefined
  readonly sessions: SessionStorage
  /** How a resumed session is named; as 4.0 and later do unless given (a twin of an older board does otherwise). */
  readonly dialect?: DtlsDialect
}

export interface ConnectionOptions {
  readonly hal: ConnectionHal
  /** 24 hexadecimal characters. */
  readonly deviceId: string
  /** PKCS#1 DER */
  readonly deviceKey: Uint8Array
  /** SPKI DER */
  readonly serverKey: Uint8Array | undefined
  readonly server: ConnectionServer | undefined
  /** Connect over UDP, with these keys; without them over TCP. A part 1 from before UDP knows TCP only. */
  readonly udp?: UdpOptions
  /** How the device runs: a session from another mode is no session to go on with silently. */
  readonly mode?: string
  /** Asked at the start of each session. */
  readonly hello: () => HelloFields
  readonly updateTarget: UpdateTarget
  readonly handlers: ConnectionHandlers
}

export interface OutgoingEvent {
  readonly name: string
  readonly data?: Uint8Array
  readonly contentType?: number
  /** Seconds. */
  readonly ttl?: number
  /** Ask for an acknowledgement. */
  readonly acknowledge?: boolean
}

export interface OutgoingSubscription {
  readonly prefix: string
  /** Data of any format is wanted. */
  readonly format?: 'binary'
}

export interface ConnectionCounters {
  /** Attempts since the last success. */
  readonly attempts: number
  /** Connections that broke. */
  readonly disconnects: number
  /** device-protocol.md 6.4; 0 when the last attempt succeeded. */
  readonly lastError: number
}

export interface Connection {
  readonly status: ConnectionStatus
  readonly counters: ConnectionCounters
  /** Connects, and again and again whenever the connection is lost. */
  connect(): void
  /** Says goodbye (with a reason given), closes, and stays so. Resolves when it is closed. */
  disconnect(goodbye: Goodbye | undefined): Promise<void>
  /** Drops everything at once, without a word, for good. */
  close(): void
  /** Gives up the present connection and makes a new one. */
  reconnect(): void
  setKeepAlive(interval: Millis): void
  // What follows does nothing while there is no session.
  /** Says what a device says after its Hello, in its order (device-protocol.md 3.4.1). */
  announce(announcement: Announcement): void
  /** The application's part of it, when it was not ready before; also again, when functions or variables came. */
  announceApplication(subscriptions: readonly OutgoingSubscription[]): void
  postDescribe(kind: DescribeKind, payload: Uint8Array, done?: (ok: boolean) => void): void
  /** `done` tells whether it went out (and was acknowledged, if that was asked for). */
  publish(event: OutgoingEvent, done?: (ok: boolean) => void): void
  subscribe(subscription: OutgoingSubscription): void
  requestTime(): void
}

export interface Communication {
  /** What `createConnection` can; a part 1 from before UDP does not say. */
  readonly transports?: readonly ('tcp' | 'udp')[]
  createConnection(options: ConnectionOptions): Connection
  encodeSystemDescribe(describe: SystemDescribe): Uint8Array
  encodeApplicationDescribe(functions: readonly string[], variables: Readonly<Record<string, VariableType>>): Uint8Array
  encodeVitals(vitals: readonly Vital[]): Uint8Array
}
