/** The HAL of a real Linux machine. */
import { randomBytes } from 'node:crypto'
import { totalmem } from 'node:os'
import { realClock } from '../clock.ts'
import type { Hal, LogRecord, MemoryInfo, TcpHandlers, TcpSocket, UdpHandlers, UdpSocket } from '../hal.ts'
import type { LedState } from '../led-state.ts'
import { PinBank } from '../pins.ts'
import type { Timer } from '../time.ts'
import { connectTcp } from './tcp.ts'
import { connectUdp } from './udp.ts'

export interface LinuxHalOptions {
  readonly onLed?: (state: LedState) => void
  readonly onLog?: (record: LogRecord) => void
  readonly onAlive?: () => void
  readonly pins?: PinBank
}

export class LinuxHal implements Hal {
  readonly led: { set(state: LedState): void }
  readonly pins: PinBank
  readonly #options: LinuxHalOptions
  /** Seconds by which the cloud's time differs from the machine's; the machine's own clock is never set. */
  #correction = 0

  constructor(options: LinuxHalOptions = {}) {
    this.#options = options
    this.pins = options.pins ?? new PinBank()
    this.led = { set: (state) => options.onLed?.(state) }
  }

  now(): number {
    return realClock.now()
  }

  unixTime(): number | undefined {
    return Date.now() / 1000 + this.#correction
  }

  setUnixTime(seconds: number): void {
    this.#correction = seconds - Date.now() / 1000
  }

  random(length: number): Uint8Array {
    return randomBytes(length)
  }

  setTimer(delay: number, fn: () => void): Timer {
    return realClock.setTimer(delay, fn)
  }

  connectTcp(host: string, port: number, handlers: TcpHandlers): TcpSocket {
    return connectTcp(host, port, handlers)
  }

  connectUdp(host: string, port: number, handlers: UdpHandlers): UdpSocket {
    return connectUdp(host, port, handlers)
  }

  log(record: LogRecord): void {
    this.#options.onLog?.(record)
  }

  memory(): MemoryInfo {
    return { total: totalmem(), used: process.memoryUsage.rss() }
  }

  feedWatchdog(): void {
    this.#options.onAlive?.()
  }
}
