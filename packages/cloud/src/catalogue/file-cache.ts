/** Module files from the disk, checked each time they are read; the last ones used stay in memory. */
import { readFileSync } from 'node:fs'
import { sha256Hex } from '@aloe/firmware'

/** A file of the catalogue is not the one that was imported. */
export class StoredFileError extends Error {
  override readonly name = 'StoredFileError'
  readonly code = 'stored-file'

  constructor(path: string, message: string) {
    super(`${path} ${message}: import the release again`)
  }
}

/** Enough for the modules of a few releases that a fleet takes at the same time. */
const defaultCapacity = 64 * 1024 * 1024

export class FileCache {
  readonly #capacity: number
  readonly #files = new Map<string, Uint8Array>()
  #size = 0

  /** @param capacity bytes; a file larger than that is read each time */
  constructor(capacity = defaultCapacity) {
    this.#capacity = capacity
  }

  /** Bytes in memory. */
  get size(): number {
    return this.#size
  }

  /**
   * A file by its path.
   *
   * It is read synchronously: that is what the callers of `moduleBytes` are, and module files are small.
   * @throws StoredFileError when it is not there, or not what it was
   */
  read(path: string, sha256: string): Uint8Array {
    const known = this.#files.get(path)
    if (known) {
      this.#files.delete(path)
      this.#files.set(path, known)
      return known
    }
    let bytes: Uint8Array
    try {
      bytes = new Uint8Array(readFileSync(path))
    } catch (error) {
      throw new StoredFileError(path, `cannot be read (${(error as NodeJS.ErrnoException).code ?? error})`)
    }
    if (sha256Hex(bytes) !== sha256) throw new StoredFileError(path, 'is damaged: its SHA-256 is another')
    this.#put(path, bytes)
    return bytes
  }

  forget(path: string): void {
    this.#size -= this.#files.get(path)?.length ?? 0
    this.#files.delete(path)
  }

  #put(path: string, bytes: Uint8Array): void {
    if (bytes.length > this.#capacity) return
    this.#files.set(path, bytes)
    this.#size += bytes.length
    for (const oldest of this.#files.keys()) {
      if (this.#size <= this.#capacity) break
      this.forget(oldest)
    }
  }
}
