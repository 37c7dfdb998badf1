/** What templates can say of an event (cloud-api.md 1.8). */
import type { TriggeringEvent } from './integration.ts'

/**
 * The view of an event: first what the event's data say, when they are JSON, then the predefined values, which data of
 * the same name cannot hide.
 */
export function eventView(event: TriggeringEvent): readonly unknown[] {
  return [jsonOf(event.data), predefined(event)]
}

/** The view for a response: its JSON, and behind it what is predefined. */
export function responseView(event: TriggeringEvent, response: unknown): readonly unknown[] {
  return [predefined(event), response]
}

function predefined({ name, data, publishedAt, coreid, owner, productId, version }: TriggeringEvent) {
  const values: Record<string, string | number> = {}
  const both = (key: string, value: string): void => {
    values[`PARTICLE_${key}`] = value
    values[`SPARK_${key}`] = value
  }
  both('DEVICE_ID', coreid)
  both('CORE_ID', coreid)
  both('EVENT_NAME', name)
  both('EVENT_VALUE', data ?? '')
  both('PUBLISHED_AT', new Date(publishedAt).toISOString())
  if (productId !== undefined) {
    values.PRODUCT_USER_ID = owner ?? ''
    values.PRODUCT_VERSION = version ?? 0
  }
  return values
}

/** Undefined for what is no JSON, which no name is found in. */
export function jsonOf(text: string | null): unknown {
  // Nearly all that is no JSON begins like none, and an exception is dear.
  if (text === null || !/^\s*[[{"\d\-tfn]/.test(text)) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
