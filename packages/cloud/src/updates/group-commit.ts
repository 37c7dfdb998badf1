/**
 * Writes to the store that arrive together are committed together: a fleet's jobs change thousands of times a second,
 * and each commit waits for the disk. Whoever writes goes on when its change is durable.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Transaction } from 'kysely'
import type { Schema } from '../store/schema.ts'
import type { Store } from '../store/store.ts'

type Write = (db: Transaction<Schema>) => Promise<unknown>

interface Waiting {
  readonly write: Write
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** Nobody waits longer for the others than a commit of so many takes. */
const largestGroup = 500

export class GroupCommit {
  readonly #db: Store['db']
  #waiting: Waiting[] = []
  #running: Promise<void> | undefined

  constructor({ db }: Store) {
    this.#db = db
  }

  /** Resolves when the change is committed. Changes take effect in the order of the calls. */
  write(write: Write): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ write, resolve, reject })
      this.#running ??= this.#run().finally(() => {
        this.#running = undefined
      })
    })
  }

  async #run(): Promise<void> {
    // Those who write in the same turn of the event loop come along.
    await nextTurn()
    while (this.#waiting.length > 0) {
      const group = this.#waiting.splice(0, largestGroup)
      try {
        await this.#db.transaction().execute(async (db) => {
          for (const { write } of group) await write(db)
        })
        for (const { resolve } of group) resolve()
      } catch (error) {
        if (group.length === 1) group[0]?.reject(error)
        // One that cannot be written must not take the others with it.
        else for (const waiting of group) await this.#alone(waiting)
      }
    }
  }

  async #alone({ write, resolve, reject }: Waiting): Promise<void> {
    await this.#db
      .transaction()
      .execute(write)
      .then(() => resolve(), reject)
  }
}
