/** For tests: a CloudSession and a DeviceSession joined in memory, in simulated time, over a channel that may lose. */
import type { SystemDescribe } from '@aloe/firmware'
import type { Describe, DescribeKind } from '../messages/describe.ts'
import { encodeApplicationDescribe } from '../messages/describe-application.ts'
import { encodeSystemDescribe } from '../messages/describe-system-protobuf.ts'
import type { DeviceEvent } from '../messages/event.ts'
import type { Goodbye } from '../messages/goodbye.ts'
import type { Hello, HelloFields } from '../messages/hello.ts'
import type { Subscription } from '../messages/subscription.ts'
import type { VariableValue } from '../messages/variable.ts'
import { encodeVitals } from '../messages/vitals.ts'
import type { ProtocolError } from '../protocol-error.ts'
import type { Millis } from '../time.ts'
import type { UpdateTarget } from '../transfer/transfer.ts'
import type { CloudSessionOptions } from './cloud-options.ts'
import { CloudSession } from './cloud-session.ts'
import type { DeviceSessionOptions } from './device-options.ts'
import { DeviceSession } from './device-session.ts'

export const startTime = 1_700_000_000

export const systemDescribe: SystemDescribe = {
  modules: [
    {
      function: 'system_part',
      index: 1,
      version: 6200,
      store: 'main',
      maxSize: 1_000_000,
      checked: 30,
      passed: 30,
      dependencies: [{ function: 'bootloader', index: 0, version: 100 }],
    },
  ],
}

export const hello62: HelloFields = {
  productId: 0xffff,
  productVersion: 0xffff,
  flags: 0x36,
  platformId: 43,
  system: { version: 1000, maxMessageSize: 1152, maxBinarySize: 0, otaChunkSize: 512 },
}

interface Heard {
  hello: Hello[]
  describes: Describe[]
  events: (Omit<DeviceEvent, 'data'> & { data: string })[]
  subscriptions: Subscription[]
  goodbyes: Goodbye[]
  problems: ProtocolError[]
  closed: ProtocolError[]
}

interface Told {
  ready: number
  events: { name: string; data: string; contentType: number }[]
  times: number[]
  signals: boolean[]
  updating: boolean[]
  keyChanges: number
  closed: ProtocolError[]
}

export interface PairOptions {
  readonly transport?: 'tcp' | 'udp'
  readonly hello?: HelloFields
  readonly updateTarget?: UpdateTarget
  readonly cloud?: Partial<CloudSessionOptions>
  readonly device?: Partial<DeviceSessionOptions>
  /** True loses the message; `index` counts those of its direction. */
  readonly lose?: (to: 'cloud' | 'device', index: number, message: Uint8Array) => boolean
  /** Delivers the message a second time. */
  readonly repeat?: (to: 'cloud' | 'device', index: number) => boolean
}

/** Bytes that are the same in every run. */
const pseudoRandom = (): ((size: number) => Uint8Array) => {
  let state = 1
  return (size) =>
    Uint8Array.from({ length: size }, () => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
      return state >>> 24
    })
}

export class Pair {
  readonly cloud: CloudSession
  readonly device: DeviceSession
  /** What the cloud's handlers were told. */
  readonly heard: Heard = {
    hello: [],
    describes: [],
    events: [],
    subscriptions: [],
    goodbyes: [],
    problems: [],
    closed: [],
  }
  /** What the device's handlers were told. */
  readonly told: Told = { ready: 0, events: [], times: [], signals: [], updating: [], keyChanges: 0, closed: [] }
  /** All messages in the order in which they were sent. */
  readonly wire: { readonly to: 'cloud' | 'device'; readonly message: Uint8Array; readonly at: Millis }[] = []
  readonly functions = new Map<string, (argument: string, reply: (value: number) => void) => void>()
  readonly variables = new Map<string, VariableValue>()
  payloads: Partial<Record<DescribeKind, Uint8Array>> = {}
  congested = false
  onReady: () => void = () => undefined
  now: Millis = 1_000
  #queue: { to: 'cloud' | 'device'; message: Uint8Array }[] = []
  #sent = { cloud: 0, device: 0 }
  readonly #options: PairOptions

