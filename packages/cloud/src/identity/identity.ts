/** Who may come in: users, their passwords and their tokens. */
import { randomBytes } from 'node:crypto'
import { type Clock, systemClock } from '../clock.ts'
import type { Store } from '../store/store.ts'
import { type AuditLimits, AuditLog } from './audit.ts'
import type { Caller } from './caller.ts'
import { defaultLoginLimits, type LoginLimits, LoginThrottle } from './login-throttle.ts'
import { defaultCost, type PasswordCost } from './passwords.ts'
import { Teams } from './teams.ts'
import { type TokenInfo, Tokens } from './tokens.ts'
import { type User, Users } from './users.ts'

export interface IdentityOptions {
  readonly store: Store
  /** Unix milliseconds. */
  readonly now: () => number
  readonly passwordCost?: PasswordCost
  readonly loginLimits?: LoginLimits
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

export type LoginResult =
  | { readonly ok: true; readonly user: User }
  | { readonly ok: false; readonly error: 'bad-credentials' }
  /** @param retryAfter milliseconds */
  | { readonly ok: false; readonly error: 'too-many-failures'; readonly retryAfter: number }

export interface Administrator {
  readonly username: string
  /** Only when it was made up now: it is nowhere else. */
  readonly password?: string
}

interface IdentityParts {
  readonly users: Users
  readonly tokens: Tokens
  readonly teams: Teams
  readonly audit: AuditLog
  readonly throttle: LoginThrottle
  readonly now: () => number
}

export class Identity {
  readonly users: Users
  readonly tokens: Tokens
  readonly teams: Teams
  readonly audit: AuditLog
  readonly #throttle: LoginThrottle
  readonly #now: () => number

  private constructor(parts: IdentityParts) {
    this.users = parts.users
    this.tokens = parts.tokens
    this.teams = parts.teams
    this.audit = parts.audit
    this.#throttle = parts.throttle
    this.#now = parts.now
  }

  static async open(options: IdentityOptions): Promise<Identity> {
    const { store, now, passwordCost, loginLimits, clock = systemClock } = options
    const users = await Users.open(store, now, passwordCost ?? defaultCost)
    const tokens = await Tokens.open(store, now)
    const teams = await Teams.open(store, now)
    const throttle = new LoginThrottle(loginLimits ?? defaultLoginLimits)
    const audit = new AuditLog({
      store,
      clock: { ...clock, now },
      ...(options.auditLimits && { limits: options.auditLimits }),
      ...(options.onError && { onError: options.onError }),
    })
    return new Identity({ users, tokens, teams, audit, throttle, now })
  }

  /** Writes what waits to be written. */
  async close(): Promise<void> {
    await this.audit.close()
  }

  /**
   * Sees to it that there is an administrator.
   *
   * At the first start one is made; without a password it gets a random one, which is returned for the starter to show.
   * Later, a password that is given for the administrator and differs from the present one is set.
   */
  async ensureAdministrator({ username, password }: { username: string; password?: string }): Promise<Administrator> {
    const existing = this.users.administrators()[0]
    if (existing && password === undefined) return { username: existing.username }
    const user = this.users.find(username)
    if (user?.administrator && password !== undefined) {
      if (!(await this.users.verify(username, password)))
        await this.users.setPassword(user.id, password, { anyPassword: true })
      return { username: user.username }
    }
    const made = password ?? randomBytes(15).toString('base64url')
    const created = await this.users.create(username, made, { administrator: true, anyPassword: true })
    return { username: created.username, ...(password === undefined && { password: made }) }
  }

  /**
   * Checks a name and password that came from `host`.
   * @param host undefined for one that is exempt from throttling (loopback)
   */
  async login(username: string, password: string, host: string | undefined): Promise<LoginResult> {
    const name = username.trim().toLowerCase()
    if (host !== undefined) {
      const retryAfter = this.#throttle.wait(host, name, this.#now())
      if (retryAfter > 0) return { ok: false, error: 'too-many-failures', retryAfter }
      // Counted before the slow check, so that tries at the same time count too.
      this.#throttle.failed(host, name, this.#now())
    }
    const user = await this.users.verify(username, password)
    if (!user) return { ok: false, error: 'bad-credentials' }
    if (host !== undefined) this.#throttle.succeeded(host, name)
    return { ok: true, user }
  }

  /** Who a token belongs to; undefined when it is not good. From memory alone. */
  authenticate(token: string): Session | undefined {
    const info = this.tokens.check(token)
    const user = info && this.users.get(info.userId)
    const caller = user && this.#callerFor(user)
    return caller && { caller, user, token: info }
  }

  #callerFor(user: User): Caller | undefined {
    const { id, kind, productId } = user
    if (kind === 'person') return { kind: 'user', user }
    if (productId === null) return undefined
    if (kind === 'customer') return { kind, customerId: id, productId, user }
    return undefined
  }
}
