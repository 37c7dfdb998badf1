/**
 * The cloud connection over TCP: a socket of the HAL, the secure channel, the session, and what happens when any of
 * them fails (device-protocol.md 1, 3.4, 6).
 */
import {
  DeviceSession,
  type Goodbye,
  loadDeviceKey,
  type ProtocolError,
  serverPublicKeyFromDer,
  TcpClientChannel,
} from '@aloe/protocol'
import type { TcpSocket } from '../../hal/hal.ts'
import type { Millis, Timer } from '../../hal/time.ts'
import type {
  Connection,
  ConnectionCounters,
  ConnectionOptions,
  ConnectionStatus,
  OutgoingEvent,
} from '../communication.ts'
import { backOff } from './back-off.ts'
import { failureOf } from './failure.ts'

/** Longest wait for the network to connect (device-protocol.md 6.1: 20 s for each blocking step). */
const connectTimeout: Millis = 20_000
/** Longest wait until what is left is sent and the socket closed (device-protocol.md 3.4.4). */
const closeTimeout: Millis = 5_000

/** One attempt to connect and, if it succeeds, the connection. */
interface Link {
  socket: TcpSocket | undefined
  channel: TcpClientChannel
  session: DeviceSession | undefined
  timer: Timer | undefined
  timerAt: Millis
  connectBy: Millis | undefined
  /** Told when the socket is closed, once somebody waits for that. */
  closed: (() => void) | undefined
}

export class TcpConnection implements Connection {
  readonly #options: ConnectionOptions
  #status: ConnectionStatus = 'disconnected'
  #wanted = false
  #link: Link | undefined
  #retry: Timer | undefined
  #failures = 0
  #attempts = 0
  #disconnects = 0
  #lastError = 0
  #keepAlive: Millis | undefined

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
    if (this.#link === undefined && this.#retry === undefined) this.#open()
  }

