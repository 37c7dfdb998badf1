/** For tests: waits until something is so. */

/** Resolves with the first truthy answer of `probe`; rejects when there is none in time. */
export async function until<T>(probe: () => T, timeout = 10_000): Promise<NonNullable<T>> {
  const end = performance.now() + timeout
  for (;;) {
    const found = probe()
    if (found) return found
    if (performance.now() > end) throw new Error(`this did not become so in ${timeout} ms: ${probe}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
