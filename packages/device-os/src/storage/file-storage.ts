import {
  closeSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { checkName, type Storage, StorageError } from './storage.ts'

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}

/** Storage in a folder of the file system, with real fsync of files and of the folder. Files are the owner's alone. */
export class FileStorage implements Storage {
  readonly directory: string

  /** Makes the folder when there is none. */
  constructor(directory: string) {
    this.directory = directory
    mkdirSync(directory, { recursive: true, mode: 0o700 })
  }

  read(name: string, offset = 0, length?: number): Uint8Array | undefined {
    return this.#attempt('read', name, undefined, (path) =>
      withFile(path, 'r', (fd) => {
        const size = fstatSync(fd).size
        const start = Math.min(offset, size)
        const bytes = new Uint8Array(Math.min(length ?? size, size - start))
        let done = 0
        while (done < bytes.length) {
          const count = readSync(fd, bytes, done, bytes.length - done, start + done)
          if (count === 0) return bytes.subarray(0, done)
          done += count
        }
        return bytes
      }),
    )
  }

  write(name: string, bytes: Uint8Array, offset?: number): void {
    this.#attempt('write', name, 'io', (path) => {
      const flags = offset === undefined ? 'w' : 'r+'
      withFile(path, flags, (fd) => {
        let done = 0
        while (done < bytes.length) done += writeSync(fd, bytes, done, bytes.length - done, (offset ?? 0) + done)
      })
    })
  }

  truncate(name: string, size: number): void {
    this.#attempt('truncate', name, 'io', (path) => withFile(path, 'r+', (fd) => ftruncateSync(fd, size)))
  }

  sync(name: string): void {
    this.#attempt('sync', name, 'not-found', (path) => {
      const fd = openSync(path, 'r+')
      try {
        fsyncSync(fd)
      } finally {
        closeSync(fd)
      }
    })
  }

  rename(from: string, to: string): void {
    checkName(to)
    this.#attempt('rename', from, 'not-found', (path) => renameSync(path, join(this.directory, to)))
  }

  remove(name: string): void {
    this.#attempt('remove', name, undefined, (path) => rmSync(path, { force: true }))
  }

  list(prefix = ''): string[] {
    return readdirSync(this.directory, { withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.startsWith(prefix))
      .map((entry) => entry.name)
      .sort()
  }

  size(name: string): number | undefined {
    return this.#attempt('look at', name, undefined, (path) => statSync(path).size)
  }

  syncDirectory(): void {
    // Windows cannot open a folder; NTFS journals names by itself.
    if (process.platform === 'win32') return
    const fd = openSync(this.directory, 'r')
    try {
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
  }

  /** Runs an operation on a file. A file that is not there gives undefined when `missing` is, else that error. */
  #attempt<T>(what: string, name: string, missing: 'not-found' | 'io' | undefined, run: (path: string) => T) {
    checkName(name)
    try {
      return run(join(this.directory, name))
    } catch (error) {
      if (isMissing(error) && missing === undefined) return undefined
      const code = isMissing(error) && missing === 'not-found' ? 'not-found' : 'io'
      throw new StorageError(code, `cannot ${what} ${name} in ${this.directory}: ${String(error)}`, error)
    }
  }
}

/** Opens, uses and closes a file; `r+` makes it when there is none. */
function withFile<T>(path: string, flags: 'r' | 'w' | 'r+', use: (fd: number) => T): T {
  let fd: number
  try {
    fd = openSync(path, flags, 0o600)
  } catch (error) {
    if (flags !== 'r+' || !isMissing(error)) throw error
    fd = openSync(path, 'w+', 0o600)
  }
  try {
    return use(fd)
  } finally {
    closeSync(fd)
  }
}