  constructor(options: PairOptions = {}) {
    this.#options = options
    const { transport = 'tcp', hello = hello62, updateTarget } = options
    const { heard, told } = this
    this.cloud = new CloudSession({
      transport,
      random: pseudoRandom(),
      unixTime: () => startTime + Math.floor(this.now / 1000),
      firstMessageId: 0x5000,
      now: this.now,
      handlers: {
        send: (message) => this.#send('device', message),
        congested: () => this.congested,
        hello: (said) => heard.hello.push(said),
        describe: (describe) => heard.describes.push(describe),
        event: (event) => heard.events.push({ ...event, data: Buffer.from(event.data).toString('utf8') }),
        admit: (event) => event.name !== 'refused',
        subscribe: (subscription) => heard.subscriptions.push(subscription),
        goodbye: (goodbye) => heard.goodbyes.push(goodbye),
        problem: (error) => heard.problems.push(error),
        closed: (error) => heard.closed.push(error),
      },
      ...options.cloud,
    })
    this.device = new DeviceSession({
      transport,
      random: pseudoRandom(),
      firstMessageId: 1,
      hello,
      ...(updateTarget ? { updateTarget } : {}),
      handlers: {
        send: (message) => this.#send('cloud', message),
        ready: () => {
          told.ready += 1
          this.onReady()
        },
        describe: (kind) => this.payloads[kind] ?? defaultPayload(kind, [...this.functions.keys()], this.variables),
        call: (name, argument, reply) => {
          const called = this.functions.get(name)
          called?.(argument, reply)
          return called !== undefined
        },
        variable: (name) => this.variables.get(name),
        event: (name, data, contentType) =>
          told.events.push({ name, data: Buffer.from(data).toString('utf8'), contentType }),
        time: (unixTime) => told.times.push(unixTime),
        signal: (on) => told.signals.push(on),
        keyChange: () => {
          told.keyChanges += 1
        },
        updating: (active) => told.updating.push(active),
        closed: (error) => told.closed.push(error),
      },
      ...options.device,
    })
  }

  /** The device says Hello and what follows, and all of it arrives. */
  connect(): this {
    const announce = this.onReady
    this.onReady = () => {
      announce()
      this.device.announce({ updatesEnabled: true, updatesForced: false }, this.now)
    }
    this.device.start(this.now)
    this.settle()
    return this
  }

  /** Delivers all that is under way, without time passing. */
  settle(): void {
    for (let rounds = 0; this.#queue.length > 0; rounds++) {
      if (rounds > 100_000) throw new Error('the sessions never come to rest')
      const next = this.#queue.shift()
      if (next) this[next.to].receive(next.message.slice(), this.now)
    }
  }

  /** Lets time pass: polls at every deadline and delivers what is sent. */
  run(span: Millis): void {
    const end = this.now + span
    this.settle()
    for (let rounds = 0; ; rounds++) {
      if (rounds > 100_000) throw new Error('the sessions never come to rest')
      const due = Math.min(this.cloud.nextDeadline() ?? end, this.device.nextDeadline() ?? end)
      if (due > end || (due === end && this.now === end)) break
      this.now = Math.max(this.now, due)
      this.cloud.poll(this.now)
      this.device.poll(this.now)
      this.settle()
      if (this.now === end) break
    }
    this.now = end
  }

  /** Cloud to device, as if the device had sent it. */
  inject(to: 'cloud' | 'device', message: Uint8Array): void {
    this[to].receive(message, this.now)
    this.settle()
  }

  /** Messages of one direction. */
  sent(to: 'cloud' | 'device'): Uint8Array[] {
    return this.wire.filter((entry) => entry.to === to).map(({ message }) => message)
  }

  #send(to: 'cloud' | 'device', message: Uint8Array): void {
    const index = this.#sent[to]++
    this.wire.push({ to, message, at: this.now })
    if (this.#options.lose?.(to, index, message)) return
    this.#queue.push({ to, message })
    if (this.#options.repeat?.(to, index)) this.#queue.push({ to, message })
  }
}

function defaultPayload(kind: DescribeKind, functions: string[], variables: Map<string, VariableValue>): Uint8Array {
  if (kind === 'system') return encodeSystemDescribe(systemDescribe)
  if (kind === 'metrics') return encodeVitals([{ id: 6, value: 3600 }])
  const types = Object.fromEntries([...variables].map(([name, { type }]) => [name, type]))
  return encodeApplicationDescribe(functions, types)
}
