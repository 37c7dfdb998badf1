/**
 * Kysely over `node:sqlite`.
 *
 * Kysely's SqliteDialect expects another driver's interface: it hands parameters over as one array, which node:sqlite
 * would take for named parameters, and asks a statement whether it returns rows. This wrapper translates both, and keeps
 * prepared statements, so that a query that comes back is not parsed again.
 */
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { SqliteDialect } from 'kysely'

/** More kept statements than there are distinct queries in the cloud; a bound all the same. */
const keptStatements = 500

export interface SqliteOptions {
  /** Path of the database file, or ':memory:'. */
  readonly path: string
}

/**
 * Opens the database file for this process alone.
 *
 * WAL with `synchronous = FULL` syncs the log at every commit: what was committed survives kill -9 and a power cut.
 * The exclusive lock keeps a second cloud out, whose writes the copy in this one's memory would not see.
 */
export function openSqlite({ path }: SqliteOptions): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: 2_000 })
  try {
    database.exec(
      'PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; BEGIN EXCLUSIVE; COMMIT;',
    )
  } catch (error) {
    database.close()
    throw error
  }
  return database
}

/** The Kysely dialect for an open database; `destroy()` of the Kysely instance closes it. */
export function sqliteDialect(database: Pick<DatabaseSync, 'prepare' | 'close'>): SqliteDialect {
  const kept = new Map<string, StatementSync>()
  const statement = (sql: string): StatementSync => {
    let found = kept.get(sql)
    if (!found) {
      found = database.prepare(sql)
      if (kept.size >= keptStatements) kept.clear()
      kept.set(sql, found)
    }
    return found
  }
  return new SqliteDialect({
    database: {
      close: () => database.close(),
      prepare(sql) {
        const prepared = statement(sql)
        return {
          reader: prepared.columns().length > 0,
          all: (parameters) => prepared.all(...bindable(parameters)),
          run: (parameters) => prepared.run(...bindable(parameters)),
          iterate: (parameters) => prepared.iterate(...bindable(parameters)),
        }
      },
    },
  })
}

function bindable(parameters: ReadonlyArray<unknown>): SQLInputValue[] {
  return parameters.map((value) => {
    if (typeof value === 'boolean') return value ? 1 : 0
    return value as SQLInputValue
  })
}
