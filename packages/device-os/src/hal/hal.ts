/**
 * What a device gives its system: a clock, timers, randomness, the network, an LED, pins, a log and a watchdog.
 *
 * The system owns none of these itself. `hal/linux` joins it to a real machine, `hal/virtual` to a test or a fleet.
 */
import type { LedState } from './led-state.ts'
import type { PinBank } from './pins.ts'
import type { Millis, Timer } from './time.ts'

export interface TcpHandlers {
  /** The connection stands; nothing was written before. */
  open(): void
  /** Bytes in the order in which they were sent, cut anywhere. */
  data(bytes: Uint8Array): void
  /** The last call for this socket; with an error when it did not end by itself or by `end`. */
  closed(error: Error | undefined): void
}

export interface TcpSocket {
  write(bytes: Uint8Array): void
  /** Sends what is still waiting, then closes. */
  end(): void
  /** Closes at once; `closed` is not called any more. */
  destroy(): void
}

export interface UdpHandlers {
  /** The host's address is known: datagrams may be sent. */
  open(): void
  /** One datagram of that host. */
  datagram(bytes: Uint8Array): void
  /** It could not be opened, or is of no use any more; the last call for this socket. Lost datagrams are no reason. */
  closed(error: Error): void
}

export interface UdpSocket {
  /** May be lost, like any datagram. */
  send(datagram: Uint8Array): void
  /** Closes at once; no handler is called any more. */
  close(): void
}

export type LogLevel = 'trace' | 'info' | 'warn' | 'error'

export interface LogRecord {
  readonly level: LogLevel
  /** Who speaks: `system`, `comm`, `app`, … as in Device OS logging categories. */
  readonly category: string
  readonly message: string
  /** Device time of the record. */
  readonly time: Millis
}

export interface MemoryInfo {
  /** Bytes. */
  readonly total: number
  readonly used: number
}

export interface Hal {
  /** Monotonic; starts anywhere. */
  now(): Millis
  /** Seconds since 1970 (UTC, with fraction), undefined while the device does not know the time. */
  unixTime(): number | undefined
  /** The time as the cloud or the application says it. */
  setUnixTime(seconds: number): void
  /** Cryptographically strong. */
  random(length: number): Uint8Array
  /** Calls `fn` once, not before `delay` has passed. */
  setTimer(delay: Millis, fn: () => void): Timer
  connectTcp(host: string, port: number, handlers: TcpHandlers): TcpSocket
  /** Datagrams to and from one port of one host. */
  connectUdp(host: string, port: number, handlers: UdpHandlers): UdpSocket
  readonly led: { set(state: LedState): void }
  readonly pins: PinBank
  log(record: LogRecord): void
  memory(): MemoryInfo
  /** Says that the system's loop is alive. */
  feedWatchdog(): void
}
