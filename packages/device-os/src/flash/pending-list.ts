/**
 * The pending list: modules that were accepted and wait for the bootloader (modules-and-platforms.md 4.5, step 2).
 *
 * The list itself is one small file that is only ever replaced as a whole; that is the moment a change happens.
 * Module files are written and made safe before the list names them, under names that no list has used, and removed
 * after a list without them is safe. Files that no list names are swept at boot.
 */
import { type ModuleFunction, sha256Hex } from '@aloe/firmware'
import { replaceFile, type Storage } from '../storage/storage.ts'

const listFile = 'pending.json'
const filePrefix = 'pending-'

/** More than a board has room for (4 slots), as a file can bring two modules. */
const maxPending = 16

export interface PendingModule {
  /** Storage name of the module's file. */
  readonly file: string
  readonly function: ModuleFunction
  readonly index: number
  readonly version: number
  readonly size: number
  /** SHA-256 of the whole file, hex. */
  readonly sha256: string
}

export interface NewPending {
  readonly function: ModuleFunction
  readonly index: number
  readonly version: number
  readonly bytes: Uint8Array
}

interface ListJson {
  readonly sequence: number
  readonly modules: readonly PendingModule[]
}

export class PendingList {
  readonly #storage: Storage

  constructor(storage: Storage) {
    this.#storage = storage
  }

  /** In the order in which they were added. A list that cannot be read is an empty one: nothing is applied from it. */
  modules(): readonly PendingModule[] {
    return this.#load().modules
  }

  bytes(module: PendingModule): Uint8Array | undefined {
    return this.#storage.read(module.file)
  }

  /** Adds modules, all or none of them. A module takes the place of an earlier one for the same slot. */
  add(modules: readonly NewPending[]): void {
    const list = this.#load()
    const added = modules.map((module, place): PendingModule => {
      const file = `${filePrefix}${list.sequence + 1}-${place}.bin`
      this.#storage.write(file, module.bytes)
      this.#storage.sync(file)
      const { function: moduleFunction, index, version, bytes } = module
      return { file, function: moduleFunction, index, version, size: bytes.length, sha256: sha256Hex(bytes) }
    })
    this.#storage.syncDirectory()
    const kept = list.modules.filter(
      (old) => !added.some((module) => module.function === old.function && module.index === old.index),
    )
    this.#save({ sequence: list.sequence + 1, modules: [...kept, ...added].slice(-maxPending) })
    this.sweep()
  }

  /** Empties the list. */
  clear(): void {
    const list = this.#load()
    if (list.modules.length > 0) this.#save({ sequence: list.sequence + 1, modules: [] })
    this.sweep()
  }

  /** Removes files that the list does not name. */
  sweep(): void {
    const named = new Set(this.#load().modules.map((module) => module.file))
    for (const file of this.#storage.list(filePrefix)) if (!named.has(file)) this.#storage.remove(file)
  }

  #load(): ListJson {
    const bytes = this.#storage.read(listFile)
    if (!bytes) return { sequence: 0, modules: [] }
    try {
      const json: ListJson = JSON.parse(Buffer.from(bytes).toString('utf8'))
      return { sequence: json.sequence, modules: [...json.modules] }
    } catch {
      return { sequence: 0, modules: [] }
    }
  }

  #save(list: ListJson): void {
    replaceFile(this.#storage, listFile, Buffer.from(JSON.stringify(list)))
  }
}
