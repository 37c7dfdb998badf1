/** A device without a machine, for tests and fleets: everything it touches is handed in. */
import { randomBytes } from 'node:crypto'
import { type Clock, realClock } from '../clock.ts'
import type { Hal, LogRecord, MemoryInfo, TcpHandlers, TcpSocket, UdpHandlers, UdpSocket } from '../hal.ts'
import type { LedState } from '../led-state.ts'
import { PinBank } from '../pins.ts'
import type { Timer } from '../time.ts'

export interface VirtualHalOptions {
  readonly clock?: Clock
  /** Defaults to the strong source of the machine; give a seeded one to repeat a run. */
  readonly random?: (length: number) => Uint8Array
  readonly connectTcp: (host: string, port: number, handlers: TcpHandlers) => TcpSocket
  /** Without it there is no UDP. */
  readonly connectUdp?: (host: string, port: number, handlers: UdpHandlers) => UdpSocket
  /** Seconds since 1970 at the start; without it the device learns the time from the cloud. */
  readonly unixTime?: number
  readonly onLed?: (state: LedState) => void
  readonly onLog?: (record: LogRecord) => void
  readonly pins?: PinBank
}

const memory: MemoryInfo = { total: 160 * 1024, used: 64 * 1024 }

export class VirtualHal implements Hal {
  readonly led: { set(state: LedState): void }
  readonly pins: PinBank
  /** How often the system said that it is alive. */
  watchdogFed = 0
  readonly #clock: Clock
  readonly #options: VirtualHalOptions
  #unixOffset: number | undefined

  constructor(options: VirtualHalOptions) {
    this.#options = options
    this.#clock = options.clock ?? realClock
    this.pins = options.pins ?? new PinBank()
    this.led = { set: (state) => options.onLed?.(state) }
    if (options.unixTime !== undefined) this.setUnixTime(options.unixTime)
  }

  now(): number {
    return this.#clock.now()
  }

  unixTime(): number | undefined {
    return this.#unixOffset === undefined ? undefined : this.#unixOffset + this.now() / 1000
  }

  setUnixTime(seconds: number): void {
    this.#unixOffset = seconds - this.now() / 1000
  }

  random(length: number): Uint8Array {
    return this.#options.random?.(length) ?? randomBytes(length)
  }

  setTimer(delay: number, fn: () => void): Timer {
    return this.#clock.setTimer(delay, fn)
  }

  connectTcp(host: string, port: number, handlers: TcpHandlers): TcpSocket {
    return this.#options.connectTcp(host, port, handlers)
  }

  connectUdp(host: string, port: number, handlers: UdpHandlers): UdpSocket {
    if (this.#options.connectUdp) return this.#options.connectUdp(host, port, handlers)
    const timer = this.setTimer(0, () => handlers.closed(new Error('this device has no UDP')))
    return { send: () => {}, close: () => timer.cancel() }
  }

  log(record: LogRecord): void {
    this.#options.onLog?.(record)
  }

  memory(): MemoryInfo {
    return memory
  }

  feedWatchdog(): void {
    this.watchdogFed += 1
  }
}
