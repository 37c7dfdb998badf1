/** Who may come in: users, their passwords and tokens, and who they are to products. */
import { randomBytes } from 'node:crypto'
import { type Clock, systemClock } from '../clock.ts'
import type { Store } from '../store/store.ts'
import { ApiUsers } from './api-users.ts'
import { type AuditLimits, AuditLog } from './audit.ts'
import type { Caller } from './caller.ts'
import { Clients } from './clients.ts'
import { Customers } from './customers.ts'
import { IdentityError } from './identity-error.ts'
import { defaultLoginLimits, type LoginLimits } from './login-throttle.ts'
import { type LoginResult, Logins } from './logins.ts'
import { PasswordResets } from './password-resets.ts'
import { defaultCost, type PasswordCost } from './passwords.ts'
import { SecondFactors } from './second-factors.ts'
import { Teams } from './teams.ts'
import { type TokenInfo, Tokens } from './tokens.ts'
import { type User, Users } from './users.ts'

export interface IdentityOptions {
  readonly store: Store
  /** Unix milliseconds. */
  readonly now: () => number
  readonly passwordCost?: PasswordCost
  readonly loginLimits?: Partial<LoginLimits>
  readonly auditLimits?: Partial<AuditLimits>
  /** For timers; `now` above is its time. */
  readonly clock?: Clock
  /** Told what could not be written later on. */
  readonly onError?: (error: unknown) => void
}

/** Who made a request, and with what. */
export interface Session {
  readonly caller: Caller
  /** Whose token it is. */
  readonly user: User
  readonly token: TokenInfo
}

export interface Administrator {
  readonly username: string
  /** Only when it was made up now: it is nowhere else. */
  readonly password?: string
  /** The given password is another than the one before. */
  readonly passwordChanged?: true
}

interface IdentityParts {
  readonly users: Users
  readonly tokens: Tokens
  readonly teams: Teams
  readonly apiUsers: ApiUsers
  readonly clients: Clients
  readonly customers: Customers
  readonly secondFactors: SecondFactors
  readonly passwordResets: PasswordResets
  readonly logins: Logins
  readonly audit: AuditLog
}

export class Identity implements IdentityParts {
  readonly users: Users
  readonly tokens: Tokens
  readonly teams: Teams
  readonly apiUsers: ApiUsers
  readonly clients: Clients
  readonly customers: Customers
  readonly secondFactors: SecondFactors
  readonly passwordResets: PasswordResets
  readonly logins: Logins
  readonly audit: AuditLog

  private constructor(parts: IdentityParts) {
    this.users = parts.users
    this.tokens = parts.tokens
    this.teams = parts.teams
    this.apiUsers = parts.apiUsers
    this.clients = parts.clients
    this.customers = parts.customers
    this.secondFactors = parts.secondFactors
    this.passwordResets = parts.passwordResets
    this.logins = parts.logins
    this.audit = parts.audit
  }

  static async open(options: IdentityOptions): Promise<Identity> {
    const { store, now, passwordCost = defaultCost, clock = systemClock, loginLimits, auditLimits, onError } = options
    const users = await Users.open(store, now, passwordCost)
    const tokens = await Tokens.open(store, now)
    const secondFactors = await SecondFactors.open(store, now)
    return new Identity({
      users,
      tokens,
      teams: await Teams.open(store, now),
      apiUsers: await ApiUsers.open(store, now, users, tokens),
      clients: await Clients.open(store, now, users),
      customers: await Customers.open(store, now, users, tokens),
      secondFactors,
      passwordResets: new PasswordResets(store, now),
      logins: new Logins(users, secondFactors, now, { ...defaultLoginLimits, ...loginLimits }),
      audit: new AuditLog({
        store,
        clock: { ...clock, now },
        ...(auditLimits && { limits: auditLimits }),
        ...(onError && { onError }),
      }),
    })
  }

  /** Writes what waits to be written. */
  async close(): Promise<void> {
    await this.audit.close()
  }

