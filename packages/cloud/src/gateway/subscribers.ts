/**
 * Who gets an event: the devices of an owner by the prefixes they subscribed to (device-protocol.md 3.11).
 *
 * An event's name is looked up once per distinct prefix length, so an owner's ten thousand devices that each listen
 * for their own name cost an event a handful of look-ups and not ten thousand comparisons.
 */

import { isReservedEventName } from '../events/event.ts'

interface OwnerIndex<T> {
  readonly byPrefix: Map<string, Set<T>>
  /** How many prefixes there are of each length. */
  readonly lengths: Map<number, number>
}

/** Every Device OS subscribes to these two by itself; what arrives through them are commands of the cloud alone. */
const systemFilters = new Set(['spark', 'particle'])

export class Subscribers<T> {
  readonly #owners = new Map<string, OwnerIndex<T>>()

  /** Notes that `subscriber` of `owner` wants events whose names start with `prefix`. */
  add(owner: string, prefix: string, subscriber: T): void {
    if (systemFilters.has(prefix)) return
    let index = this.#owners.get(owner)
    if (!index) {
      index = { byPrefix: new Map(), lengths: new Map() }
      this.#owners.set(owner, index)
    }
    let set = index.byPrefix.get(prefix)
    if (!set) {
      set = new Set()
      index.byPrefix.set(prefix, set)
      index.lengths.set(prefix.length, (index.lengths.get(prefix.length) ?? 0) + 1)
    }
    set.add(subscriber)
  }

  /** Forgets one subscription. */
  remove(owner: string, prefix: string, subscriber: T): void {
    const index = this.#owners.get(owner)
    const set = index?.byPrefix.get(prefix)
    if (!index || !set?.delete(subscriber) || set.size > 0) return
    index.byPrefix.delete(prefix)
    const left = (index.lengths.get(prefix.length) ?? 1) - 1
    if (left > 0) index.lengths.set(prefix.length, left)
    else index.lengths.delete(prefix.length)
    if (index.byPrefix.size === 0) this.#owners.delete(owner)
  }

  /**
   * Calls `visit` once for every subscriber of `owner` whose prefix the name has.
   *
   * Names of the system reach nobody: Device OS acts on them (3.16), whoever they came from, so they never go from one
   * device or user to a device.
   */
  forEach(owner: string, name: string, visit: (subscriber: T) => void): void {
    const index = this.#owners.get(owner)
    if (!index || isReservedEventName(name)) return
    let first: Set<T> | undefined
    let all: Set<T> | undefined
    for (const length of index.lengths.keys()) {
      if (length > name.length) continue
      const set = index.byPrefix.get(name.slice(0, length))
      if (!set) continue
      if (!first) first = set
      else {
        all ??= new Set(first)
        for (const subscriber of set) all.add(subscriber)
      }
    }
    for (const subscriber of all ?? first ?? []) visit(subscriber)
  }
}
