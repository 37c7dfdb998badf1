/**
 * Which integrations an event triggers.
 *
 * Events are the hot path: where neither owner nor product has an integration an event costs two look-ups, and else one
 * more for each distinct length of the prefixes there.
 */
import type { CloudEvent } from '../events/event.ts'
import { isReservedEventName } from '../events/event.ts'
import type { Integration, IntegrationOwner } from './integration.ts'

interface PrefixIndex {
  readonly byPrefix: Map<string, Integration[]>
  /** The lengths of the prefixes there are. */
  lengths: readonly number[]
}

export class Matcher {
  readonly #users = new Map<string, PrefixIndex>()
  readonly #products = new Map<number, PrefixIndex>()

  /** A disabled one is never triggered, and stays out. */
  add(integration: Integration): void {
    const { owner, settings } = integration
    if (settings.disabled) return
    let index = this.#indexOf(owner)
    if (!index) {
      index = { byPrefix: new Map(), lengths: [] }
      if (owner.kind === 'user') this.#users.set(owner.userId, index)
      else this.#products.set(owner.productId, index)
    }
    const same = index.byPrefix.get(settings.event)
    if (same) same.push(integration)
    else index.byPrefix.set(settings.event, [integration])
    index.lengths = lengthsOf(index.byPrefix)
  }

  remove({ id, owner, settings }: Integration): void {
    const index = this.#indexOf(owner)
    const left = index?.byPrefix.get(settings.event)?.filter((other) => other.id !== id)
    if (!index || !left) return
    if (left.length > 0) {
      index.byPrefix.set(settings.event, left)
      return
    }
    index.byPrefix.delete(settings.event)
    index.lengths = lengthsOf(index.byPrefix)
    if (index.byPrefix.size > 0) return
    if (owner.kind === 'user') this.#users.delete(owner.userId)
    else this.#products.delete(owner.productId)
  }

  /** Calls `visit` once for each integration that the event triggers. */
  forEach(event: CloudEvent, visit: (integration: Integration) => void): void {
    const mine = event.owner === undefined ? undefined : this.#users.get(event.owner)
    const product = event.productId === undefined ? undefined : this.#products.get(event.productId)
    if (!mine && !product) return
    if (isOfWebhook(event)) return
    if (mine) visitMatching(mine, event, visit)
    if (product) visitMatching(product, event, visit)
  }

  #indexOf(owner: IntegrationOwner): PrefixIndex | undefined {
    return owner.kind === 'user' ? this.#users.get(owner.userId) : this.#products.get(owner.productId)
  }
}

function visitMatching(index: PrefixIndex, event: CloudEvent, visit: (integration: Integration) => void): void {
  const { name } = event
  for (const length of index.lengths) {
    if (length > name.length) continue
    for (const integration of index.byPrefix.get(name.slice(0, length)) ?? []) {
      const { deviceId } = integration.settings
      if (deviceId === undefined || deviceId === event.deviceId) visit(integration)
    }
  }
}

/**
 * Events that webhooks made trigger none, or two of them could go on forever. Under a topic of their own they are told
 * by who published them: nothing else but the system publishes as the cloud itself.
 */
function isOfWebhook({ name, coreid }: CloudEvent): boolean {
  if (/^hook-(sent|response|error)\//.test(name)) return true
  return coreid === 'particle-internal' && !isReservedEventName(name)
}

function lengthsOf(byPrefix: ReadonlyMap<string, unknown>): number[] {
  return [...new Set([...byPrefix.keys()].map((prefix) => prefix.length))]
}
