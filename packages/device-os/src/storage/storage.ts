/**
 * What a flash is made of: a flat folder of named files, with the guarantees of a file system and no more.
 *
 * Everything is synchronous, so that a test can cut the power at any single operation. What is promised, is what
 * POSIX promises: written bytes are safe after `sync(name)`; new, renamed and removed names are safe after
 * `syncDirectory()`; until then any part of them may be lost or torn by a power cut, in any order. Code that needs
 * more (an atomic change) builds it from these, as `replaceFile` does.
 */
export interface Storage {
  /**
   * The bytes of a file, or a range of it (cut off at its end); undefined when there is no such file.
   * The result must not be modified: it may be the storage's own memory.
   */
  read(name: string, offset?: number, length?: number): Uint8Array | undefined
  /**
   * With an offset: writes into the file at that place, extending it (with zeros) where needed. Without: replaces the
   * whole content, and the bytes belong to the storage from then on. Makes the file when there is none.
   */
  write(name: string, bytes: Uint8Array, offset?: number): void
  /** Cuts the file off at `size`, or extends it with zeros. Makes the file when there is none. */
  truncate(name: string, size: number): void
  /** Returns when the content of the file is safe. Throws when there is no such file. */
  sync(name: string): void
  /** Gives a file a new name; takes the place of a file that has that name, at once. */
  rename(from: string, to: string): void
  /** Removes a file; none of that name is no error. */
  remove(name: string): void
  /** Names of all files, sorted. */
  list(prefix?: string): string[]
  /** Size in bytes; undefined when there is no such file. */
  size(name: string): number | undefined
  /** Returns when the names (made, renamed, removed) are safe. */
  syncDirectory(): void
}

export type StorageErrorCode = 'bad-name' | 'not-found' | 'io'

/** A storage that cannot do what it was asked: a full or broken disk, a wrong name. */
export class StorageError extends Error {
  readonly code: StorageErrorCode

  constructor(code: StorageErrorCode, message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'StorageError'
    this.code = code
  }
}

/** By name: the host, whose storage it is, and a module's own code have a class of their own each. */
export function isStorageError(error: unknown): error is StorageError {
  return error instanceof Error && error.name === 'StorageError'
}

const validName = /^[a-z0-9][a-z0-9._-]{0,99}$/

/** Names are flat and lower-case, so that they mean the same on every file system. */
export function checkName(name: string): void {
  if (!validName.test(name)) throw new StorageError('bad-name', `not a storage name: ${JSON.stringify(name)}`)
}

/** The ending of files that are being made; whoever finds one at boot may remove it. */
export const temporarySuffix = '.new'

/**
 * Changes the content of a file atomically: whatever happens, the file has its old or its new content afterwards, and
 * the new one for good once this has returned. The temporary file must be safe before it gets the name.
 */
export function replaceFile(storage: Storage, name: string, bytes: Uint8Array): void {
  const temporary = name + temporarySuffix
  try {
    storage.write(temporary, bytes)
    storage.sync(temporary)
  } catch (error) {
    // On a full disk what was written is in everybody's way.
    if (isStorageError(error)) storage.remove(temporary)
    throw error
  }
  storage.rename(temporary, name)
  storage.syncDirectory()
}
