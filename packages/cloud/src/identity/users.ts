/** Users: durable in the store, with a copy in memory. */
import type { Selectable, Updateable } from 'kysely'
import { newId } from '../store/id.ts'
import type { UserTable } from '../store/schema.ts'
import type { Store } from '../store/store.ts'
import { IdentityError } from './identity-error.ts'
import { hashPassword, type PasswordCost, verifyPassword } from './passwords.ts'

/**
 * Everybody who can hold a token is here: people, who log in; the API users and customers of products; and the clients
 * of products, for their own tokens.
 */
export type UserKind = 'person' | 'api-user' | 'customer' | 'client'

export interface User {
  readonly id: string
  readonly kind: UserKind
  /** Of those that belong to a product; null for people. */
  readonly productId: number | null
  /** Lower case. Of customers their address, of which other products may have customers too. */
  readonly username: string
  readonly administrator: boolean
  readonly accountInfo: Readonly<Record<string, unknown>>
  readonly createdAt: number
}

interface StoredUser extends User {
  readonly passwordHash: string
}

/** One that belongs to a product. */
export interface NewProductUser {
  readonly kind: Exclude<UserKind, 'person'>
  readonly productId: number
  readonly id?: string
  readonly username: string
  /** Null for one that has none, and so cannot log in with one. */
  readonly password: string | null
}

export interface NewUserOptions {
  readonly administrator?: boolean
  readonly accountInfo?: User['accountInfo']
  /** Takes a short password too: of who starts the cloud, and could as well change the database. */
  readonly anyPassword?: boolean
}

const usernameLimit = 254
const passwordLimits = { shortest: 8, longest: 1_024 }
const accountInfoLimit = 8_192

export class Users {
  readonly #store: Store
  readonly #now: () => number
  readonly #cost: PasswordCost
  readonly #byId = new Map<string, StoredUser>()
  /** Of people only. */
  readonly #idByName = new Map<string, string>()
  /** What a password for a name that nobody has is compared with, so that both take the same time. */
  readonly #nobody: string

  private constructor(store: Store, now: () => number, cost: PasswordCost, nobody: string) {
    this.#store = store
    this.#now = now
    this.#cost = cost
    this.#nobody = nobody
  }

  static async open(store: Store, now: () => number, cost: PasswordCost): Promise<Users> {
    const users = new Users(store, now, cost, await hashPassword(newId(), cost))
    for (const row of await store.db.selectFrom('users').selectAll().execute()) users.#put(fromRow(row))
    return users
  }

  get(id: string): User | undefined {
    return this.#byId.get(id)
  }

  /** The person with this name. */
  find(username: string): User | undefined {
    return this.#byId.get(this.#idByName.get(username.trim().toLowerCase()) ?? '')
  }

  get size(): number {
    return this.#byId.size
  }

