/** The system's end of the cloud connection: what is announced in a session, what is answered, what goes out. */
import {
  type Announcement,
  deviceSystemEvent,
  type Goodbye,
  type UpdateTarget,
  type VariableValue,
} from '@aloe/protocol'
import { resetReasonCode } from '../flash/reset-reason.ts'
import type { LogLevel } from '../hal/hal.ts'
import type { Millis, Timer } from '../hal/time.ts'
import type { SharedState } from '../wiring/shared-state.ts'
import type { ApplicationLink, LinkedSubscription } from './application-link.ts'
import type {
  Connection,
  ConnectionFailure,
  ConnectionStatus,
  FailureKind,
  OutgoingEvent,
  OutgoingSubscription,
} from './communication.ts'
import { helloOf, serverOf, udpOf } from './hello.ts'
import { lastResetText } from './last-reset.ts'
import type { SystemInput } from './system-input.ts'
import { vitals } from './vitals.ts'

/** How long a session waits for `setup()` before it tells what the application has so far. */
const setupGrace: Millis = 5_000
/** Functions and variables that come later are told together. */
const changeGrace: Millis = 250
/** How long `syncTime` waits. */
const timeWait: Millis = 20_000

export interface CloudLinkHandlers {
  status(status: ConnectionStatus): void
  failed(kind: FailureKind): void
  event(name: string, data: Uint8Array, contentType: number): void
  time(unixSeconds: number): void
  signal(on: boolean): void
}

export interface CloudLinkOptions {
  readonly input: SystemInput
  /** Device OS version. */
  readonly version: string
  readonly state: SharedState
  readonly updateTarget: UpdateTarget
  readonly startedAt: Millis
  readonly safe: boolean
  readonly application: () => ApplicationLink | undefined
  readonly handlers: CloudLinkHandlers
}

const toOutgoing = ({ filter, binary }: LinkedSubscription): OutgoingSubscription => ({
  prefix: filter,
  ...(binary && { format: 'binary' }),
})

export class CloudLink {
  readonly #options: CloudLinkOptions
  readonly #connection: Connection
  readonly #timeWaiters = new Set<(synced: boolean) => void>()
  /** The update that led to this boot was applied; told until the first session stands. */
  #updated: boolean
  /** Told once a boot. */
  #lastReset: string | undefined
  #session = false
  #applicationTold = false
  #timer: Timer | undefined
  #disconnectReason = 0
  #rateLimited = 0

