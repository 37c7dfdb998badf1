/** Products: durable, with a copy in memory that answers every question. */
import { platformById } from '@aloe/firmware'
import { noProduct } from '@aloe/protocol'
import type { DeviceRegistry } from '../devices/registry.ts'
import type { Store } from '../store/store.ts'
import { Changes } from './changes.ts'
import {
  defaultSettings,
  firstProductId,
  type ProductRecord,
  type ProductSettings,
  productFromRow,
  productToRow,
  slugOf,
} from './product.ts'
import { ProductDevices } from './product-devices.ts'
import { ProductError } from './product-error.ts'
import { ProductFirmware } from './product-firmware.ts'
import { ProductGroups } from './product-groups.ts'
import { type Target, targetFor } from './targeting.ts'

export type { ProductRecord, ProductSettings } from './product.ts'

export interface ProductsOptions {
  readonly store: Store
  readonly registry: DeviceRegistry
  /** Unix milliseconds. */
  readonly now: () => number
}

export interface NewProduct {
  readonly name: string
  readonly description?: string
  readonly platformId: number
  readonly settings?: Partial<ProductSettings>
}

export interface ProductChanges {
  readonly name?: string
  readonly description?: string
  readonly slug?: string
  readonly settings?: Partial<ProductSettings>
}

/** Told after the commit. `after` is undefined when the product was removed, `before` when it is new. */
export type ProductObserver = (before: ProductRecord | undefined, after: ProductRecord | undefined) => void

const nameLimit = 64
const descriptionLimit = 1_024
const productsPerOwner = 1_000

export class Products {
  /** Which devices belong to which product. */
  readonly devices: ProductDevices
  readonly groups: ProductGroups
  readonly firmware: ProductFirmware
  readonly #store: Store
  readonly #now: () => number
  readonly #byId = new Map<number, ProductRecord>()
  readonly #idBySlug = new Map<string, number>()
  readonly #observers = new Set<ProductObserver>()
  readonly #changes = new Changes()
  #nextId = firstProductId

  private constructor({ store, now }: ProductsOptions, parts: Pick<Products, 'devices' | 'groups' | 'firmware'>) {
    this.#store = store
    this.#now = now
    this.devices = parts.devices
    this.groups = parts.groups
    this.firmware = parts.firmware
  }

  /** Reads products and memberships into memory; the registry learns of the latter. */
  static async open(options: ProductsOptions): Promise<Products> {
    await forgetRemoved(options.store)
    const devices = await ProductDevices.open(options)
    const firmware = await ProductFirmware.open(options)
    const groups = await ProductGroups.open({ ...options, devices, firmware })
    const products = new Products(options, { devices, firmware, groups })
    devices.onlyFor((id) => products.get(id) !== undefined)
    for (const row of await options.store.db.selectFrom('products').selectAll().execute()) {
      products.#reserve(row.id)
      const product = productFromRow(row)
      if (product) products.#put(product)
    }
    return products
  }

  get(id: number): ProductRecord | undefined {
    return this.#byId.get(id)
  }

  /** By id (a number, or as text) or slug, as paths name products (cloud-api.md 0.4). */
  find(idOrSlug: string | number): ProductRecord | undefined {
    const text = String(idOrSlug)
    const id = /^\d{1,9}$/.test(text) ? Number(text) : this.#idBySlug.get(text.toLowerCase())
    return id === undefined ? undefined : this.#byId.get(id)
  }

  /** A user's own products, in the order of their ids. Those of teams are known to the teams. */
  list(ownerId: string): ProductRecord[] {
    return this.all().filter((product) => product.ownerId === ownerId)
  }

