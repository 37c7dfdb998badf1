/** `Particle.publish` and `subscribe` with structured and binary data. */
import { decodeCbor, encodeCbor, isSystemEvent, type JsonValue } from '@aloe/protocol'
import { maxEventData, publishOptions, textEvent, toText } from './publish-options.ts'
import type { Member } from './runtime.ts'

/** Content formats (device-protocol.md 3.9, 3.10). */
const octetStream = 42
const jsonAsCbor = 65001
const cborFormat = 60

const maxNameLength = 64
const maxSubscriptions = 4

/** What JSON leaves of a value: no functions, no undefined. */
const asJson = (data: unknown): JsonValue => JSON.parse(JSON.stringify(data)) as JsonValue

const eventData = (data: unknown): { readonly data: Uint8Array; readonly contentType: number } =>
  data instanceof Uint8Array
    ? { data, contentType: octetStream }
    : { data: encodeCbor(asJson(data)), contentType: jsonAsCbor }

export const publishAny: Member =
  (runtime) =>
  async (name: string, data: unknown = '', ...options: (number | string)[]) => {
    if (typeof name !== 'string' || name === '' || Buffer.byteLength(name) > maxNameLength) return false
    if (isSystemEvent(name)) return false
    const read = publishOptions(options)
    const plain = typeof data === 'object' && data !== null ? undefined : textEvent(String(data), read)
    const body = plain ?? (typeof data === 'object' && data !== null ? { ...eventData(data), ...read } : undefined)
    if (body === undefined || body.data.length > maxEventData) return false
    return (await runtime.request('publish', { name, ...body })) === true
  }

const received = (data: Uint8Array, contentType: number): unknown => {
  if (contentType === cborFormat || contentType === jsonAsCbor) return decodeCbor(data)
  return contentType === octetStream ? data : toText(data)
}

export const subscribeBinary: Member =
  (runtime) => (filter: string, handler: (name: string, data: unknown) => unknown) => {
    if (typeof filter !== 'string' || filter === '' || runtime.subscriptionCount >= maxSubscriptions) return false
    runtime.addSubscription(filter, true, (name, data, contentType) => handler(name, received(data, contentType)))
    return true
  }
