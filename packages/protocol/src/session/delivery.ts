/** Which forms of an event a device's subscriptions need (device-protocol.md 3.10). */
import { contentFormat, dataAsCbor, dataAsText, isStructured } from '../messages/content-format.ts'
import type { EventFields } from '../messages/event.ts'
import { type Subscription, subscriptionMatches } from '../messages/subscription.ts'

/** An event for a device. */
export interface Delivery {
  readonly name: string
  readonly data?: Uint8Array
  /** `contentFormat` value; text when left out. */
  readonly contentType?: number
  readonly ttl?: number
  /** Who published it, for subscriptions to one device (before 6.2). */
  readonly deviceId?: string
}

const noData = new Uint8Array(0)

/**
 * The messages that make every matching subscription see the event once: text for those without flags, CBOR for those
 * with `c`, and for those with `b`, which see everything, the event as it is when neither of the others goes out.
 * Devices publish structured data as 65001 and receive it as 60. Only devices since 6.2 have subscriptions with flags,
 * so only they ever get a Content-Format option.
 */
export function deliveriesFor(subscriptions: readonly Subscription[], event: Delivery): EventFields[] {
  let text = false
  let cbor = false
  let any = false
  for (const subscription of subscriptions) {
    if (!subscriptionMatches(subscription, event.name, event.deviceId)) continue
    if (subscription.format === 'text') text = true
    else if (subscription.format === 'cbor') cbor = true
    else any = true
  }
  if (!text && !cbor && !any) return []

  const { name, data = noData, contentType = contentFormat.text } = event
  const found: EventFields[] = []
  const asText = text ? dataAsText(data, contentType) : undefined
  if (asText) found.push({ name, data: asText })
  const asCbor = cbor ? dataAsCbor(data, contentType) : undefined
  if (asCbor) found.push({ name, data: asCbor, contentType: contentFormat.cbor })
  if (any && found.length === 0) {
    found.push({ name, data, contentType: isStructured(contentType) ? contentFormat.cbor : contentType })
  }
  return found
}
