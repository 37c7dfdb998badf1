/** What a twin has of the world in a simulation: time, chance and a network, until its power or its luck ends. */
import type { ConnectionHal } from '@aloe/device-os'
import type { BothWays, DatagramConditions, StreamConditions } from '../network/conditions.ts'
import type { DatagramClient, SimulatedDatagrams } from '../network/simulated-datagrams.ts'
import type { SimulatedStreams, StreamConnection } from '../network/simulated-streams.ts'
import type { Simulation } from '../network/simulation.ts'

export interface SimHalOptions {
  readonly simulation: Simulation
  readonly datagrams: SimulatedDatagrams
  readonly streams: SimulatedStreams
  readonly conditions: () => {
    readonly datagrams: BothWays<DatagramConditions>
    readonly streams: BothWays<StreamConditions>
  }
  readonly random: (size: number) => Uint8Array
  /** Runs what comes in from the world; it may throw when the power goes in the middle of it. */
  readonly run: (act: () => void) => void
}

export class SimHal implements ConnectionHal {
  readonly #options: SimHalOptions
  readonly random: (size: number) => Uint8Array
  #life = 0
  readonly #sockets = new Set<DatagramClient>()
  readonly #connections = new Set<StreamConnection>()

  constructor(options: SimHalOptions) {
    this.#options = options
    this.random = options.random
  }

  /** Everything stops where it is: no timer rings, no socket says a word, and the other end does not notice. */
  cutOff(): void {
    this.#life++
    for (const socket of this.#sockets) socket.close()
    for (const connection of this.#connections) connection.vanish()
    this.#sockets.clear()
    this.#connections.clear()
  }

  /** The NAT forgets; standing connections break. */
  disturb(): void {
    for (const socket of this.#sockets) socket.rebind()
    for (const connection of [...this.#connections]) connection.cut()
  }

  /** The network is another from now on. */
  changed(): void {
    const { datagrams } = this.#options.conditions()
    for (const socket of this.#sockets) {
      socket.up.conditions = datagrams.up
      socket.down.conditions = datagrams.down
    }
  }

  now(): number {
    return this.#options.simulation.now()
  }

  setTimer(delay: number, fn: () => void) {
    return this.#options.simulation.setTimer(delay, this.#living(fn))
  }

  connectTcp(_host: string, _port: number, handlers: Parameters<ConnectionHal['connectTcp']>[2]) {
    const { streams, conditions } = this.#options
    const connection = streams.connect(conditions().streams, {
      open: this.#living(() => handlers.open()),
      data: (bytes) => this.#living(() => handlers.data(bytes))(),
      closed: (error) => {
        this.#connections.delete(connection)
        this.#living(() => handlers.closed(error))()
      },
    })
    this.#connections.add(connection)
    return connection
  }

  connectUdp(_host: string, _port: number, handlers: Parameters<NonNullable<ConnectionHal['connectUdp']>>[2]) {
    const { datagrams, conditions } = this.#options
    const socket = datagrams.connect(conditions().datagrams, (bytes) => this.#living(() => handlers.datagram(bytes))())
    this.#sockets.add(socket)
    this.setTimer(0, () => handlers.open())
    return {
      send: (bytes: Uint8Array) => socket.send(bytes),
      close: () => {
        this.#sockets.delete(socket)
        socket.close()
      },
    }
  }

  /** Only as long as the life in which it was asked for. */
  #living(act: () => void): () => void {
    const life = this.#life
    return () => {
      if (life === this.#life) this.#options.run(act)
    }
  }
}
