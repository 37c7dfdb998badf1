/** The subscriptions of one device, each once, up to a limit. */
import type { Subscription } from '../messages/subscription.ts'

export class SubscriptionList {
  readonly #limit: number
  readonly #all: Subscription[]

  constructor(limit: number, resumed: readonly Subscription[] = []) {
    this.#limit = limit
    this.#all = [...resumed]
  }

  get all(): readonly Subscription[] {
    return this.#all
  }

  /** `known` when the same one is there already, `full` when it was not taken. */
  add(subscription: Subscription): 'added' | 'known' | 'full' {
    if (this.#all.some((other) => same(other, subscription))) return 'known'
    if (this.#all.length >= this.#limit) return 'full'
    this.#all.push(subscription)
    return 'added'
  }
}

function same(a: Subscription, b: Subscription): boolean {
  return a.prefix === b.prefix && a.format === b.format && a.scope === b.scope && a.deviceId === b.deviceId
}
