/**
 * A product's firmware, and which version is released to whom: durable, with a copy in memory of all but the files.
 *
 * This is the state. That devices come to run what is released to them is the work of `updates/` and `rollouts/`, which
 * observe it.
 */
import type { Selectable } from 'kysely'
import { newId } from '../store/id.ts'
import type { Store } from '../store/store.ts'
import type { ProductFirmwareTable } from '../store/tables/products.ts'
import { Changes } from './changes.ts'
import type { Rows } from './product-devices.ts'
import { ProductError } from './product-error.ts'
import type { ReleasedVersions } from './targeting.ts'

export interface FirmwareVersion {
  readonly id: string
  readonly productId: number
  /** 1 to 65534: what its devices report. */
  readonly version: number
  readonly title: string
  readonly description: string
  readonly mandatory: boolean
  /** A module as it stands, or an application with its assets. */
  readonly fileName: 'firmware.bin' | 'firmware.zip'
  readonly size: number
  /** SHA-256 field of the application, hex: what devices say that they run. */
  readonly appHash: string
  /** User name or client id of who uploaded it. */
  readonly uploadedBy: string
  /** Unix milliseconds, as all times here. */
  readonly uploadedAt: number
  readonly updatedAt: number
  /** A device of the product has run it. */
  readonly hasRun: boolean
  /** When it was released first, to whomever. */
  readonly releasedAt: number | null
}

export interface NewFirmware {
  readonly version: number
  readonly title?: string
  readonly description?: string
  readonly mandatory?: boolean
  readonly fileName: FirmwareVersion['fileName']
  readonly content: Uint8Array
  readonly appHash: string
  readonly uploadedBy: string
}

/** One version to one group, or to all. */
export interface Release {
  readonly productId: number
  /** Null: all devices of the product. */
  readonly group: string | null
  readonly version: number
  /** To be delivered to online devices at once, and not when they connect next. */
  readonly intelligent: boolean
  readonly releasedBy: string
  readonly releasedAt: number
}

export interface ReleaseRequest {
  readonly version: number
  /** True: to all devices. False: to all no more. */
  readonly productDefault?: boolean
  /** To these as well. They must exist. */
  readonly groups?: readonly string[]
  readonly intelligent?: boolean
  /** Firmware that no device has run may be released. */
  readonly untested?: boolean
  /** Throws when there is no such group: asked when no other change can come between. */
  readonly checkGroups?: (groups: readonly string[]) => void
  readonly by: string
}

/** Told after the commit. */
export interface FirmwareObserver {
  uploaded?(firmware: FirmwareVersion): void
  /** These targets have this version now. */
  released?(firmware: FirmwareVersion, releases: readonly Release[]): void
  /** What is released has changed otherwise: withdrawn, or a group is gone. */
  withdrawn?(productId: number): void
}

const titleLimit = 128
const descriptionLimit = 4_096
/** Of 16 bits, of which all set means none (device-protocol.md 3.5). */
const highestVersion = 65_534

export class ProductFirmware {
  readonly #store: Store
  readonly #now: () => number
  readonly #byProduct = new Map<number, Map<number, FirmwareVersion>>()
  readonly #releases = new Map<number, Map<string | null, Release>>()
  /** The same in the form in which targeting asks, until something changes. */
  readonly #released = new Map<number, ReleasedVersions>()
  readonly #observers = new Set<FirmwareObserver>()
  readonly #changes = new Changes()

  private constructor(store: Store, now: () => number) {
    this.#store = store
    this.#now = now
  }

