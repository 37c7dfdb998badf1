/** The few column types that SQLite and PostgreSQL spell differently. */
import { type RawBuilder, sql } from 'kysely'

export type Database = 'sqlite' | 'postgres'

export interface ColumnTypes {
  readonly bytes: RawBuilder<unknown>
}

export const columnTypes: Record<Database, ColumnTypes> = {
  sqlite: { bytes: sql.raw('blob') },
  postgres: { bytes: sql.raw('bytea') },
}
