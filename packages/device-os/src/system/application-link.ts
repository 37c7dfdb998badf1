/** The system's end of the application: what it offers to the cloud, and what is passed to it. */
import type { VariableValue as CloudValue } from '@aloe/protocol'
import type { ApplicationRun, RunApplication } from '../hal/application.ts'
import type { Hal } from '../hal/hal.ts'
import type { Millis, Timer } from '../hal/time.ts'
import type { ReportedError, ToApplication, ToSystem, VariableKind, VariableValue } from '../wiring/messages.ts'
import type { RequestHandler, Services } from '../wiring/services.ts'
import type { SharedState } from '../wiring/shared-state.ts'

/** How long the application may take to tell a variable before the last known value is taken. */
const freshValueWait: Millis = 250
/** Events that wait for the application; more are dropped. */
const maxWaitingEvents = 64
/** Calls that the application may have open; more time out. */
const maxOpenCalls = 32
/** What a device gives its application before a reset (modules-and-platforms.md 4.4). */
const resetGrace: Millis = 30_000

export interface LinkedSubscription {
  readonly id: number
  readonly filter: string
  readonly binary: boolean
}

export interface ApplicationLinkHandlers {
  /** Functions, variables or subscriptions changed; `setup` is true once `setup()` is done. */
  registered(setup: boolean): void
  subscribed(subscription: LinkedSubscription): void
  /** The application failed and runs no more. */
  panicked(error: ReportedError): void
}

export interface ApplicationLinkOptions {
  readonly hal: Hal
  readonly run: RunApplication
  readonly userBody: string
  readonly deviceId: string
  readonly startedAt: Millis
  readonly state: SharedState
  readonly requests: Readonly<Record<string, RequestHandler>>
  readonly services: Services
  readonly handlers: ApplicationLinkHandlers
}

interface Variable {
  readonly type: VariableKind
  value: VariableValue
}

interface Read {
  readonly finish: () => void
  readonly timer: Timer
}

function cloudValue({ type, value }: Variable): CloudValue {
  if (type === 'bool') return { type, value: value === true }
  if (type === 'string') return { type, value: String(value) }
  return { type, value: type === 'int32' ? Number(value) | 0 : Number(value) }
}

export class ApplicationLink {
  readonly #options: ApplicationLinkOptions
  readonly #run: ApplicationRun
  readonly #functions = new Set<string>()
  readonly #variables = new Map<string, Variable>()
  readonly #subscriptions = new Map<number, LinkedSubscription>()
  readonly #calls = new Map<number, (value: number) => void>()
  readonly #reads = new Map<number, Read & { readonly variable: Variable }>()
  #noticed: (() => void) | undefined
  #lastId = 0
  #waitingEvents = 0
  #listened = 0
  #setupDone = false
  #ended = false

