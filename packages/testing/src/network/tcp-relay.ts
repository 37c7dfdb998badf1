/** An impaired network for TCP on real loopback sockets, in real time. See `UdpRelay`. */
import { once } from 'node:events'
import { type AddressInfo, createServer, connect as dial, type Server, type Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import type { BothWays, StreamConditions } from './conditions.ts'
import { type Random, seeded } from './random.ts'
import { StreamShaper } from './stream-shaper.ts'

export interface TcpRelayOptions {
  readonly target: { readonly host: string; readonly port: number }
  readonly conditions: BothWays<StreamConditions>
  readonly seed?: number
  readonly host?: string
  /** Any free port unless given. */
  readonly port?: number
}

/** Bytes that may wait for the link's rate before the sender is made to wait. */
const highWater = 16_384

interface Pair {
  readonly device: Socket
  readonly cloud: Socket
  readonly directions: Direction[]
}

/** What is to happen in one direction, in order: a timer for each could let bytes overtake each other. */
class Direction {
  readonly #waiting: { readonly at: number; readonly act: () => void }[] = []
  #timer: NodeJS.Timeout | undefined

  at(at: number, act: () => void): void {
    this.#waiting.push({ at, act })
    this.#timer ??= this.#wait(at)
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#waiting.length = 0
  }

  #wait(at: number): NodeJS.Timeout {
    return setTimeout(() => this.#run(), Math.max(0, at - performance.now()))
  }

  #run(): void {
    for (let [next] = this.#waiting; next; [next] = this.#waiting) {
      if (next.at - performance.now() >= 1) break
      this.#waiting.shift()
      next.act()
    }
    const [next] = this.#waiting
    this.#timer = next && this.#wait(next.at)
  }
}

export class TcpRelay {
  /** For connections that are made from now on. */
  conditions: BothWays<StreamConditions>
  readonly #options: TcpRelayOptions
  readonly #server: Server
  readonly #random: Random
  readonly #pairs = new Set<Pair>()
  #refusing = false

  private constructor(options: TcpRelayOptions, server: Server) {
    this.#options = options
    this.conditions = options.conditions
    this.#server = server
    this.#random = seeded(options.seed ?? 1)
    server.on('connection', (socket) => this.#connection(socket))
  }

  static async listen(options: TcpRelayOptions): Promise<TcpRelay> {
    const server = createServer({ noDelay: true })
    server.listen(options.port ?? 0, options.host ?? '127.0.0.1')
    await once(server, 'listening')
    return new TcpRelay(options, server)
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Standing connections. */
  get connections(): number {
    return this.#pairs.size
  }

  /** While true new connections are broken at once. */
  set refusing(refusing: boolean) {
    this.#refusing = refusing
  }

  /** Breaks all connections, as a router that reboots does. */
  cut(): void {
    for (const pair of [...this.#pairs]) this.#cut(pair)
  }

  async close(): Promise<void> {
    this.cut()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #connection(device: Socket): void {
    if (this.#refusing) {
      device.on('error', () => {})
      device.resetAndDestroy()
      return
    }
    const { host, port } = this.#options.target
    const cloud = dial({ host, port, noDelay: true })
    const pair: Pair = { device, cloud, directions: [] }
    this.#pairs.add(pair)
    const { up, down } = this.conditions
    this.#join(pair, device, cloud, new StreamShaper(up, this.#random))
    this.#join(pair, cloud, device, new StreamShaper(down, this.#random))
  }

  #join(pair: Pair, from: Socket, to: Socket, shaper: StreamShaper): void {
    const direction = new Direction()
    pair.directions.push(direction)
    from.on('data', (bytes) => {
      const now = performance.now()
      const { segments, cutAt } = shaper.pass(bytes, now)
      for (const { at, bytes: piece } of segments) direction.at(at, () => to.writable && to.write(piece))
      if (cutAt !== undefined) direction.at(cutAt, () => this.#cut(pair))
      const waiting = shaper.waiting(now)
      const { rate } = shaper.conditions
      if (rate === undefined || waiting < highWater || from.isPaused()) return
      from.pause()
      setTimeout(() => from.resume(), ((waiting - highWater / 2) * 1000) / rate)
    })
    from.on('end', () => direction.at(shaper.endOf(performance.now()), () => to.end()))
    from.on('error', () => this.#cut(pair))
    from.on('close', () => {
      if (pair.device.destroyed && pair.cloud.destroyed) this.#pairs.delete(pair)
    })
  }

  #cut(pair: Pair): void {
    if (!this.#pairs.delete(pair)) return
    for (const direction of pair.directions) direction.stop()
    pair.device.resetAndDestroy()
    pair.cloud.resetAndDestroy()
  }
}
