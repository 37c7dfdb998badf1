/**
 * The asset store: files that an application brings, each kept as the module in which it came
 * (modules-and-platforms.md 4.7).
 *
 * As with the pending list, one small file that is only ever replaced as a whole says which modules there are: that is
 * the moment a change happens. Modules are written and made safe before the list names them, under names that no list
 * has used, and removed after a list without them is safe.
 */
import {
  type AssetLimits,
  type AssetRef,
  assetStorageSize,
  ModuleFormatError,
  readAssetModule,
  type UpdateResult,
  updateResult,
} from '@aloe/firmware'
import { replaceFile, type Storage } from '../storage/storage.ts'

const listFile = 'assets.json'
const filePrefix = 'asset-'

interface StoredAsset {
  readonly name: string
  /** SHA-256 of the raw file, hex. */
  readonly hash: string
  /** Bytes of the raw file, and of the module. */
  readonly size: number
  readonly storageSize: number
  /** Storage name of the module's file. */
  readonly file: string
}

interface ListJson {
  readonly sequence: number
  readonly assets: readonly StoredAsset[]
}

export class AssetStore {
  readonly #storage: Storage
  readonly #limits: AssetLimits | undefined

  /** @param limits undefined for a platform without assets */
  constructor(storage: Storage, limits: AssetLimits | undefined) {
    this.#storage = storage
    this.#limits = limits
  }

  /** What is there, as a describe tells it. A module that is gone from the storage counts as absent. */
  list(): AssetRef[] {
    return this.#load()
      .assets.filter(({ file, storageSize }) => this.#storage.size(file) === storageSize)
      .map(({ name, hash, size, storageSize }) => ({ name, hash, size, storageSize }))
  }

  /** The raw file of an asset; undefined when there is none, or when it is damaged. */
  read(name: string): Uint8Array | undefined {
    const stored = this.#load().assets.find((asset) => asset.name === name)
    const bytes = stored && this.#storage.read(stored.file)
    if (!bytes) return undefined
    try {
      return readAssetModule(bytes, this.#limits?.maxSingle).data
    } catch (error) {
      if (error instanceof ModuleFormatError) return undefined
      throw error
    }
  }

  /** Whether an asset module would be taken: 0 or an update result. */
  check(module: Uint8Array): UpdateResult {
    if (!this.#limits) return updateResult.unsupportedModule
    if (module.length > this.#limits.maxSingle) return updateResult.tooLarge
    try {
      readAssetModule(module, this.#limits.maxSingle)
      return updateResult.ok
    } catch (error) {
      if (!(error instanceof ModuleFormatError)) throw error
      return error.code === 'too-large' ? updateResult.tooLarge : updateResult.invalidFormat
    }
  }

  /**
   * Stores an asset module, atomically, in the place of one of the same name. Assets that the application does not need
   * make room: those of an older application are of no use to anybody.
   *
   * @param needed of the installed application
   * @returns 0 or an update result
   */
  add(module: Uint8Array, needed: readonly AssetRef[]): UpdateResult {
    const result = this.check(module)
    if (result !== updateResult.ok || !this.#limits) return result
    const { name, hash, data } = readAssetModule(module, this.#limits.maxSingle)
    const { sequence, assets } = this.#load()
    const isNeeded = (asset: StoredAsset) =>
      needed.some((other) => other.name === asset.name && other.hash === asset.hash)
    const kept = assets.filter((asset) => asset.name !== name && isNeeded(asset))
    const used = kept.reduce((sum, asset) => sum + assetStorageSize(asset.storageSize), 0)
    if (used + assetStorageSize(module.length) > this.#limits.total) return updateResult.tooLarge
    const file = `${filePrefix}${sequence + 1}.bin`
    this.#storage.write(file, module.slice())
    this.#storage.sync(file)
    this.#storage.syncDirectory()
    const added: StoredAsset = { name, hash, size: data.length, storageSize: module.length, file }
    this.#save({ sequence: sequence + 1, assets: [...kept, added] })
    this.sweep()
    return updateResult.ok
  }

  /** Removes files that the list does not name. */
  sweep(): void {
    const left = this.#storage.list(filePrefix)
    if (left.length === 0) return
    const named = new Set(this.#load().assets.map(({ file }) => file))
    for (const file of left) if (!named.has(file)) this.#storage.remove(file)
  }

  #load(): ListJson {
    const bytes = this.#storage.read(listFile)
    if (!bytes) return { sequence: 0, assets: [] }
    try {
      const json: ListJson = JSON.parse(Buffer.from(bytes).toString('utf8'))
      return { sequence: json.sequence, assets: [...json.assets] }
    } catch {
      return { sequence: 0, assets: [] }
    }
  }

  #save(list: ListJson): void {
    replaceFile(this.#storage, listFile, Buffer.from(JSON.stringify(list)))
  }
}
