/**
 * API users: programs in the team of a product, with one token that does not expire and the scopes they were given
 * (cloud-api.md 5.1). Durable, with a copy in memory.
 */
import { randomBytes } from 'node:crypto'
import type { Store } from '../store/store.ts'
import { IdentityError } from './identity-error.ts'
import type { GrantedScope, ScopeGrant } from './scopes.ts'
import type { Tokens } from './tokens.ts'
import type { User, Users } from './users.ts'

export interface ApiUser {
  readonly user: User
  readonly productId: number
  readonly friendlyName: string
  readonly scopes: ScopeGrant
  readonly createdAt: number
}

/** The client of which their tokens say that they were made with it. */
const client = '__PARTICLE_API_USER__'
const apiUsersPerProduct = 100
const longestName = 64

export class ApiUsers {
  readonly #store: Store
  readonly #now: () => number
  readonly #users: Users
  readonly #tokens: Tokens
  readonly #byId = new Map<string, ApiUser>()

  private constructor(store: Store, now: () => number, users: Users, tokens: Tokens) {
    this.#store = store
    this.#now = now
    this.#users = users
    this.#tokens = tokens
  }

  static async open(store: Store, now: () => number, users: Users, tokens: Tokens): Promise<ApiUsers> {
    const apiUsers = new ApiUsers(store, now, users, tokens)
    for (const row of await store.db.selectFrom('api_users').selectAll().orderBy('created_at').execute()) {
      const user = users.get(row.user_id)
      if (!user) continue
      apiUsers.#byId.set(user.id, {
        user,
        productId: row.product_id,
        friendlyName: row.friendly_name,
        scopes: new Set(JSON.parse(row.scopes) as GrantedScope[]),
        createdAt: row.created_at,
      })
    }
    return apiUsers
  }

  get(userId: string): ApiUser | undefined {
    return this.#byId.get(userId)
  }

  list(productId: number): ApiUser[] {
    return [...this.#byId.values()].filter((apiUser) => apiUser.productId === productId)
  }

  find(productId: number, username: string): ApiUser | undefined {
    return this.list(productId).find(({ user }) => user.username === username.toLowerCase())
  }

  /**
   * @returns its token too, which is nowhere else
   * @throws IdentityError 'bad-api-user'
   */
  async create(
    productId: number,
    friendlyName: string,
    scopes: ScopeGrant,
  ): Promise<{ apiUser: ApiUser; token: string }> {
    checkName(friendlyName)
    if (this.list(productId).length >= apiUsersPerProduct) {
      throw new IdentityError('bad-api-user', `A product can have ${apiUsersPerProduct} API users`)
    }
    const username = newUsername(friendlyName)
    const user = await this.#users.createOfProduct({ kind: 'api-user', productId, username, password: null })
    const apiUser: ApiUser = { user, productId, friendlyName, scopes, createdAt: this.#now() }
    await this.#store.db
      .insertInto('api_users')
      .values({
        user_id: user.id,
        product_id: productId,
        friendly_name: friendlyName,
        scopes: JSON.stringify([...scopes]),
        created_at: apiUser.createdAt,
      })
      .execute()
    this.#byId.set(user.id, apiUser)
    return { apiUser, token: await this.rotate(user.id) }
  }

  /**
   * A change of its scopes gives it another token.
   * @throws IdentityError 'bad-api-user'
   */
  async update(
    userId: string,
    { friendlyName, scopes }: { friendlyName?: string; scopes?: ScopeGrant },
  ): Promise<{ apiUser: ApiUser; token?: string }> {
    const before = this.#byId.get(userId)
    if (!before) throw new IdentityError('bad-api-user', 'There is no such API user')
    if (friendlyName !== undefined) checkName(friendlyName)
    const apiUser = { ...before, friendlyName: friendlyName ?? before.friendlyName, scopes: scopes ?? before.scopes }
    await this.#store.db
      .updateTable('api_users')
      .set({ friendly_name: apiUser.friendlyName, scopes: JSON.stringify([...apiUser.scopes]) })
      .where('user_id', '=', userId)
      .execute()
    this.#byId.set(userId, apiUser)
    return scopes === undefined ? { apiUser } : { apiUser, token: await this.rotate(userId) }
  }

  /** Ends its token and gives it another. */
  async rotate(userId: string): Promise<string> {
    await this.#tokens.revokeAll(userId)
    return (await this.#tokens.issue(userId, client, null)).token
  }

  async remove(userId: string): Promise<void> {
    await this.#users.remove(userId)
    this.#tokens.forgetUser(userId)
    this.#byId.delete(userId)
  }

  /** The product is gone, and with its users these. */
  forgetProduct(productId: number): void {
    for (const { user } of this.list(productId)) this.#byId.delete(user.id)
  }
}

function checkName(name: string): void {
  if (name.trim() !== '' && name.length <= longestName && !/\p{Cc}/u.test(name)) return
  throw new IdentityError('bad-api-user', `"friendly_name" has 1 to ${longestName} characters`)
}

/** `name+random@api.particle.io` (cloud-api.md 5.1). */
function newUsername(friendlyName: string): string {
  const words = friendlyName
    .normalize('NFKD')
    .toLowerCase()
    .match(/[a-z0-9]+/g) ?? ['api']
  return `${words.join('-')}+${randomBytes(5).toString('hex')}@api.particle.io`
}
