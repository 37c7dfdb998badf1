/** For tests of twins: modules of a platform in short notation, and a flash whose power goes at a given write. */
import assert from 'node:assert/strict'
import {
  buildModule,
  type ModuleDependency,
  moduleFunctionOfLetter,
  moduleLabel,
  type Platform,
  platformByName,
} from '@aloe/firmware'
import { MemoryStorage } from '../storage/memory-storage.ts'
import type { Storage } from '../storage/storage.ts'
import { TwinFlash } from './twin-flash.ts'

export function platformNamed(name: string): Platform {
  const platform = platformByName(name)
  assert.ok(platform)
  return platform
}

/** `s1@6200(b0@3100,a0@202)` */
export function moduleOf(platform: Platform, text: string, size = 9_000): Uint8Array {
  const [name = '', list = ''] = text.replace(')', '').split('(')
  const module = ref(name)
  const body = Uint8Array.from({ length: size }, (_, at) => (at * 7 + module.version) & 0xff)
  const dependencies = list === '' ? [] : list.split(',').map(ref)
  return buildModule({ platformId: platform.id, ...module, dependencies, body })
}

function ref(text: string): ModuleDependency {
  const match = /^([a-z])(\d+)@(\d+)$/.exec(text)
  const name = moduleFunctionOfLetter(match?.[1] ?? '')
  assert.ok(match && name, text)
  return { function: name, index: Number(match[2]), version: Number(match[3]) }
}

export function flashWith(platform: Platform, modules: string, storage: Storage = new MemoryStorage()): TwinFlash {
  const flash = new TwinFlash(storage, platform)
  for (const text of modules.split(' ')) flash.factoryInstall(moduleOf(platform, text))
  return flash
}

/** What is intact, in short. */
export function intact(flash: TwinFlash): string[] {
  return flash
    .installed()
    .filter((module) => module.intact !== false)
    .map((module) => moduleLabel(module))
}

export class Cut extends Error {}

/** The power goes during one operation: half of what it writes arrives. */
export class CuttingStorage implements Storage {
  readonly inner: Storage
  #left: number

  constructor(inner: Storage, operations: number) {
    this.inner = inner
    this.#left = operations
  }

  read(name: string, offset?: number, length?: number): Uint8Array | undefined {
    return this.inner.read(name, offset, length)
  }

  write(name: string, bytes: Uint8Array, offset?: number): void {
    this.#operate(
      () => this.inner.write(name, bytes, offset),
      () => this.inner.write(name, bytes.slice(0, bytes.length >> 1), offset),
    )
  }

  truncate(name: string, size: number): void {
    this.#operate(() => this.inner.truncate(name, size))
  }

  sync(name: string): void {
    this.#operate(() => this.inner.sync(name))
  }

  rename(from: string, to: string): void {
    this.#operate(() => this.inner.rename(from, to))
  }

  remove(name: string): void {
    this.#operate(() => this.inner.remove(name))
  }

  list(prefix?: string): string[] {
    return this.inner.list(prefix)
  }

  size(name: string): number | undefined {
    return this.inner.size(name)
  }

  syncDirectory(): void {
    this.#operate(() => this.inner.syncDirectory())
  }

  #operate(whole: () => void, half: () => void = () => {}): void {
    if (this.#left === 0) {
      this.#left = -1
      half()
    }
    if (this.#left < 0) throw new Cut('the power went')
    this.#left--
    whole()
  }
}
