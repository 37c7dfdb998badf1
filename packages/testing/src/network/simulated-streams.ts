/**
 * TCP between devices and a cloud in simulated time. Sockets have the shape of a device's HAL, so that virtual devices
 * can be put on it (`MemoryDeviceOptions.connectTcp`).
 */
import type { BothWays, StreamConditions } from './conditions.ts'
import type { Simulation } from './simulation.ts'
import { StreamShaper } from './stream-shaper.ts'

export interface StreamHandlers {
  open(): void
  /** Bytes in the order in which they were written, cut anywhere. */
  data(bytes: Uint8Array): void
  /** The last call for a socket; with an error unless an end was closed in order. */
  closed(error: Error | undefined): void
}

export interface StreamSocket {
  /** Bytes that wait in this end's buffer. */
  readonly buffered: number
  write(bytes: Uint8Array): void
  /** Closes once everything has arrived. */
  end(): void
  /** Closes at once; `closed` is not called at this end. */
  destroy(): void
}

/** Called for each connection; what it answers gets the connection's bytes. */
export type StreamListener = (socket: StreamSocket) => Omit<StreamHandlers, 'open'>

export class SimulatedStreams {
  readonly #simulation: Simulation
  readonly #connections = new Set<StreamConnection>()
  #listener: StreamListener | undefined
  /** While false nobody gets through, and those who try are refused. */
  up = true

  constructor(simulation: Simulation) {
    this.#simulation = simulation
  }

  /** @returns stops listening; standing connections stay */
  listen(listener: StreamListener): () => void {
    this.#listener = listener
    return () => {
      if (this.#listener === listener) this.#listener = undefined
    }
  }

  /** A device connects: `open` comes after a round trip. */
  connect(conditions: BothWays<StreamConditions>, handlers: StreamHandlers): StreamConnection {
    const connection = new StreamConnection(this.#simulation, conditions, handlers, () => {
      this.#connections.delete(connection)
    })
    const { delay: there = 0 } = conditions.up
    const { delay: back = 0 } = conditions.down
    this.#simulation.setTimer(there + back, () => {
      const listener = this.up ? this.#listener : undefined
      if (!listener) {
        connection.cut(new Error('connection refused'))
        return
      }
      connection.accept(listener)
    })
    this.#connections.add(connection)
    return connection
  }

  /** Breaks all connections. */
  cut(): void {
    for (const connection of [...this.#connections]) connection.cut()
  }
}

interface End {
  handlers: Omit<StreamHandlers, 'open'> | undefined
  readonly shaper: StreamShaper
}

/** A connection; the device's end of it is the object itself. */
export class StreamConnection implements StreamSocket {
  readonly #simulation: Simulation
  readonly #device: End
  readonly #cloud: End
  readonly #ended: () => void
  readonly #opened: () => void
  #alive = true
  #vanished = false

  constructor(
    simulation: Simulation,
    { up, down }: BothWays<StreamConditions>,
    handlers: StreamHandlers,
    ended: () => void,
  ) {
    this.#simulation = simulation
    this.#device = { handlers, shaper: new StreamShaper(up, simulation.fork()) }
    this.#cloud = { handlers: undefined, shaper: new StreamShaper(down, simulation.fork()) }
    this.#opened = () => handlers.open()
    this.#ended = ended
  }

  get alive(): boolean {
    return this.#alive
  }

  /** What shapes the bytes from the device. */
  get up(): StreamShaper {
    return this.#device.shaper
  }

  /** What shapes the bytes to the device. */
  get down(): StreamShaper {
    return this.#cloud.shaper
  }

  get buffered(): number {
    return this.up.waiting(this.#simulation.now())
  }

  write(bytes: Uint8Array): void {
    this.#write(this.#device, this.#cloud, bytes)
  }

  end(): void {
    this.#end(this.#device)
  }

  destroy(): void {
    this.#device.handlers = undefined
    this.#end(this.#device)
  }

  /** The device is gone without a word, as after a reset: the cloud's end does not notice, and speaks to nobody. */
  vanish(): void {
    this.#device.handlers = undefined
    this.#vanished = true
  }

  /** Breaks the connection now, for both ends; what is on its way is lost. */
  cut(error = new Error('connection reset')): void {
    if (!this.#alive) return
    this.#alive = false
    this.#ended()
    const handlers = [this.#device.handlers, this.#cloud.handlers]
    this.#device.handlers = undefined
    this.#cloud.handlers = undefined
    for (const end of handlers) end?.closed(error)
  }

  /** From the network; not for users. */
  accept(listener: StreamListener): void {
    if (!this.#alive || this.#vanished) return
    const simulation = this.#simulation
    const { shaper } = this.#cloud
    this.#cloud.handlers = listener({
      get buffered() {
        return shaper.waiting(simulation.now())
      },
      write: (bytes) => this.#write(this.#cloud, this.#device, bytes),
      end: () => this.#end(this.#cloud),
      destroy: () => {
        this.#cloud.handlers = undefined
        this.#end(this.#cloud)
      },
    })
    if (this.#alive) this.#opened()
  }

  #write(from: End, to: End, bytes: Uint8Array): void {
    if (!this.#alive) return
    const { segments, cutAt } = from.shaper.pass(bytes, this.#simulation.now())
    for (const { at, bytes: piece } of segments) {
      this.#simulation.at(at, () => {
        if (this.#alive) to.handlers?.data(piece)
      })
    }
    if (cutAt !== undefined) this.#simulation.at(cutAt, () => this.cut())
  }

  #end(from: End): void {
    if (!this.#alive) return
    this.#simulation.at(from.shaper.endOf(this.#simulation.now()), () => {
      if (!this.#alive) return
      this.#alive = false
      this.#ended()
      this.#device.handlers?.closed(undefined)
      this.#cloud.handlers?.closed(undefined)
    })
  }
}
