/** A source of numbers uniform in [0, 1), made from a source of random bytes. */
export function uniform(random: (size: number) => Uint8Array): () => number {
  let made = sources.get(random)
  if (made === undefined) {
    made = () => {
      const [high = 0, low = 0] = random(2)
      return (high * 256 + low) / 65536
    }
    sources.set(random, made)
  }
  return made
}

/** All sessions of a process share their source of random bytes: one function is enough for them. */
const sources = new WeakMap<(size: number) => Uint8Array, () => number>()
