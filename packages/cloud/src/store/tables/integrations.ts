/** Webhooks, and their deliveries: tables and what makes them. */
import type { Kysely } from 'kysely'
import type { ColumnTypes } from '../column-types.ts'

export interface IntegrationTables {
  readonly integrations: IntegrationTable
  readonly webhook_deliveries: WebhookDeliveryTable
}

export interface IntegrationTable {
  id: string
  /** Exactly one of both is set: an integration is of a user or of a product. */
  user_id: string | null
  product_id: number | null
  /** JSON of a WebhookSettings. */
  settings: string
  created_at: number
  updated_at: number
}

/** Owned by `integrations/`: what waits to be sent, and what could not be. */
export interface WebhookDeliveryTable {
  id: string
  integration_id: string
  state: 'waiting' | 'dead'
  /** JSON of the event that triggered it. */
  event: string
  /** Tries that have been made. */
  attempts: number
  /** When it is tried next; of a dead letter, when it died. */
  due_at: number
  /** What went wrong last. */
  error: string | null
  /** The node that has it, and until when nobody else may take it. */
  lease_by: string | null
  lease_until: number
  created_at: number
}

export async function up(db: Kysely<unknown>, _types: ColumnTypes): Promise<void> {
  await db.schema
    .createTable('integrations')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('user_id', 'text', (c) => c.references('users.id').onDelete('cascade'))
    .addColumn('product_id', 'integer')
    .addColumn('settings', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .execute()

  // No reference to the integration: one row whose integration went meanwhile must not fail the group it is written with.
  await db.schema
    .createTable('webhook_deliveries')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('integration_id', 'text', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('event', 'text', (c) => c.notNull())
    .addColumn('attempts', 'integer', (c) => c.notNull())
    .addColumn('due_at', 'bigint', (c) => c.notNull())
    .addColumn('error', 'text')
    .addColumn('lease_by', 'text')
    .addColumn('lease_until', 'bigint', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .execute()
  await db.schema
    .createIndex('webhook_deliveries_integration')
    .on('webhook_deliveries')
    .columns(['integration_id', 'state', 'due_at'])
    .execute()
  await db.schema
    .createIndex('webhook_deliveries_lease')
    .on('webhook_deliveries')
    .columns(['state', 'lease_until'])
    .execute()
}