  /**
   * Sees to it that there is an administrator.
   *
   * At the first start one is made; without a password it gets a random one, which is returned for the starter to show.
   * Later, a password that is given and differs from the administrator's is set: that is how who runs the cloud comes in
   * again. The second factor goes with the old password, and so do the tokens.
   *
   * @throws IdentityError 'not-an-administrator' when the name is that of another user
   */
  async ensureAdministrator({ username, password }: { username: string; password?: string }): Promise<Administrator> {
    const existing = this.users.administrators()[0]
    if (existing && password === undefined) return { username: existing.username }
    const user = this.users.find(username)
    if (user && !user.administrator) {
      throw new IdentityError(
        'not-an-administrator',
        `"${user.username}" is a user without an administrator's rights: name another with --admin-username`,
      )
    }
    if (user && password !== undefined) {
      if (await this.users.verify(username, password)) return { username: user.username }
      await this.setPassword(user.id, password, { anyPassword: true })
      await this.tokens.revokeAll(user.id)
      await this.secondFactors.remove(user.id)
      return { username: user.username, passwordChanged: true }
    }
    const made = password ?? randomBytes(15).toString('base64url')
    const created = await this.users.create(username, made, { administrator: true, anyPassword: true })
    return { username: created.username, ...(password === undefined && { password: made }) }
  }

  /**
   * Checks a person's name and password that came from `host`, and a code if the person needs one.
   * @param host undefined for one that is exempt from throttling (loopback)
   */
  login(username: string, password: string, host: string | undefined, otp?: string): Promise<LoginResult> {
    return this.logins.login(username, password, host, otp)
  }

  /** Sets a password; links and logins that were on their way with the old one are void. @throws IdentityError */
  async setPassword(userId: string, password: string, options: { anyPassword?: boolean } = {}): Promise<void> {
    await this.users.setPassword(userId, password, options)
    this.logins.revoke(userId)
    await this.passwordResets.revoke(userId)
  }

  /** A person goes, with all that is about them here. @throws IdentityError 'last-administrator' */
  async removeUser(userId: string): Promise<void> {
    await this.users.remove(userId)
    this.tokens.forgetUser(userId)
    this.teams.forgetUser(userId)
    this.clients.forget({ userId })
    this.secondFactors.forgetUser(userId)
    this.logins.revoke(userId)
  }

  /** A product is gone: its team, API users, clients and customers go too. */
  async removeProduct(productId: number): Promise<void> {
    await this.teams.removeProduct(productId)
    for (const id of await this.users.removeOfProduct(productId)) this.tokens.forgetUser(id)
    this.apiUsers.forgetProduct(productId)
    this.clients.forget({ productId })
    this.customers.forgetProduct(productId)
  }

  /** Who a token belongs to; undefined when it is not good. From memory alone. */
  authenticate(token: string): Session | undefined {
    const info = this.tokens.check(token)
    const user = info && this.users.get(info.userId)
    const caller = user && this.#callerFor(user)
    return caller && { caller, user, token: info }
  }

  /** Who a caller is by now, with the scopes of now; undefined for one that is gone. For what lasts longer than a request. */
  callerNow(caller: Caller): Caller | undefined {
    const user = this.users.get(caller.kind === 'product' ? caller.clientId : caller.user.id)
    return user && this.#callerFor(user)
  }

  #callerFor(user: User): Caller | undefined {
    const { id, kind, productId } = user
    if (kind === 'person') return { kind: 'user', user }
    if (productId === null) return undefined
    switch (kind) {
      case 'customer':
        return { kind, customerId: id, productId, user }
      case 'api-user': {
        const scopes = this.apiUsers.get(id)?.scopes
        return scopes && { kind, user, productId, scopes }
      }
      case 'client': {
        const scopes = this.clients.get(id)?.scopes
        return scopes && { kind: 'product', productId, clientId: id, scopes }
      }
    }
  }
}
