/** The replay log of events, and vitals: tables and what makes them. */
import type { Kysely } from 'kysely'
import type { ColumnTypes } from '../column-types.ts'

export interface TelemetryTables {
  readonly event_log: EventLogTable
  readonly event_log_state: EventLogStateTable
  readonly vitals: VitalsTable
}

/** Owned by `events/`: one row for each group of events, so that a commit costs the same for one as for a thousand. */
export interface EventLogTable {
  /** Ids of the first and the last event of the group. */
  first_id: number
  last_id: number
  /** 0 marks a place where events may be missing. */
  count: number
  /** Unix milliseconds. */
  sealed_at: number
  /** What `event-group.ts` makes of the events. */
  content: Uint8Array
}

/** One row. */
export interface EventLogStateTable {
  id: number
  /** 1 when the last process wrote all that it had. */
  clean: number
}

/** Owned by `vitals/`: what devices said of their health. */
export interface VitalsTable {
  device_id: string
  /** Whose the device was. */
  owner_id: string | null
  /** Unix milliseconds. */
  updated_at: number
  /** JSON object: `device` and `service`. */
  payload: string
}

export async function up(db: Kysely<unknown>, { bytes }: ColumnTypes): Promise<void> {
  await db.schema
    .createTable('event_log')
    .addColumn('first_id', 'bigint', (c) => c.primaryKey())
    .addColumn('last_id', 'bigint', (c) => c.notNull())
    .addColumn('count', 'integer', (c) => c.notNull())
    .addColumn('sealed_at', 'bigint', (c) => c.notNull())
    .addColumn('content', bytes, (c) => c.notNull())
    .execute()
  await db.schema
    .createTable('event_log_state')
    .addColumn('id', 'integer', (c) => c.primaryKey())
    .addColumn('clean', 'integer', (c) => c.notNull())
    .execute()

  await db.schema
    .createTable('vitals')
    .addColumn('device_id', 'text', (c) => c.notNull())
    .addColumn('owner_id', 'text')
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .addColumn('payload', 'text', (c) => c.notNull())
    .execute()
  await db.schema.createIndex('vitals_device').on('vitals').columns(['device_id', 'updated_at']).execute()
  await db.schema.createIndex('vitals_age').on('vitals').column('updated_at').execute()
}
