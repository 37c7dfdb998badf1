/**
 * The gateway: keeps one connection per device, whatever it came in by, and walks events and requests through it.
 * The walk of an event touches memory only.
 */
import { randomBytes } from 'node:crypto'
import {
  cloudSystemEvent,
  type Describe,
  type DeviceEvent,
  decodeVariable,
  type Hello,
  helloFlag,
  type Millis,
  noProduct,
  type ProtocolError,
  type RequestResult,
  type Subscription,
  type VariableType,
} from '@aloe/protocol'
import type { Logger } from 'pino'
import type { Bus } from '../bus/bus.ts'
import { type Clock, systemClock, type TimerHandle } from '../clock.ts'
import type { DeviceRecord } from '../devices/device.ts'
import type { Refusal } from '../devices/refusals.ts'
import type { DeviceRegistry } from '../devices/registry.ts'
import { type CloudEvent, isEventName, isReservedEventName } from '../events/event.ts'
import { type Admission, type AdmissionPolicy, admit, type DeviceKeyKind } from './admission.ts'
import type { ConnectionHost, DeviceConnection } from './connection.ts'
import { DeadlineWheel } from './deadlines.ts'
import { aboutDevice, deviceEvent } from './device-event.ts'
import { DeviceReports, type ReportedRegistry } from './device-reports.ts'
import type {
  ConnectionInfo,
  DescribeKind,
  DeviceObserver,
  Gateway,
  GatewayStatistics,
  RunningUpdate,
  UpdateOptions,
  VariableValue,
} from './gateway.ts'
import { defaultLimits, type GatewayLimits, requestTimeouts } from './limits.ts'
import { NearDeadlines } from './near-deadlines.ts'
import { type DevicePorts, nodePorts } from './ports.ts'
import { runUpdate } from './running-update.ts'
import { Subscribers } from './subscribers.ts'
import { TcpListener, type TcpListenerOptions } from './tcp-listener.ts'
import { UdpListener, type UdpListenerOptions } from './udp-listener.ts'

/** The part of the registry that the gateway uses. */
export type GatewayRegistry = ReportedRegistry &
  Pick<DeviceRegistry, 'enrol' | 'recordConnection' | 'recordRefusal' | 'heard'>

export interface GatewayOptions {
  readonly tcp: TcpListenerOptions
  readonly udp?: UdpListenerOptions
  readonly registry: GatewayRegistry
  readonly bus: Bus
  readonly log: Logger
  readonly openEnrolment?: boolean
  readonly limits?: Partial<GatewayLimits>
  /** Timers, and the wall clock; the machine's unless given. */
  readonly clock?: Clock
  /** Monotonic milliseconds; the given clock's, else the machine's. */
  readonly now?: () => Millis
  /** Unix milliseconds. */
  readonly wallClock?: () => number
  /** Where devices come in; the machine's ports unless given. */
  readonly ports?: DevicePorts
  /** Keys and nonces come from it: cryptographically strong, unless chance is simulated. */
  readonly random?: (size: number) => Uint8Array
  /** How often the sessions' deadlines are looked at, in milliseconds. */
  readonly tick?: Millis
}

export interface ListenOptions {
  readonly host: string
  readonly tcpPort: number
  readonly udpPort?: number
}

const defaultTick: Millis = 100
/** Longer than a question lives. */
const askAgainAfter: Millis = 120_000
/** `last heard` is good to the second; the registry need not hear of every message. */
const heardEvery: Millis = 1_000

/** A gateway that does not listen yet, so that others can begin to observe it before the first device comes. */
export function createGateway(options: GatewayOptions): DeviceGateway {
  return new DeviceGateway(options)
}

