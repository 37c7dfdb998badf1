/**
 * A flash that loses power at a given operation.
 *
 * It models a file system with a page cache as POSIX allows it to behave, which is worse than most are: what was
 * written and not synced may survive a power cut in any part (each 4 KiB page by itself, or a prefix of a write), sizes
 * may survive without the bytes, and changes of names that no `syncDirectory` has made safe survive in any subset, in
 * no order. A sync that is cut has promised nothing.
 */
import { checkName, type Storage, StorageError } from '@aloe/device-os'

/** The power went away. Thrown by the operation it hit and by every one after it. */
export class PowerCut extends Error {
  readonly operation: number

  constructor(operation: number) {
    super(`power cut at storage operation ${operation}`)
    this.name = 'PowerCut'
    this.operation = operation
  }
}

const pageSize = 4096

type Change =
  | { readonly kind: 'write'; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: 'truncate'; readonly size: number }

/** What is on the medium, and what lies in the cache on top of it. */
interface File {
  durable: Uint8Array
  current: Uint8Array
  changes: Change[]
}

type NameChange =
  | { readonly kind: 'make'; readonly name: string; readonly file: File }
  | { readonly kind: 'rename'; readonly from: string; readonly to: string; readonly file: File }
  | { readonly kind: 'remove'; readonly name: string }

/** What survives of unsynced changes: nothing, everything, or a draw for each part. */
type Survival = 'nothing' | 'everything' | 'some'

export class FaultyStorage implements Storage {
  #durableNames = new Map<string, File>()
  #names = new Map<string, File>()
  #nameChanges: NameChange[] = []
  #operations = 0
  #cutAt = Number.POSITIVE_INFINITY
  #dead = false

  /** Operations so far that can be cut: everything that changes something or makes it safe. */
  get operations(): number {
    return this.#operations
  }

  /** The power goes away during the operation with this number, counted from 0 since the last boot. */
  cutAt(operation: number): void {
    this.#cutAt = operation
  }

  /**
   * The power comes back: of what was not synced, a part that is drawn from the seed is there, the rest is gone.
   * Seed 0 loses everything that can be lost, seed 1 nothing. Counting starts again, without a cut.
   */
  reboot(seed: number): void {
    const random = generator(seed)
    const survival: Survival = seed === 0 ? 'nothing' : seed === 1 ? 'everything' : 'some'
    const names = new Map(this.#durableNames)
    for (const change of this.#nameChanges) {
      if (survives(survival, random)) applyNameChange(names, change)
    }
    const settled = new Map<File, File>()
    for (const [name, file] of names) {
      let after = settled.get(file)
      if (!after) {
        const bytes = surviving(file, survival, random)
        after = { durable: bytes, current: bytes, changes: [] }
        settled.set(file, after)
      }
      names.set(name, after)
    }
    this.#durableNames = names
    this.#names = new Map(names)
    this.#nameChanges = []
    this.#operations = 0
    this.#cutAt = Number.POSITIVE_INFINITY
    this.#dead = false
  }

  /** Another storage with the same safe content; what is not synced is left out. */
  clone(): FaultyStorage {
    const copy = new FaultyStorage()
    for (const [name, file] of this.#durableNames) {
      copy.#durableNames.set(name, { durable: file.durable, current: file.durable, changes: [] })
    }
    copy.#names = new Map(copy.#durableNames)
    return copy
  }

  read(name: string, offset = 0, length = Number.POSITIVE_INFINITY): Uint8Array | undefined {
    this.#alive()
    return this.#names.get(name)?.current.subarray(offset, offset + length)
  }

  write(name: string, bytes: Uint8Array, offset?: number): void {
    checkName(name)
    this.#operate(() => {
      const file = this.#open(name)
      if (offset === undefined) change(file, { kind: 'truncate', size: 0 })
      change(file, { kind: 'write', offset: offset ?? 0, bytes: bytes.slice() })
    })
  }

  truncate(name: string, size: number): void {
    checkName(name)
    this.#operate(() => change(this.#open(name), { kind: 'truncate', size }))
  }

  sync(name: string): void {
    const file = this.#names.get(name)
    if (!file) throw new StorageError('not-found', `no file ${name} to sync`)
    this.#operate(undefined, () => {
      file.durable = file.current
      file.changes = []
    })
  }

  rename(from: string, to: string): void {
    checkName(to)
    const file = this.#names.get(from)
    if (!file) throw new StorageError('not-found', `no file ${from} to rename`)
    this.#operate(() => this.#changeName({ kind: 'rename', from, to, file }))
  }

  remove(name: string): void {
    if (!this.#names.has(name)) return
    this.#operate(() => this.#changeName({ kind: 'remove', name }))
  }

  list(prefix = ''): string[] {
    this.#alive()
    return [...this.#names.keys()].filter((name) => name.startsWith(prefix)).sort()
  }

  size(name: string): number | undefined {
    this.#alive()
    return this.#names.get(name)?.current.length
  }

  syncDirectory(): void {
    this.#operate(undefined, () => {
      this.#durableNames = new Map(this.#names)
      this.#nameChanges = []
    })
  }

  #alive(): void {
    if (this.#dead) throw new PowerCut(this.#operations)
  }

  /** Counts an operation; the one that is cut gets its change into the cache, but never its promise. */
  #operate(cached: (() => void) | undefined, promise?: () => void): void {
    this.#alive()
    cached?.()
    if (this.#operations === this.#cutAt) {
      this.#dead = true
      throw new PowerCut(this.#operations)
    }
    this.#operations++
    promise?.()
  }

  #open(name: string): File {
    const existing = this.#names.get(name)
    if (existing) return existing
    const file: File = { durable: new Uint8Array(), current: new Uint8Array(), changes: [] }
    this.#changeName({ kind: 'make', name, file })
    return file
  }

  #changeName(change: NameChange): void {
    applyNameChange(this.#names, change)
    this.#nameChanges.push(change)
  }
}

