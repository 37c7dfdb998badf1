/** The integrations: durable, and all in memory, so that events ask no database. */
import type { Selectable } from 'kysely'
import { newId } from '../store/id.ts'
import type { Store } from '../store/store.ts'
import type { IntegrationTable } from '../store/tables/integrations.ts'
import {
  type Integration,
  IntegrationError,
  type IntegrationOwner,
  sameOwner,
  type WebhookSettings,
} from './integration.ts'

export interface IntegrationStoreOptions {
  readonly store: Store
  /** Unix milliseconds. */
  readonly now: () => number
  /** How many a user or a product may have. */
  readonly perOwner: number
}

export class IntegrationStore {
  readonly #options: IntegrationStoreOptions
  readonly #byId = new Map<string, Integration>()

  private constructor(options: IntegrationStoreOptions) {
    this.#options = options
  }

  static async open(options: IntegrationStoreOptions): Promise<IntegrationStore> {
    const opened = new IntegrationStore(options)
    const rows = await options.store.db.selectFrom('integrations').selectAll().orderBy('created_at').execute()
    for (const row of rows) {
      const integration = fromRow(row)
      if (integration) opened.#byId.set(integration.id, integration)
    }
    return opened
  }

  get size(): number {
    return this.#byId.size
  }

  get(id: string): Integration | undefined {
    return this.#byId.get(id)
  }

  all(): IterableIterator<Integration> {
    return this.#byId.values()
  }

  /** In the order in which they were made. */
  list(owner: IntegrationOwner): Integration[] {
    return [...this.#byId.values()].filter((integration) => sameOwner(integration.owner, owner))
  }

  /** @throws IntegrationError when the owner has too many */
  async create(owner: IntegrationOwner, settings: WebhookSettings): Promise<Integration> {
    const { store, now, perOwner } = this.#options
    if (this.list(owner).length >= perOwner) {
      throw new IntegrationError(
        'too-many',
        `There are ${perOwner} integrations already, which is as many as there can be`,
      )
    }
    const createdAt = now()
    const integration: Integration = { id: newId(), owner, settings, createdAt, updatedAt: createdAt }
    await store.db
      .insertInto('integrations')
      .values({
        id: integration.id,
        user_id: owner.kind === 'user' ? owner.userId : null,
        product_id: owner.kind === 'product' ? owner.productId : null,
        settings: JSON.stringify(settings),
        created_at: createdAt,
        updated_at: createdAt,
      })
      .execute()
    this.#byId.set(integration.id, integration)
    return integration
  }

  /** @returns undefined when it was deleted meanwhile */
  async replace(id: string, settings: WebhookSettings): Promise<Integration | undefined> {
    const { store, now } = this.#options
    const updatedAt = now()
    await store.db
      .updateTable('integrations')
      .set({ settings: JSON.stringify(settings), updated_at: updatedAt })
      .where('id', '=', id)
      .execute()
    const before = this.#byId.get(id)
    if (!before) return undefined
    const after: Integration = { ...before, settings, updatedAt }
    this.#byId.set(id, after)
    return after
  }

  async delete(id: string): Promise<void> {
    await this.#options.store.db.deleteFrom('integrations').where('id', '=', id).execute()
    this.#byId.delete(id)
  }
}

function fromRow(row: Selectable<IntegrationTable>): Integration | undefined {
  const owner = ownerOf(row)
  if (!owner) return undefined
  const settings = JSON.parse(row.settings) as WebhookSettings
  return { id: row.id, owner, settings, createdAt: row.created_at, updatedAt: row.updated_at }
}

function ownerOf({ user_id, product_id }: Selectable<IntegrationTable>): IntegrationOwner | undefined {
  if (user_id !== null) return { kind: 'user', userId: user_id }
  return product_id === null ? undefined : { kind: 'product', productId: product_id }
}
