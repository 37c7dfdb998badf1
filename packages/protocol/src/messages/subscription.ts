import { type CoapMessage, type CoapOption, code, optionNumber } from '../coap/message.ts'
import { textOption, textOptions } from '../coap/options.ts'
import { encodeRequest, type Head } from './build.ts'

/** What a handler on the device sees (device-protocol.md 3.10). */
export type SubscriptionFormat =
  /** Text only: a subscription without flags. */
  | 'text'
  /** Any format: query `b`. */
  | 'binary'
  /** CBOR only: query `c`. */
  | 'cbor'

/** Whose events are meant (3.11). Device OS 6.2 knows only `owner`. */
export type SubscriptionScope = 'owner' | 'all' | 'device'

export interface Subscription {
  /** Events match whose names begin with it; '' matches all. */
  readonly prefix: string
  readonly format: SubscriptionFormat
  readonly scope: SubscriptionScope
  /** The one device whose events are meant, with scope `device`: 24 hexadecimal digits, of old devices 12. */
  readonly deviceId?: string
}

/**
 * Reads `GET /e/<filter>` of any generation.
 *
 * @param publicScope what no query means: `all` for a device before 6.2, `owner` since
 */
export function decodeSubscribe(message: CoapMessage, publicScope: 'owner' | 'all'): Subscription {
  const prefix = textOptions(message, optionNumber.uriPath).slice(1).join('/')
  const query = textOptions(message, optionNumber.uriQuery)[0]
  if (query === 'b') return { prefix, format: 'binary', scope: 'owner' }
  if (query === 'c') return { prefix, format: 'cbor', scope: 'owner' }
  if (query === 'u') return { prefix, format: 'text', scope: 'owner' }
  if (message.payload.length > 0) {
    const deviceId = Buffer.from(message.payload).toString('latin1').toLowerCase()
    return { prefix, format: 'text', scope: 'device', deviceId }
  }
  return { prefix, format: 'text', scope: publicScope }
}

/** `GET /e/<filter>` as Device OS 6.2 makes it: the filter in one segment. */
export function encodeSubscribe(head: Head, prefix: string, format: SubscriptionFormat = 'text'): Uint8Array {
  const options: CoapOption[] = [textOption(optionNumber.uriPath, prefix)]
  if (format !== 'text') options.push(textOption(optionNumber.uriQuery, format === 'binary' ? 'b' : 'c'))
  return encodeRequest(head, code.get, 'e', options)
}

/** True when the subscription wants an event of that name from that device. */
export function subscriptionMatches(subscription: Subscription, name: string, publisherId?: string): boolean {
  if (!name.startsWith(subscription.prefix)) return false
  if (subscription.scope !== 'device') return true
  // Old devices keep only the first half of the id (3.11).
  return publisherId !== undefined && !!subscription.deviceId && publisherId.startsWith(subscription.deviceId)
}