  /** In the order in which they came. */
  people(): User[] {
    return [...this.#byId.values()].filter(({ kind }) => kind === 'person')
  }

  administrators(): User[] {
    return [...this.#byId.values()].filter(({ administrator }) => administrator)
  }

  /** The user with this name and password; undefined when there is none. */
  verify(username: string, password: string): Promise<User | undefined> {
    return this.verifyId(this.find(username)?.id, password)
  }

  /** The same for one that is known by its id; takes as long when there is none, and when it has no password. */
  async verifyId(id: string | undefined, password: string): Promise<User | undefined> {
    const user = this.#byId.get(id ?? '')
    const hash = user?.passwordHash || this.#nobody
    const right = password.length <= passwordLimits.longest && (await verifyPassword(password, hash))
    // Its password may have been changed, or it was removed, while this one was checked.
    const now = this.#byId.get(id ?? '')
    return right && user && now?.passwordHash === user.passwordHash && now.passwordHash !== '' ? now : undefined
  }

  /** @throws IdentityError 'bad-username', 'bad-password', 'bad-account-info' or 'username-taken' */
  async create(username: string, password: string, options: NewUserOptions = {}): Promise<User> {
    const { administrator = false, accountInfo = {}, anyPassword = false } = options
    const name = checkUsername(username)
    checkAccountInfo(accountInfo)
    const passwordHash = await hashPassword(checkPassword(password, anyPassword), this.#cost)
    const now = this.#now()
    const user: StoredUser = {
      id: newId(),
      kind: 'person',
      productId: null,
      username: name,
      administrator,
      accountInfo,
      passwordHash,
      createdAt: now,
    }
    await this.#unique(name, () => this.#insert(user, name))
    this.#put(user)
    return user
  }

  /** @throws IdentityError 'bad-username' or 'bad-password' */
  async createOfProduct({ kind, productId, id = newId(), username, password }: NewProductUser): Promise<User> {
    const name = checkUsername(username)
    const passwordHash = password === null ? '' : await hashPassword(checkPassword(password, false), this.#cost)
    const user: StoredUser = {
      id,
      kind,
      productId,
      username: name,
      administrator: false,
      accountInfo: {},
      passwordHash,
      createdAt: this.#now(),
    }
    // A colon is in nobody's name: these names are in the way of no person's, nor of another product's.
    await this.#insert(user, `${kind}:${productId}:${id}:${name}`)
    this.#put(user)
    return user
  }

  async setUsername(id: string, username: string): Promise<void> {
    const name = checkUsername(username)
    await this.#unique(name, () => this.#update(id, { username: name }), id)
    const before = this.#byId.get(id)
    if (!before) return
    this.#idByName.delete(before.username)
    this.#put({ ...before, username: name })
  }

  /** @throws IdentityError 'bad-password' when it would not be taken */
  checkPassword(password: string): void {
    checkPassword(password, false)
  }

  async setPassword(id: string, password: string, { anyPassword = false } = {}): Promise<void> {
    const passwordHash = await hashPassword(checkPassword(password, anyPassword), this.#cost)
    await this.#update(id, { password_hash: passwordHash })
    this.#apply(id, { passwordHash })
  }

  async setAccountInfo(id: string, changes: User['accountInfo']): Promise<void> {
    const accountInfo = { ...this.#byId.get(id)?.accountInfo, ...changes }
    checkAccountInfo(accountInfo)
    await this.#update(id, { account_info: JSON.stringify(accountInfo) })
    this.#apply(id, { accountInfo })
  }

  async remove(id: string): Promise<void> {
    const user = this.#byId.get(id)
    if (user?.administrator && this.administrators().length === 1) {
      throw new IdentityError('last-administrator', 'The last administrator cannot be removed')
    }
    await this.#store.db.deleteFrom('users').where('id', '=', id).execute()
    this.#byId.delete(id)
    if (user?.kind === 'person') this.#idByName.delete(user.username)
  }

  /** All that belong to a product: it is gone. @returns their ids */
  async removeOfProduct(productId: number): Promise<string[]> {
    const ids = [...this.#byId.values()].filter((user) => user.productId === productId).map(({ id }) => id)
    await this.#store.db.deleteFrom('users').where('product_id', '=', productId).execute()
    for (const id of ids) this.#byId.delete(id)
    return ids
  }

  #insert(user: StoredUser, uniqueName: string): Promise<unknown> {
    const row = {
      id: user.id,
      kind: user.kind,
      product_id: user.productId,
      username: uniqueName,
      password_hash: user.passwordHash,
      account_info: JSON.stringify(user.accountInfo),
      is_administrator: user.administrator ? 1 : 0,
      created_at: user.createdAt,
      updated_at: user.createdAt,
    }
    return this.#store.db.insertInto('users').values(row).execute()
  }

  async #unique(name: string, write: () => Promise<unknown>, except?: string): Promise<void> {
    const taken = new IdentityError('username-taken', 'A user with this name exists')
    const known = this.#idByName.get(name)
    if (known !== undefined && known !== except) throw taken
    try {
      await write()
    } catch (error) {
      // Two requests for one name at the same time: the database decides.
      if (error instanceof Error && /unique/i.test(error.message)) throw taken
      throw error
    }
  }

  #update(id: string, changes: Omit<Updateable<UserTable>, 'id'>): Promise<unknown> {
    const row = { ...changes, updated_at: this.#now() }
    return this.#store.db.updateTable('users').set(row).where('id', '=', id).execute()
  }

  #apply(id: string, changes: Partial<StoredUser>): void {
    const before = this.#byId.get(id)
    if (before) this.#put({ ...before, ...changes })
  }

  #put(user: StoredUser): void {
    this.#byId.set(user.id, user)
    if (user.kind === 'person') this.#idByName.set(user.username, user.id)
  }
}

function fromRow(row: Selectable<UserTable>): StoredUser {
  return {
    id: row.id,
    kind: row.kind as UserKind,
    productId: row.product_id,
    // Of others, what stands before the name makes it unique.
    username: row.kind === 'person' ? row.username : row.username.split(':').slice(3).join(':'),
    administrator: row.is_administrator === 1,
    accountInfo: JSON.parse(row.account_info) as User['accountInfo'],
    passwordHash: row.password_hash,
    createdAt: row.created_at,
  }
}

function checkUsername(username: string): string {
  const name = username.trim().toLowerCase()
  if (name.length === 0 || name.length > usernameLimit || /[\p{Cc}\p{Cs}\s:]/u.test(name)) {
    throw new IdentityError(
      'bad-username',
      `A username has 1 to ${usernameLimit} characters, without spaces and colons`,
    )
  }
  return name
}

function checkPassword(password: string, any: boolean): string {
  const { longest } = passwordLimits
  const shortest = any ? 1 : passwordLimits.shortest
  if (password.length >= shortest && password.length <= longest) return password
  throw new IdentityError('bad-password', `A password has ${shortest} to ${longest} characters`)
}

function checkAccountInfo(accountInfo: User['accountInfo']): void {
  if (JSON.stringify(accountInfo).length > accountInfoLimit) {
    throw new IdentityError('bad-account-info', 'The account information is too long')
  }
}
