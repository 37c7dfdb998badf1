/**
 * What made the schema, step by step. A step that was released is never edited: a change is a new step.
 */
import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import { type ColumnTypes, columnTypes, type Database } from './column-types.ts'
import * as identity from './tables/identity.ts'
import * as integrations from './tables/integrations.ts'
import * as products from './tables/products.ts'
import * as rollouts from './tables/rollouts.ts'
import * as telemetry from './tables/telemetry.ts'
import * as updates from './tables/updates.ts'

/** All migrations for a database, by name; names sort in the order in which they apply. */
export function migrations(database: Database): Record<string, Migration> {
  const types = columnTypes[database]
  return {
    '0001-first': { up: (db) => first(db, types) },
    '0002-device-sessions': { up: (db) => deviceSessions(db, types) },
    '0003-identity': { up: (db) => identity.up(db, types) },
    '0004-products': { up: (db) => products.up(db, types) },
    '0005-integrations': { up: (db) => integrations.up(db, types) },
    '0006-telemetry': { up: (db) => telemetry.up(db, types) },
    '0007-updates': { up: (db) => updates.up(db, types) },
    '0008-rollouts': { up: (db) => rollouts.up(db, types) },
  }
}

async function first(db: Kysely<unknown>, { bytes }: ColumnTypes): Promise<void> {
  await db.schema
    .createTable('users')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('username', 'text', (c) => c.notNull().unique())
    .addColumn('password_hash', 'text', (c) => c.notNull())
    .addColumn('account_info', 'text', (c) => c.notNull())
    .addColumn('is_administrator', 'integer', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .execute()

  await db.schema
    .createTable('access_tokens')
    .addColumn('hash', 'text', (c) => c.primaryKey())
    .addColumn('hint', 'text', (c) => c.notNull())
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('user_id', 'text', (c) => c.notNull().references('users.id').onDelete('cascade'))
    .addColumn('client', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('expires_at', 'bigint')
    .execute()
  await db.schema.createIndex('access_tokens_user').on('access_tokens').column('user_id').execute()

  await db.schema
    .createTable('devices')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('name', 'text')
    .addColumn('name_key', 'text')
    .addColumn('owner_id', 'text', (c) => c.references('users.id').onDelete('set null'))
    .addColumn('platform_id', 'integer')
    .addColumn('product_id', 'integer')
    .addColumn('product_version', 'integer')
    .addColumn('notes', 'text')
    .addColumn('public_key', 'text')
    .addColumn('key_algorithm', 'text')
    .addColumn('provisioned_by', 'text')
    .addColumn('last_ip', 'text')
    .addColumn('last_heard_at', 'bigint')
    .addColumn('last_handshake_at', 'bigint')
    .addColumn('functions', 'text')
    .addColumn('variables', 'text')
    .addColumn('describe', 'text')
    .addColumn('status', 'text', (c) => c.notNull())
    .addColumn('updates_enabled', 'integer', (c) => c.notNull())
    .addColumn('updates_forced', 'integer', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .execute()
  // A null is equal to nothing in either database: unclaimed and unnamed devices do not collide.
  await db.schema.createIndex('devices_name').unique().on('devices').columns(['owner_id', 'name_key']).execute()

  await db.schema
    .createTable('claim_codes')
    .addColumn('code', 'text', (c) => c.primaryKey())
    .addColumn('user_id', 'text', (c) => c.notNull().references('users.id').onDelete('cascade'))
    .addColumn('device_id', 'text')
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('expires_at', 'bigint', (c) => c.notNull())
    .execute()

  await db.schema
    .createTable('binaries')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('user_id', 'text', (c) => c.notNull().references('users.id').onDelete('cascade'))
    .addColumn('platform_id', 'integer', (c) => c.notNull())
    .addColumn('target', 'text', (c) => c.notNull())
    .addColumn('content', bytes, (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('expires_at', 'bigint', (c) => c.notNull())
    .execute()
  await db.schema.createIndex('binaries_expiry').on('binaries').column('expires_at').execute()

  await db.schema
    .createTable('update_jobs')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('device_id', 'text', (c) => c.notNull())
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('requested_by', 'text')
    .addColumn('file', bytes)
    .addColumn('detail', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .addColumn('finished_at', 'bigint')
    .execute()
  await db.schema.createIndex('update_jobs_device').on('update_jobs').column('device_id').execute()
}

/** One for each device on UDP: what it must find again after a restart of the cloud (device-protocol.md 2.6.3). */
async function deviceSessions(db: Kysely<unknown>, { bytes }: ColumnTypes): Promise<void> {
  await db.schema
    .createTable('device_sessions')
    .addColumn('device_id', 'text', (c) => c.primaryKey())
    .addColumn('connection_id', 'text', (c) => c.unique())
    .addColumn('address', 'text', (c) => c.notNull())
    .addColumn('secrets', bytes, (c) => c.notNull())
    .addColumn('hello', bytes, (c) => c.notNull())
    .addColumn('subscriptions', 'text', (c) => c.notNull())
    .addColumn('state', 'integer', (c) => c.notNull())
    .addColumn('used_at', 'bigint', (c) => c.notNull())
    .execute()
}
