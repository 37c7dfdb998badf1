/** The cloud's durable state: one place where the database is opened and brought to the present schema. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { Kysely } from 'kysely'
import { Migrator } from 'kysely/migration'
import { migrations } from './migrations.ts'
import type { Schema } from './schema.ts'
import { openSqlite, sqliteDialect } from './sqlite-dialect.ts'

export interface Store {
  readonly db: Kysely<Schema>
  close(): Promise<void>
}

/** The state cannot be used; the message says what to do. */
export class StoreError extends Error {
  readonly code: 'in-use' | 'cannot-open' | 'migration-failed'

  constructor(code: StoreError['code'], message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'StoreError'
    this.code = code
  }
}

/**
 * Opens (and makes) the store of a data folder: `<dataDir>/aloe.db`.
 *
 * @param dataDir folder that is made when absent; undefined for a store in memory that ends with the process
 * @throws StoreError when another process has it open, or when it cannot be opened or migrated
 */
export async function openStore(dataDir?: string): Promise<Store> {
  const db = new Kysely<Schema>({ dialect: sqliteDialect(open(dataDir)) })
  const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations('sqlite') } })
  const { error } = await migrator.migrateToLatest()
  if (error) {
    await db.destroy()
    throw new StoreError('migration-failed', 'The database could not be brought to the present schema', error)
  }
  return { db, close: () => db.destroy() }
}

function open(dataDir: string | undefined): DatabaseSync {
  if (dataDir === undefined) return openSqlite({ path: ':memory:' })
  const path = join(dataDir, 'aloe.db')
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 })
    return openSqlite({ path })
  } catch (error) {
    if (error instanceof Error && /locked/.test(error.message)) {
      throw new StoreError('in-use', `${path} is in use: another Aloe cloud runs on this data folder`, error)
    }
    throw new StoreError('cannot-open', `${path} cannot be opened: ${String(error)}`, error)
  }
}
