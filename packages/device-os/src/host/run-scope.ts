/**
 * What one run of a system in memory may touch: when the run ends, its timers and connections end with it, as those of
 * a process do, and whatever it still gets to do goes nowhere.
 */
import type { Hal, TcpHandlers, TcpSocket, Timer, UdpHandlers, UdpSocket } from '../hal/index.ts'

export class RunScope {
  readonly hal: Hal
  #alive = true
  readonly #timers = new Set<Timer>()
  readonly #sockets = new Set<TcpSocket>()
  readonly #udpSockets = new Set<UdpSocket>()
  readonly #crashed: (error: unknown) => void

  /** @param crashed told of what the system throws in a timer or a connection's handler */
  constructor(hal: Hal, crashed: (error: unknown) => void) {
    this.#crashed = crashed
    this.hal = {
      now: () => hal.now(),
      unixTime: () => hal.unixTime(),
      setUnixTime: (seconds) => hal.setUnixTime(seconds),
      random: (length) => hal.random(length),
      setTimer: (delay, fn) => this.#setTimer(hal, delay, fn),
      connectTcp: (host, port, handlers) => this.#connectTcp(hal, host, port, handlers),
      connectUdp: (host, port, handlers) => this.#connectUdp(hal, host, port, handlers),
      led: { set: (state) => this.#alive && hal.led.set(state) },
      pins: hal.pins,
      log: (record) => this.#alive && hal.log(record),
      memory: () => hal.memory(),
      feedWatchdog: () => hal.feedWatchdog(),
    }
  }

  get alive(): boolean {
    return this.#alive
  }

  end(): void {
    this.#alive = false
    for (const timer of this.#timers) timer.cancel()
    for (const socket of this.#sockets) socket.destroy()
    for (const socket of this.#udpSockets) socket.close()
    this.#timers.clear()
    this.#sockets.clear()
    this.#udpSockets.clear()
  }

  #guard(fn: () => void): void {
    if (!this.#alive) return
    try {
      fn()
    } catch (error) {
      this.#crashed(error)
    }
  }

  #setTimer(hal: Hal, delay: number, fn: () => void): Timer {
    if (!this.#alive) return { cancel: () => {} }
    const timer = hal.setTimer(delay, () => {
      this.#timers.delete(timer)
      this.#guard(fn)
    })
    this.#timers.add(timer)
    return {
      cancel: () => {
        this.#timers.delete(timer)
        timer.cancel()
      },
    }
  }

  #connectTcp(hal: Hal, host: string, port: number, handlers: TcpHandlers): TcpSocket {
    if (!this.#alive) return { write: () => {}, end: () => {}, destroy: () => {} }
    const socket = hal.connectTcp(host, port, {
      open: () => this.#guard(() => handlers.open()),
      data: (bytes) => this.#guard(() => handlers.data(bytes)),
      closed: (error) => {
        this.#sockets.delete(socket)
        this.#guard(() => handlers.closed(error))
      },
    })
    this.#sockets.add(socket)
    return socket
  }

  #connectUdp(hal: Hal, host: string, port: number, handlers: UdpHandlers): UdpSocket {
    if (!this.#alive) return { send: () => {}, close: () => {} }
    const socket = hal.connectUdp(host, port, {
      open: () => this.#guard(() => handlers.open()),
      datagram: (bytes) => this.#guard(() => handlers.datagram(bytes)),
      closed: (error) => {
        this.#udpSockets.delete(socket)
        this.#guard(() => handlers.closed(error))
      },
    })
    this.#udpSockets.add(socket)
    return {
      send: (datagram) => socket.send(datagram),
      close: () => {
        this.#udpSockets.delete(socket)
        socket.close()
      },
    }
  }
}
