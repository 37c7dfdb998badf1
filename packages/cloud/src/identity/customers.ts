/**
 * Customers of products: people who have devices of somebody's product and use them through somebody's application. An
 * address is a customer of one product; the same address may be another product's, and a user of this cloud too.
 */
import type { Store } from '../store/store.ts'
import { IdentityError } from './identity-error.ts'
import type { Tokens } from './tokens.ts'
import type { User, Users } from './users.ts'

export interface Customer {
  readonly user: User
  readonly productId: number
  readonly createdAt: number
}

export class Customers {
  readonly #store: Store
  readonly #now: () => number
  readonly #users: Users
  readonly #tokens: Tokens
  readonly #ofProduct = new Map<number, Map<string, Customer>>()
  readonly #underWay = new Set<string>()

  private constructor(store: Store, now: () => number, users: Users, tokens: Tokens) {
    this.#store = store
    this.#now = now
    this.#users = users
    this.#tokens = tokens
  }

  static async open(store: Store, now: () => number, users: Users, tokens: Tokens): Promise<Customers> {
    const customers = new Customers(store, now, users, tokens)
    for (const row of await store.db.selectFrom('customers').selectAll().orderBy('created_at').execute()) {
      const user = users.get(row.user_id)
      if (user) customers.#put({ user, productId: row.product_id, createdAt: row.created_at })
    }
    return customers
  }

  find(productId: number, email: string): Customer | undefined {
    return this.#ofProduct.get(productId)?.get(email.trim().toLowerCase())
  }

  /** In the order in which they came. */
  list(productId: number): Customer[] {
    return [...(this.#ofProduct.get(productId)?.values() ?? [])]
  }

  /**
   * @param password null for one for whom the product's own server logs in
   * @throws IdentityError 'bad-username', 'bad-password' or 'username-taken'
   */
  async create(productId: number, email: string, password: string | null): Promise<Customer> {
    const name = email.trim().toLowerCase()
    const key = `${productId} ${name}`
    if (this.find(productId, name) || this.#underWay.has(key)) {
      throw new IdentityError('username-taken', 'The product has a customer with this address')
    }
    this.#underWay.add(key)
    try {
      const user = await this.#users.createOfProduct({ kind: 'customer', productId, username: name, password })
      const customer = { user, productId, createdAt: this.#now() }
      await this.#store.db
        .insertInto('customers')
        .values({ user_id: user.id, product_id: productId, email: name, created_at: customer.createdAt })
        .execute()
      this.#put(customer)
      return customer
    } finally {
      this.#underWay.delete(key)
    }
  }

  /** Ends the customer's tokens. @throws IdentityError 'bad-password' */
  async setPassword({ user }: Customer, password: string): Promise<void> {
    await this.#users.setPassword(user.id, password)
    await this.#tokens.revokeAll(user.id)
  }

  async remove({ user, productId }: Customer): Promise<void> {
    await this.#users.remove(user.id)
    this.#tokens.forgetUser(user.id)
    this.#ofProduct.get(productId)?.delete(user.username)
  }

  /** The product is gone, and with its users these. */
  forgetProduct(productId: number): void {
    this.#ofProduct.delete(productId)
  }

  #put(customer: Customer): void {
    const { productId, user } = customer
    const customers = this.#ofProduct.get(productId) ?? new Map<string, Customer>()
    this.#ofProduct.set(productId, customers.set(user.username, customer))
  }
}
