/** TCP inside one process: ordered bytes, delivered later than they are written, cut off at will. */
import type { Clock } from '../clock.ts'
import type { TcpHandlers, TcpSocket } from '../hal.ts'
import type { Millis } from '../time.ts'

export interface VirtualServerHandlers {
  data(bytes: Uint8Array): void
  closed(): void
}

/** Called for every new connection with the server's socket; returns what to do with its bytes. */
export type VirtualListener = (socket: TcpSocket) => VirtualServerHandlers

interface Pipe {
  open: boolean
}

export interface VirtualNetworkOptions {
  readonly clock: Clock
  /** How long everything is on its way, each way. */
  readonly latency: Millis
}

export class VirtualNetwork {
  readonly #later: (fn: () => void) => void
  readonly #listeners = new Map<number, VirtualListener>()
  readonly #cuts = new Set<() => void>()
  /** While false, nobody gets through. */
  up = true

  /** Without options everything arrives as soon as what runs has ended. */
  constructor(options?: VirtualNetworkOptions) {
    this.#later = options === undefined ? queueMicrotask : (fn) => options.clock.setTimer(options.latency, fn)
  }

  /** @returns stops listening; standing connections stay */
  listen(port: number, listener: VirtualListener): () => void {
    this.#listeners.set(port, listener)
    return () => this.#listeners.delete(port)
  }

  /** Breaks all standing connections, as a router that reboots does. */
  cut(): void {
    for (const cut of [...this.#cuts]) cut()
  }

  connect(port: number, handlers: TcpHandlers): TcpSocket {
    const pipe: Pipe = { open: true }
    let server: VirtualServerHandlers | undefined
    const closeClient = (error: Error | undefined) => {
      if (!pipe.open) return
      pipe.open = false
      this.#cuts.delete(cut)
      handlers.closed(error)
    }
    const cut = () => {
      server?.closed()
      closeClient(new Error('connection reset'))
    }
    /** @param tell whether the client is told that its own end is done */
    const closeServer = (tell: boolean) => {
      if (!pipe.open) return
      pipe.open = false
      this.#cuts.delete(cut)
      this.#later(() => {
        server?.closed()
        if (tell) handlers.closed(undefined)
      })
    }

    this.#later(() => {
      if (!pipe.open) return
      const listener = this.up ? this.#listeners.get(port) : undefined
      if (listener === undefined) {
        closeClient(new Error(`connection refused: nobody listens on port ${port}`))
        return
      }
      this.#cuts.add(cut)
      handlers.open()
      server = listener({
        write: (bytes) => this.#later(() => pipe.open && this.up && handlers.data(bytes)),
        end: () => this.#later(() => closeClient(undefined)),
        destroy: () => this.#later(() => closeClient(undefined)),
      })
    })

    return {
      write: (bytes) => this.#later(() => pipe.open && this.up && server?.data(bytes)),
      end: () => this.#later(() => closeServer(true)),
      destroy: () => closeServer(false),
    }
  }
}
