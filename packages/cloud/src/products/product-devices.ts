/**
 * Which devices belong to a product: durable, with a copy in memory that answers every question.
 *
 * What counts is that somebody imported the device, not what it reports. A device that reports a product without being
 * imported is quarantined (cloud-api.md 1.7): see `quarantine.ts`.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Selectable, Transaction } from 'kysely'
import type { DeviceRegistry } from '../devices/registry.ts'
import type { Schema } from '../store/schema.ts'
import type { Store } from '../store/store.ts'
import type { ProductDeviceTable } from '../store/tables/products.ts'
import { Changes } from './changes.ts'
import { ProductError } from './product-error.ts'

/** A device as an approved member of its product. */
export interface ProductDevice {
  readonly deviceId: string
  readonly productId: number
  /** The firmware version that the device is locked to; null for none. */
  readonly desiredVersion: number | null
  /** Gets no firmware by releases, and may be flashed by its owner. */
  readonly development: boolean
  /** Names, sorted. */
  readonly groups: readonly string[]
  /** Unix milliseconds. */
  readonly importedAt: number
  readonly updatedAt: number
}

export interface ProductDeviceChanges {
  readonly desiredVersion?: number | null
  readonly development?: boolean
  readonly groups?: readonly string[]
}

/** Writes within a transaction. */
export type Rows = (tx: Transaction<Schema>) => Promise<unknown>

/** Told after the commit. `after` is undefined when the device is no member any more, `before` when it was none. */
export type MemberObserver = (before: ProductDevice | undefined, after: ProductDevice | undefined) => void

export interface ProductDevicesOptions {
  readonly store: Store
  readonly registry: Pick<DeviceRegistry, 'get' | 'setProduct'>
  /** Unix milliseconds. */
  readonly now: () => number
}

/** Rows of one statement. */
const batchSize = 500
const none: ReadonlySet<string> = new Set()

export class ProductDevices {
  readonly #options: ProductDevicesOptions
  readonly #members = new Map<string, ProductDevice>()
  readonly #byProduct = new Map<number, Set<string>>()
  /** By product and group: `10000/kitchen`. */
  readonly #byGroup = new Map<string, Set<string>>()
  readonly #denied = new Map<number, Set<string>>()
  readonly #observers = new Set<MemberObserver>()
  readonly #changes = new Changes()
  #exists: (productId: number) => boolean = () => true

  private constructor(options: ProductDevicesOptions) {
    this.#options = options
  }

