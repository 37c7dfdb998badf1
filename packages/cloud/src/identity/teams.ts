/** Who works on a product: people with roles, besides its owner. Durable, with a copy in memory. */
import type { Store } from '../store/store.ts'
import type { ProductRef } from './product-directory.ts'
import type { Role, TeamRole } from './scopes.ts'

export interface TeamMember {
  readonly productId: number
  readonly userId: string
  readonly role: TeamRole
  /** Unix milliseconds. */
  readonly createdAt: number
}

export class Teams {
  readonly #store: Store
  readonly #now: () => number
  readonly #ofProduct = new Map<number, Map<string, TeamMember>>()
  readonly #ofUser = new Map<string, Set<number>>()

  private constructor(store: Store, now: () => number) {
    this.#store = store
    this.#now = now
  }

  static async open(store: Store, now: () => number): Promise<Teams> {
    const teams = new Teams(store, now)
    for (const row of await store.db.selectFrom('team_members').selectAll().orderBy('created_at').execute()) {
      const { product_id, user_id, role, created_at } = row
      teams.#put({ productId: product_id, userId: user_id, role: role as TeamRole, createdAt: created_at })
    }
    return teams
  }

  /** What a person is in the product; undefined for a stranger. */
  roleOf(product: ProductRef, userId: string): Role | undefined {
    if (product.ownerId === userId) return 'Owner'
    return this.#ofProduct.get(product.id)?.get(userId)?.role
  }

  /** In the order in which they came; without the owner. */
  members(productId: number): TeamMember[] {
    return [...(this.#ofProduct.get(productId)?.values() ?? [])]
  }

  /** The products in whose teams a person is; without those that they own. */
  productsOf(userId: string): number[] {
    return [...(this.#ofUser.get(userId) ?? [])]
  }

  /** Takes a person into the team, or changes their role. */
  async set(productId: number, userId: string, role: TeamRole): Promise<TeamMember> {
    const createdAt = this.#ofProduct.get(productId)?.get(userId)?.createdAt ?? this.#now()
    await this.#store.db
      .insertInto('team_members')
      .values({ product_id: productId, user_id: userId, role, created_at: createdAt })
      .onConflict((conflict) => conflict.columns(['product_id', 'user_id']).doUpdateSet({ role }))
      .execute()
    const member = { productId, userId, role, createdAt }
    this.#put(member)
    return member
  }

  /** @returns false when they were not in the team */
  async remove(productId: number, userId: string): Promise<boolean> {
    if (!this.#ofProduct.get(productId)?.has(userId)) return false
    await this.#store.db
      .deleteFrom('team_members')
      .where('product_id', '=', productId)
      .where('user_id', '=', userId)
      .execute()
    this.#drop(productId, userId)
    return true
  }

  /** The product is gone. */
  async removeProduct(productId: number): Promise<void> {
    await this.#store.db.deleteFrom('team_members').where('product_id', '=', productId).execute()
    for (const { userId } of this.members(productId)) this.#drop(productId, userId)
  }

  /** The person is gone, and with their row in the store these of theirs. */
  forgetUser(userId: string): void {
    for (const productId of this.productsOf(userId)) this.#drop(productId, userId)
  }

  #drop(productId: number, userId: string): void {
    this.#ofProduct.get(productId)?.delete(userId)
    this.#ofUser.get(userId)?.delete(productId)
  }

  #put(member: TeamMember): void {
    const { productId, userId } = member
    const team = this.#ofProduct.get(productId) ?? new Map<string, TeamMember>()
    this.#ofProduct.set(productId, team.set(userId, member))
    this.#ofUser.set(userId, (this.#ofUser.get(userId) ?? new Set()).add(productId))
  }
}