  constructor(options: ApplicationLinkOptions) {
    this.#options = options
    const { hal, run, userBody, deviceId, startedAt, state } = options
    this.#run = run(
      { userBody, shared: state.memory, pins: hal.pins.memory },
      {
        message: (message) => this.#receive(message as ToSystem),
        exited: (error) => this.#panic({ message: error.message, ...(error.stack && { stack: error.stack }) }),
      },
    )
    this.#post({ kind: 'init', deviceId, startedAt })
  }

  get setupDone(): boolean {
    return this.#setupDone
  }

  get functions(): readonly string[] {
    return [...this.#functions]
  }

  get variables(): Readonly<Record<string, VariableKind>> {
    return Object.fromEntries([...this.#variables].map(([name, { type }]) => [name, type]))
  }

  get subscriptions(): readonly LinkedSubscription[] {
    return [...this.#subscriptions.values()]
  }

  /** Calls a function. Without an answer `reply` is never called. @returns false when there is none of that name */
  call(name: string, argument: string, reply: (value: number) => void): boolean {
    if (!this.#functions.has(name)) return false
    if (this.#ended || this.#calls.size >= maxOpenCalls) return true
    this.#lastId += 1
    this.#calls.set(this.#lastId, reply)
    this.#post({ kind: 'call', id: this.#lastId, name, argument })
    return true
  }

  /** The value of a variable: fresh, or the last known when the application does not answer. */
  read(name: string, reply: (value: CloudValue | undefined) => void): void {
    const variable = this.#variables.get(name)
    if (variable === undefined || this.#ended) {
      reply(variable && cloudValue(variable))
      return
    }
    this.#lastId += 1
    const id = this.#lastId
    const finish = () => {
      this.#reads.get(id)?.timer.cancel()
      this.#reads.delete(id)
      reply(cloudValue(variable))
    }
    this.#reads.set(id, { variable, finish, timer: this.#options.hal.setTimer(freshValueWait, finish) })
    this.#post({ kind: 'read', id, name })
  }

  /** Passes an event to the subscriptions that it matches. */
  event(name: string, data: Uint8Array, contentType: number): void {
    for (const { id, filter } of this.#subscriptions.values()) {
      if (!name.startsWith(filter)) continue
      if (this.#waitingEvents >= maxWaitingEvents) {
        this.#log('warn', `the application does not keep up: event ${name} is dropped`)
        return
      }
      this.#waitingEvents += 1
      this.#post({ kind: 'event', id, name, data, contentType })
    }
  }

  /** Tells of a system event, if the application wants to know. */
  systemEvent(event: number, parameter: number): void {
    if ((this.#listened & event) !== 0) this.#post({ kind: 'system', event, parameter })
  }

  /** Tells that the device resets, and waits until an application that listens has done what it has to do. */
  async announceReset(event: number): Promise<void> {
    if (this.#ended || (this.#listened & event) === 0) return
    await new Promise<void>((resolve) => {
      const timer = this.#options.hal.setTimer(resetGrace, resolve)
      this.#noticed = () => {
        timer.cancel()
        resolve()
      }
      this.#post({ kind: 'resetting', event })
    })
  }

  led(red: number, green: number, blue: number): void {
    this.#post({ kind: 'led', red, green, blue })
  }

  /** Ends the application wherever it is. */
  async terminate(): Promise<void> {
    this.#end()
    await this.#run.terminate()
  }

  #end(): void {
    this.#ended = true
    this.#calls.clear()
    this.#noticed?.()
    for (const { finish } of [...this.#reads.values()]) finish()
  }

  #post(message: ToApplication): void {
    if (!this.#ended) this.#run.post(message)
  }

  #log(level: 'trace' | 'info' | 'warn' | 'error', message: string, category = 'system.app'): void {
    const { hal } = this.#options
    hal.log({ level, category, message, time: hal.now() })
  }

  #panic(error: ReportedError): void {
    if (this.#ended) return
    this.#end()
    this.#options.handlers.panicked(error)
  }

  #receive(message: ToSystem): unknown {
    if (this.#ended) return undefined
    const { handlers, hal } = this.#options
    switch (message.kind) {
      case 'setup':
        this.#setupDone = message.done
        return message.done ? handlers.registered(true) : undefined
      case 'function':
        this.#functions.add(message.name)
        return handlers.registered(this.#setupDone)
      case 'variable':
        this.#variables.set(message.name, { type: message.type, value: message.value })
        return handlers.registered(this.#setupDone)
      case 'values':
        for (const [name, value] of Object.entries(message.values)) this.#keep(this.#variables.get(name), value)
        return undefined
      case 'subscribe': {
        const { id, filter, binary } = message
        this.#subscriptions.set(id, { id, filter, binary })
        return handlers.subscribed({ id, filter, binary })
      }
      case 'unsubscribe':
        return this.#subscriptions.clear()
      case 'result': {
        const reply = this.#calls.get(message.id)
        this.#calls.delete(message.id)
        return reply?.(message.value)
      }
      case 'value': {
        const read = this.#reads.get(message.id)
        this.#keep(read?.variable, message.value)
        return read?.finish()
      }
      case 'handled':
        this.#waitingEvents = Math.max(0, this.#waitingEvents - 1)
        return undefined
      case 'log':
        return this.#log(message.level, message.message, message.category)
      case 'listen':
        this.#listened = message.events
        return undefined
      case 'noticed':
        return this.#noticed?.()
      case 'pin':
        return hal.pins.changed(message.pin)
      case 'panic':
        return this.#panic(message.error)
      case 'request':
        return this.#request(message.id, message.name, message.arguments).catch((error: unknown) =>
          this.#log('error', `request ${message.name} failed: ${error instanceof Error ? error.message : error}`),
        )
    }
  }

  #keep(variable: Variable | undefined, value: VariableValue): void {
    if (variable !== undefined) variable.value = value
  }

  async #request(id: number, name: string, args: readonly unknown[]): Promise<void> {
    const value = await this.#options.requests[name]?.(this.#options.services, args)
    if (id !== 0) this.#post({ kind: 'reply', id, value })
  }
}