  all(): ProductRecord[] {
    return [...this.#byId.values()].sort((a, b) => a.id - b.id)
  }

  /** Which firmware the device should run, and why; undefined for none, and for a device of no product. */
  targetOf(deviceId: string): Target | undefined {
    const member = this.devices.of(deviceId)
    return member && targetFor(member, this.firmware.released(member.productId))
  }

  /** @returns what ends the observation */
  observe(observer: ProductObserver): () => void {
    this.#observers.add(observer)
    return () => this.#observers.delete(observer)
  }

  /** @throws ProductError 'bad-value' or 'taken' */
  create(ownerId: string, { name, description = '', platformId, settings }: NewProduct): Promise<ProductRecord> {
    return this.#changes.run(() => {
      if (!platformById(platformId)) throw new ProductError('bad-value', `There is no platform ${platformId}`)
      if (this.list(ownerId).length >= productsPerOwner) {
        throw new ProductError('bad-value', `A user has up to ${productsPerOwner} products`)
      }
      const now = this.#now()
      return this.#save({
        id: this.#nextId,
        slug: this.#freeSlug(name),
        name: this.#checkName(name, ownerId),
        description: checkDescription(description),
        platformId,
        ownerId,
        settings: { ...defaultSettings, ...settings },
        createdAt: now,
        updatedAt: now,
      })
    })
  }

  /** @throws ProductError 'unknown-product', 'bad-value' or 'taken' */
  update(id: number, { name, description, slug, settings }: ProductChanges): Promise<ProductRecord> {
    return this.#changes.run(() => {
      const product = this.#known(id)
      return this.#save({
        ...product,
        name: name === undefined ? product.name : this.#checkName(name, product.ownerId, id),
        description: description === undefined ? product.description : checkDescription(description),
        slug: slug === undefined ? product.slug : this.#checkSlug(slug, id),
        settings: { ...product.settings, ...settings },
        updatedAt: this.#now(),
      })
    })
  }

  /**
   * Its devices are of no product then. The id is never given again: devices may still report it.
   * @throws ProductError 'unknown-product', or 'in-use' when it has devices and `force` is false
   */
  remove(id: number, force = false): Promise<void> {
    return this.#changes.run(async () => {
      const product = this.#known(id)
      const { size } = this.devices.members(id)
      if (size > 0 && !force) {
        const count = size === 1 ? '1 device' : `${size} devices`
        throw new ProductError('in-use', `The product has ${count}: remove them first, or say "force": true`)
      }
      await this.devices.removeAll(id)
      await this.#store.db.transaction().execute(async (tx) => {
        await tx.deleteFrom('product_groups').where('product_id', '=', id).execute()
        await tx.deleteFrom('product_releases').where('product_id', '=', id).execute()
        await tx.deleteFrom('product_firmware').where('product_id', '=', id).execute()
        const gone = { slug: null, owner_id: null, removed_at: this.#now() }
        await tx.updateTable('products').set(gone).where('id', '=', id).execute()
      })
      this.#byId.delete(id)
      this.#idBySlug.delete(product.slug)
      this.groups.forget(id)
      this.firmware.forget(id)
      // Those that came in the meantime.
      await this.devices.removeAll(id)
      this.#tell(product, undefined)
    })
  }

  async #save(product: ProductRecord): Promise<ProductRecord> {
    const { id: _, ...changed } = productToRow(product)
    const row = this.#store.db.insertInto('products').values(productToRow(product))
    await row.onConflict((conflict) => conflict.column('id').doUpdateSet(changed)).execute()
    const before = this.#byId.get(product.id)
    this.#put(product)
    this.#tell(before, product)
    return product
  }

  #put(product: ProductRecord): void {
    const before = this.#byId.get(product.id)
    if (before) this.#idBySlug.delete(before.slug)
    this.#byId.set(product.id, product)
    this.#idBySlug.set(product.slug, product.id)
    this.#reserve(product.id)
  }

  #reserve(id: number): void {
    this.#nextId = Math.max(this.#nextId, id + 1)
    if (this.#nextId === noProduct) this.#nextId++
  }

  #tell(before: ProductRecord | undefined, after: ProductRecord | undefined): void {
    for (const observer of this.#observers) observer(before, after)
  }

  #known(id: number): ProductRecord {
    const product = this.#byId.get(id)
    if (!product) throw new ProductError('unknown-product', 'There is no such product')
    return product
  }

  #checkName(name: string, ownerId: string, except?: number): string {
    const trimmed = name.trim()
    if (trimmed.length === 0 || trimmed.length > nameLimit || /\p{Cc}/u.test(trimmed)) {
      throw new ProductError('bad-value', `A product's name has 1 to ${nameLimit} characters`)
    }
    const same = (other: ProductRecord) => other.id !== except && other.name.toLowerCase() === trimmed.toLowerCase()
    if (this.list(ownerId).some(same)) throw new ProductError('taken', 'You have another product with this name')
    return trimmed
  }

  #checkSlug(slug: string, id: number): string {
    if (slug !== slugOf(slug)) {
      throw new ProductError('bad-value', 'A slug has 1 to 60 of the characters a-z, 0-9 and "-", and is no number')
    }
    const other = this.#idBySlug.get(slug)
    if (other !== undefined && other !== id) throw new ProductError('taken', 'Another product has this slug')
    return slug
  }

  /** Names are unique per owner, slugs in the whole cloud. */
  #freeSlug(name: string): string {
    const slug = slugOf(name)
    return this.#idBySlug.has(slug) ? `${slug}-${this.#nextId}` : slug
  }
}

/** What a kill in the middle of a removal may have left. */
async function forgetRemoved({ db }: Store): Promise<void> {
  const removed = db.selectFrom('products').select('id').where('removed_at', 'is not', null)
  await db.deleteFrom('product_devices').where('product_id', 'in', removed).execute()
  await db.deleteFrom('product_denials').where('product_id', 'in', removed).execute()
}

function checkDescription(description: string): string {
  if (description.length <= descriptionLimit) return description
  throw new ProductError('bad-value', `A product's description has up to ${descriptionLimit} characters`)
}
