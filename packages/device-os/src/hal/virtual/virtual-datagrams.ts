/** UDP inside one process: datagrams that come later, get lost at will, and pass a NAT that forgets. */
import type { Clock } from '../clock.ts'
import type { UdpHandlers, UdpSocket } from '../hal.ts'
import type { Millis } from '../time.ts'

export interface VirtualDatagramServer {
  /** @param to an address as it came with a datagram */
  send(datagram: Uint8Array, to: string): void
  close(): void
}

export interface VirtualDatagramsOptions {
  readonly clock: Clock
  /** How long every datagram is on its way; 0 unless given. */
  readonly latency?: Millis
}

type Listener = (datagram: Uint8Array, from: string) => void

export class VirtualDatagrams {
  readonly #options: VirtualDatagramsOptions
  readonly #servers = new Map<number, Listener>()
  /** By the address that the server sees. */
  readonly #clients = new Map<string, UdpHandlers>()
  readonly #addresses = new Map<UdpHandlers, string>()
  #nextPort = 40_000
  /** Decides for each datagram whether it is lost. */
  lose: (way: 'up' | 'down', datagram: Uint8Array) => boolean = () => false

  constructor(options: VirtualDatagramsOptions) {
    this.#options = options
  }

  /** What comes to a port where nobody listens is lost. */
  listen(port: number, listener: Listener): VirtualDatagramServer {
    this.#servers.set(port, listener)
    return {
      send: (datagram, to) =>
        this.#carry('down', datagram, (bytes) => {
          if (this.#servers.get(port) === listener) this.#clients.get(to)?.datagram(bytes)
        }),
      close: () => {
        if (this.#servers.get(port) === listener) this.#servers.delete(port)
      },
    }
  }

  connect(port: number, handlers: UdpHandlers): UdpSocket {
    this.#map(handlers)
    this.#options.clock.setTimer(0, () => {
      if (this.#addresses.has(handlers)) handlers.open()
    })
    return {
      send: (datagram) => {
        const from = this.#addresses.get(handlers)
        if (from !== undefined) this.#carry('up', datagram, (bytes) => this.#servers.get(port)?.(bytes, from))
      },
      close: () => {
        this.#clients.delete(this.#addresses.get(handlers) ?? '')
        this.#addresses.delete(handlers)
      },
    }
  }

  /** The NAT forgets: all devices come from new addresses, and nothing reaches them at the old ones. */
  rebind(): void {
    const open = [...this.#addresses.keys()]
    this.#clients.clear()
    for (const handlers of open) this.#map(handlers)
  }

  #map(handlers: UdpHandlers): void {
    const address = `192.0.2.1:${this.#nextPort++}`
    this.#clients.set(address, handlers)
    this.#addresses.set(handlers, address)
  }

  #carry(way: 'up' | 'down', datagram: Uint8Array, arrive: (datagram: Uint8Array) => void): void {
    const bytes = datagram.slice()
    if (!this.lose(way, bytes)) this.#options.clock.setTimer(this.#options.latency ?? 0, () => arrive(bytes))
  }
}
