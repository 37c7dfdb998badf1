/** Events of the replay log as they lie in memory and in the store: a group is one JSON text, compact and off the heap. */
import type { CloudEvent } from './event.ts'

/** Name, data, ttl, time, coreid, device, owner, product, version. */
type Row = [
  string,
  string | null,
  number,
  number,
  string,
  string | null,
  string | null,
  number | null,
  number | null,
  ...unknown[],
]

/** Ids of the events are consecutive, so that the group's first is enough. What only devices take is left out. */
export function encodeGroup(events: readonly CloudEvent[]): Uint8Array {
  const rows = events.map(
    ({ name, data, ttl, publishedAt, coreid, deviceId, owner, productId, version }): Row => [
      name,
      data,
      ttl,
      publishedAt,
      coreid,
      // A device's own events are nearly all of them: its id is written once.
      deviceId === coreid ? '' : (deviceId ?? null),
      owner ?? null,
      productId ?? null,
      version ?? null,
    ],
  )
  // Memory of its own: a small Buffer is a piece of 64 KB that would live as long as the group does.
  return new TextEncoder().encode(JSON.stringify(rows))
}

/** @throws SyntaxError when it is not what `encodeGroup` made */
export function decodeGroup(group: Uint8Array): CloudEvent[] {
  const text = Buffer.from(group.buffer, group.byteOffset, group.byteLength).toString('utf8')
  return (JSON.parse(text) as Row[]).map(
    ([name, data, ttl, publishedAt, coreid, deviceId, owner, productId, version]) => ({
      name,
      data,
      ttl,
      publishedAt,
      coreid,
      ...(deviceId !== null && { deviceId: deviceId === '' ? coreid : deviceId }),
      ...(owner !== null && { owner }),
      ...(productId !== null && { productId }),
      ...(version !== null && { version }),
    }),
  )
}
