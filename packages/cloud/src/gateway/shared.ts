/**
 * Equal values once in memory: the devices of a fleet have the same modules, functions and variables, and ten thousand
 * copies of them weigh more than the connections.
 */

export class Shared<T> {
  readonly #capacity: number
  /** By JSON text, the last used last. */
  readonly #values = new Map<string, T>()

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  /** An equal value that is known already, or this one. What is shared must never be changed. */
  of(value: T): T {
    const key = JSON.stringify(value)
    const known = this.#values.get(key)
    this.#values.delete(key)
    this.#values.set(key, known ?? value)
    if (this.#values.size > this.#capacity) {
      const oldest = this.#values.keys().next().value
      if (oldest !== undefined) this.#values.delete(oldest)
    }
    return known ?? value
  }
}
