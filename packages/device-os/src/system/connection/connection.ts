/**
 * The cloud connection: a link to the cloud over TCP or UDP, the session on it, and what happens when either fails
 * (device-protocol.md 1, 2, 3.4, 6).
 */
import { type AnnouncedPart, DeviceSession, type Goodbye, helloFlag, type ProtocolError } from '@aloe/protocol'
import type { Millis, Timer } from '../../hal/time.ts'
import type {
  Connection,
  ConnectionCounters,
  ConnectionOptions,
  ConnectionStatus,
  OutgoingEvent,
  OutgoingSubscription,
} from '../communication.ts'
import { backOff } from './back-off.ts'
import { failureOf } from './failure.ts'
import { closeTimeout, type Established, type Link, type LinkHandlers } from './link.ts'
import { TcpLink } from './tcp-link.ts'
import {
  applicationChecksum,
  decodeTold,
  encodeTold,
  type Subscribed,
  subscriptionsChecksum,
  systemChecksum,
  type Told,
} from './told.ts'
import { endsSession, UdpLink } from './udp-link.ts'

/** One attempt to connect and, if it succeeds, the connection. */
interface Attempt {
  readonly link: Link
  session: DeviceSession | undefined
  /** The session is an earlier one, and no Hello was due. */
  resumed: boolean
  /** It posts its describes; a device from before Device OS 2.0 waits to be asked. */
  describes: boolean
  /** Of what the device is, as its Hello and system describe say it. */
  system: string
  /** What the cloud knows in this session. */
  told: Told
  /** What was subscribed to in this session. */
  subscriptions: readonly Subscribed[]
  timer: Timer | undefined
  timerAt: Millis
  /** Told when nothing waits for an acknowledgement any more, or the attempt is over. */
  settled: (() => void) | undefined
}

export class CloudConnection implements Connection {
  readonly #options: ConnectionOptions
  #status: ConnectionStatus = 'disconnected'
  #wanted = false
  #attempt: Attempt | undefined
  #retry: Timer | undefined
  #failures = 0
  #attempts = 0
  #disconnects = 0
  #lastError = 0
  #keepAlive: Millis | undefined
  /** Ids go on from session to session (device-protocol.md 3.3). */
  #nextMessageId: number | undefined

  constructor(options: ConnectionOptions) {
    this.#options = options
  }

  get status(): ConnectionStatus {
    return this.#status
  }

