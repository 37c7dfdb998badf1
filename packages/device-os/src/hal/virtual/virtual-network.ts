/** TCP inside one process: ordered bytes, delivered later than they are written, cut off at will. */
import type { TcpHandlers, TcpSocket } from '../hal.ts'

export interface VirtualServerHandlers {
  data(bytes: Uint8Array): void
  closed(): void
}

/** Called for every new connection with the server's socket; returns what to do with its bytes. */
export type VirtualListener = (socket: TcpSocket) => VirtualServerHandlers

interface Pipe {
  open: boolean
}

export class VirtualNetwork {
  readonly #listeners = new Map<number, VirtualListener>()
  readonly #cuts = new Set<() => void>()
  /** While false, nobody gets through. */
  up = true

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
      queueMicrotask(() => {
        server?.closed()
        if (tell) handlers.closed(undefined)
      })
    }

    queueMicrotask(() => {
      if (!pipe.open) return
      const listener = this.up ? this.#listeners.get(port) : undefined
      if (listener === undefined) {
        closeClient(new Error(`connection refused: nobody listens on port ${port}`))
        return
      }
      this.#cuts.add(cut)
      handlers.open()
      server = listener({
        write: (bytes) => queueMicrotask(() => pipe.open && this.up && handlers.data(bytes)),
        end: () => queueMicrotask(() => closeClient(undefined)),
        destroy: () => queueMicrotask(() => closeClient(undefined)),
      })
    })

    return {
      write: (bytes) => queueMicrotask(() => pipe.open && this.up && server?.data(bytes)),
      end: () => queueMicrotask(() => closeServer(true)),
      destroy: () => closeServer(false),
    }
  }
}
