/** Users: durable in the store, with a copy in memory. */
import type { Selectable } from 'kysely'
import { newId } from '../store/id.ts'
import type { UserTable } from '../store/schema.ts'
import type { Store } from '../store/store.ts'
import { IdentityError } from './identity-error.ts'
import { hashPassword, type PasswordCost, verifyPassword } from './passwords.ts'

export interface User {
  readonly id: string
  /** Lower case. */
  readonly username: string
  readonly administrator: boolean
  readonly accountInfo: Readonly<Record<string, unknown>>
  readonly createdAt: number
}

interface StoredUser extends User {
  readonly passwordHash: string
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

  find(username: string): User | undefined {
    return this.#byId.get(this.#idByName.get(username.trim().toLowerCase()) ?? '')
  }

  get size(): number {
    return this.#byId.size
  }

  administrators(): User[] {
    return [...this.#byId.values()].filter(({ administrator }) => administrator)
  }

  /** The user with this name and password; undefined when there is none. */
  async verify(username: string, password: string): Promise<User | undefined> {
    const user = this.find(username)
    const hash = (user as StoredUser | undefined)?.passwordHash ?? this.#nobody
    const right = password.length <= passwordLimits.longest && (await verifyPassword(password, hash))
    return right && user ? this.#byId.get(user.id) : undefined
  }

  /** @throws IdentityError 'bad-username', 'bad-password', 'bad-account-info' or 'username-taken' */
  async create(username: string, password: string, options: NewUserOptions = {}): Promise<User> {
    const { administrator = false, accountInfo = {}, anyPassword = false } = options
    const name = checkUsername(username)
    checkAccountInfo(accountInfo)
    const passwordHash = await hashPassword(checkPassword(password, anyPassword), this.#cost)
    const now = this.#now()
    const user: StoredUser = { id: newId(), username: name, administrator, accountInfo, passwordHash, createdAt: now }
    await this.#unique(name, () => {
      const row = {
        id: user.id,
        username: name,
        password_hash: passwordHash,
        account_info: JSON.stringify(accountInfo),
        is_administrator: administrator ? 1 : 0,
        created_at: now,
        updated_at: now,
      }
      return this.#store.db.insertInto('users').values(row).execute()
    })
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
    if (user) this.#idByName.delete(user.username)
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

  #update(id: string, changes: Partial<Omit<UserTable, 'id'>>): Promise<unknown> {
    const row = { ...changes, updated_at: this.#now() }
    return this.#store.db.updateTable('users').set(row).where('id', '=', id).execute()
  }

  #apply(id: string, changes: Partial<StoredUser>): void {
    const before = this.#byId.get(id)
    if (before) this.#put({ ...before, ...changes })
  }

  #put(user: StoredUser): void {
    this.#byId.set(user.id, user)
    this.#idByName.set(user.username, user.id)
  }
}

function fromRow(row: Selectable<UserTable>): StoredUser {
  return {
    id: row.id,
    username: row.username,
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