export class DeviceGateway implements Gateway, ConnectionHost {
  readonly limits: GatewayLimits
  readonly now: () => Millis
  readonly random: (size: number) => Uint8Array
  readonly #clock: Clock
  readonly #tick: Millis
  readonly #wallClock: () => number
  readonly #registry: GatewayRegistry
  readonly #bus: Bus
  readonly #log: Logger
  readonly #policy: AdmissionPolicy
  readonly #tcp: TcpListener
  readonly #udp: UdpListener | undefined
  readonly #wheel: DeadlineWheel
  /** What cannot wait for the wheel's next tick. */
  readonly #near: NearDeadlines<DeviceConnection>
  #lastTick: Millis
  /** The devices that are online. */
  readonly #devices = new Map<string, DeviceConnection>()
  readonly #subscribers = new Subscribers<DeviceConnection>()
  readonly #observers = new Set<DeviceObserver>()
  readonly #reports: DeviceReports
  #ticker: TimerHandle | undefined
  #unsubscribe: (() => void) | undefined
  #closing = false

  constructor(options: GatewayOptions) {
    const { registry } = options
    this.limits = { ...defaultLimits, ...options.limits }
    const { clock = systemClock } = options
    this.#clock = clock
    this.#tick = options.tick ?? defaultTick
    this.now = options.now ?? (options.clock ? () => clock.now() : () => performance.now())
    this.#wallClock = options.wallClock ?? (() => clock.now())
    this.random = options.random ?? randomBytes
    this.#registry = registry
    this.#bus = options.bus
    this.#log = options.log
    this.#policy = {
      openEnrolment: options.openEnrolment ?? false,
      lookup: (id) => registry.get(id),
      enrol: (id, key) => registry.enrol(id, key),
    }
    this.#reports = new DeviceReports({
      registry,
      log: this.#log,
      now: this.now,
      unixMillis: () => this.#wallClock(),
      publish: (record, name, data) => this.#publish(record, name, data),
      observers: this.#observers,
      claimed: (deviceId, code) => {
        this.ownerChanged(deviceId)
        this.publishSystem(deviceId, `${cloudSystemEvent.claim}${code}`, 'true')
      },
    })
    this.#lastTick = this.now()
    this.#wheel = new DeadlineWheel(this.#lastTick)
    this.#near = new NearDeadlines(this.now, clock)
    const { ports = nodePorts } = options
    this.#tcp = new TcpListener(this, this.#log, ports, options.tcp)
    this.#udp = options.udp && new UdpListener(this, this.#log, ports, options.udp)
  }

  /** Opens the ports (0 takes a free one); resolves when devices can connect. */
  async listen({ host, tcpPort, udpPort = 0 }: ListenOptions): Promise<void> {
    await this.#tcp.listen(host, tcpPort)
    await this.#udp?.listen(host, udpPort)
    this.#awaitTick()
    this.#unsubscribe = this.#bus.subscribe((event) => this.#distribute(event))
  }

  #awaitTick(): void {
    this.#ticker = this.#clock.setTimeout(() => {
      this.#awaitTick()
      this.#lastTick = this.now()
      this.#wheel.advance(this.#lastTick)
      this.#udp?.poll(this.#lastTick)
    }, this.#tick)
  }

  get tcpPort(): number {
    return this.#tcp.port
  }

  get udpPort(): number | null {
    return this.#udp?.port ?? null
  }

  statistics(): GatewayStatistics {
    return { online: this.#devices.size, udp: this.#udp?.statistics() ?? null }
  }

  get connected(): number {
    return this.#devices.size
  }

  // What connections ask for.

  unixTime = (): number => Math.floor(this.#wallClock() / 1_000)

  unixMillis(): number {
    return this.#wallClock()
  }

  admit(deviceId: string, publicKey: Uint8Array | undefined, kind: DeviceKeyKind): Admission | Promise<Admission> {
    return admit(this.#policy, deviceId, publicKey, kind)
  }

  schedule(connection: DeviceConnection, at: Millis): void {
    this.#wheel.schedule(connection, at)
    // The wheel is late by up to a tick, which is as nothing to a ping, and much to a pause within a transfer.
    if (at < this.#lastTick + 2 * this.#tick) this.#near.add(connection, at)
  }

  unschedule(connection: DeviceConnection): void {
    this.#wheel.cancel(connection)
    this.#near.remove(connection)
  }

  refused(refusal: Refusal): void {
    if (this.#closing) return
    this.#log.warn(refusal, 'device not let in')
    this.#registry.recordRefusal(refusal)
  }

  online(connection: DeviceConnection, hello: Hello): void {
    this.#online(connection, hello, false)
  }

  resumed(connection: DeviceConnection, hello: Hello): void {
    this.#online(connection, hello, true)
    for (const subscription of connection.session?.subscriptions ?? []) this.subscribed(connection, subscription)
    // Otherwise the device has been cut off before it could say it, and still will.
    if (connection.systemDescribed) this.#reports.resumed(connection)
    // Before Device OS 2.0 it waits to be asked, and the question may have been lost with the last process.
    else if ((hello.flags & helloFlag.deviceInitiatedDescribe) === 0) this.#reports.ask(connection)
  }

  #online(connection: DeviceConnection, hello: Hello, resumed: boolean): void {
    const { deviceId, address, enrolled } = connection
    this.#devices.get(deviceId)?.close('the device connected again')
    this.#devices.set(deviceId, connection)
    connection.since = this.#wallClock()
    connection.askedAt = this.now()
    connection.resumed = resumed
    // A device without a product: its product is its platform (cloud-api.md 0.4).
    const none = hello.productId === noProduct
    this.#registry.recordConnection(deviceId, {
      address,
      platformId: hello.platformId,
      productId: none ? hello.platformId : hello.productId,
      productVersion: none ? 0 : hello.productVersion,
      resumed,
    })
    const record = this.#registry.get(deviceId)
    connection.audience = audienceOf(record)
    this.#log.info({ deviceId, address, platformId: hello.platformId, enrolled, resumed }, 'device online')
    if (record) this.#publish(record, 'spark/status', 'online')
    for (const observer of this.#observers) observer.online?.(deviceId, hello)
  }

  offline(connection: DeviceConnection, reason: string): void {
    const { deviceId } = connection
    if (this.#devices.get(deviceId) !== connection) return
    this.#reportTraffic(connection)
    this.#devices.delete(deviceId)
    this.#unindex(connection)
    const goodbye = connection.goodbyeReason
    this.#log.info({ deviceId, reason, goodbye }, 'device offline')
    const record = this.#registry.get(deviceId)
    if (record) this.#publish(record, 'spark/status', 'offline')
    for (const observer of this.#observers) observer.offline?.(deviceId, reason)
  }

  problem(connection: DeviceConnection, error: ProtocolError): void {
    const { deviceId } = connection
    this.#log.debug({ deviceId, code: error.code, reason: error.message }, 'the device sent something of no use')
  }

  heard(connection: DeviceConnection): void {
    if (connection.lastReceived - connection.heardAt < heardEvery) return
    connection.heardAt = connection.lastReceived
    this.#registry.heard(connection.deviceId)
    this.#checkOwner(connection)
    if (!connection.systemDescribed) this.#askAgain(connection)
  }

  /** Before Device OS 2.0 a device says what it is only when asked, and the answer can get lost as well. */
  #askAgain(connection: DeviceConnection): void {
    const hello = connection.session?.hello
    if (connection.updating || !hello || (hello.flags & helloFlag.deviceInitiatedDescribe) !== 0) return
    const now = this.now()
    if (now - connection.askedAt < askAgainAfter) return
    connection.askedAt = now
    this.#reports.ask(connection)
  }

  // Events.

  /** From a device. The hot path. */
  event(connection: DeviceConnection, event: DeviceEvent): void {
    const record = this.#registry.get(connection.deviceId)
    if (!record || !isEventName(event.name)) return
    if (isReservedEventName(event.name)) {
      this.#reports.systemEvent(connection, record, event)
      return
    }
    connection.published++
    this.#bus.publish(deviceEvent(record, event, this.#wallClock()))
  }

  /** From the bus to the devices that subscribed. */
  #distribute(event: CloudEvent): void {
    const { owner, productId } = event
    if (owner !== undefined) this.#deliver(event, owner)
    // What the webhooks of a product say, its unclaimed devices may hear too (cloud-api.md 1.8).
    if (productId !== undefined && event.coreid === 'particle-internal') this.#deliver(event, unclaimedOf(productId))
  }

  #deliver(event: CloudEvent, audience: string): void {
    let data: Uint8Array | undefined
    this.#subscribers.forEach(audience, event.name, (connection) => {
      // Between a change of owner and its arrival in the index nothing may leak.
      if (audienceOf(this.#registry.get(connection.deviceId)) !== audience) return
      if (connection.congested() || !connection.session) return
      data ??= event.raw ?? (event.data === null ? undefined : Buffer.from(event.data, 'utf8'))
      connection.session.deliver(
        {
          name: event.name,
          ttl: event.ttl,
          ...(event.deviceId !== undefined && { deviceId: event.deviceId }),
          ...(data && { data }),
          ...(event.contentType !== undefined && { contentType: event.contentType }),
        },
        this.now(),
      )
      connection.reschedule()
    })
  }

  subscribed(connection: DeviceConnection, subscription: Subscription): void {
    if (connection.audience !== null) this.#subscribers.add(connection.audience, subscription.prefix, connection)
  }

  #unindex(connection: DeviceConnection): void {
    if (connection.audience === null) return
    for (const { prefix } of connection.session?.subscriptions ?? []) {
      this.#subscribers.remove(connection.audience, prefix, connection)
    }
  }

  #checkOwner(connection: DeviceConnection): void {
    const audience = audienceOf(this.#registry.get(connection.deviceId))
    if (audience === connection.audience) return
    this.#unindex(connection)
    connection.audience = audience
    for (const subscription of connection.session?.subscriptions ?? []) this.subscribed(connection, subscription)
  }

  ownerChanged(deviceId: string): void {
    const connection = this.#devices.get(deviceId)
    if (connection) this.#checkOwner(connection)
  }

  /** From the cloud, about a device, to its owner. */
  #publish(record: DeviceRecord, name: string, data: string | null): void {
    this.#bus.publish(aboutDevice(record, name, data, this.#wallClock()))
  }

  described(connection: DeviceConnection, report: Describe): void {
    this.#reports.described(connection, report)
  }

  // Requests.

  isOnline(deviceId: string): boolean {
    return this.#devices.has(deviceId)
  }

  connection(deviceId: string): ConnectionInfo | undefined {
    const connection = this.#devices.get(deviceId)
    const hello = connection?.session?.hello
    if (!connection || !hello) return undefined
    return {
      serial: connection.serial,
      address: connection.address,
      since: connection.since,
      hello,
      resumed: connection.resumed,
      safeMode: connection.safeMode,
      cancellableUpdates: (hello.flags & helloFlag.otaV3) !== 0,
      describe: connection.systemDescribed ? (this.#registry.get(deviceId)?.describe ?? undefined) : undefined,
    }
  }

  #request<T>(
    deviceId: string,
    ask: (connection: DeviceConnection, done: (result: RequestResult<T>) => void) => void,
  ): Promise<RequestResult<T>> {
    const connection = this.#devices.get(deviceId)
    if (!connection) return Promise.resolve({ ok: false, error: 'closed', message: 'the device is offline' })
    return new Promise((resolve) => {
      ask(connection, resolve)
      connection.reschedule()
    })
  }

  call(deviceId: string, name: string, argument: string): Promise<RequestResult<number>> {
    return this.#request(deviceId, ({ session }, done) =>
      session?.call(name, argument, this.now(), requestTimeouts.call, done),
    )
  }

  async readVariable(deviceId: string, name: string): Promise<RequestResult<VariableValue>> {
    const type = this.#registry.get(deviceId)?.variables?.[name]
    if (type === undefined) return { ok: false, error: 'not-found', message: `the device has no variable ${name}` }
    const result = await this.#request<Uint8Array>(deviceId, ({ session }, done) =>
      session?.readVariable(name, this.now(), requestTimeouts.variable, done),
    )
    if (!result.ok) return result
    try {
      return { ok: true, value: decodeVariable(type as VariableType, result.value) }
    } catch {
      return { ok: false, error: 'refused', message: `the device's answer is no ${type}` }
    }
  }

  async ping(deviceId: string): Promise<boolean> {
    const result = await this.#request<Millis>(deviceId, ({ session }, done) =>
      session?.ping(this.now(), requestTimeouts.ping, done),
    )
    const connection = this.#devices.get(deviceId)
    if (connection && result.ok) connection.roundTrip = result.value
    return result.ok
  }

  signal(deviceId: string, on: boolean): Promise<RequestResult<undefined>> {
    return this.#request(deviceId, ({ session }, done) => session?.signal(on, this.now(), requestTimeouts.signal, done))
  }

  requestDescribe(deviceId: string, kind: DescribeKind): Promise<RequestResult<readonly Describe[]>> {
    return this.#request(deviceId, ({ session }, done) =>
      session?.requestDescribe(kind, this.now(), requestTimeouts.describe, done),
    )
  }

  setUpdatesForced(deviceId: string, on: boolean): boolean {
    return this.publishSystem(deviceId, cloudSystemEvent.updatesForced, String(on))
  }

  publishSystem(deviceId: string, name: string, data: string): boolean {
    const connection = this.#devices.get(deviceId)
    if (!connection?.session) return false
    connection.session.publishSystem(name, Buffer.from(data, 'utf8'), this.now())
    connection.reschedule()
    return true
  }

  startUpdate(deviceId: string, file: Uint8Array, options: UpdateOptions): RunningUpdate | undefined {
    const connection = this.#devices.get(deviceId)
    const session = connection?.session
    if (!connection || !session) return undefined
    connection.updating = true
    const carrier = {
      gone: () => connection.stage === 'closed',
      ended: () => {
        connection.updating = false
      },
    }
    const update = runUpdate(options, carrier, (handlers) => {
      const { moduleFunction, discard } = options
      const handle = session.startUpdate(
        file,
        { ...(moduleFunction !== undefined && { moduleFunction }), ...(discard !== undefined && { discard }) },
        this.now(),
        handlers,
      )
      return {
        cancel: () => {
          // The chunked transfer has no such message: the device would wait for chunks for minutes (3.18).
          if (!session.hello || (session.hello.flags & helloFlag.otaV3) === 0) return false
          const cancelled = handle.cancel(this.now())
          connection.reschedule()
          return cancelled
        },
      }
    })
    connection.reschedule()
    return update
  }

  disconnect(deviceId: string, reason: string): void {
    this.#devices.get(deviceId)?.close(reason)
    this.#udp?.forget(deviceId, reason)
  }

  collectTraffic(deviceId?: string): void {
    if (deviceId === undefined) {
      for (const connection of this.#devices.values()) this.#reportTraffic(connection)
      return
    }
    const connection = this.#devices.get(deviceId)
    if (connection) this.#reportTraffic(connection)
  }

  #reportTraffic(connection: DeviceConnection): void {
    const traffic = connection.takeTraffic()
    if (!traffic) return
    for (const observer of this.#observers) observer.traffic?.(connection.deviceId, traffic)
  }

  observe(observer: DeviceObserver): () => void {
    this.#observers.add(observer)
    return () => this.#observers.delete(observer)
  }

  async close(): Promise<void> {
    if (this.#closing) return
    this.#closing = true
    const closed = Promise.all([this.#tcp.close(), this.#udp?.close()])
    this.#clock.clearTimeout(this.#ticker)
    this.#near.close()
    this.#unsubscribe?.()
    await closed
  }
}

/** Whose events a device hears: its owner's, or, as long as it has none, those for its product's unclaimed devices. */
function audienceOf(record: DeviceRecord | undefined): string | null {
  if (!record) return null
  return record.ownerId ?? (record.memberOf === null ? null : unclaimedOf(record.memberOf))
}

/** No user's id looks like it. */
function unclaimedOf(productId: number): string {
  return `product ${productId}`
}
