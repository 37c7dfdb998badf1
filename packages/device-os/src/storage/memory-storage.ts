import { checkName, type Storage, StorageError } from './storage.ts'

interface MemoryFile {
  /** At least `size` long; what lies behind `size` is zeros or nothing. */
  bytes: Uint8Array
  size: number
  /** The bytes were handed over by a writer, perhaps to many devices at once: copy them before changing any. */
  shared: boolean
}

/**
 * Storage in memory. Whole files are kept by reference, so that hundreds of devices with the same modules hold their
 * bytes once.
 */
export class MemoryStorage implements Storage {
  readonly #files = new Map<string, MemoryFile>()

  read(name: string, offset = 0, length = Number.POSITIVE_INFINITY): Uint8Array | undefined {
    const file = this.#files.get(name)
    if (!file) return undefined
    if (offset === 0 && length >= file.size && file.bytes.length === file.size) return file.bytes
    return file.bytes.subarray(Math.min(offset, file.size), Math.min(offset + length, file.size))
  }

  write(name: string, bytes: Uint8Array, offset?: number): void {
    checkName(name)
    if (offset === undefined) {
      this.#files.set(name, { bytes, size: bytes.length, shared: true })
      return
    }
    const end = offset + bytes.length
    const file = this.#own(name, end)
    file.bytes.set(bytes, offset)
    file.size = Math.max(file.size, end)
  }

  truncate(name: string, size: number): void {
    checkName(name)
    const file = this.#own(name, size)
    if (size < file.size) file.bytes.fill(0, size, file.size)
    file.size = size
  }

  sync(name: string): void {
    if (!this.#files.has(name)) throw new StorageError('not-found', `no file ${name} to sync`)
  }

  rename(from: string, to: string): void {
    checkName(to)
    const file = this.#files.get(from)
    if (!file) throw new StorageError('not-found', `no file ${from} to rename`)
    this.#files.delete(from)
    this.#files.set(to, file)
  }

  remove(name: string): void {
    this.#files.delete(name)
  }

  list(prefix = ''): string[] {
    return [...this.#files.keys()].filter((name) => name.startsWith(prefix)).sort()
  }

  size(name: string): number | undefined {
    return this.#files.get(name)?.size
  }

  syncDirectory(): void {}

  /** The file with memory of its own for at least `capacity` bytes, grown by doubling. */
  #own(name: string, capacity: number): MemoryFile {
    let file = this.#files.get(name)
    if (!file) {
      file = { bytes: new Uint8Array(capacity), size: 0, shared: false }
      this.#files.set(name, file)
    } else if (file.shared || file.bytes.length < capacity) {
      const grown = capacity <= file.bytes.length ? file.bytes.length : Math.max(capacity, file.bytes.length * 2)
      const bytes = new Uint8Array(grown)
      bytes.set(file.bytes.subarray(0, file.size))
      file.bytes = bytes
      file.shared = false
    }
    return file
  }
}
