/** Events of the cloud as a queue over particle-api-js's event stream, which reconnects by itself. */

import type { CloudClient } from './cloud-client.ts'

/** An event as the stream gives it (cloud-api.md 3.2), with its name. */
export interface StreamEvent {
  readonly name: string
  readonly data: string | null
  readonly ttl: number
  readonly published_at: string
  readonly coreid: string
}

export interface EventFilter {
  /** Name or id of a device; `mine` for all of them. */
  readonly deviceId: string
  /** Prefix of event names. */
  readonly name?: string
}

/** Events in the order in which they came. */
export interface EventQueue {
  /** The next event; undefined when none came within `timeout` milliseconds (for ever when left out). */
  next(timeout?: number): Promise<StreamEvent | undefined>
  close(): void
}

/** Opens an event stream; events that come before they are asked for wait in order. */
export async function openEvents(client: CloudClient, filter: EventFilter): Promise<EventQueue> {
  const stream = await client.particle.getEventStream(filter)
  const waiting: StreamEvent[] = []
  let wake: (() => void) | undefined
  stream.on('event', (event: unknown) => {
    const read = readEvent(event)
    if (read === undefined) return
    waiting.push(read)
    wake?.()
  })
  // A stream that breaks is opened again by the client; an error without a listener would end the process.
  stream.on('error', () => {})
  return {
    async next(timeout) {
      if (waiting.length === 0) {
        await new Promise<void>((resolve) => {
          const timer = timeout === undefined ? undefined : setTimeout(resolve, timeout)
          wake = () => {
            clearTimeout(timer)
            resolve()
          }
        })
        wake = undefined
      }
      return waiting.shift()
    },
    close: () => stream.abort(),
  }
}

function readEvent(event: unknown): StreamEvent | undefined {
  if (typeof event !== 'object' || event === null || !('name' in event)) return undefined
  const { name, data, ttl, published_at, coreid } = { data: null, ttl: 60, published_at: '', coreid: '', ...event }
  if (typeof name !== 'string') return undefined
  return {
    name,
    data: typeof data === 'string' ? data : null,
    ttl: Number(ttl),
    published_at: String(published_at),
    coreid: String(coreid),
  }
}
