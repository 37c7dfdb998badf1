/** `Particle`: the cloud, as an application sees it. */
import { isSystemEvent } from '@aloe/protocol'
import type { VariableKind } from './messages.ts'
import { publishOptions, textEvent, toText } from './publish-options.ts'
import type { EventHandler, FunctionHandler, Member } from './runtime.ts'

/** device-protocol.md 6.2 */
const maxFunctions = 100
const maxVariables = 100
const maxSubscriptions = 4
const maxNameLength = 64
const maxTextBytes = 1024

/** `cloudStatus` of a standing connection (modules-and-platforms.md 6.4). */
const connectedStatus = 8

const validName = (name: unknown): name is string =>
  typeof name === 'string' && name.length > 0 && Buffer.byteLength(name) <= maxNameLength

export const publish: Member =
  (runtime) =>
  async (name: string, data = '', ...options: (number | string)[]) => {
    if (!validName(name) || isSystemEvent(name)) return false
    const event = textEvent(String(data), publishOptions(options))
    if (event === undefined) return false
    return (await runtime.request('publish', { name, ...event })) === true
  }

export const subscribe: Member = (runtime) => (filter: string, handler: (name: string, data: string) => unknown) => {
  if (!validName(filter) || runtime.subscriptionCount >= maxSubscriptions) return false
  const asText: EventHandler = (name, data) => handler(name, toText(data))
  runtime.addSubscription(filter, false, asText)
  return true
}

export const unsubscribe: Member = (runtime) => () => runtime.removeSubscriptions()

export const cloudFunction: Member = (runtime) => (name: string, handler: FunctionHandler) => {
  if (!validName(name)) return false
  if (!runtime.hasFunction(name) && runtime.functionCount >= maxFunctions) return false
  runtime.addFunction(name, handler)
  return true
}

export const variable: Member = (runtime) => (name: string, value: unknown, type?: VariableKind) => {
  if (!validName(name)) return false
  if (!runtime.hasVariable(name) && runtime.variableCount >= maxVariables) return false
  const read = typeof value === 'function' ? (value as () => never) : () => value as never
  return runtime.addVariable(name, read, type)
}

export const connected: Member = (runtime) => () => runtime.state.get('cloudStatus') === connectedStatus

export const disconnected: Member = (runtime) => () => runtime.state.get('cloudStatus') === 0

export const connect: Member = (runtime) => () => runtime.tell('connect')

export const disconnect: Member = (runtime) => async () => {
  await runtime.request('disconnect')
}

export const processMessages: Member = (runtime) => () => runtime.process()

export const syncTime: Member = (runtime) => async () => {
  return (await runtime.request('syncTime')) === true
}

export const syncTimeDone: Member = (runtime) => () => !runtime.state.is('timeSyncPending')

export const syncTimePending: Member = (runtime) => () => runtime.state.is('timeSyncPending')

export const timeSyncedLast: Member = (runtime) => () => {
  const at = runtime.state.number('timeSyncedAt')
  return at === 0 ? 0 : Math.round(at - runtime.startedAt)
}

export const keepAlive: Member = (runtime) => (seconds: number) => runtime.tell('keepAlive', Math.max(1, seconds))

export const publishVitals: Member = (runtime) => async (period?: number) => {
  if (period !== undefined) runtime.tell('vitalsPeriod', Math.max(0, period))
  return (await runtime.request('vitals')) === true
}

export const maxEventDataSize: Member = () => () => maxTextBytes

export const maxVariableValueSize: Member = () => () => maxTextBytes

export const maxFunctionArgumentSize: Member = () => () => maxTextBytes
