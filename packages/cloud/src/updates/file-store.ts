/**
 * The files that jobs send, by hash: one that goes to a whole fleet lies in the store, and in memory, once. Assets are
 * kept after their job, for devices that lack them later.
 */
import { type CatalogueModule, sha256Hex } from '@aloe/firmware'
import type { Store } from '../store/store.ts'
import type { Catalogue } from './catalogue.ts'
import type { GroupCommit } from './group-commit.ts'

/** Files that stay in memory for the next device. */
const remembered = 16
const rememberedModules = 24

export class FileStore {
  readonly #db: Store['db']
  readonly #commits: GroupCommit
  readonly #now: () => number
  /** Read last, newest at the end. */
  readonly #recent = new Map<string, Uint8Array>()
  readonly #modules = new Map<CatalogueModule, Uint8Array>()
  /** Files that are about to be named by a job. */
  readonly #fresh = new Map<string, number>()

  /** @param now Unix milliseconds */
  constructor({ db }: Store, commits: GroupCommit, now: () => number) {
    this.#db = db
    this.#commits = commits
    this.#now = now
  }

  /** Keeps a file for jobs. @param hash its own, where it is known: it takes long @returns its hash */
  async keep(content: Uint8Array, hash = sha256Hex(content)): Promise<string> {
    this.#fresh.set(hash, this.#now())
    if (!this.#recent.has(hash)) await this.#insert('update_files', hash, content)
    this.#remember(hash, content)
    return hash
  }

  /** Keeps an application's asset. */
  async keepAsset(content: Uint8Array): Promise<string> {
    const hash = sha256Hex(content)
    await this.#insert('update_assets', hash, content)
    this.#remember(`asset ${hash}`, content)
    return hash
  }

  /** A module of the catalogue, which may lie on the disk. @throws what the catalogue throws */
  module(catalogue: Catalogue, module: CatalogueModule): Uint8Array {
    const known = this.#modules.get(module)
    if (known) return known
    const bytes = catalogue.moduleBytes(module)
    if (this.#modules.size >= rememberedModules) this.#modules.delete(this.#modules.keys().next().value ?? module)
    this.#modules.set(module, bytes)
    return bytes
  }

  async get(hash: string): Promise<Uint8Array | undefined> {
    return this.#recent.get(hash) ?? (await this.#read('update_files', hash))
  }

  async asset(hash: string): Promise<Uint8Array | undefined> {
    return this.#recent.get(`asset ${hash}`) ?? (await this.#read('update_assets', hash))
  }

  /** Removes files that no job names any more. */
  async sweep(): Promise<void> {
    const now = this.#now()
    // Between `keep` and the job that names it.
    for (const [hash, at] of this.#fresh) if (now - at > 60_000) this.#fresh.delete(hash)
    const kept = [...this.#fresh.keys()]
    this.#recent.clear()
    await this.#commits.write(async (db) => {
      const named = db.selectFrom('update_jobs').select('file_hash').where('file_hash', 'is not', null)
      let query = db.deleteFrom('update_files').where('hash', 'not in', named)
      if (kept.length > 0) query = query.where('hash', 'not in', kept)
      await query.execute()
    })
  }

  async #insert(table: 'update_files' | 'update_assets', hash: string, content: Uint8Array): Promise<void> {
    const row = { hash, content, created_at: this.#now() }
    await this.#commits.write((db) =>
      db
        .insertInto(table)
        .values(row)
        .onConflict((conflict) => conflict.column('hash').doNothing())
        .execute(),
    )
  }

  async #read(table: 'update_files' | 'update_assets', hash: string): Promise<Uint8Array | undefined> {
    const row = await this.#db.selectFrom(table).select('content').where('hash', '=', hash).executeTakeFirst()
    if (!row) return undefined
    const content = new Uint8Array(row.content)
    this.#remember(table === 'update_assets' ? `asset ${hash}` : hash, content)
    return content
  }

  #remember(hash: string, content: Uint8Array): void {
    this.#recent.delete(hash)
    this.#recent.set(hash, content)
    if (this.#recent.size > remembered) this.#recent.delete(this.#recent.keys().next().value ?? '')
  }
}