  async disconnect(goodbye: Goodbye | undefined): Promise<void> {
    this.#wanted = false
    this.#retry?.cancel()
    this.#retry = undefined
    const link = this.#link
    if (link === undefined) {
      this.#become('disconnected')
      return
    }
    const now = this.#now()
    if (link.session?.ready !== true) {
      this.#drop(link)
      this.#become('disconnected')
      return
    }
    this.#become('disconnecting')
    if (goodbye !== undefined) link.session.goodbye(goodbye, now)
    link.session.close()
    link.channel.close()
    link.timer?.cancel()
    await new Promise<void>((resolve) => {
      const timer = this.#options.hal.setTimer(closeTimeout, resolve)
      link.closed = () => {
        timer.cancel()
        resolve()
      }
      link.socket?.end()
    })
    this.#drop(link)
    if (this.#link === undefined) this.#become('disconnected')
    if (this.#wanted && this.#link === undefined) this.#open()
  }

  close(): void {
    this.#wanted = false
    this.#retry?.cancel()
    this.#retry = undefined
    if (this.#link !== undefined) this.#drop(this.#link)
    this.#status = 'disconnected'
  }

  reconnect(): void {
    if (!this.#wanted) return
    this.#retry?.cancel()
    this.#retry = undefined
    if (this.#link !== undefined) this.#drop(this.#link)
    this.#open()
  }

  setKeepAlive(interval: Millis): void {
    this.#keepAlive = interval
    this.#link?.session?.keepAlive(interval)
    this.#poll(this.#link)
  }

  announce(announcement: Parameters<Connection['announce']>[0]): void {
    this.#withSession((session, now) => session.announce(announcement, now))
  }

  announceApplication(subscriptions: Parameters<Connection['announceApplication']>[0]): void {
    this.#withSession((session, now) => session.announceApplication(subscriptions, now))
  }

  postDescribe(kind: 'system' | 'application' | 'metrics', payload: Uint8Array, done?: (ok: boolean) => void): void {
    if (this.#link?.session?.ready !== true) done?.(false)
    this.#withSession((session, now) => session.postDescribe(kind, payload, now, done))
  }

  publish({ acknowledge, ...event }: OutgoingEvent, done?: (ok: boolean) => void): void {
    if (this.#link?.session?.ready !== true) {
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

  subscribe({ prefix, format }: Parameters<Connection['subscribe']>[0]): void {
    this.#withSession((session, now) => session.subscribe(prefix, format ? { format } : {}, now))
  }

  requestTime(): void {
    this.#withSession((session, now) => session.requestTime(now))
  }

  #now(): Millis {
    return this.#options.hal.now()
  }

  #withSession(act: (session: DeviceSession, now: Millis) => void): void {
    const link = this.#link
    if (link?.session?.ready !== true) return
    act(link.session, this.#now())
    this.#poll(link)
  }

  #become(status: ConnectionStatus): void {
    if (status === this.#status) return
    this.#status = status
    this.#options.handlers.status(status)
  }

  #open(): void {
    const { deviceId, deviceKey, serverKey, server, hal } = this.#options
    this.#attempts += 1
    this.#become('connecting')
    if (serverKey === undefined || server === undefined) {
      this.#attemptFailed('address', undefined, 'the device knows no cloud: its configuration has no server')
      return
    }
    let link: Link
    try {
      const channel = new TcpClientChannel({
        deviceId,
        deviceKey: loadDeviceKey(deviceKey),
        serverKey: serverPublicKeyFromDer(serverKey),
        handlers: {
          write: (bytes) => link.socket?.write(bytes),
          established: ({ messageIdSeed }) => this.#established(link, messageIdSeed),
          message: (message) => link.session?.receive(message, this.#now()),
          failed: (step, error) => this.#failed(link, step, error),
        },
      })
      const connectBy = this.#now() + connectTimeout
      link = {
        socket: undefined,
        channel,
        session: undefined,
        timer: undefined,
        timerAt: 0,
        connectBy,
        closed: undefined,
      }
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : undefined
      this.#attemptFailed('key', code, error instanceof Error ? error.message : String(error))
      return
    }
    this.#link = link
    link.socket = hal.connectTcp(server.host, server.port, {
      open: () => {
        if (this.#link !== link) return
        link.connectBy = undefined
        this.#become('handshake')
        link.channel.start(this.#now())
        this.#poll(link)
      },
      data: (bytes) => {
        if (this.#link !== link) return
        link.channel.receive(bytes, this.#now())
        this.#poll(link)
      },
      closed: (error) => {
        if (link.closed !== undefined) {
          link.closed()
          return
        }
        if (this.#link !== link) return
        const words = error?.message ?? 'the cloud closed the connection'
        // A channel that has not begun has nothing to report.
        if (link.connectBy !== undefined) this.#failed(link, 'connect', undefined, words)
        else if (link.session?.ready === true) this.#failed(link, 'closed', undefined, words)
        else link.channel.disconnected(words)
      },
    })
    this.#poll(link)
  }

  #established(link: Link, messageIdSeed: number): void {
    const { hal, handlers, hello, updateTarget } = this.#options
    const session = new DeviceSession({
      transport: 'tcp',
      random: (length) => hal.random(length),
      firstMessageId: (messageIdSeed + 1) & 0xffff,
      hello: hello(),
      updateTarget,
      handlers: {
        send: (message) => link.channel.send(message),
        ready: () => this.#ready(link),
        describe: (kind) => handlers.describe(kind),
        call: (name, argument, reply) =>
          handlers.call(name, argument, (value) => {
            reply(value)
            this.#poll(link)
          }),
        variable: (name, reply) => {
          handlers.variable(name, (value) => {
            reply(value)
            this.#poll(link)
          })
          return { later: true }
        },
        event: (name, data, contentType) => handlers.event(name, data, contentType),
        time: (unixTime) => handlers.time(unixTime),
        signal: (on) => handlers.signal(on),
        closed: (error) => this.#failed(link, link.session?.ready === true ? 'session' : 'hello', error),
      },
    })
    link.session = session
    if (this.#keepAlive !== undefined) session.keepAlive(this.#keepAlive)
    session.start(this.#now())
  }

  #ready(link: Link): void {
    if (this.#link !== link) return
    this.#failures = 0
    this.#attempts = 0
    this.#lastError = 0
    this.#options.handlers.ready()
    this.#become('connected')
  }

  /** Sets the timer for what channel and session have to do next. */
  #poll(link: Link | undefined): void {
    if (link === undefined || this.#link !== link) return
    const deadlines = [link.connectBy, link.channel.nextDeadline(), link.session?.nextDeadline()]
    const next = Math.min(...deadlines.map((at) => at ?? Number.POSITIVE_INFINITY))
    if (link.timer !== undefined && link.timerAt === next) return
    link.timer?.cancel()
    link.timer = undefined
    if (next === Number.POSITIVE_INFINITY) return
    link.timerAt = next
    link.timer = this.#options.hal.setTimer(Math.max(0, next - this.#now()), () => {
      link.timer = undefined
      this.#due(link)
    })
  }

  #due(link: Link): void {
    if (this.#link !== link) return
    const now = this.#now()
    if (link.connectBy !== undefined && link.connectBy <= now) {
      this.#failed(link, 'connect', undefined, 'the cloud cannot be reached')
      return
    }
    link.channel.poll(now)
    link.session?.poll(now)
    this.#poll(link)
  }

  #drop(link: Link): void {
    link.timer?.cancel()
    link.timer = undefined
    link.session?.close()
    link.channel.close()
    link.socket?.destroy()
    if (this.#link === link) this.#link = undefined
  }

  #failed(link: Link, step: string, error: ProtocolError | undefined, words?: string): void {
    if (this.#link !== link) return
    if (link.session?.ready === true || this.#status === 'connected') this.#disconnects += 1
    this.#drop(link)
    this.#attemptFailed(step, error?.code, words ?? error?.message ?? step)
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
