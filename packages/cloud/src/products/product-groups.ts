/** Groups of a product's devices: durable, with a copy in memory. Devices carry the names of theirs. */
import type { Store } from '../store/store.ts'
import { Changes } from './changes.ts'
import type { ProductDevices, Rows } from './product-devices.ts'
import { ProductError } from './product-error.ts'
import type { ProductFirmware } from './product-firmware.ts'

export interface ProductGroup {
  readonly productId: number
  /** Of a-z, 0-9, "_" and "-". */
  readonly name: string
  readonly description: string
  /** As the console shows it, for example `#00AEEF`. */
  readonly color: string
  /** Unix milliseconds. */
  readonly createdAt: number
  readonly updatedAt: number
}

export interface GroupFields {
  readonly name?: string
  readonly description?: string
  readonly color?: string
}

export interface ProductGroupsOptions {
  readonly store: Store
  readonly devices: ProductDevices
  readonly firmware: ProductFirmware
  /** Unix milliseconds. */
  readonly now: () => number
}

const nameLimit = 64
const descriptionLimit = 1_024
const colorLimit = 32
const groupsPerProduct = 1_000
const defaultColor = '#00AEEF'

export class ProductGroups {
  readonly #options: ProductGroupsOptions
  readonly #byProduct = new Map<number, Map<string, ProductGroup>>()
  readonly #changes = new Changes()

  private constructor(options: ProductGroupsOptions) {
    this.#options = options
  }

  static async open(options: ProductGroupsOptions): Promise<ProductGroups> {
    const groups = new ProductGroups(options)
    for (const row of await options.store.db.selectFrom('product_groups').selectAll().execute()) {
      const { product_id: productId, name, description, color, created_at: createdAt, updated_at: updatedAt } = row
      groups.#put({ productId, name, description, color, createdAt, updatedAt })
    }
    return groups
  }

  get(productId: number, name: string): ProductGroup | undefined {
    return this.#byProduct.get(productId)?.get(name)
  }

  /** By name. */
  list(productId: number): ProductGroup[] {
    return [...(this.#byProduct.get(productId)?.values() ?? [])].sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  /** Says which group there is not. @throws ProductError 'unknown-group' */
  check(productId: number, names: readonly string[]): void {
    for (const name of names) {
      if (!this.get(productId, name)) throw new ProductError('unknown-group', `The product has no group "${name}"`)
    }
  }

  /** @throws ProductError 'bad-value' or 'taken' */
  create(productId: number, { name = '', description = '', color = defaultColor }: GroupFields): Promise<ProductGroup> {
    return this.#changes.run(async () => {
      const now = this.#options.now()
      const group = { productId, name, description, color, createdAt: now, updatedAt: now }
      checkGroup(group)
      if (this.get(productId, name)) throw new ProductError('taken', `The product has a group "${name}" already`)
      if ((this.#byProduct.get(productId)?.size ?? 0) >= groupsPerProduct) {
        throw new ProductError('bad-value', `A product has up to ${groupsPerProduct} groups`)
      }
      const row = { product_id: productId, name, description, color, created_at: now, updated_at: now }
      await this.#options.store.db.insertInto('product_groups').values(row).execute()
      this.#put(group)
      return group
    })
  }

  /** A new name goes to the group's devices and releases too. @throws ProductError */
  update(productId: number, name: string, changes: GroupFields): Promise<ProductGroup> {
    return this.#changes.run(async () => {
      const before = this.#known(productId, name)
      const { name: newName, description, color } = { ...before, ...changes }
      const group = { ...before, name: newName, description, color, updatedAt: this.#options.now() }
      checkGroup(group)
      if (newName !== name && this.get(productId, newName)) {
        throw new ProductError('taken', `The product has a group "${newName}" already`)
      }
      const row = { name: newName, description, color, updated_at: group.updatedAt }
      await this.#everywhere(productId, name, newName, (tx) => {
        const update = tx.updateTable('product_groups').set(row).where('product_id', '=', productId)
        return update.where('name', '=', name).execute()
      })
      this.#byProduct.get(productId)?.delete(name)
      this.#put(group)
      return group
    })
  }

  /** Its devices leave it. @throws ProductError 'unknown-group' */
  remove(productId: number, name: string): Promise<void> {
    return this.#changes.run(async () => {
      this.#known(productId, name)
      await this.#everywhere(productId, name, undefined, (tx) => {
        const rows = tx.deleteFrom('product_groups').where('product_id', '=', productId)
        return rows.where('name', '=', name).execute()
      })
    })
  }

  /** The group, its releases and its devices change in one transaction, and nothing comes between. */
  async #everywhere(productId: number, name: string, newName: string | undefined, own: Rows): Promise<void> {
    const { devices, firmware } = this.#options
    if (newName === name) {
      await this.#options.store.db.transaction().execute(own)
      return
    }
    await firmware.renameGroup(productId, name, newName, async (releases) => {
      await devices.renameGroup(productId, name, newName, async (tx) => {
        await releases(tx)
        await own(tx)
      })
      // Before the next release asks for it.
      this.#byProduct.get(productId)?.delete(name)
    })
  }

  /** The product is gone, from the store too. */
  forget(productId: number): void {
    this.#byProduct.delete(productId)
  }

  #known(productId: number, name: string): ProductGroup {
    const group = this.get(productId, name)
    if (!group) throw new ProductError('unknown-group', 'There is no such group in the product')
    return group
  }

  #put(group: ProductGroup): void {
    const groups = this.#byProduct.get(group.productId) ?? new Map<string, ProductGroup>()
    this.#byProduct.set(group.productId, groups.set(group.name, group))
  }
}

function checkGroup({ name, description, color }: Required<GroupFields>): void {
  if (!/^[a-z0-9_-]+$/.test(name) || name.length > nameLimit) {
    const rule = `1 to ${nameLimit} of the characters a-z, 0-9, "_" and "-"`
    throw new ProductError('bad-value', `A group's name has ${rule}`)
  }
  if (description.length > descriptionLimit) {
    throw new ProductError('bad-value', `A group's description has up to ${descriptionLimit} characters`)
  }
  if (color.length > colorLimit) throw new ProductError('bad-value', `A color has up to ${colorLimit} characters`)
}
