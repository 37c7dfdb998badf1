/** The events that tell what became of a webhook (cloud-api.md 1.8). */
import { type CloudEvent, eventLimits, isEventName, isReservedEventName } from '../events/event.ts'
import type { Integration, TriggeringEvent } from './integration.ts'

/** Bytes of a piece, and of all that is published of a response. */
export const pieceBytes = 512
export const publishedBytes = 100 * 1024

export const sleepingText = 'Sleeping, too many errors, please wait and try again'

/** `hook-sent/<event>`, without data. */
export function sentEvent(integration: Integration, event: TriggeringEvent, now: number): CloudEvent {
  return cloudEvent(integration, event, `hook-sent/${event.name}`, null, now)
}

/** `hook-response/<event>/<n>`, or the topic that was asked for. */
export function responseEvents(
  integration: Integration,
  event: TriggeringEvent,
  text: string,
  topic: string | undefined,
  now: number,
): CloudEvent[] {
  return numbered(integration, event, text, usable(topic) ?? `hook-response/${event.name}`, now)
}

/** `hook-error/<event>/<n>`, or the topic that was asked for. */
export function errorEvents(
  integration: Integration,
  event: TriggeringEvent,
  text: string,
  topic: string | undefined,
  now: number,
): CloudEvent[] {
  return numbered(integration, event, text, usable(topic) ?? `hook-error/${event.name}`, now)
}

function numbered(integration: Integration, event: TriggeringEvent, text: string, name: string, now: number) {
  return pieces(text).map((piece, n) => cloudEvent(integration, event, `${name}/${n}`, piece, now))
}

/** A topic is a template: what it rendered to may be no name, or one of the system's, on which devices act. */
function usable(topic: string | undefined): string | undefined {
  return topic !== undefined && isEventName(topic) && !isReservedEventName(topic) ? topic : undefined
}

/**
 * To the owner of the device (whose devices get it too, when they subscribe), and to the streams of the product when the
 * webhook is the product's. It is of no device: streams of one device show what that device published.
 */
function cloudEvent(
  { owner }: Integration,
  event: TriggeringEvent,
  name: string,
  data: string | null,
  publishedAt: number,
): CloudEvent {
  const to =
    owner.kind === 'user'
      ? { owner: owner.userId }
      : { productId: owner.productId, ...(event.owner !== undefined && { owner: event.owner }) }
  return { name, data, ttl: eventLimits.defaultTtl, publishedAt, coreid: 'particle-internal', ...to }
}

/**
 * Cuts a text into pieces of 512 bytes of UTF-8, of its first 100 KB. A character is never cut in two: JSON, in which
 * streams carry the pieces, has no half characters. Such a piece is up to 3 bytes shorter.
 */
export function pieces(text: string): string[] {
  const bytes = Buffer.from(text, 'utf8')
  const end = boundary(bytes, Math.min(bytes.length, publishedBytes))
  const all: string[] = []
  for (let at = 0; at < end; ) {
    const next = boundary(bytes, Math.min(at + pieceBytes, end))
    all.push(bytes.toString('utf8', at, next))
    at = next
  }
  return all
}

/** The last place at or before `at` where a character begins. */
function boundary(bytes: Buffer, at: number): number {
  let place = at
  while (place < bytes.length && place > 0 && ((bytes[place] ?? 0) & 0xc0) === 0x80) place--
  return place
}
