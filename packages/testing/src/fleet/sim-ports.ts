/** A simulated network as the ports of a cloud (`DevicePorts`). */
import type { DevicePorts, StreamSocket } from '@aloe/cloud'
import type { SimulatedDatagrams } from '../network/simulated-datagrams.ts'
import type { StreamSocket as SimulatedSocket, SimulatedStreams } from '../network/simulated-streams.ts'
import type { Simulation } from '../network/simulation.ts'

/** As Node's sockets: above it `write` answers false, and `drain` tells when all has gone. */
const highWaterMark = 16_384
const drainCheck = 50

export function simulatedPorts(
  simulation: Simulation,
  datagrams: SimulatedDatagrams,
  streams: SimulatedStreams,
): DevicePorts {
  return {
    async openTcp(_host, _port, { accept }) {
      let nextPort = 20_000
      const stop = streams.listen((socket) => {
        const port = new PortSocket(simulation, socket, nextPort++)
        accept(port)
        return { data: (bytes) => port.received(bytes), closed: (error) => port.ended(error) }
      })
      return { port: 5_683, close: async () => stop() }
    },
    async openUdp(_host, _port, { received }) {
      const server = datagrams.listen((bytes, from) => {
        const colon = from.lastIndexOf(':')
        received(bytes, { address: from.slice(0, colon), port: Number(from.slice(colon + 1)) })
      })
      return {
        send: (datagram, port, host, done) => {
          server.send(datagram.slice(), `${host}:${port}`)
          done(null)
        },
        getSendQueueSize: () => 0,
        address: () => ({ port: 5_684 }),
        close: (closed) => {
          server.close()
          closed()
        },
      }
    },
  }
}

interface Listeners {
  data?: (bytes: Uint8Array) => void
  drain?: () => void
  error?: (error: Error) => void
  readonly close: (() => void)[]
}

class PortSocket implements StreamSocket {
  readonly remoteAddress = '198.51.100.1'
  readonly remotePort: number
  readonly #simulation: Simulation
  readonly #socket: SimulatedSocket
  readonly #listeners: Listeners = { close: [] }
  #waiting: Uint8Array[] | undefined
  #draining = false
  #open = true

  constructor(simulation: Simulation, socket: SimulatedSocket, port: number) {
    this.#simulation = simulation
    this.#socket = socket
    this.remotePort = port
  }

  get writableLength(): number {
    return this.#socket.buffered
  }

  on(event: 'data', listener: (bytes: Uint8Array) => void): void
  on(event: 'drain' | 'close', listener: () => void): void
  on(event: 'error', listener: (error: Error) => void): void
  on(event: 'data' | 'drain' | 'close' | 'error', listener: (argument: never) => void): void {
    // Listeners are functions with a `this`: the socket.
    const bound = listener.bind(this) as (argument?: unknown) => void
    if (event === 'close') this.#listeners.close.push(bound)
    else this.#listeners[event] = bound
  }

  write(bytes: Uint8Array): boolean {
    if (!this.#open) return false
    this.#socket.write(bytes.slice())
    const full = this.writableLength > highWaterMark
    if (full) this.#awaitDrain()
    return !full
  }

  #awaitDrain(): void {
    if (this.#draining) return
    this.#draining = true
    this.#simulation.setTimer(drainCheck, () => {
      this.#draining = false
      if (!this.#open) return
      if (this.writableLength === 0) this.#listeners.drain?.()
      else this.#awaitDrain()
    })
  }

  cork(): void {}

  uncork(): void {}

  pause(): void {
    this.#waiting ??= []
  }

  resume(): void {
    const waiting = this.#waiting ?? []
    this.#waiting = undefined
    for (const bytes of waiting) this.received(bytes)
  }

  destroy(): void {
    if (!this.#open) return
    this.#open = false
    this.#socket.destroy()
    for (const closed of this.#listeners.close) closed()
  }

  /** From the network. */
  received(bytes: Uint8Array): void {
    if (!this.#open) return
    if (this.#waiting) this.#waiting.push(bytes)
    else this.#listeners.data?.(bytes)
  }

  ended(error: Error | undefined): void {
    if (!this.#open) return
    this.#open = false
    if (error) this.#listeners.error?.(error)
    for (const closed of this.#listeners.close) closed()
  }
}
