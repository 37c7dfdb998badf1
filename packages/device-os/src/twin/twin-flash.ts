/**
 * The flash of a real board: a place for each module, written page by page and not atomically, the OTA region, what is
 * known of an interrupted transfer, and the stored assets (modules-and-platforms.md 2.2, 4.4, 4.5, 4.7).
 */
import {
  type AssetRef,
  type FirmwareModule,
  type InstalledModule,
  installedModule,
  locatePrefixOnDevice,
  ModuleFormatError,
  type ModuleRef,
  type ModuleSlot,
  type Platform,
  parseModule,
  readAssetModule,
  sha256Hex,
  slotOf,
} from '@aloe/firmware'
import { replaceFile, type Storage } from '../storage/storage.ts'

const pageSize = 4_096
const otaRegion = 'ota.bin'
const transferFile = 'sys-fw_transfer'
const assetPrefix = 'asset-'

/** `/sys/fw_transfer` (4.4). */
export interface StoredTransfer {
  /** SHA-256 of the file, 32 bytes. */
  readonly hash: Uint8Array
  /** Of what is stored of it. */
  readonly partialHash: Uint8Array
  readonly size: number
  readonly partialSize: number
}

const hashSize = 32
const transferSize = 2 * hashSize + 8

const fileOf = ({ function: name, index }: ModuleRef): string => `slot-${name}-${index}.bin`

/** The file that holds a module's place: what a storage that counts or spares writes can know a place by. */
export const twinSlotFile = fileOf

export class TwinFlash {
  readonly storage: Storage
  readonly platform: Platform
  /** What the places hold, until one of them is written. */
  readonly #parsed = new Map<string, FirmwareModule | undefined>()

  constructor(storage: Storage, platform: Platform) {
    this.storage = storage
    this.platform = platform
  }

  /** Puts a module into its place as a factory does. @throws ModuleFormatError when it is none, or has no place */
  factoryInstall(bytes: Uint8Array): void {
    const module = this.#parse(bytes)
    if (!slotOf(this.platform, module)) {
      throw new ModuleFormatError(
        'function',
        0,
        `${this.platform.name} has no place for ${module.function} ${module.index}`,
      )
    }
    replaceFile(this.storage, fileOf(module), bytes)
    this.#parsed.clear()
  }

  /** The module in a place; undefined when there is none. Its CRC may be wrong. */
  module(ref: ModuleRef): FirmwareModule | undefined {
    const name = fileOf(ref)
    if (!this.#parsed.has(name)) this.#parsed.set(name, this.#read(name))
    return this.#parsed.get(name)
  }

  #read(name: string): FirmwareModule | undefined {
    const bytes = this.storage.read(name)
    if (!bytes || bytes.length === 0) return undefined
    try {
      return this.#parse(bytes.slice())
    } catch (error) {
      if (!(error instanceof ModuleFormatError)) throw error
      return undefined
    }
  }

  #parse(bytes: Uint8Array): FirmwareModule {
    return parseModule(bytes, { prefixOffset: locatePrefixOnDevice(bytes, this.platform.prefixRule) })
  }

  /** All modules, in the order of the platform's places. */
  installed(): readonly InstalledModule[] {
    return this.platform.slots.flatMap((slot) => {
      const module = this.module(slot)
      return module && module.function === slot.function && module.index === slot.index ? [installedModule(module)] : []
    })
  }

  /**
   * Writes a place page by page. A power cut leaves some pages of each; whoever writes must be able to do it again.
   */
  writePages(slot: ModuleSlot, bytes: Uint8Array): void {
    const name = fileOf(slot)
    this.#parsed.clear()
    const fresh = this.storage.size(name) === undefined
    for (let offset = 0; offset < bytes.length; offset += pageSize) {
      this.storage.write(name, bytes.slice(offset, offset + pageSize), offset)
      this.storage.sync(name)
      if (fresh && offset === 0) this.storage.syncDirectory()
    }
  }

  /** Changes a place at once, or not at all. */
  replace(slot: ModuleSlot, bytes: Uint8Array): void {
    this.#parsed.clear()
    replaceFile(this.storage, fileOf(slot), bytes)
  }

  /** Erases the first page of a place: what was there is no module any more. */
  eraseFirstPage(slot: ModuleSlot): void {
    const name = fileOf(slot)
    const size = this.storage.size(name)
    if (!size) return
    this.#parsed.clear()
    this.storage.write(name, new Uint8Array(Math.min(size, pageSize)).fill(0xff), 0)
    this.storage.sync(name)
  }

  // The OTA region.

  /** @param length of the file that lies there */
  received(offset: number, length: number): Uint8Array {
    return this.storage.read(otaRegion, offset, length)?.slice() ?? new Uint8Array()
  }

  /** Stores a part of a file that is received, for good. */
  receive(offset: number, bytes: Uint8Array): void {
    const fresh = this.storage.size(otaRegion) === undefined
    this.storage.write(otaRegion, bytes.slice(), offset)
    this.storage.sync(otaRegion)
    if (fresh) this.storage.syncDirectory()
  }

  transfer(): StoredTransfer | undefined {
    const bytes = this.storage.read(transferFile)
    if (bytes?.length !== transferSize) return undefined
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    return {
      hash: bytes.slice(0, hashSize),
      partialHash: bytes.slice(hashSize, 2 * hashSize),
      size: view.getUint32(2 * hashSize, true),
      partialSize: view.getUint32(2 * hashSize + 4, true),
    }
  }

  /** Undefined forgets it. */
  saveTransfer(transfer: StoredTransfer | undefined): void {
    if (!transfer) {
      if (this.storage.size(transferFile) === undefined) return
      this.storage.remove(transferFile)
      this.storage.syncDirectory()
      return
    }
    const bytes = new Uint8Array(transferSize)
    bytes.set(transfer.hash, 0)
    bytes.set(transfer.partialHash, hashSize)
    const view = new DataView(bytes.buffer)
    view.setUint32(2 * hashSize, transfer.size, true)
    view.setUint32(2 * hashSize + 4, transfer.partialSize, true)
    replaceFile(this.storage, transferFile, bytes)
  }

  // Assets.

  assets(): readonly AssetRef[] {
    return this.storage.list(assetPrefix).flatMap((name) => {
      const bytes = name.endsWith('.bin') ? this.storage.read(name) : undefined
      if (!bytes) return []
      try {
        const asset = readAssetModule(bytes)
        return [{ name: asset.name, hash: asset.hash, size: asset.data.length }]
      } catch (error) {
        if (!(error instanceof ModuleFormatError)) throw error
        return []
      }
    })
  }

  /** Stores an asset module, and removes those that no application names. */
  storeAsset(bytes: Uint8Array, wanted: readonly AssetRef[]): void {
    for (const name of this.storage.list(assetPrefix)) {
      const stored = this.assets().find((asset) => assetFile(asset.name) === name)
      if (!stored || !wanted.some((asset) => asset.name === stored.name && asset.hash === stored.hash)) {
        this.storage.remove(name)
      }
    }
    replaceFile(this.storage, assetFile(readAssetModule(bytes).name), bytes)
  }
}

function assetFile(name: string): string {
  return `${assetPrefix}${sha256Hex(new TextEncoder().encode(name)).slice(0, 16)}.bin`
}
