/** A source of numbers uniform in [0, 1), made from a source of random bytes. */
export function uniform(random: (size: number) => Uint8Array): () => number {
  return () => {
    const [high = 0, low = 0] = random(2)
    return (high * 256 + low) / 65536
  }
}
