/**
 * The application's side of the system, as the members of the API see it: each member is made from a `Runtime`.
 */
import type { ApplicationPort } from '../hal/application.ts'
import { PinBank } from '../hal/pins.ts'
import type { Millis, Timer } from '../hal/time.ts'
import type { ToApplication, ToSystem, VariableKind, VariableValue } from './messages.ts'
import { SharedState } from './shared-state.ts'

/** The Device OS release that a system part 2 was built as. */
export interface Release {
  /** Semver, e.g. `1.1.0-rc.1`. */
  readonly version: string
}

export type FunctionHandler = (argument: string) => number | undefined | Promise<number | undefined>
export type EventHandler = (name: string, data: Uint8Array, contentType: number) => unknown
export type SystemEventHandler = (event: number, parameter: number) => unknown

/** Makes one member of the API: a function, a class or a value. */
export type Member = (runtime: Runtime) => unknown

interface Variable {
  readonly type: VariableKind
  readonly read: () => VariableValue
  last: VariableValue
}

/** Unwinds the application after a call that never returns (`System.reset`). */
export class ApplicationEnded extends Error {
  constructor() {
    super('the application has ended')
    this.name = 'ApplicationEnded'
  }
}

/** How often values that nobody asked for are sent to the system. */
const pushInterval: Millis = 200
/** The same for a loop that calls `Particle.process()` again and again. */
const processInterval: Millis = 10

/** A number is a double unless the application says otherwise: 19 now may be 19.5 later. */
const kindOf = (value: VariableValue): VariableKind => {
  if (typeof value === 'boolean') return 'bool'
  return typeof value === 'string' ? 'string' : 'double'
}

const fits = (type: VariableKind, value: VariableValue): boolean =>
  type === 'int32' ? typeof value === 'number' : kindOf(value) === type

export class Runtime {
  readonly port: ApplicationPort
  readonly release: Release
  readonly state: SharedState
  readonly pins: PinBank
  readonly deviceId: string
  /** Device time at which the system started. */
  readonly startedAt: Millis
  readonly #panic: (error: unknown) => void
  readonly #functions = new Map<string, FunctionHandler>()
  readonly #variables = new Map<string, Variable>()
  readonly #subscriptions = new Map<number, EventHandler>()
  readonly #requests = new Map<number, (value: unknown) => void>()
  readonly #listeners: { readonly events: number; readonly handler: SystemEventHandler }[] = []
  #ledListener: ((red: number, green: number, blue: number) => unknown) | undefined
  #lastId = 0
  #pushedAt: Millis = Number.NEGATIVE_INFINITY

  /** @param panic told of everything that the application throws outside of `setup` and `loop` */
  constructor(
    port: ApplicationPort,
    release: Release,
    init: Extract<ToApplication, { kind: 'init' }>,
    panic: (error: unknown) => void,
  ) {
    this.port = port
    this.release = release
    this.state = new SharedState(port.shared)
    this.pins = new PinBank(port.pins)
    this.deviceId = init.deviceId
    this.startedAt = init.startedAt
    this.#panic = panic
  }

  now(): Millis {
    return this.port.now()
  }

  /** Milliseconds since the system started. */
  uptime(): Millis {
    return this.now() - this.startedAt
  }

  /** Calls `fn` later; what it throws is the application's failure. */
  setTimer(delay: Millis, fn: () => unknown): Timer {
    return this.port.setTimer(delay, () => this.guard(fn))
  }

  wait(delay: Millis): Promise<void> {
    return new Promise((resolve) => this.port.setTimer(delay, resolve))
  }

  send(message: ToSystem): void {
    this.port.post(message)
  }

