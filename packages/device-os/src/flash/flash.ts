/**
 * The flash of a device: slots with installed modules, the staging area, the list of pending modules, the device's
 * configuration, the reason of the last reset, retained memory, and small data of the system.
 *
 * Every change is atomic: a power cut at any storage operation leaves the old or the new state. One program at a time
 * writes it: the bootloader until the system is started, then the system until it ends.
 */
import {
  type FirmwareModule,
  type ModuleFunction,
  type ModuleRef,
  type ModuleSlot,
  maxCombinedModules,
  moduleFlags,
  type Platform,
  parseModule,
  type UpdateResult,
  updateResult,
} from '@aloe/firmware'
import { replaceFile, type Storage, temporarySuffix } from '../storage/storage.ts'
import { AssetStore } from './asset-store.ts'
import { changeConfig, type DeviceConfig, type DeviceConfigChange, loadConfig, saveConfig } from './device-config.ts'
import { FlashError } from './flash-error.ts'
import { PendingList, type PendingModule } from './pending-list.ts'
import { isResetReason, type ResetInfo } from './reset-reason.ts'
import { StagingArea } from './staging.ts'

const resetFile = 'reset.json'
const retainedFile = 'retained.bin'
const dataPrefix = 'data-'

/** Backup RAM of a board, bytes. */
export const retainedSize = 4096

/** Functions that are not the bootloader's to install: assets have their own store, an NCP is updated by the system. */
const notForBootloader: readonly ModuleFunction[] = ['none', 'asset', 'ncp_firmware', 'settings', 'resource']

/** Parsed once for all devices of a process that share the bytes; null: not a module. */
const parsedModules = new WeakMap<Uint8Array, FirmwareModule | null>()

/** Parses a module's bytes, remembering the result; undefined when they are no module. */
export function parseShared(bytes: Uint8Array): FirmwareModule | undefined {
  let module = parsedModules.get(bytes)
  if (module === undefined) {
    try {
      module = parseModule(bytes)
    } catch {
      module = null
    }
    parsedModules.set(bytes, module)
  }
  return module ?? undefined
}

export function slotFile(ref: ModuleRef): string {
  return `slot-${ref.function}-${ref.index}.bin`
}

export class Flash {
  readonly storage: Storage
  readonly platform: Platform
  readonly staging: StagingArea
  readonly assets: AssetStore
  readonly #pending: PendingList
  readonly #slots = new Map<string, Uint8Array | undefined>()
  #config: DeviceConfig | undefined

  constructor(storage: Storage, platform: Platform) {
    this.storage = storage
    this.platform = platform
    this.staging = new StagingArea(storage, platform.otaRegionSize)
    this.assets = new AssetStore(storage, platform.assets)
    this.#pending = new PendingList(storage)
  }

  /** Sweeps what a power cut may have left lying about. The bootloader's first step. */
  recover(): void {
    const left = this.storage.list().filter((name) => name.endsWith(temporarySuffix))
    for (const name of left) this.storage.remove(name)
    if (left.length > 0) this.storage.syncDirectory()
    this.#pending.sweep()
    this.assets.sweep()
  }

  // Installed modules

  /** The platform's slot for a module; undefined when it has none. */
  slot(ref: ModuleRef): ModuleSlot | undefined {
    return this.platform.slots.find((slot) => slot.function === ref.function && slot.index === ref.index)
  }