  constructor(options: CloudLinkOptions) {
    this.#options = options
    const { input, handlers, version, updateTarget } = options
    const { flash, hal, decision, communication } = input
    const { deviceId, deviceKey, serverKey, serverAddress } = flash.config
    const udp = udpOf(flash, version)
    if (udp && communication.transports?.includes('udp') !== true) {
      this.#log('warn', 'system part 1 is too old for UDP: connecting over TCP')
    }
    this.#updated = decision.resetReason === 'update' && decision.applied.every(({ result }) => result === 0)
    this.#lastReset = lastResetText(decision.resetReason, decision.resetData)
    this.#connection = communication.createConnection({
      hal,
      deviceId,
      deviceKey,
      serverKey,
      server: serverOf(serverAddress, deviceId, version),
      ...(udp && { udp }),
      mode: decision.mode,
      hello: () => helloOf(flash, this.#updated),
      updateTarget,
      handlers: {
        status: (status) => this.#status(status),
        ready: (resumed = false) => this.#ready(resumed),
        failed: (failure) => this.#failed(failure),
        describe: (kind) => this.#describe(kind),
        call: (name, argument, reply) => options.application()?.call(name, argument, reply) ?? false,
        variable: (name, reply) => this.#variable(name, reply),
        event: (name, data, contentType) => handlers.event(name, data, contentType),
        time: (seconds) => this.#time(seconds),
        signal: (on) => handlers.signal(on),
      },
    })
  }

  get status(): ConnectionStatus {
    return this.#connection.status
  }

  connect(): void {
    this.#connection.connect()
  }

  disconnect(goodbye: Goodbye): Promise<void> {
    this.#disconnectReason = goodbye.cloudReason ?? 0
    return this.#connection.disconnect(goodbye)
  }

  reconnect(): void {
    this.#connection.reconnect()
  }

  close(): void {
    this.#timer?.cancel()
    this.#sayTime(false)
    this.#connection.close()
  }

  setKeepAlive(interval: Millis): void {
    this.#connection.setKeepAlive(interval)
  }

  publish(event: OutgoingEvent): Promise<boolean> {
    return new Promise((resolve) => this.#connection.publish(event, resolve))
  }

  /** An event of the application was held back by the rate limit. */
  countRateLimited(): void {
    this.#rateLimited += 1
  }

  sayUpdatesEnabled(): void {
    this.#flagEvent(deviceSystemEvent.updatesEnabled, this.#options.state.is('updatesEnabled'))
  }

  sayUpdatesForced(): void {
    this.#flagEvent(deviceSystemEvent.updatesForced, this.#options.state.is('updatesForced'))
  }

  sendVitals(): Promise<boolean> {
    return new Promise((resolve) => this.#connection.postDescribe('metrics', this.#describe('metrics'), resolve))
  }

  /** Asks for the time; tells whether it came. */
  syncTime(): Promise<boolean> {
    if (this.status !== 'connected') return Promise.resolve(false)
    this.#options.state.set('timeSyncPending', 1)
    return new Promise((resolve) => {
      const timer = this.#options.input.hal.setTimer(timeWait, () => this.#sayTime(false))
      this.#timeWaiters.add((synced) => {
        timer.cancel()
        resolve(synced)
      })
      this.#connection.requestTime()
    })
  }

  /** The application has other functions or variables than before, or has finished its `setup()`. */
  applicationChanged(setup: boolean): void {
    if (!this.#session) return
    if (!this.#applicationTold) {
      if (setup) this.#tellApplication()
      return
    }
    this.#after(changeGrace, () => this.#connection.postDescribe('application', this.#describe('application')))
  }

  subscribed(subscription: LinkedSubscription): void {
    if (this.#session && this.#applicationTold) this.#connection.subscribe(toOutgoing(subscription))
  }

  #flagEvent(name: string, on: boolean): void {
    this.#connection.publish({ name, data: Buffer.from(on ? 'true' : 'false') })
  }

  #status(status: ConnectionStatus): void {
    if (status !== 'connected') {
      this.#session = false
      this.#timer?.cancel()
    }
    this.#options.handlers.status(status)
  }

  /**
   * Says what a device says in a new session, in the order of device-protocol.md 3.4.1. In a resumed one it asks for the
   * time only when it does not know it (2.6.4).
   */
  #ready(resumed: boolean): void {
    const { input, state, safe, application } = this.#options
    this.#session = true
    this.#updated = false
    const link = application()
    const told = link === undefined || link.setupDone
    const askTime = !resumed || input.hal.unixTime() === undefined
    const announcement: Announcement = {
      time: askTime,
      claimCode: input.flash.config.claimCode,
      safeMode: safe,
      lastReset: this.#lastReset,
      updatesEnabled: state.is('updatesEnabled'),
      updatesForced: state.is('updatesForced'),
      application: told,
      subscriptions: (link?.subscriptions ?? []).map(toOutgoing),
    }
    this.#lastReset = undefined
    this.#applicationTold = told
    if (askTime) state.set('timeSyncPending', 1)
    this.#connection.announce(announcement)
    if (!told) this.#after(setupGrace, () => this.#tellApplication())
  }

  #tellApplication(): void {
    this.#timer?.cancel()
    this.#applicationTold = true
    this.#connection.announceApplication((this.#options.application()?.subscriptions ?? []).map(toOutgoing))
  }

  #after(delay: Millis, fn: () => void): void {
    this.#timer?.cancel()
    this.#timer = this.#options.input.hal.setTimer(delay, () => {
      if (this.#session) fn()
    })
  }

  #failed(failure: ConnectionFailure): void {
    const { kind, step, message, retryIn } = failure
    this.#session = false
    const again = retryIn === undefined ? '' : `; next attempt in ${retryIn / 1000} s`
    this.#log('warn', `no connection to the cloud: ${step}: ${message}${again}`)
    this.#sayTime(false)
    this.#options.handlers.failed(kind)
  }

  #variable(name: string, reply: (value: VariableValue | undefined) => void): void {
    const link = this.#options.application()
    if (link === undefined) reply(undefined)
    else link.read(name, reply)
  }

  #time(seconds: number): void {
    this.#options.handlers.time(seconds)
    this.#sayTime(true)
  }

  #sayTime(synced: boolean): void {
    this.#options.state.set('timeSyncPending', 0)
    for (const done of this.#timeWaiters) done(synced)
    this.#timeWaiters.clear()
  }

  #describe(kind: 'system' | 'application' | 'metrics'): Uint8Array {
    const { input, application, startedAt } = this.#options
    const { communication, decision, flash, hal } = input
    if (kind === 'system') {
      return communication.encodeSystemDescribe({
        platformId: flash.platform.id,
        modules: decision.modules,
        assets: flash.assets.list(),
      })
    }
    if (kind === 'application') {
      const link = application()
      return communication.encodeApplicationDescribe(link?.functions ?? [], link?.variables ?? {})
    }
    return communication.encodeVitals(
      vitals({
        resetReason: resetReasonCode(decision.resetReason),
        memory: hal.memory(),
        uptime: hal.now() - startedAt,
        cloudStatus: this.status,
        counters: this.#connection.counters,
        disconnectReason: this.#disconnectReason,
        rateLimited: this.#rateLimited,
      }),
    )
  }

  #log(level: LogLevel, message: string): void {
    const { hal } = this.#options.input
    hal.log({ level, category: 'comm', message, time: hal.now() })
  }
}
