/** What the cloud knows of a product, and how it lies in the store. */
import type { Insertable, Selectable } from 'kysely'
import type { ProductTable } from '../store/tables/products.ts'

export interface ProductRecord {
  /** Never equal to a platform's id: `firstProductId` and up. */
  readonly id: number
  /** Lower case; unique in this cloud, never a number. */
  readonly slug: string
  readonly name: string
  readonly description: string
  readonly platformId: number
  /** User id. */
  readonly ownerId: string
  readonly settings: ProductSettings
  /** Unix milliseconds, as all times here. */
  readonly createdAt: number
  readonly updatedAt: number
}

export interface ProductSettings {
  /** Devices that report this product and are not imported wait for approval; otherwise friendly ones are let in. */
  readonly quarantine: boolean
  /** Applications that the cloud knows may be flashed; kept for clients, nothing else looks at it. */
  readonly knownApplication: boolean
  readonly location: boolean
  /** Firmware may be released that no device of the product has run before. */
  readonly releaseUntested: boolean
}

/** Product ids start here: platform ids are below, and devices report ids of 16 bits (cloud-api.md 0.4). */
export const firstProductId = 10_000

export const defaultSettings: ProductSettings = {
  quarantine: true,
  knownApplication: true,
  location: false,
  releaseUntested: false,
}

export function productFromRow(row: Selectable<ProductTable>): ProductRecord | undefined {
  if (row.removed_at !== null || row.slug === null || row.owner_id === null) return undefined
  return {
    id: row.id,
    slug: row.slug,
    name: row.name,
    description: row.description,
    platformId: row.platform_id,
    ownerId: row.owner_id,
    settings: { ...defaultSettings, ...(JSON.parse(row.settings) as Partial<ProductSettings>) },
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}

export function productToRow(product: ProductRecord): Insertable<ProductTable> {
  return {
    id: product.id,
    slug: product.slug,
    name: product.name,
    description: product.description,
    platform_id: product.platformId,
    owner_id: product.ownerId,
    settings: JSON.stringify(product.settings),
    created_at: product.createdAt,
    updated_at: product.updatedAt,
    removed_at: null,
  }
}

/** A word for paths: 'Garden Lamp 2' becomes 'garden-lamp-2'; one of digits alone would be an id, and gets a letter. */
export function slugOf(name: string): string {
  const plain = name.normalize('NFKD').toLowerCase()
  const words = plain.match(/[a-z0-9]+/g) ?? []
  const slug = words.join('-').slice(0, 60).replace(/-$/, '')
  if (slug === '') return 'product'
  return /^\d+$/.test(slug) ? `p-${slug}` : slug
}
