/**
 * A device's subscriptions as they lie in the store, which has them for every session: a JSON array, with a plain text
 * for each subscription of the commonest kind, and what differs from it behind the prefix of all others.
 */
import type { Subscription } from '@aloe/protocol'

type Stored = string | readonly [prefix: string, format: string, scope: string, deviceId?: string] | Subscription

export function encodeSubscriptions(subscriptions: readonly Subscription[]): string {
  return JSON.stringify(
    subscriptions.map(({ prefix, format, scope, deviceId }): Stored => {
      if (format === 'text' && scope === 'owner' && deviceId === undefined) return prefix
      return deviceId === undefined ? [prefix, format, scope] : [prefix, format, scope, deviceId]
    }),
  )
}

/** @throws SyntaxError when it is not what `encodeSubscriptions` made, or what Aloe wrote before */
export function decodeSubscriptions(text: string): Subscription[] {
  return (JSON.parse(text) as readonly Stored[]).map((stored) => {
    if (typeof stored === 'string') return { prefix: shared(stored), format: 'text', scope: 'owner' }
    if (!isTuple(stored)) return stored
    const [prefix, format, scope, deviceId] = stored
    return {
      prefix: shared(prefix),
      format: format as Subscription['format'],
      scope: scope as Subscription['scope'],
      ...(deviceId !== undefined && { deviceId }),
    }
  })
}

function isTuple(stored: Stored): stored is Exclude<Stored, string | Subscription> {
  return Array.isArray(stored)
}

/** What nearly every device subscribes to (device-protocol.md 3.4.1): one text in memory for all of them. */
function shared(prefix: string): string {
  return prefix === 'particle' ? 'particle' : prefix === 'spark' ? 'spark' : prefix
}