function applyNameChange(names: Map<string, File>, change: NameChange): void {
  if (change.kind === 'make') names.set(change.name, change.file)
  else if (change.kind === 'remove') names.delete(change.name)
  else {
    // A rename moves the file itself, whatever has become of the change that gave it its first name.
    names.delete(change.from)
    names.set(change.to, change.file)
  }
}

function change(file: File, made: Change): void {
  file.changes.push(made)
  file.current = applied(file.current, made)
}

function applied(bytes: Uint8Array, made: Change): Uint8Array {
  const size = made.kind === 'truncate' ? made.size : Math.max(bytes.length, made.offset + made.bytes.length)
  const result = new Uint8Array(size)
  result.set(bytes.subarray(0, size))
  if (made.kind === 'write') result.set(made.bytes, made.offset)
  return result
}

function surviving(file: File, survival: Survival, random: () => number): Uint8Array {
  if (survival === 'nothing') return file.durable
  if (survival === 'everything') return file.current
  let bytes = file.durable
  for (const made of file.changes) {
    if (made.kind === 'truncate') {
      if (random() < 0.5) bytes = applied(bytes, made)
      continue
    }
    const draw = random()
    if (draw < 0.2) continue
    if (draw < 0.4) bytes = applied(bytes, made)
    else if (draw < 0.6) {
      // A prefix of the write.
      const length = Math.floor(random() * made.bytes.length)
      bytes = applied(bytes, { ...made, bytes: made.bytes.subarray(0, length) })
    } else {
      // The size and some of the pages; the others keep what they had, or zeros.
      bytes = applied(bytes, { kind: 'truncate', size: Math.max(bytes.length, made.offset + made.bytes.length) })
      for (const page of pages(made)) if (random() < 0.5) bytes = applied(bytes, page)
    }
  }
  return bytes
}

/** A write, cut at page boundaries of the file. */
function pages(made: Change & { kind: 'write' }): Change[] {
  const parts: Change[] = []
  for (let start = made.offset; start < made.offset + made.bytes.length; ) {
    const end = Math.min((Math.floor(start / pageSize) + 1) * pageSize, made.offset + made.bytes.length)
    parts.push({
      kind: 'write',
      offset: start,
      bytes: made.bytes.subarray(start - made.offset, end - made.offset),
    })
    start = end
  }
  return parts
}

function survives(survival: Survival, random: () => number): boolean {
  return survival === 'everything' || (survival === 'some' && random() < 0.5)
}

/** Mulberry32: a small seeded generator, uniform in [0, 1). */
function generator(seed: number): () => number {
  let state = (seed + 1) * 0x9e3779b9
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}