  /** The bytes in a slot; undefined when it is empty. Not to be modified. */
  module(moduleFunction: ModuleFunction, index: number): Uint8Array | undefined {
    const file = slotFile({ function: moduleFunction, index })
    if (!this.#slots.has(file)) this.#slots.set(file, this.storage.read(file))
    return this.#slots.get(file)
  }

  /** The module in a slot; undefined when it is empty or holds no module. */
  parsed(moduleFunction: ModuleFunction, index: number): FirmwareModule | undefined {
    const bytes = this.module(moduleFunction, index)
    return bytes && parseShared(bytes)
  }

  /** What is installed, in the order of the platform's slots. Damaged modules are in it as far as they can be parsed. */
  installed(): FirmwareModule[] {
    return this.platform.slots
      .map((slot) => this.parsed(slot.function, slot.index))
      .filter((module) => module !== undefined)
  }

  /** Puts a module into its slot, atomically. The bootloader's alone (and the factory's). */
  install(bytes: Uint8Array): FirmwareModule {
    const module = parseShared(bytes)
    if (!module) throw new FlashError('bad-module', 'not a module file')
    const slot = this.slot(module)
    if (!slot) throw new FlashError('no-slot', `platform ${this.platform.name} has no slot for ${slotFile(module)}`)
    if (bytes.length > slot.maxSize) throw new FlashError('too-large', `${bytes.length} bytes, slot ${slot.maxSize}`)
    this.#slots.delete(slotFile(module))
    replaceFile(this.storage, slotFile(module), bytes)
    return module
  }

  /** Stores an accepted asset module. Returns 0 or an update result. */
  addAsset(module: Uint8Array): UpdateResult {
    const user = this.installed().find(({ function: name }) => name === 'user_part')
    return this.assets.add(module, user?.assetDependencies ?? [])
  }

  // Pending modules

  /** Modules that wait for the bootloader. */
  pending(): readonly PendingModule[] {
    return this.#pending.modules()
  }

  pendingBytes(module: PendingModule): Uint8Array | undefined {
    return this.#pending.bytes(module)
  }

  /**
   * Hands an accepted file (one module, or two combined) to the bootloader, all of it or nothing; it is applied at the
   * next boot. What it must be to be accepted was checked before, by the system. Returns 0 or an update result
   * (`invalidFormat`, `unsupportedModule`, `moduleNotFound`).
   */
  addPending(file: Uint8Array): UpdateResult {
    const modules: FirmwareModule[] = []
    for (let rest: Uint8Array | undefined = file; rest; ) {
      let module: FirmwareModule
      try {
        module = parseModule(rest)
      } catch {
        return updateResult.invalidFormat
      }
      if (notForBootloader.includes(module.function)) return updateResult.unsupportedModule
      if (!this.slot(module)) return updateResult.moduleNotFound
      modules.push(module)
      if (modules.length > maxCombinedModules) return updateResult.unsupportedModule
      rest = (module.flags & moduleFlags.combined) === 0 ? undefined : rest.subarray(module.bytes.length)
    }
    this.#pending.add(modules)
    return updateResult.ok
  }

  /** Forgets pending modules, as the start of a new update does (modules-and-platforms.md 4.5). */
  clearPending(): void {
    this.#pending.clear()
  }

  // Configuration

  /** @throws FlashError when there is none or it is damaged */
  get config(): DeviceConfig {
    this.#config ??= loadConfig(this.storage)
    return this.#config
  }

  /** Changes the configuration atomically and for good. Nothing is written when nothing changes. */
  updateConfig(change: DeviceConfigChange): void {
    const changed = Object.entries(change).some(([key, value]) => this.config[key as keyof DeviceConfig] !== value)
    if (!changed) return
    const config = changeConfig(this.config, change)
    saveConfig(this.storage, config)
    this.#config = config
  }

  /** The first configuration of a new device. */
  initialize(config: DeviceConfig): void {
    saveConfig(this.storage, config)
    this.#config = config
  }

  // What the next boot is told

  /** Why the device is about to reset; the next boot takes it. */
  setResetInfo(info: ResetInfo): void {
    replaceFile(this.storage, resetFile, Buffer.from(JSON.stringify(info)))
  }

  /** The reason that the last run left, once. */
  takeResetInfo(): ResetInfo | undefined {
    const bytes = this.storage.read(resetFile)
    if (!bytes) return undefined
    this.storage.remove(resetFile)
    this.storage.syncDirectory()
    try {
      const info: ResetInfo = JSON.parse(Buffer.from(bytes).toString('utf8'))
      return isResetReason(info.reason) && Number.isInteger(info.data) ? info : undefined
    } catch {
      return undefined
    }
  }

  // Retained memory: survives a reset and not a power cut. It is never synced, and cleared when power comes.

  /** At most `retainedSize` bytes; empty after a power cut. */
  get retained(): Uint8Array {
    return this.storage.read(retainedFile) ?? new Uint8Array()
  }

  set retained(bytes: Uint8Array) {
    if (bytes.length > retainedSize) throw new FlashError('too-large', `${bytes.length} bytes of retained memory`)
    this.storage.write(retainedFile, bytes.slice())
  }

  clearRetained(): void {
    this.storage.remove(retainedFile)
  }

  // Small data of the system and the application (sessions, emulated EEPROM, …), by name

  /** @param name lower-case letters, digits, dots and dashes */
  readData(name: string): Uint8Array | undefined {
    return this.storage.read(dataPrefix + name)
  }

  /** Replaces data atomically; undefined removes it. */
  writeData(name: string, bytes: Uint8Array | undefined): void {
    if (bytes) {
      replaceFile(this.storage, dataPrefix + name, bytes.slice())
      return
    }
    this.storage.remove(dataPrefix + name)
    this.storage.syncDirectory()
  }
}