  /** Asks the system; the promise never rejects. */
  request(name: string, ...args: unknown[]): Promise<unknown> {
    this.#lastId += 1
    const id = this.#lastId
    this.send({ kind: 'request', id, name, arguments: args })
    return new Promise((resolve) => this.#requests.set(id, resolve))
  }

  /** Tells the system, wants no answer. */
  tell(name: string, ...args: unknown[]): void {
    this.send({ kind: 'request', id: 0, name, arguments: args })
  }

  /** Runs application code that the system calls. */
  guard(fn: () => unknown): void {
    try {
      const result = fn()
      if (result instanceof Promise) result.catch(this.#panic)
    } catch (error) {
      this.#panic(error)
    }
  }

  addFunction(name: string, handler: FunctionHandler): void {
    this.#functions.set(name, handler)
    this.send({ kind: 'function', name })
  }

  get functionCount(): number {
    return this.#functions.size
  }

  hasFunction(name: string): boolean {
    return this.#functions.has(name)
  }

  /** @returns false when the first value is not of the given type */
  addVariable(name: string, read: () => VariableValue, given?: VariableKind): boolean {
    const value = read()
    const type = given ?? kindOf(value)
    if (!fits(type, value)) return false
    this.#variables.set(name, { type, read, last: value })
    this.send({ kind: 'variable', name, type, value })
    return true
  }

  get variableCount(): number {
    return this.#variables.size
  }

  hasVariable(name: string): boolean {
    return this.#variables.has(name)
  }

  addSubscription(filter: string, binary: boolean, handler: EventHandler): void {
    this.#lastId += 1
    this.#subscriptions.set(this.#lastId, handler)
    this.send({ kind: 'subscribe', id: this.#lastId, filter, binary })
  }

  get subscriptionCount(): number {
    return this.#subscriptions.size
  }

  removeSubscriptions(): void {
    this.#subscriptions.clear()
    this.send({ kind: 'unsubscribe' })
  }

  listen(events: number, handler: SystemEventHandler): void {
    this.#listeners.push({ events, handler })
    this.#sayListened()
  }

  unlisten(handler: SystemEventHandler | undefined, events: number): void {
    for (let place = this.#listeners.length - 1; place >= 0; place -= 1) {
      const listener = this.#listeners[place]
      if (listener === undefined || (handler !== undefined && listener.handler !== handler)) continue
      const rest = listener.events & ~events
      this.#listeners.splice(place, 1, ...(rest === 0 ? [] : [{ events: rest, handler: listener.handler }]))
    }
    this.#sayListened()
  }

  #sayListened(): void {
    this.send({ kind: 'listen', events: this.#listeners.reduce((all, { events }) => all | events, 0) })
  }

  set ledListener(listener: ((red: number, green: number, blue: number) => unknown) | undefined) {
    this.#ledListener = listener
  }

  #value(variable: Variable): VariableValue {
    const value = variable.read()
    return fits(variable.type, value) ? value : variable.last
  }

  /** Handles what waits, for a loop that does not yield. */
  process(): void {
    this.pushVariables(processInterval)
    this.port.drain()
  }

  /** Sends values that changed, unless that was done less than `interval` ago. */
  pushVariables(interval: Millis = pushInterval): void {
    if (this.#variables.size === 0) return
    const now = this.now()
    if (now - this.#pushedAt < interval) return
    this.#pushedAt = now
    const changed: Record<string, VariableValue> = {}
    let any = false
    for (const [name, variable] of this.#variables) {
      const value = this.#value(variable)
      if (value === variable.last) continue
      variable.last = value
      changed[name] = value
      any = true
    }
    if (any) this.send({ kind: 'values', values: changed })
  }

  /** What the system says. */
  receive(message: ToApplication): void {
    this.guard(() => this.#receive(message))
  }

  #receive(message: ToApplication): unknown {
    switch (message.kind) {
      case 'init':
        return undefined
      case 'reply': {
        const done = this.#requests.get(message.id)
        this.#requests.delete(message.id)
        return done?.(message.value)
      }
      case 'call':
        return this.#call(message.id, message.name, message.argument)
      case 'read': {
        const variable = this.#variables.get(message.name)
        if (variable === undefined) return undefined
        variable.last = this.#value(variable)
        return this.send({ kind: 'value', id: message.id, value: variable.last })
      }
      case 'event': {
        this.send({ kind: 'handled' })
        return this.#subscriptions.get(message.id)?.(message.name, message.data, message.contentType)
      }
      case 'system': {
        for (const { events, handler } of [...this.#listeners]) {
          if ((events & message.event) !== 0) this.guard(() => handler(message.event, message.parameter))
        }
        return undefined
      }
      case 'resetting':
        return this.#lastWords(message.event)
      case 'led':
        return this.#ledListener?.(message.red, message.green, message.blue)
    }
  }

  /** Lets the handlers of a reset finish, also those that are async. */
  async #lastWords(event: number): Promise<void> {
    const heard = this.#listeners.filter(({ events }) => (events & event) !== 0)
    await Promise.all(heard.map(async ({ handler }) => handler(event, 0)))
    this.send({ kind: 'noticed' })
  }

  /** A plain result is answered at once: a loop that only calls `Particle.process()` never lets a promise go on. */
  #call(id: number, name: string, argument: string): unknown {
    const answer = (result: unknown) =>
      this.send({ kind: 'result', id, value: typeof result === 'number' ? result | 0 : 0 })
    const result: unknown = this.#functions.get(name)?.(argument)
    return result instanceof Promise ? result.then(answer) : answer(result)
  }
}
