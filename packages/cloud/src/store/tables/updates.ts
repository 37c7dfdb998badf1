/** Update jobs, their files and timelines, policies, data accounting: tables and what makes them. */
import { createHash } from 'node:crypto'
import type { Kysely } from 'kysely'
import type { ColumnTypes } from '../column-types.ts'

export interface UpdateTables {
  readonly update_files: UpdateFileTable
  readonly update_assets: UpdateAssetTable
  readonly update_timeline: UpdateTimelineTable
  readonly update_policies: UpdatePolicyTable
  readonly data_usage: DataUsageTable
}

/** Files that open jobs send: a release to a fleet is one file, however many jobs name it. */
export interface UpdateFileTable {
  /** SHA-256 of the file, hex. */
  hash: string
  content: Uint8Array
  created_at: number
}

/** Assets of applications, out of the bundles that came with them. */
export interface UpdateAssetTable {
  /** SHA-256 of the raw file, hex, as applications name it. */
  hash: string
  content: Uint8Array
  created_at: number
}

export interface UpdateTimelineTable {
  job_id: string
  /** Grows with time. */
  sequence: number
  device_id: string
  at: number
  what: string
  /** JSON object. */
  detail: string
}

export interface UpdatePolicyTable {
  /** `device:<id>`, `group:<product>:<name>` or `product:<id>`. */
  scope: string
  /** JSON object. */
  policy: string
  updated_by: string | null
  updated_at: number
}

/** Bytes on the air, of a device in a month. */
export interface DataUsageTable {
  device_id: string
  /** `2026-11`, UTC. */
  month: string
  /** The product that the device belonged to when it was last counted. */
  product_id: number | null
  ota_sent: number
  ota_received: number
  messages_sent: number
  messages_received: number
  /** What the updates of this month were expected to take. */
  ota_estimated: number
}

export async function up(db: Kysely<unknown>, { bytes }: ColumnTypes): Promise<void> {
  for (const table of ['update_files', 'update_assets']) {
    await db.schema
      .createTable(table)
      .addColumn('hash', 'text', (c) => c.primaryKey())
      .addColumn('content', bytes, (c) => c.notNull())
      .addColumn('created_at', 'bigint', (c) => c.notNull())
      .execute()
  }

  await db.schema
    .createTable('update_timeline')
    .addColumn('job_id', 'text', (c) => c.notNull())
    .addColumn('sequence', 'bigint', (c) => c.notNull())
    .addColumn('device_id', 'text', (c) => c.notNull())
    .addColumn('at', 'bigint', (c) => c.notNull())
    .addColumn('what', 'text', (c) => c.notNull())
    .addColumn('detail', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('update_timeline_key', ['job_id', 'sequence'])
    .execute()
  await db.schema.createIndex('update_timeline_at').on('update_timeline').column('at').execute()

  await db.schema
    .createTable('update_policies')
    .addColumn('scope', 'text', (c) => c.primaryKey())
    .addColumn('policy', 'text', (c) => c.notNull())
    .addColumn('updated_by', 'text')
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .execute()

  await db.schema
    .createTable('data_usage')
    .addColumn('device_id', 'text', (c) => c.notNull())
    .addColumn('month', 'text', (c) => c.notNull())
    .addColumn('product_id', 'integer')
    .addColumn('ota_sent', 'bigint', (c) => c.notNull())
    .addColumn('ota_received', 'bigint', (c) => c.notNull())
    .addColumn('messages_sent', 'bigint', (c) => c.notNull())
    .addColumn('messages_received', 'bigint', (c) => c.notNull())
    .addColumn('ota_estimated', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('data_usage_key', ['device_id', 'month'])
    .execute()
  await db.schema.createIndex('data_usage_product').on('data_usage').columns(['product_id', 'month']).execute()

  await db.schema.alterTable('update_jobs').addColumn('file_hash', 'text').execute()
  await db.schema.createIndex('update_jobs_state').on('update_jobs').column('state').execute()
  await moveFiles(db as Kysely<Before>)
}

interface Before {
  update_jobs: { id: string; state: string; file: Uint8Array | null; file_hash: string | null }
  update_files: UpdateFileTable
}

/** Jobs of before held their files themselves, and knew fewer states. */
async function moveFiles(db: Kysely<Before>): Promise<void> {
  const rows = await db.selectFrom('update_jobs').select(['id', 'file']).where('file', 'is not', null).execute()
  for (const { id, file } of rows) {
    if (!file) continue
    const hash = createHash('sha256').update(file).digest('hex')
    await db
      .insertInto('update_files')
      .values({ hash, content: file, created_at: 0 })
      .onConflict((conflict) => conflict.column('hash').doNothing())
      .execute()
    await db.updateTable('update_jobs').set({ file: null, file_hash: hash }).where('id', '=', id).execute()
  }
  for (const [before, after] of [
    ['running', 'planned'],
    ['starting', 'failed'],
    ['stopped', 'failed'],
  ] as const) {
    await db.updateTable('update_jobs').set({ state: after }).where('state', '=', before).execute()
  }
}