  static async open({ store, now }: { store: Store; now: () => number }): Promise<ProductFirmware> {
    const firmware = new ProductFirmware(store, now)
    const rows = store.db.selectFrom('product_firmware').select([...columns])
    for (const row of await rows.execute()) firmware.#put(fromRow(row))
    for (const row of await store.db.selectFrom('product_releases').selectAll().execute()) {
      firmware.#putRelease({
        productId: row.product_id,
        group: row.group_name === '' ? null : row.group_name,
        version: row.version,
        intelligent: row.intelligent === 1,
        releasedBy: row.released_by,
        releasedAt: row.released_at,
      })
    }
    return firmware
  }

  get(productId: number, version: number): FirmwareVersion | undefined {
    return this.#byProduct.get(productId)?.get(version)
  }

  /** The highest version first. */
  list(productId: number): FirmwareVersion[] {
    return [...(this.#byProduct.get(productId)?.values() ?? [])].sort((a, b) => b.version - a.version)
  }

  /** The version with this application. */
  byHash(productId: number, appHash: string): FirmwareVersion | undefined {
    for (const firmware of this.#byProduct.get(productId)?.values() ?? []) {
      if (firmware.appHash === appHash) return firmware
    }
    return undefined
  }

  /** What is released to whom at present. */
  released(productId: number): ReleasedVersions {
    let released = this.#released.get(productId)
    if (!released) {
      const groups = new Map<string, number>()
      for (const { group, version } of this.releases(productId)) if (group !== null) groups.set(group, version)
      released = { default: this.#releases.get(productId)?.get(null)?.version ?? null, groups }
      this.#released.set(productId, released)
    }
    return released
  }

  /** Every release that is in force. */
  releases(productId: number): Release[] {
    return [...(this.#releases.get(productId)?.values() ?? [])]
  }

  /** The release to a group, or to all with null. */
  release(productId: number, group: string | null): Release | undefined {
    return this.#releases.get(productId)?.get(group)
  }

  /** From the store: the file as it was uploaded. @throws ProductError 'unknown-firmware' */
  async content(productId: number, version: number): Promise<Uint8Array> {
    const { id } = this.#known(productId, version)
    const row = this.#store.db.selectFrom('product_firmware').select('content').where('id', '=', id)
    return (await row.executeTakeFirstOrThrow()).content
  }

  /** @returns what ends the observation */
  observe(observer: FirmwareObserver): () => void {
    this.#observers.add(observer)
    return () => this.#observers.delete(observer)
  }

  /** The file has been checked. @throws ProductError 'bad-value' or 'taken' */
  upload(productId: number, upload: NewFirmware): Promise<FirmwareVersion> {
    return this.#changes.run(async () => {
      const {
        version,
        title = '',
        description = '',
        mandatory = false,
        content,
        fileName,
        appHash,
        uploadedBy,
      } = upload
      checkVersion(version)
      checkTexts({ title, description })
      if (this.get(productId, version)) {
        throw new ProductError('taken', `The product has firmware version ${version} already`)
      }
      const same = this.byHash(productId, appHash)
      if (same) {
        // Its devices could not be told apart: an application says what it is by this hash.
        throw new ProductError('taken', `This application is version ${same.version} of the product already`)
      }
      const now = this.#now()
      const facts = { title, description, mandatory, fileName, size: content.length, appHash, uploadedBy }
      const times = { uploadedAt: now, updatedAt: now, hasRun: false, releasedAt: null }
      const firmware: FirmwareVersion = { id: newId(), productId, version, ...facts, ...times }
      const row = { ...toRow(firmware), content: Uint8Array.from(content) }
      await this.#store.db.insertInto('product_firmware').values(row).execute()
      this.#put(firmware)
      for (const observer of this.#observers) observer.uploaded?.(firmware)
      return firmware
    })
  }

  /** @throws ProductError 'unknown-firmware' or 'bad-value' */
  update(
    productId: number,
    version: number,
    changes: Partial<Pick<FirmwareVersion, 'title' | 'description' | 'mandatory'>>,
  ): Promise<FirmwareVersion> {
    return this.#changes.run(() => {
      const firmware = { ...this.#known(productId, version), ...changes, updatedAt: this.#now() }
      checkTexts(firmware)
      return this.#save(firmware)
    })
  }

  /** A device of the product runs it. */
  ran(productId: number, version: number): Promise<void> {
    return this.#changes.run(async () => {
      const firmware = this.get(productId, version)
      if (firmware && !firmware.hasRun) await this.#save({ ...firmware, hasRun: true })
    })
  }

  /** @throws ProductError 'unknown-firmware', or 'in-use' for one that was released, once */
  remove(productId: number, version: number): Promise<void> {
    return this.#changes.run(async () => {
      const { id, releasedAt } = this.#known(productId, version)
      if (releasedAt !== null) {
        throw new ProductError('in-use', `Version ${version} was released: devices may run it, so it stays`)
      }
      await this.#store.db.deleteFrom('product_firmware').where('id', '=', id).execute()
      this.#byProduct.get(productId)?.delete(version)
    })
  }

  /**
   * Releases a version to all devices, to groups, or to both: in place of what they had.
   * @throws ProductError 'unknown-firmware', 'bad-value' when there is nobody to release it to, or 'never-run'
   */
  put(productId: number, request: ReleaseRequest): Promise<FirmwareVersion> {
    return this.#changes.run(async () => {
      const { version, productDefault, groups = [], intelligent = false, untested = false, by } = request
      request.checkGroups?.(groups)
      const firmware = this.#known(productId, version)
      const withdrawn = productDefault === false && this.release(productId, null)?.version === version
      const targets: (string | null)[] = [...(productDefault === true ? [null] : []), ...new Set(groups)]
      if (targets.length === 0 && !withdrawn) {
        throw new ProductError('bad-value', 'Say to whom: "product_default": true, or "groups"')
      }
      if (targets.length > 0 && !firmware.hasRun && !untested) {
        throw new ProductError(
          'never-run',
          `No device of the product has run version ${version} yet: flash it to a development device first, or set "release_untested" in the product's settings`,
        )
      }
      const now = this.#now()
      const release = { productId, version, intelligent, releasedBy: by, releasedAt: now }
      const releases = targets.map((group): Release => ({ ...release, group }))
      const released = { ...firmware, releasedAt: firmware.releasedAt ?? (targets.length > 0 ? now : null) }
      await this.#store.db.transaction().execute(async (tx) => {
        if (withdrawn) {
          const rows = tx.deleteFrom('product_releases').where('product_id', '=', productId)
          await rows.where('group_name', '=', '').execute()
        }
        for (const each of releases) {
          const { product_id: _, group_name: __, ...changed } = releaseRow(each)
          const row = tx.insertInto('product_releases').values(releaseRow(each))
          await row.onConflict((c) => c.columns(['product_id', 'group_name']).doUpdateSet(changed)).execute()
        }
        const { id: _, ...changed } = toRow({ ...released, updatedAt: now })
        await tx.updateTable('product_firmware').set(changed).where('id', '=', firmware.id).execute()
      })
      if (withdrawn) this.#releases.get(productId)?.delete(null)
      for (const each of releases) this.#putRelease(each)
      this.#put({ ...released, updatedAt: now })
      this.#changed(productId)
      const after = this.#known(productId, version)
      for (const observer of this.#observers) {
        if (withdrawn) observer.withdrawn?.(productId)
        if (releases.length > 0) observer.released?.(after, releases)
      }
      return after
    })
  }

  /** Takes a release back: from groups, from all devices with null among them. Devices keep what they run. */
  withdraw(productId: number, version: number, targets: readonly (string | null)[]): Promise<FirmwareVersion> {
    return this.#changes.run(async () => {
      const firmware = this.#known(productId, version)
      const gone = targets.filter((group) => this.release(productId, group)?.version === version)
      await this.#store.db.transaction().execute(async (tx) => {
        for (const group of gone) {
          const rows = tx.deleteFrom('product_releases').where('product_id', '=', productId)
          await rows.where('group_name', '=', group ?? '').execute()
        }
      })
      for (const group of gone) this.#releases.get(productId)?.delete(group)
      this.#changed(productId)
      if (gone.length > 0) for (const observer of this.#observers) observer.withdrawn?.(productId)
      return firmware
    })
  }

  /**
   * A group has another name, or is gone, and with it what is released to it.
   * @param commit commits these rows together with the others of the change
   */
  renameGroup(
    productId: number,
    group: string,
    name: string | undefined,
    commit: (rows: Rows) => Promise<unknown>,
  ): Promise<void> {
    return this.#changes.run(async () => {
      const release = this.release(productId, group)
      await commit(async (tx) => {
        const rows = tx.deleteFrom('product_releases').where('product_id', '=', productId)
        await rows.where('group_name', '=', group).execute()
        if (name === undefined || !release) return
        const row = releaseRow({ ...release, group: name })
        await tx.insertInto('product_releases').values(row).execute()
      })
      if (!release) return
      this.#releases.get(productId)?.delete(group)
      if (name !== undefined) this.#putRelease({ ...release, group: name })
      this.#changed(productId)
      for (const observer of this.#observers) observer.withdrawn?.(productId)
    })
  }

  /** The product is gone, from the store too. */
  forget(productId: number): void {
    this.#byProduct.delete(productId)
    this.#releases.delete(productId)
    this.#changed(productId)
  }

  async #save(firmware: FirmwareVersion): Promise<FirmwareVersion> {
    const { id, ...changed } = toRow(firmware)
    await this.#store.db.updateTable('product_firmware').set(changed).where('id', '=', id).execute()
    this.#put(firmware)
    return firmware
  }

  #put(firmware: FirmwareVersion): void {
    const versions = this.#byProduct.get(firmware.productId) ?? new Map<number, FirmwareVersion>()
    this.#byProduct.set(firmware.productId, versions.set(firmware.version, firmware))
  }

  #putRelease(release: Release): void {
    const releases = this.#releases.get(release.productId) ?? new Map<string | null, Release>()
    this.#releases.set(release.productId, releases.set(release.group, release))
  }

  #changed(productId: number): void {
    this.#released.delete(productId)
  }

  #known(productId: number, version: number): FirmwareVersion {
    const firmware = this.get(productId, version)
    if (!firmware) throw new ProductError('unknown-firmware', `The product has no firmware version ${version}`)
    return firmware
  }
}