  get counters(): ConnectionCounters {
    return { attempts: this.#attempts, disconnects: this.#disconnects, lastError: this.#lastError }
  }

  connect(): void {
    this.#wanted = true
    if (this.#attempt === undefined && this.#retry === undefined) this.#open()
  }

  async disconnect(goodbye: Goodbye | undefined): Promise<void> {
    this.#wanted = false
    this.#retry?.cancel()
    this.#retry = undefined
    const attempt = this.#attempt
    if (attempt === undefined) {
      this.#become('disconnected')
      return
    }
    const { link, session } = attempt
    if (session?.ready !== true) {
      this.#drop(attempt)
      this.#become('disconnected')
      return
    }
    this.#become('disconnecting')
    if (goodbye !== undefined) session.goodbye(goodbye, this.#now())
    if (link.transport === 'udp') await this.#settle(attempt)
    this.#stop(attempt)
    await link.end()
    if (this.#attempt === attempt) this.#attempt = undefined
    if (this.#attempt === undefined && this.#retry === undefined) this.#become('disconnected')
    if (this.#wanted && this.#attempt === undefined && this.#retry === undefined) this.#open()
  }

  close(): void {
    this.#wanted = false
    this.#retry?.cancel()
    this.#retry = undefined
    if (this.#attempt !== undefined) this.#drop(this.#attempt)
    this.#status = 'disconnected'
  }

  reconnect(): void {
    if (!this.#wanted) return
    this.#retry?.cancel()
    this.#retry = undefined
    if (this.#attempt !== undefined) this.#drop(this.#attempt)
    this.#open()
  }

  setKeepAlive(interval: Millis): void {
    this.#keepAlive = interval
    this.#attempt?.session?.keepAlive(interval)
    this.#poll(this.#attempt)
  }

  announce(announcement: Parameters<Connection['announce']>[0]): void {
    const subscriptions = announcement.subscriptions ?? []
    this.#withSession((session, now, attempt) => {
      const known = this.#announcing(attempt, announcement.application === false ? undefined : subscriptions)
      const system = attempt.describes && !attempt.resumed
      session.announce({ ...announcement, ...known, system }, now)
    })
  }

  announceApplication(subscriptions: readonly OutgoingSubscription[]): void {
    this.#withSession((session, now, attempt) => {
      session.announceApplication(subscriptions, now, this.#announcing(attempt, subscriptions))
    })
  }

  postDescribe(kind: 'system' | 'application' | 'metrics', payload: Uint8Array, done?: (ok: boolean) => void): void {
    if (this.#attempt?.session?.ready !== true) done?.(false)
    this.#withSession((session, now, attempt) => {
      if (kind === 'application') this.#tell(attempt, 'application', undefined)
      session.postDescribe(kind, payload, now, (ok) => {
        if (ok && kind === 'application') this.#tell(attempt, 'application', applicationChecksum(payload))
        done?.(ok)
      })
    })
  }

  publish({ acknowledge, ...event }: OutgoingEvent, done?: (ok: boolean) => void): void {
    if (this.#attempt?.session?.ready !== true) {
      done?.(false)
      return
    }
    this.#withSession((session, now) => {
      if (acknowledge === true) {
        session.publish({ ...event, ack: 'with' }, now, ({ ok }) => done?.(ok))
        return
      }
      const sent = session.publish({ ...event, ...(acknowledge === false && { ack: 'without' }) }, now)
      done?.(sent)
    })
  }

  subscribe(subscription: OutgoingSubscription): void {
    const { prefix, format } = subscription
    this.#withSession((session, now, attempt) => {
      const all = [...attempt.subscriptions, subscription]
      attempt.subscriptions = all
      // While others still wait for their acknowledgement it stays open whether the cloud knows all.
      const knewAll = attempt.told.subscriptions !== undefined
      this.#tell(attempt, 'subscriptions', undefined)
      session.subscribe(prefix, format ? { format } : {}, now, (taken) => {
        const last = attempt.subscriptions === all
        if (taken && knewAll && last) this.#tell(attempt, 'subscriptions', subscriptionsChecksum(all))
      })
    })
  }

  requestTime(): void {
    this.#withSession((session, now) => session.requestTime(now))
  }

  #now(): Millis {
    return this.#options.hal.now()
  }

  #withSession(act: (session: DeviceSession, now: Millis, attempt: Attempt) => void): void {
    const attempt = this.#attempt
    if (attempt?.session?.ready !== true) return
    act(attempt.session, this.#now(), attempt)
    this.#poll(attempt)
  }

  #become(status: ConnectionStatus): void {
    if (status === this.#status) return
    this.#status = status
    this.#options.handlers.status(status)
  }

  /** What of an announcement the cloud must be told. @param subscriptions undefined: the application comes later */
  #announcing(attempt: Attempt, subscriptions: readonly Subscribed[] | undefined) {
    const { told, system } = attempt
    const application = applicationChecksum(this.#options.handlers.describe('application'))
    const subscribed = subscriptions && subscriptionsChecksum(subscriptions)
    if (subscriptions) attempt.subscriptions = subscriptions
    const checksums: { readonly [Part in AnnouncedPart]: string | undefined } = {
      system,
      application,
      subscriptions: subscribed,
    }
    return {
      describe: attempt.describes && told.application !== application,
      subscribe: told.subscriptions !== subscribed,
      taken: (part: AnnouncedPart) => this.#tell(attempt, part, checksums[part]),
    }
  }

