/** A flash that loses its power at a given operation, save where no software could help. */
import type { Storage } from '@aloe/device-os'
import { FaultyStorage, PowerCut } from '../faulty-storage.ts'

export class CutStorage implements Storage {
  readonly #inner: FaultyStorage
  readonly #spared: (name: string) => boolean
  #cutAt = Number.POSITIVE_INFINITY
  #dead = false

  /**
   * @param spared files during whose writing the power stays: a board that writes its bootloader in place is lost when it
   *   goes in those moments, in life as here
   */
  constructor(spared: (name: string) => boolean = () => false, inner = new FaultyStorage()) {
    this.#inner = inner
    this.#spared = spared
  }

  /** The power went in the middle of an operation. */
  get dead(): boolean {
    return this.#dead
  }

  get operations(): number {
    return this.#inner.operations
  }

  cutAt(operation: number): void {
    this.#cutAt = operation
    this.#inner.cutAt(operation)
  }

  reboot(seed: number): void {
    this.#dead = false
    this.#cutAt = Number.POSITIVE_INFINITY
    this.#inner.reboot(seed)
  }

  read(name: string, offset?: number, length?: number): Uint8Array | undefined {
    return this.#inner.read(name, offset, length)
  }

  write(name: string, bytes: Uint8Array, offset?: number): void {
    this.#do(name, () => this.#inner.write(name, bytes, offset))
  }

  truncate(name: string, size: number): void {
    this.#do(name, () => this.#inner.truncate(name, size))
  }

  sync(name: string): void {
    this.#do(name, () => this.#inner.sync(name))
  }

  rename(from: string, to: string): void {
    this.#do(to, () => this.#inner.rename(from, to))
  }

  remove(name: string): void {
    this.#do(name, () => this.#inner.remove(name))
  }

  list(prefix?: string): string[] {
    return this.#inner.list(prefix)
  }

  size(name: string): number | undefined {
    return this.#inner.size(name)
  }

  syncDirectory(): void {
    this.#do('', () => this.#inner.syncDirectory())
  }

  #do(name: string, act: () => void): void {
    if (this.#inner.operations === this.#cutAt && this.#spared(name)) this.cutAt(this.#cutAt + 1)
    try {
      act()
    } catch (error) {
      if (error instanceof PowerCut) this.#dead = true
      throw error
    }
  }
}
