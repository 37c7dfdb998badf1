/** Second factors: codes of an authenticator application, TOTP (RFC 6238). Durable, with a copy in memory. */
import { Secret, TOTP } from 'otpauth'
import type { Store } from '../store/store.ts'
import { newSecret } from './secrets.ts'
import type { User } from './users.ts'

/** What an authenticator is set up with. */
export interface Enrolment {
  /** Names this enrolment when it is confirmed. */
  readonly mfaToken: string
  /** Base32. */
  readonly secret: string
  /** `otpauth://totp/…`: what the QR code says that an authenticator reads. */
  readonly url: string
}

interface Factor {
  readonly secret: string
  readonly lastStep: number
}

const period = 30
/** Steps before and after the present one of which a code is taken: clocks differ (RFC 6238 section 5.2). */
const window = 1
const enrolmentLifetime = 10 * 60_000
const enrolmentsKept = 1_000
const secretBytes = 20

export class SecondFactors {
  readonly #store: Store
  readonly #now: () => number
  readonly #factors = new Map<string, Factor>()
  readonly #enrolments = new Map<
    string,
    { readonly userId: string; readonly secret: string; readonly endsAt: number }
  >()

  private constructor(store: Store, now: () => number) {
    this.#store = store
    this.#now = now
  }

  static async open(store: Store, now: () => number): Promise<SecondFactors> {
    const factors = new SecondFactors(store, now)
    for (const row of await store.db.selectFrom('second_factors').selectAll().execute()) {
      factors.#factors.set(row.user_id, { secret: row.secret, lastStep: row.last_step })
    }
    return factors
  }

  has(userId: string): boolean {
    return this.#factors.has(userId)
  }

  /** Begins: nothing is asked for until it is confirmed, within ten minutes. */
  begin(user: User): Enrolment {
    const secret = new Secret({ size: secretBytes }).base32
    const mfaToken = newSecret()
    for (const [token, { userId }] of this.#enrolments) if (userId === user.id) this.#enrolments.delete(token)
    this.#enrolments.set(mfaToken, { userId: user.id, secret, endsAt: this.#now() + enrolmentLifetime })
    if (this.#enrolments.size > enrolmentsKept) {
      const oldest = this.#enrolments.keys().next().value
      if (oldest !== undefined) this.#enrolments.delete(oldest)
    }
    const url = new TOTP({ issuer: 'Aloe', label: user.username, secret, period }).toString()
    return { mfaToken, secret, url }
  }

  /** From now on the user's logins ask for a code. @returns false for a wrong code or an enrolment that is over */
  async confirm(userId: string, mfaToken: string, otp: string): Promise<boolean> {
    const enrolment = this.#enrolments.get(mfaToken)
    if (enrolment?.userId !== userId || enrolment.endsAt <= this.#now()) return false
    const step = stepOf(enrolment.secret, otp, this.#now())
    if (step === undefined || this.has(userId)) return false
    this.#enrolments.delete(mfaToken)
    await this.#store.db
      .insertInto('second_factors')
      .values({ user_id: userId, secret: enrolment.secret, last_step: step, created_at: this.#now() })
      .execute()
    this.#factors.set(userId, { secret: enrolment.secret, lastStep: step })
    return true
  }

  /** Whether a code is right, and was not used before; uses it. */
  async verify(userId: string, otp: string): Promise<boolean> {
    const factor = this.#factors.get(userId)
    const step = factor && stepOf(factor.secret, otp, this.#now())
    if (!factor || step === undefined || step <= factor.lastStep) return false
    // In memory first: of two requests with one code, the second finds it used.
    this.#factors.set(userId, { ...factor, lastStep: step })
    await this.#store.db
      .updateTable('second_factors')
      .set({ last_step: step })
      .where('user_id', '=', userId)
      .where('last_step', '<', step)
      .execute()
    return true
  }

  async remove(userId: string): Promise<void> {
    await this.#store.db.deleteFrom('second_factors').where('user_id', '=', userId).execute()
    this.#factors.delete(userId)
  }

  /** The user is gone, and with their row in the store this. */
  forgetUser(userId: string): void {
    this.#factors.delete(userId)
  }
}

/** The time step that a code is of; undefined when it is of none near now. */
function stepOf(secret: string, otp: string, now: number): number | undefined {
  const token = otp.replace(/\s/g, '')
  if (!/^\d{6}$/.test(token)) return undefined
  const delta = TOTP.validate({ token, secret: Secret.fromBase32(secret), period, window, timestamp: now })
  return delta === null ? undefined : Math.floor(now / 1_000 / period) + delta
}
