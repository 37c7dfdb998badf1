/**
 * An impaired network on real loopback sockets, in real time: put it between a device and a cloud, and let the device
 * connect to the relay. Each address that sends to it gets a socket of its own towards the target, as behind a NAT.
 */
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { performance } from 'node:perf_hooks'
import type { BothWays, DatagramConditions } from './conditions.ts'
import { type DatagramCounts, Impairment } from './impairment.ts'
import { type Random, seeded } from './random.ts'

export interface UdpRelayOptions {
  readonly target: { readonly host: string; readonly port: number }
  readonly conditions: BothWays<DatagramConditions>
  /** Chance is repeatable; what real time does to it is not. */
  readonly seed?: number
  readonly host?: string
  /** Any free port unless given. */
  readonly port?: number
}

interface Mapping {
  readonly peer: { readonly address: string; readonly port: number }
  readonly up: Impairment
  readonly down: Impairment
  outer: Socket
}

export class UdpRelay {
  readonly #options: UdpRelayOptions
  readonly #inner: Socket
  readonly #random: Random
  readonly #mappings = new Map<string, Mapping>()
  readonly #timers = new Set<NodeJS.Timeout>()
  #closed = false
  #down = false

  private constructor(options: UdpRelayOptions, inner: Socket) {
    this.#options = options
    this.#inner = inner
    this.#random = seeded(options.seed ?? 1)
    inner.on('message', (bytes, { address, port }) => this.#fromDevice(bytes, address, port))
  }

  static async listen(options: UdpRelayOptions): Promise<UdpRelay> {
    const inner = createSocket('udp4')
    inner.bind(options.port ?? 0, options.host ?? '127.0.0.1')
    await once(inner, 'listening')
    return new UdpRelay(options, inner)
  }

  /** Where devices connect to. */
  get port(): number {
    return (this.#inner.address() as AddressInfo).port
  }

  /** Addresses that have sent something. */
  get clients(): number {
    return this.#mappings.size
  }

  /** A dead network while true. */
  set down(down: boolean) {
    this.#down = down
    for (const { up, down: back } of this.#mappings.values()) up.down = back.down = down
  }

  get down(): boolean {
    return this.#down
  }

  /** Of all devices together. */
  get counts(): BothWays<DatagramCounts> {
    const mappings = [...this.#mappings.values()]
    return { up: sum(mappings.map(({ up }) => up.counts)), down: sum(mappings.map(({ down }) => down.counts)) }
  }

  /** The NAT forgets: every device is seen at a new port from now on, and its old one leads nowhere. */
  async rebind(): Promise<void> {
    for (const mapping of this.#mappings.values()) {
      mapping.outer.close()
      mapping.outer = await this.#outerSocket(mapping)
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    for (const timer of this.#timers) clearTimeout(timer)
    for (const { outer } of this.#mappings.values()) outer.close()
    this.#inner.close()
    await once(this.#inner, 'close')
  }

  #fromDevice(bytes: Uint8Array, address: string, port: number): void {
    const key = `${address}:${port}`
    const known = this.#mappings.get(key)
    const mapping = known ?? this.#map(address, port)
    if (!known) this.#mappings.set(key, mapping)
    const { host, port: target } = this.#options.target
    this.#carry(mapping.up, bytes, () => mapping.outer.send(bytes, target, host))
  }

  #map(address: string, port: number): Mapping {
    const { up, down } = this.#options.conditions
    const mapping: Mapping = {
      peer: { address, port },
      up: new Impairment(up, this.#random),
      down: new Impairment(down, this.#random),
      outer: createSocket('udp4'),
    }
    mapping.up.down = mapping.down.down = this.#down
    this.#receive(mapping, mapping.outer)
    return mapping
  }

  async #outerSocket(mapping: Mapping): Promise<Socket> {
    const socket = createSocket('udp4')
    this.#receive(mapping, socket)
    socket.bind(0)
    await once(socket, 'listening')
    return socket
  }

  #receive(mapping: Mapping, socket: Socket): void {
    const { address, port } = mapping.peer
    socket.on('message', (bytes) => this.#carry(mapping.down, bytes, () => this.#inner.send(bytes, port, address)))
    // An unreachable target is part of a bad network.
    socket.on('error', () => {})
  }

  #carry(impairment: Impairment, bytes: Uint8Array, arrive: () => void): void {
    const now = performance.now()
    for (const at of impairment.pass(bytes.length, now)) {
      if (at - now < 0.5) {
        arrive()
        continue
      }
      const timer = setTimeout(() => {
        this.#timers.delete(timer)
        if (!this.#closed) arrive()
      }, at - now)
      this.#timers.add(timer)
    }
  }
}

function sum(counts: readonly DatagramCounts[]): DatagramCounts {
  const total = new Impairment({}, () => 0).counts
  for (const each of counts) for (const key of Object.keys(total) as (keyof DatagramCounts)[]) total[key] += each[key]
  return total
}
