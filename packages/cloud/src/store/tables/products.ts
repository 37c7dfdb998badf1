/** Products, their firmware, groups and devices: tables and what makes them. Owned by `products/` and `devices/`. */
import type { Kysely } from 'kysely'
import type { ColumnTypes } from '../column-types.ts'

export interface ProductTables {
  readonly products: ProductTable
  readonly product_groups: ProductGroupTable
  readonly product_devices: ProductDeviceTable
  readonly product_denials: ProductDenialTable
  readonly product_firmware: ProductFirmwareTable
  readonly product_releases: ProductReleaseTable
  readonly device_transfers: DeviceTransferTable
}

export interface ProductTable {
  id: number
  /** Null for a product that was removed: its id is never given again, since devices may still report it. */
  slug: string | null
  name: string
  description: string
  platform_id: number
  /** Null for a product that was removed. */
  owner_id: string | null
  /** JSON of ProductSettings. */
  settings: string
  created_at: number
  updated_at: number
  removed_at: number | null
}

export interface ProductGroupTable {
  product_id: number
  name: string
  description: string
  color: string
  created_at: number
  updated_at: number
}

/** The approved devices of products: a device belongs to one at most. */
export interface ProductDeviceTable {
  device_id: string
  product_id: number
  /** The version that the device is locked to. */
  desired_version: number | null
  development: number
  /** JSON array of group names. */
  groups: string
  imported_at: number
  updated_at: number
}

/** Devices that a product will not have, whatever they report. */
export interface ProductDenialTable {
  product_id: number
  device_id: string
  denied_at: number
}

export interface ProductFirmwareTable {
  id: string
  product_id: number
  version: number
  title: string
  description: string
  mandatory: number
  /** 'firmware.bin' or 'firmware.zip'. */
  file_name: string
  content: Uint8Array
  size: number
  /** SHA-256 field of the application in it: what devices say that they run. */
  app_hash: string
  uploaded_by: string
  uploaded_at: number
  updated_at: number
  /** Whether a device of the product has run it. */
  has_run: number
  /** When it was released first; null for one that never was. */
  released_at: number | null
}

/** Which version is released to whom; one row for each group, and one for all devices. */
export interface ProductReleaseTable {
  product_id: number
  /** The group; empty for all devices of the product. */
  group_name: string
  version: number
  /** To be delivered at once, and not at the next connection only. */
  intelligent: number
  released_by: string
  released_at: number
}

/** Somebody asks for a device of somebody else. */
export interface DeviceTransferTable {
  id: string
  device_id: string
  from_user: string
  to_user: string
  state: 'open' | 'accepted' | 'refused' | 'withdrawn'
  created_at: number
  decided_at: number | null
}

export async function up(db: Kysely<unknown>, { bytes }: ColumnTypes): Promise<void> {
  await db.schema
    .createTable('products')
    .addColumn('id', 'integer', (c) => c.primaryKey())
    .addColumn('slug', 'text', (c) => c.unique())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('description', 'text', (c) => c.notNull())
    .addColumn('platform_id', 'integer', (c) => c.notNull())
    .addColumn('owner_id', 'text', (c) => c.references('users.id'))
    .addColumn('settings', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .addColumn('removed_at', 'bigint')
    .execute()

  await db.schema
    .createTable('product_groups')
    .addColumn('product_id', 'integer', (c) => c.notNull().references('products.id').onDelete('cascade'))
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('description', 'text', (c) => c.notNull())
    .addColumn('color', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('product_groups_key', ['product_id', 'name'])
    .execute()

  await db.schema
    .createTable('product_devices')
    .addColumn('device_id', 'text', (c) => c.primaryKey())
    .addColumn('product_id', 'integer', (c) => c.notNull().references('products.id').onDelete('cascade'))
    .addColumn('desired_version', 'integer')
    .addColumn('development', 'integer', (c) => c.notNull())
    .addColumn('groups', 'text', (c) => c.notNull())
    .addColumn('imported_at', 'bigint', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .execute()
  await db.schema.createIndex('product_devices_product').on('product_devices').column('product_id').execute()

  await db.schema
    .createTable('product_denials')
    .addColumn('product_id', 'integer', (c) => c.notNull().references('products.id').onDelete('cascade'))
    .addColumn('device_id', 'text', (c) => c.notNull())
    .addColumn('denied_at', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('product_denials_key', ['product_id', 'device_id'])
    .execute()

  await db.schema
    .createTable('product_firmware')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('product_id', 'integer', (c) => c.notNull().references('products.id').onDelete('cascade'))
    .addColumn('version', 'integer', (c) => c.notNull())
    .addColumn('title', 'text', (c) => c.notNull())
    .addColumn('description', 'text', (c) => c.notNull())
    .addColumn('mandatory', 'integer', (c) => c.notNull())
    .addColumn('file_name', 'text', (c) => c.notNull())
    .addColumn('content', bytes, (c) => c.notNull())
    .addColumn('size', 'integer', (c) => c.notNull())
    .addColumn('app_hash', 'text', (c) => c.notNull())
    .addColumn('uploaded_by', 'text', (c) => c.notNull())
    .addColumn('uploaded_at', 'bigint', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .addColumn('has_run', 'integer', (c) => c.notNull())
    .addColumn('released_at', 'bigint')
    .addUniqueConstraint('product_firmware_version', ['product_id', 'version'])
    .execute()

  await db.schema
    .createTable('product_releases')
    .addColumn('product_id', 'integer', (c) => c.notNull().references('products.id').onDelete('cascade'))
    .addColumn('group_name', 'text', (c) => c.notNull())
    .addColumn('version', 'integer', (c) => c.notNull())
    .addColumn('intelligent', 'integer', (c) => c.notNull())
    .addColumn('released_by', 'text', (c) => c.notNull())
    .addColumn('released_at', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('product_releases_key', ['product_id', 'group_name'])
    .execute()

  await db.schema
    .createTable('device_transfers')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('device_id', 'text', (c) => c.notNull())
    .addColumn('from_user', 'text', (c) => c.notNull().references('users.id').onDelete('cascade'))
    .addColumn('to_user', 'text', (c) => c.notNull().references('users.id').onDelete('cascade'))
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('decided_at', 'bigint')
    .execute()

  await db.schema.alterTable('devices').addColumn('serial_number', 'text').execute()
  await db.schema.alterTable('devices').addColumn('pinned_build_target', 'text').execute()
  // For a product: who gets the device that sends the code, and which product it joins.
  await db.schema.alterTable('claim_codes').addColumn('product_id', 'integer').execute()
}
