/** For tests: the least that a cloud can be, made of the protocol's cloud ends. */
import { createPublicKey, type KeyObject, randomBytes } from 'node:crypto'
import {
  CloudSession,
  type Describe,
  type DeviceEvent,
  decodeVariable,
  type Goodbye,
  type Hello,
  type RequestResult,
  TcpServerChannel,
  type TransferResult,
  type VariableType,
} from '@aloe/protocol'
import type { Clock } from '../hal/clock.ts'
import type { Timer } from '../hal/time.ts'

export interface ServerSocket {
  write(bytes: Uint8Array): void
  destroy(): void
}

export interface TestCloudOptions {
  readonly serverKey: KeyObject
  readonly clock: Clock
  /** Seconds since 1970. */
  readonly unixTime?: number
}

/** Everything that one device did in one connection. */
export class TestCloudConnection {
  readonly events: DeviceEvent[] = []
  readonly describes: Describe[] = []
  readonly session: CloudSession
  hello: Hello | undefined
  goodbye: Goodbye | undefined
  open = true
  readonly #channel: TcpServerChannel
  readonly #clock: Clock
  readonly #socket: ServerSocket
  #timer: Timer | undefined

  constructor(socket: ServerSocket, { serverKey, clock, unixTime = 1_700_000_000 }: TestCloudOptions) {
    this.#socket = socket
    this.#clock = clock
    this.session = new CloudSession({
      transport: 'tcp',
      random: (size) => randomBytes(size),
      unixTime: () => unixTime,
      firstMessageId: 1,
      handlers: {
        send: (message) => this.#channel.send(message),
        hello: (hello) => {
          this.hello = hello
        },
        describe: (describe) => this.describes.push(describe),
        event: (event) => this.events.push({ ...event, data: event.data.slice() }),
        goodbye: (goodbye) => {
          this.goodbye = goodbye
        },
        closed: () => this.close(),
      },
    })
    this.#channel = new TcpServerChannel({
      serverKey,
      random: (size) => randomBytes(size),
      handlers: {
        write: (bytes) => socket.write(bytes),
        identify: ({ publicKey }) => {
          if (publicKey === undefined) this.#channel.reject('no key')
          else
            this.#channel.accept(
              createPublicKey({ key: Buffer.from(publicKey), format: 'der', type: 'spki' }),
              clock.now(),
            )
        },
        established: () => {},
        message: (message) => this.session.receive(message, clock.now()),
        failed: () => this.close(),
      },
    })
    this.#channel.start(clock.now())
    this.#poll()
  }

  data(bytes: Uint8Array): void {
    if (!this.open) return
    this.#channel.receive(bytes, this.#clock.now())
    this.#poll()
  }

  /** The socket ended. */
  ended(): void {
    this.open = false
    this.#timer?.cancel()
    this.session.close()
    this.#channel.close()
  }

  close(): void {
    if (!this.open) return
    this.ended()
    this.#socket.destroy()
  }

  /** Names and texts of the events so far. */
  get said(): string[] {
    return this.events.map(({ name, data }) => `${name}=${Buffer.from(data).toString()}`)
  }

  last<Kind extends Describe['kind']>(kind: Kind): Extract<Describe, { kind: Kind }> | undefined {
    return this.describes.findLast((describe): describe is Extract<Describe, { kind: Kind }> => describe.kind === kind)
  }

  call(name: string, argument: string, timeout = 5_000): Promise<RequestResult<number>> {
    return new Promise((resolve) => {
      this.session.call(name, argument, this.#clock.now(), timeout, resolve)
      this.#poll()
    })
  }

  async read(name: string, type: VariableType, timeout = 5_000): Promise<unknown> {
    const result = await new Promise<RequestResult<Uint8Array>>((resolve) => {
      this.session.readVariable(name, this.#clock.now(), timeout, resolve)
      this.#poll()
    })
    return result.ok ? decodeVariable(type, result.value) : result.error
  }

  ping(timeout = 5_000): Promise<boolean> {
    return new Promise((resolve) => {
      this.session.ping(this.#clock.now(), timeout, ({ ok }) => resolve(ok))
      this.#poll()
    })
  }

  say(name: string, data: string): void {
    this.session.publishSystem(name, Buffer.from(data), this.#clock.now())
    this.#poll()
  }

  deliver(name: string, data: string): boolean {
    const sent = this.session.deliver({ name, data: Buffer.from(data) }, this.#clock.now())
    this.#poll()
    return sent
  }

  update(file: Uint8Array): Promise<TransferResult> {
    return new Promise((resolve) => {
      this.session.startUpdate(file, {}, this.#clock.now(), { done: resolve })
      this.#poll()
    })
  }

  signal(on: boolean): void {
    this.session.signal(on, this.#clock.now(), 5_000, () => {})
    this.#poll()
  }

  describe(kind: 'system' | 'application' | 'metrics'): void {
    this.session.requestDescribe(kind, this.#clock.now(), 5_000, () => {})
    this.#poll()
  }

  #poll(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    if (!this.open) return
    const now = this.#clock.now()
    const next = Math.min(...[this.#channel.nextDeadline(), this.session.nextDeadline()].map((at) => at ?? Infinity))
    if (next === Infinity) return
    this.#timer = this.#clock.setTimer(Math.max(0, next - now), () => {
      this.#channel.poll(this.#clock.now())
      this.session.poll(this.#clock.now())
      this.#poll()
    })
  }
}
