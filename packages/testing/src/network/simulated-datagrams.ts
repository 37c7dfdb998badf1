/**
 * UDP between devices and a cloud in simulated time. Each device has a link of its own and sits behind a NAT: the cloud
 * sees an outer address, which changes when the NAT forgets it; what comes to an old one is lost.
 */
import type { BothWays, DatagramConditions } from './conditions.ts'
import { Impairment } from './impairment.ts'
import type { Simulation } from './simulation.ts'

export interface DatagramServer {
  /** @param to an address as it came with a datagram */
  send(bytes: Uint8Array, to: string): void
  close(): void
}

export type DatagramServerHandler = (bytes: Uint8Array, from: string) => void

export class SimulatedDatagrams {
  readonly #simulation: Simulation
  readonly #clients = new Map<string, DatagramClient>()
  #server: DatagramServerHandler | undefined
  #nextPort = 40_000

  constructor(simulation: Simulation) {
    this.#simulation = simulation
  }

  /** The cloud's socket; one at a time. What arrives while there is none is lost. */
  listen(handler: DatagramServerHandler): DatagramServer {
    if (this.#server) throw new Error('the address is in use')
    this.#server = handler
    return {
      send: (bytes, to) => {
        if (this.#server !== handler) return
        this.#carry(this.#clients.get(to)?.down, bytes, () => this.#clients.get(to)?.deliver(bytes))
      },
      close: () => {
        if (this.#server === handler) this.#server = undefined
      },
    }
  }

  /** A device's socket. */
  connect(conditions: BothWays<DatagramConditions>, handler: (bytes: Uint8Array) => void): DatagramClient {
    return new DatagramClient(
      {
        up: new Impairment(conditions.up, this.#simulation.fork()),
        down: new Impairment(conditions.down, this.#simulation.fork()),
      },
      handler,
      {
        send: (client, bytes) => {
          const from = client.address
          this.#carry(client.up, bytes, () => this.#server?.(bytes.slice(), from))
        },
        map: (client, old) => {
          if (old !== undefined) this.#clients.delete(old)
          const address = `192.0.2.1:${this.#nextPort++}`
          this.#clients.set(address, client)
          return address
        },
        unmap: (address) => this.#clients.delete(address),
      },
    )
  }

  #carry(impairment: Impairment | undefined, bytes: Uint8Array, arrive: () => void): void {
    for (const at of impairment?.pass(bytes.length, this.#simulation.now()) ?? []) this.#simulation.at(at, arrive)
  }
}

interface Carrier {
  send(client: DatagramClient, bytes: Uint8Array): void
  map(client: DatagramClient, old: string | undefined): string
  unmap(address: string): void
}

export class DatagramClient {
  readonly up: Impairment
  readonly down: Impairment
  readonly #handler: (bytes: Uint8Array) => void
  readonly #carrier: Carrier
  #address: string
  #open = true

  constructor(link: BothWays<Impairment>, handler: (bytes: Uint8Array) => void, carrier: Carrier) {
    this.up = link.up
    this.down = link.down
    this.#handler = handler
    this.#carrier = carrier
    this.#address = carrier.map(this, undefined)
  }

  /** As the cloud sees it. */
  get address(): string {
    return this.#address
  }

  send(bytes: Uint8Array): void {
    if (this.#open) this.#carrier.send(this, bytes.slice())
  }

  /** The NAT forgets: from now on the device comes from another address, and nothing reaches it at the old one. */
  rebind(): void {
    if (this.#open) this.#address = this.#carrier.map(this, this.#address)
  }

  /** From the network; not for users. */
  deliver(bytes: Uint8Array): void {
    if (this.#open) this.#handler(bytes.slice())
  }

  close(): void {
    this.#open = false
    this.#carrier.unmap(this.#address)
  }
}
