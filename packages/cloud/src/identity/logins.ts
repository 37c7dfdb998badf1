/** Logging in: a password, and a code where the user has a second factor; how often it may be tried. */
import { type LoginLimits, LoginThrottle } from './login-throttle.ts'
import type { SecondFactors } from './second-factors.ts'
import { newSecret } from './secrets.ts'
import type { User, Users } from './users.ts'

export type LoginResult =
  | { readonly ok: true; readonly user: User }
  | { readonly ok: false; readonly error: 'bad-credentials' }
  /** The password is right. */
  | { readonly ok: false; readonly error: 'mfa-required'; readonly user: User }
  /** @param retryAfter milliseconds */
  | { readonly ok: false; readonly error: 'too-many-failures'; readonly retryAfter: number }

/** What a login was for, kept while its code is awaited. */
export interface Challenge {
  readonly userId: string
  readonly client: string
  /** Milliseconds; null for a token that does not expire. */
  readonly lifetime: number | null
}

export type ChallengeResult =
  | { readonly ok: true; readonly challenge: Challenge; readonly user: User }
  | { readonly ok: false; readonly error: 'unknown-challenge' | 'bad-otp'; readonly user?: User }
  | { readonly ok: false; readonly error: 'too-many-failures'; readonly retryAfter: number; readonly user?: User }

interface OpenChallenge extends Challenge {
  readonly endsAt: number
  attemptsLeft: number
}

const challengeLifetime = 5 * 60_000
/** The official CLI asks its user again after a wrong code, three times, with the same `mfa_token`. */
const attemptsPerChallenge = 5
const challengesKept = 10_000

export class Logins {
  readonly #users: Users
  readonly #factors: SecondFactors
  readonly #now: () => number
  readonly #throttle: LoginThrottle
  /** Of codes, by user alone: who guesses them knows the password, and comes from anywhere. */
  readonly #codes: LoginThrottle
  readonly #challenges = new Map<string, OpenChallenge>()

  constructor(users: Users, factors: SecondFactors, now: () => number, limits: LoginLimits) {
    this.#users = users
    this.#factors = factors
    this.#now = now
    this.#throttle = new LoginThrottle(limits)
    this.#codes = new LoginThrottle({
      ...limits,
      failuresPerHost: Number.POSITIVE_INFINITY,
      failuresPerUsername: limits.failuresPerHost,
    })
  }

  /**
   * Checks a person's name and password that came from `host`, and a code if the person needs one.
   * @param host undefined for one that is exempt from throttling (loopback)
   */
  async login(username: string, password: string, host: string | undefined, otp?: string): Promise<LoginResult> {
    const name = username.trim().toLowerCase()
    const checked = await this.#try(host, name, () => this.#users.verify(name, password))
    if (!checked.ok) return checked
    const { user } = checked
    if (!this.#factors.has(user.id)) return this.#succeed(user, host, name)
    if (otp === undefined) return { ok: false, error: 'mfa-required', user }
    const code = await this.#tryCode(user, otp)
    return code.ok ? this.#succeed(user, host, name) : code
  }

  /** Whether a password is that of a user who is known already: no code is asked for. */
  async checkPassword(
    { id, username, productId }: User,
    password: string,
    host: string | undefined,
  ): Promise<LoginResult> {
    const name = productId === null ? username : `${productId} ${username}`
    const checked = await this.#try(host, name, () => this.#users.verifyId(id, password))
    return checked.ok ? this.#succeed(checked.user, host, name) : checked
  }

  /** The same for somebody of a product of whom there may be nobody. */
  async checkPasswordOf(
    productId: number,
    username: string,
    userId: string | undefined,
    password: string,
    host: string | undefined,
  ): Promise<LoginResult> {
    const name = `${productId} ${username.trim().toLowerCase()}`
    const checked = await this.#try(host, name, () => this.#users.verifyId(userId, password))
    return checked.ok ? this.#succeed(checked.user, host, name) : checked
  }

  /** After a right password: what the code must come with. Good for five minutes, five tries and one success. */
  challenge(challenge: Challenge): string {
    const token = newSecret()
    this.#challenges.set(token, {
      ...challenge,
      endsAt: this.#now() + challengeLifetime,
      attemptsLeft: attemptsPerChallenge,
    })
    if (this.#challenges.size > challengesKept) {
      const oldest = this.#challenges.keys().next().value
      if (oldest !== undefined) this.#challenges.delete(oldest)
    }
    return token
  }

  async answer(mfaToken: string, otp: string, host: string | undefined): Promise<ChallengeResult> {
    const challenge = this.#challenges.get(mfaToken)
    const user = challenge && this.#users.get(challenge.userId)
    if (!challenge || !user || challenge.endsAt <= this.#now()) {
      this.#challenges.delete(mfaToken)
      return { ok: false, error: 'unknown-challenge' }
    }
    // Counted before the check, so that tries at the same time count too.
    if (--challenge.attemptsLeft <= 0) this.#challenges.delete(mfaToken)
    const code = await this.#tryCode(user, otp)
    if (!code.ok) return { ...(code.error === 'too-many-failures' ? code : { ok: false, error: 'bad-otp' }), user }
    this.#challenges.delete(mfaToken)
    if (host !== undefined) this.#throttle.succeeded(host, user.username)
    return { ok: true, challenge, user }
  }

  /** Logins that await their code are void: the password is another, or the user is gone. */
  revoke(userId: string): void {
    for (const [token, challenge] of this.#challenges) if (challenge.userId === userId) this.#challenges.delete(token)
  }

  async #try(
    host: string | undefined,
    name: string,
    check: () => Promise<User | undefined>,
  ): Promise<Extract<LoginResult, { ok: true } | { error: 'bad-credentials' | 'too-many-failures' }>> {
    if (host !== undefined) {
      const retryAfter = this.#throttle.wait(host, name, this.#now())
      if (retryAfter > 0) return { ok: false, error: 'too-many-failures', retryAfter }
      // Counted before the slow check, so that tries at the same time count too.
      this.#throttle.failed(host, name, this.#now())
    }
    const user = await check()
    return user ? { ok: true, user } : { ok: false, error: 'bad-credentials' }
  }

  #succeed(user: User, host: string | undefined, name: string): LoginResult {
    if (host !== undefined) this.#throttle.succeeded(host, name)
    return { ok: true, user }
  }

  async #tryCode(
    user: User,
    otp: string,
  ): Promise<Extract<LoginResult, { ok: true } | { error: 'bad-credentials' | 'too-many-failures' }>> {
    const retryAfter = this.#codes.wait('', user.id, this.#now())
    if (retryAfter > 0) return { ok: false, error: 'too-many-failures', retryAfter }
    this.#codes.failed('', user.id, this.#now())
    if (!(await this.#factors.verify(user.id, otp))) return { ok: false, error: 'bad-credentials' }
    this.#codes.succeeded('', user.id)
    return { ok: true, user }
  }
}