  /** The cloud knows a part, or (without a checksum) may not know it any more. Kept for the next resume. */
  #tell(attempt: Attempt, part: AnnouncedPart, checksum: string | undefined): void {
    if (attempt.link.transport === 'tcp' || attempt.told[part] === checksum) return
    const { [part]: _, ...rest } = attempt.told
    attempt.told = checksum === undefined ? rest : { ...rest, [part]: checksum }
    this.#remember(attempt)
  }

  #remember(attempt: Attempt): void {
    if (this.#attempt !== attempt) return
    attempt.link.remember(encodeTold(attempt.told), () => attempt.session?.nextMessageId ?? this.#nextMessageId ?? 1)
  }

  #open(): void {
    const { udp } = this.#options
    const { server, serverKey } = udp ?? this.#options
    this.#attempts += 1
    this.#become('connecting')
    if (serverKey === undefined || server === undefined) {
      this.#attemptFailed('address', undefined, 'the device knows no cloud: its configuration has no server')
      return
    }
    let attempt: Attempt
    try {
      const handlers: LinkHandlers = {
        opened: () => this.#become('handshake'),
        established: (info) => this.#established(attempt, info),
        message: (message) => attempt.session?.receive(message, this.#now()),
        failed: (step, error, words) => this.#failed(attempt, step, error, words),
        active: () => this.#poll(attempt),
      }
      const { hal, deviceId, deviceKey } = this.#options
      const common = { hal, deviceId, serverKey, server, handlers }
      const link =
        udp === undefined
          ? new TcpLink({ ...common, deviceKey })
          : new UdpLink({
              ...common,
              deviceKey: udp.deviceKey,
              sessions: udp.sessions,
              dialect: udp.dialect,
              nextMessageId: this.#nextMessageId,
            })
      attempt = {
        link,
        session: undefined,
        resumed: false,
        describes: true,
        system: '',
        told: {},
        subscriptions: [],
        timer: undefined,
        timerAt: 0,
        settled: undefined,
      }
      this.#attempt = attempt
      link.open()
    } catch (error) {
      this.#attempt = undefined
      const code = error instanceof Error && 'code' in error ? String(error.code) : undefined
      this.#attemptFailed('key', code, error instanceof Error ? error.message : String(error))
      return
    }
    this.#poll(attempt)
  }

  #established(attempt: Attempt, { firstMessageId, resumed }: Established): void {
    const { hal, handlers, deviceId, updateTarget, mode = '' } = this.#options
    const { link } = attempt
    const { transport } = link
    // Over UDP the Hello names the device (device-protocol.md 3.5).
    const hello = transport === 'udp' ? { ...this.#options.hello(), deviceId } : this.#options.hello()
    attempt.describes = (hello.flags & helloFlag.deviceInitiatedDescribe) !== 0
    const session = new DeviceSession({
      transport,
      random: (length) => hal.random(length),
      firstMessageId,
      hello,
      updateTarget,
      handlers: {
        send: (message) => link.send(message),
        ready: () => this.#ready(attempt),
        describe: (kind) => handlers.describe(kind),
        ...(handlers.describeAll && { describeAll: () => handlers.describeAll?.() ?? new Uint8Array() }),
        call: (name, argument, reply) =>
          handlers.call(name, argument, (value) => {
            reply(value)
            this.#poll(attempt)
          }),
        variable: (name, reply) => {
          handlers.variable(name, (value) => {
            reply(value)
            this.#poll(attempt)
          })
          return { later: true }
        },
        event: (name, data, contentType) => handlers.event(name, data, contentType),
        time: (unixTime) => handlers.time(unixTime),
        signal: (on) => handlers.signal(on),
        closed: (error) => this.#failed(attempt, attempt.session?.ready === true ? 'session' : 'hello', error),
      },
    })
    attempt.session = session
    if (this.#keepAlive !== undefined) session.keepAlive(this.#keepAlive)
    if (transport === 'tcp') {
      session.start(this.#now())
      return
    }
    attempt.system = systemChecksum(hello, handlers.describe('system'), mode)
    const told = resumed === undefined ? undefined : decodeTold(resumed)
    attempt.resumed = told?.system === attempt.system && (hello.flags & helloFlag.otaSuccessful) === 0
    if (attempt.resumed) {
      attempt.told = told ?? {}
      this.#remember(attempt)
      session.resume(this.#now())
      return
    }
    // A Hello begins anew: from here on it is open what the cloud knows.
    if (resumed !== undefined) this.#remember(attempt)
    session.start(this.#now())
  }

  #ready(attempt: Attempt): void {
    if (this.#attempt !== attempt) return
    this.#failures = 0
    this.#attempts = 0
    this.#lastError = 0
    // From its acknowledged Hello on, a session is kept (device-protocol.md 2.6.1).
    if (!attempt.resumed) this.#remember(attempt)
    this.#options.handlers.ready(attempt.resumed)
    this.#become('connected')
  }

  /** Sets the timer for what link and session have to do next. */
  #poll(attempt: Attempt | undefined): void {
    if (attempt === undefined || this.#attempt !== attempt) return
    if (attempt.settled !== undefined && attempt.session?.unacknowledged === 0) attempt.settled()
    const deadlines = [attempt.link.nextDeadline(), attempt.session?.nextDeadline()]
    const next = Math.min(...deadlines.map((at) => at ?? Number.POSITIVE_INFINITY))
    if (attempt.timer !== undefined && attempt.timerAt === next) return
    attempt.timer?.cancel()
    attempt.timer = undefined
    if (next === Number.POSITIVE_INFINITY) return
    attempt.timerAt = next
    attempt.timer = this.#options.hal.setTimer(Math.max(0, next - this.#now()), () => {
      attempt.timer = undefined
      this.#due(attempt)
    })
  }

  #due(attempt: Attempt): void {
    if (this.#attempt !== attempt) return
    const now = this.#now()
    attempt.link.poll(now)
    if (this.#attempt !== attempt) return
    attempt.session?.poll(now)
    this.#poll(attempt)
  }

  /** Waits until the cloud has acknowledged everything, but not for long. */
  async #settle(attempt: Attempt): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = this.#options.hal.setTimer(closeTimeout, resolve)
      attempt.settled = () => {
        timer.cancel()
        resolve()
      }
      this.#poll(attempt)
    })
    attempt.settled = undefined
  }

  #stop(attempt: Attempt): void {
    attempt.timer?.cancel()
    attempt.timer = undefined
    this.#nextMessageId = attempt.session?.nextMessageId ?? this.#nextMessageId
    attempt.session?.close()
    attempt.settled?.()
  }

  #drop(attempt: Attempt, erase = false): void {
    this.#stop(attempt)
    attempt.link.drop(erase)
    if (this.#attempt === attempt) this.#attempt = undefined
  }

  #failed(attempt: Attempt, step: string, error: ProtocolError | undefined, words?: string): void {
    if (this.#attempt !== attempt) return
    const ready = attempt.session?.ready === true || this.#status === 'connected'
    if (ready) this.#disconnects += 1
    this.#drop(attempt, error !== undefined && endsSession(error))
    this.#attemptFailed(step === 'closed' && !ready ? 'hello' : step, error?.code, words ?? error?.message ?? step)
  }

  #attemptFailed(step: string, code: string | undefined, message: string): void {
    const { kind, error } = failureOf(step, code)
    this.#lastError = error
    this.#failures += 1
    const retryIn = this.#wanted ? backOff(this.#failures) : undefined
    this.#options.handlers.failed({ kind, step, error, message, retryIn })
    if (retryIn === undefined) {
      this.#become('disconnected')
      return
    }
    this.#become('connecting')
    this.#retry = this.#options.hal.setTimer(retryIn, () => {
      this.#retry = undefined
      if (this.#wanted) this.#open()
    })
  }
}
