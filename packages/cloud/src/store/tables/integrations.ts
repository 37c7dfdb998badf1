/** Webhooks, and their deliveries: tables and what makes them. */
import type { Kysely } from 'kysely'
import type { ColumnTypes } from '../column-types.ts'

// biome-ignore lint/suspicious/noEmptyInterface: filled by what comes
export interface IntegrationTables {}

export async function up(_db: Kysely<unknown>, _types: ColumnTypes): Promise<void> {}
