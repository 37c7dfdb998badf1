/** Module files as they go over the air: compressed where that helps (modules-and-platforms.md 1.6). */
import { combineModules, compressModule, ModuleFormatError, ModuleSpecError } from '@aloe/firmware'

/** What saves less is not worth a device's time. */
const worthwhile = 0.95

/** By the file, so that a fleet's module is compressed once; the same object when it does not help. */
const squeezed = new WeakMap<Uint8Array, Uint8Array>()

/** The smaller form of a module file: compressed, or as it is. */
export function smallest(file: Uint8Array): Uint8Array {
  const known = squeezed.get(file)
  if (known) return known
  const made = tryTo(() => compressModule(file)) ?? file
  const best = made.length <= file.length * worthwhile ? made : file
  squeezed.set(file, best)
  return best
}

const combined = new WeakMap<Uint8Array, WeakMap<Uint8Array, Uint8Array>>()

/** Two modules in one file; undefined when they cannot be. */
export function together(first: Uint8Array, second: Uint8Array): Uint8Array | undefined {
  const others = combined.get(first) ?? new WeakMap<Uint8Array, Uint8Array>()
  combined.set(first, others)
  const known = others.get(second)
  if (known) return known
  const made = tryTo(() => combineModules([first, second]))
  if (made) others.set(second, made)
  return made
}

function tryTo<T>(make: () => T): T | undefined {
  try {
    return make()
  } catch (error) {
    // Already compressed, or of a kind that never is.
    if (error instanceof ModuleSpecError || error instanceof ModuleFormatError) return undefined
    throw error
  }
}