  static async open(options: ProductDevicesOptions): Promise<ProductDevices> {
    const devices = new ProductDevices(options)
    const { db } = options.store
    for (const row of await db.selectFrom('product_devices').selectAll().execute()) devices.#put(fromRow(row))
    for (const { product_id, device_id } of await db.selectFrom('product_denials').selectAll().execute()) {
      add(devices.#denied, product_id, device_id)
    }
    return devices
  }

  /** Who is asked before devices are taken: a product may go while they come. */
  onlyFor(exists: (productId: number) => boolean): void {
    this.#exists = exists
  }

  /** The device's membership; undefined for a device of no product, and for one that a product has in quarantine. */
  of(deviceId: string): ProductDevice | undefined {
    return this.#members.get(deviceId)
  }

  /** Ids of the product's approved devices. */
  members(productId: number): ReadonlySet<string> {
    return this.#byProduct.get(productId) ?? none
  }

  inGroup(productId: number, group: string): ReadonlySet<string> {
    return this.#byGroup.get(groupKey(productId, group)) ?? none
  }

  /** Ids of the devices that the product will not have. */
  denied(productId: number): ReadonlySet<string> {
    return this.#denied.get(productId) ?? none
  }

  /** @returns what ends the observation */
  observe(observer: MemberObserver): () => void {
    this.#observers.add(observer)
    return () => this.#observers.delete(observer)
  }

  /**
   * Makes devices members of a product, also those that it had denied. Those of another product stay there.
   *
   * @param deviceIds of devices that the registry knows, lower case
   * @throws ProductError 'unknown-product'
   * @returns the ids of the new members, of those that were members, and of those that belong to another product
   */
  import(productId: number, deviceIds: readonly string[]) {
    return this.#changes.run(async () => {
      if (!this.#exists(productId)) throw new ProductError('unknown-product', 'There is no such product')
      const now = this.#options.now()
      const added: ProductDevice[] = []
      const existing: string[] = []
      const elsewhere: string[] = []
      for (const deviceId of new Set(deviceIds)) {
        const member = this.#members.get(deviceId)
        if (member) (member.productId === productId ? existing : elsewhere).push(deviceId)
        else {
          const plain = { desiredVersion: null, development: false, groups: [] }
          added.push({ deviceId, productId, ...plain, importedAt: now, updatedAt: now })
        }
      }
      for (let at = 0; at < added.length; at += batchSize) {
        if (at > 0) await nextTurn()
        const batch = added.slice(at, at + batchSize)
        await this.#options.store.db.transaction().execute(async (tx) => {
          await tx.insertInto('product_devices').values(batch.map(toRow)).execute()
          const ids = batch.map(({ deviceId }) => deviceId)
          const denials = tx.deleteFrom('product_denials').where('product_id', '=', productId)
          await denials.where('device_id', 'in', ids).execute()
        })
        for (const member of batch) {
          this.#denied.get(productId)?.delete(member.deviceId)
          this.#put(member)
        }
        for (const member of batch) this.#tell(undefined, member)
      }
      return { added: added.map(({ deviceId }) => deviceId), existing, elsewhere }
    })
  }

  /**
   * Takes a device out of the product, or out of its quarantine.
   * @param deny it may not come back by reporting the product, only by being imported
   */
  remove(productId: number, deviceId: string, deny = false): Promise<void> {
    return this.#changes.run(async () => {
      const member = this.#members.get(deviceId)
      const before = member?.productId === productId ? member : undefined
      await this.#options.store.db.transaction().execute(async (tx) => {
        const row = tx.deleteFrom('product_devices').where('device_id', '=', deviceId)
        await row.where('product_id', '=', productId).execute()
        if (!deny) return
        const denial = { product_id: productId, device_id: deviceId, denied_at: this.#options.now() }
        await tx
          .insertInto('product_denials')
          .values(denial)
          .onConflict((conflict) => conflict.doNothing())
          .execute()
      })
      if (deny) add(this.#denied, productId, deviceId)
      if (!before) return
      this.#unput(before)
      this.#tell(before, undefined)
    })
  }

  /** Makes all devices of a product devices of none, and forgets whom it denied: the product goes. */
  removeAll(productId: number): Promise<void> {
    return this.#changes.run(async () => {
      await this.#options.store.db.transaction().execute(async (tx) => {
        await tx.deleteFrom('product_devices').where('product_id', '=', productId).execute()
        await tx.deleteFrom('product_denials').where('product_id', '=', productId).execute()
      })
      const members = [...this.members(productId)].map((deviceId) => this.#member(productId, deviceId))
      for (const member of members) this.#unput(member)
      this.#denied.delete(productId)
      for (const member of members) this.#tell(member, undefined)
    })
  }

  /** Lets a denied device come back into quarantine. */
  allow(productId: number, deviceId: string): Promise<void> {
    return this.#changes.run(async () => {
      const row = this.#options.store.db.deleteFrom('product_denials').where('device_id', '=', deviceId)
      await row.where('product_id', '=', productId).execute()
      this.#denied.get(productId)?.delete(deviceId)
    })
  }

  /** @throws ProductError 'not-in-product' */
  change(productId: number, deviceId: string, changes: ProductDeviceChanges): Promise<ProductDevice> {
    return this.#changes.run(async () => {
      const before = this.#member(productId, deviceId)
      const [after] = await this.#save([{ ...before, ...changes, groups: names(changes.groups ?? before.groups) }])
      return after ?? before
    })
  }

  /** Adds groups to devices and takes groups from them, all or none. @throws ProductError 'not-in-product' */
  changeGroups(
    productId: number,
    deviceIds: readonly string[],
    { add = [], remove = [] }: { add?: readonly string[]; remove?: readonly string[] },
  ): Promise<ProductDevice[]> {
    return this.#changes.run(() => {
      const members = [...new Set(deviceIds)].map((deviceId) => this.#member(productId, deviceId))
      const without = (groups: readonly string[]) => groups.filter((group) => !remove.includes(group))
      return this.#save(members.map((member) => ({ ...member, groups: names([...without(member.groups), ...add]) })))
    })
  }

  /**
   * All devices of a group leave it, or it changes its name.
   * @param more what is to be committed together with it
   */
  renameGroup(productId: number, group: string, name: string | undefined, more: Rows): Promise<ProductDevice[]> {
    return this.#changes.run(() => {
      const renamed = (groups: readonly string[]) =>
        groups.flatMap((each) => (each !== group ? [each] : name === undefined ? [] : [name]))
      const members = [...this.inGroup(productId, group)].map((id) => this.#member(productId, id))
      const changed = members.map((member) => ({ ...member, groups: names(renamed(member.groups)) }))
      return this.#save(changed, more)
    })
  }

  async #save(changed: readonly ProductDevice[], more?: Rows): Promise<ProductDevice[]> {
    const saved = changed.map((member) => ({ ...member, updatedAt: this.#options.now() }))
    const before = saved.map(({ deviceId }) => this.#members.get(deviceId))
    await this.#options.store.db.transaction().execute(async (tx) => {
      for (const [i, member] of saved.entries()) {
        // A group may be the whole fleet: whatever else waits for this thread has its turns.
        if (i % batchSize === batchSize - 1) await nextTurn()
        const { device_id, ...row } = toRow(member)
        await tx.updateTable('product_devices').set(row).where('device_id', '=', device_id).execute()
      }
      await more?.(tx)
    })
    for (const member of saved) this.#put(member)
    for (const [i, member] of saved.entries()) this.#tell(before[i], member)
    return saved
  }

  #member(productId: number, deviceId: string): ProductDevice {
    const member = this.#members.get(deviceId)
    if (member?.productId === productId) return member
    throw new ProductError('not-in-product', `Device ${deviceId} is not in the product`)
  }

  /** What stays keeps its place in the indexes, so that lists keep their order. */
  #put(member: ProductDevice): void {
    const before = this.#members.get(member.deviceId)
    const { deviceId, productId, groups } = member
    for (const group of before?.groups ?? []) {
      if (!groups.includes(group)) drop(this.#byGroup, groupKey(productId, group), deviceId)
    }
    this.#members.set(deviceId, member)
    add(this.#byProduct, productId, deviceId)
    for (const group of groups) add(this.#byGroup, groupKey(productId, group), deviceId)
    if (!before) this.#options.registry.setProduct(deviceId, productId)
  }

  #unput(member: ProductDevice): void {
    this.#unindex(member)
    this.#members.delete(member.deviceId)
    this.#options.registry.setProduct(member.deviceId, null)
  }

  #unindex({ deviceId, productId, groups }: ProductDevice): void {
    drop(this.#byProduct, productId, deviceId)
    for (const group of groups) drop(this.#byGroup, groupKey(productId, group), deviceId)
  }

  #tell(before: ProductDevice | undefined, after: ProductDevice | undefined): void {
    for (const observer of this.#observers) observer(before, after)
  }
}

function groupKey(productId: number, group: string): string {
  return `${productId}/${group}`
}

function names(groups: readonly string[]): readonly string[] {
  return [...new Set(groups)].sort()
}

function add<K>(index: Map<K, Set<string>>, key: K, id: string): void {
  const ids = index.get(key)
  if (ids) ids.add(id)
  else index.set(key, new Set([id]))
}

function drop<K>(index: Map<K, Set<string>>, key: K, id: string): void {
  const ids = index.get(key)
  ids?.delete(id)
  if (ids?.size === 0) index.delete(key)
}

function fromRow(row: Selectable<ProductDeviceTable>): ProductDevice {
  return {
    deviceId: row.device_id,
    productId: row.product_id,
    desiredVersion: row.desired_version,
    development: row.development === 1,
    groups: JSON.parse(row.groups) as string[],
    importedAt: row.imported_at,
    updatedAt: row.updated_at,
  }
}

function toRow(member: ProductDevice): ProductDeviceTable {
  return {
    device_id: member.deviceId,
    product_id: member.productId,
    desired_version: member.desiredVersion,
    development: member.development ? 1 : 0,
    groups: JSON.stringify(member.groups),
    imported_at: member.importedAt,
    updated_at: member.updatedAt,
  }
}
