/** Releases on their way to fleets: tables and what makes them. Owned by `rollouts/`. */
import type { Kysely } from 'kysely'
import type { ColumnTypes } from '../column-types.ts'

export interface RolloutTables {
  readonly rollouts: RolloutTable
  readonly rollout_devices: RolloutDeviceTable
  readonly rollout_settings: RolloutSettingsTable
}

/** One version of a product's firmware, on its way to the devices that should run it. */
export interface RolloutTable {
  id: string
  product_id: number
  version: number
  /** 'running', 'paused', 'halted', 'stopped' or 'superseded'. */
  state: string
  /** Why it is halted. */
  reason: string | null
  started_by: string
  created_at: number
  updated_at: number
  finished_at: number | null
  /** Devices by state when it ended; JSON object. */
  counts: string | null
}

/**
 * How it went with one device. Devices that wait or are being updated have no row: what they should run follows from
 * the releases, and their jobs are in `update_jobs`.
 */
export interface RolloutDeviceTable {
  rollout_id: string
  device_id: string
  /** 'healing', 'retrying', 'failed' or 'done'. */
  state: string
  /** 'default', 'group' or 'locked'. */
  why: string
  attempts: number
  job_id: string | null
  reason: string | null
  /** What the owner can do about it. */
  next: string | null
  retry_at: number | null
  updated_at: number
}

export interface RolloutSettingsTable {
  product_id: number
  /** JSON object. */
  settings: string
  updated_by: string | null
  updated_at: number
}

export async function up(db: Kysely<unknown>, _types: ColumnTypes): Promise<void> {
  await db.schema
    .createTable('rollouts')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('product_id', 'integer', (c) => c.notNull().references('products.id').onDelete('cascade'))
    .addColumn('version', 'integer', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('reason', 'text')
    .addColumn('started_by', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .addColumn('finished_at', 'bigint')
    .addColumn('counts', 'text')
    .execute()
  await db.schema.createIndex('rollouts_product').on('rollouts').columns(['product_id', 'created_at']).execute()

  await db.schema
    .createTable('rollout_devices')
    .addColumn('rollout_id', 'text', (c) => c.notNull().references('rollouts.id').onDelete('cascade'))
    .addColumn('device_id', 'text', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('why', 'text', (c) => c.notNull())
    .addColumn('attempts', 'integer', (c) => c.notNull())
    .addColumn('job_id', 'text')
    .addColumn('reason', 'text')
    .addColumn('next', 'text')
    .addColumn('retry_at', 'bigint')
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('rollout_devices_key', ['rollout_id', 'device_id'])
    .execute()

  await db.schema
    .createTable('rollout_settings')
    .addColumn('product_id', 'integer', (c) => c.primaryKey().references('products.id').onDelete('cascade'))
    .addColumn('settings', 'text', (c) => c.notNull())
    .addColumn('updated_by', 'text')
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .execute()
}
