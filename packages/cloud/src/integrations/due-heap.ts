/** Deliveries by when they are due: the next one is found at once among tens of thousands. */
export class DueHeap<T extends { readonly dueAt: number }> {
  readonly #items: T[] = []

  get size(): number {
    return this.#items.length
  }

  /** The one that is due first. */
  get first(): T | undefined {
    return this.#items[0]
  }

  push(item: T): void {
    const items = this.#items
    let at = items.length
    items.push(item)
    while (at > 0) {
      const parent = (at - 1) >> 1
      const above = items[parent]
      if (!above || above.dueAt <= item.dueAt) break
      items[at] = above
      at = parent
    }
    items[at] = item
  }

  pop(): T | undefined {
    const items = this.#items
    const first = items[0]
    const last = items.pop()
    if (!first || !last || first === last) return first
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      let below = items[child]
      if (!below) break
      const right = items[child + 1]
      if (right && right.dueAt < below.dueAt) {
        below = right
        child++
      }
      if (below.dueAt >= last.dueAt) break
      items[at] = below
      at = child
    }
    items[at] = last
    return first
  }
}
