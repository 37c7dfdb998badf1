/** One process at a time changes a catalogue folder: a cloud, or the command line when no cloud runs on it. */
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { ImportError } from './import-error.ts'

/** An empty database: its lock is the system's, and ends with the process however that ends. */
const filename = '.lock'

/** @throws ImportError `in-use` */
export function lockCatalogueFolder(folder: string): () => void {
  const database = new DatabaseSync(join(folder, filename), { timeout: 500 })
  try {
    database.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT')
  } catch (error) {
    database.close()
    throw new ImportError(
      'in-use',
      `${folder} is in use: a cloud runs on this data folder. Log in to it and go without --data-dir`,
      error,
    )
  }
  return () => database.close()
}
