/**
 * A store that outlives clouds which are killed: SQLite in memory, opened by one cloud after the other. What a killed
 * cloud had begun to write is rolled back, and what it still does, as promises go on after their process has ended in a
 * simulation, has no effect and no answer.
 */
import type { DatabaseSync } from 'node:sqlite'
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  Kysely,
  type QueryResult,
} from 'kysely'
import { Migrator } from 'kysely/migration'
import { migrations } from '../store/migrations.ts'
import type { Schema } from '../store/schema.ts'
import { openSqlite, sqliteDialect } from '../store/sqlite-dialect.ts'
import { type Store, StoreError } from '../store/store.ts'

/** The store as one cloud sees it. */
export interface StoreLife extends Store {
  /** The cloud ends here, in the middle of whatever it does. */
  kill(): void
}

export interface CoreStore {
  open(): StoreLife
  close(): void
}

/** @throws StoreError when the schema cannot be made */
export async function openCoreStore(): Promise<CoreStore> {
  const database = openSqlite({ path: ':memory:' })
  const db = new Kysely<Schema>({ dialect: sqliteDialect(kept(database)) })
  const { error } = await new Migrator({
    db,
    provider: { getMigrations: async () => migrations('sqlite') },
  }).migrateToLatest()
  if (error) throw new StoreError('migration-failed', 'The database could not be brought to the present schema', error)
  await db.destroy()
  return {
    open: () => life(database),
    close: () => database.close(),
  }
}

/** The end of a cloud is not the end of the database. */
function kept(database: DatabaseSync): Pick<DatabaseSync, 'prepare' | 'close'> {
  return { prepare: (sql) => database.prepare(sql), close: () => {} }
}

function life(database: DatabaseSync): StoreLife {
  const mortality = { dead: false }
  const db = new Kysely<Schema>({ dialect: mortal(sqliteDialect(kept(database)), mortality) })
  return {
    db,
    close: () => db.destroy(),
    kill() {
      mortality.dead = true
      if (database.isTransaction) database.exec('ROLLBACK')
    },
  }
}

/** The same dialect, whose queries are never answered once it is dead. */
function mortal(dialect: Dialect, mortality: { readonly dead: boolean }): Dialect {
  return {
    createAdapter: () => dialect.createAdapter(),
    createIntrospector: (db) => dialect.createIntrospector(db),
    createQueryCompiler: () => dialect.createQueryCompiler(),
    createDriver: () => mortalDriver(dialect.createDriver(), mortality),
  }
}

function mortalDriver(driver: Driver, mortality: { readonly dead: boolean }): Driver {
  const inner = new WeakMap<DatabaseConnection, DatabaseConnection>()
  const never = new Promise<never>(() => {})
  const real = (connection: DatabaseConnection): DatabaseConnection => inner.get(connection) ?? connection
  return {
    init: (options) => driver.init(options),
    destroy: () => driver.destroy(),
    async acquireConnection() {
      const connection = await driver.acquireConnection()
      const guarded: DatabaseConnection = {
        executeQuery: <R>(query: CompiledQuery): Promise<QueryResult<R>> =>
          mortality.dead ? never : connection.executeQuery<R>(query),
        streamQuery: (query, chunkSize) => connection.streamQuery(query, chunkSize),
      }
      inner.set(guarded, connection)
      return guarded
    },
    beginTransaction: (connection, settings) =>
      mortality.dead ? never : driver.beginTransaction(real(connection), settings),
    commitTransaction: (connection) => (mortality.dead ? never : driver.commitTransaction(real(connection))),
    rollbackTransaction: (connection) => (mortality.dead ? never : driver.rollbackTransaction(real(connection))),
    releaseConnection: (connection) => driver.releaseConnection(real(connection)),
  }
}