function checkVersion(version: number): void {
  if (Number.isInteger(version) && version >= 1 && version <= highestVersion) return
  throw new ProductError('bad-value', `A firmware version is a whole number from 1 to ${highestVersion}`)
}

function checkTexts({ title, description }: { title: string; description: string }): void {
  if (title.length > titleLimit) throw new ProductError('bad-value', `A title has up to ${titleLimit} characters`)
  if (description.length > descriptionLimit) {
    throw new ProductError('bad-value', `A description has up to ${descriptionLimit} characters`)
  }
}

const columns = [
  'id',
  'product_id',
  'version',
  'title',
  'description',
  'mandatory',
  'file_name',
  'size',
  'app_hash',
  'uploaded_by',
  'uploaded_at',
  'updated_at',
  'has_run',
  'released_at',
] as const

type Row = Selectable<Omit<ProductFirmwareTable, 'content'>>

function fromRow(row: Row): FirmwareVersion {
  return {
    id: row.id,
    productId: row.product_id,
    version: row.version,
    title: row.title,
    description: row.description,
    mandatory: row.mandatory === 1,
    fileName: row.file_name === 'firmware.zip' ? 'firmware.zip' : 'firmware.bin',
    size: row.size,
    appHash: row.app_hash,
    uploadedBy: row.uploaded_by,
    uploadedAt: row.uploaded_at,
    updatedAt: row.updated_at,
    hasRun: row.has_run === 1,
    releasedAt: row.released_at,
  }
}

function toRow(firmware: FirmwareVersion): Row {
  return {
    id: firmware.id,
    product_id: firmware.productId,
    version: firmware.version,
    title: firmware.title,
    description: firmware.description,
    mandatory: firmware.mandatory ? 1 : 0,
    file_name: firmware.fileName,
    size: firmware.size,
    app_hash: firmware.appHash,
    uploaded_by: firmware.uploadedBy,
    uploaded_at: firmware.uploadedAt,
    updated_at: firmware.updatedAt,
    has_run: firmware.hasRun ? 1 : 0,
    released_at: firmware.releasedAt,
  }
}

function releaseRow(release: Release) {
  return {
    product_id: release.productId,
    group_name: release.group ?? '',
    version: release.version,
    intelligent: release.intelligent ? 1 : 0,
    released_by: release.releasedBy,
    released_at: release.releasedAt,
  }
}
