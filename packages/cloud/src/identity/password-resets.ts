/** Resets of passwords: a link is good for an hour and for one password. The store knows only digests. */
import type { Store } from '../store/store.ts'
import { digestOf, newSecret } from './secrets.ts'

const lifetime = 60 * 60_000
/** Links that a user has at the same time; the oldest go first. */
const linksPerUser = 3
/** Milliseconds in which no more than these are sent. */
const pause = 10 * 60_000

export interface PasswordReset {
  readonly token: string
  /** Unix milliseconds. */
  readonly expiresAt: number
}

export class PasswordResets {
  readonly #store: Store
  readonly #now: () => number

  constructor(store: Store, now: () => number) {
    this.#store = store
    this.#now = now
  }

  async create(userId: string): Promise<PasswordReset> {
    const { db } = this.#store
    const now = this.#now()
    const token = newSecret()
    await db.deleteFrom('password_resets').where('expires_at', '<=', now).execute()
    const kept = db
      .selectFrom('password_resets')
      .select('hash')
      .where('user_id', '=', userId)
      .orderBy('created_at', 'desc')
      .limit(linksPerUser - 1)
    await db.deleteFrom('password_resets').where('user_id', '=', userId).where('hash', 'not in', kept).execute()
    const row = { hash: digestOf(token), user_id: userId, created_at: now, expires_at: now + lifetime }
    await db.insertInto('password_resets').values(row).execute()
    return { token, expiresAt: row.expires_at }
  }

  /** Whether a user was sent so many links of late that another would only fill their mailbox. */
  async tooMany(userId: string): Promise<boolean> {
    const rows = await this.#store.db
      .selectFrom('password_resets')
      .select('hash')
      .where('user_id', '=', userId)
      .where('created_at', '>', this.#now() - pause)
      .execute()
    return rows.length >= linksPerUser
  }

  /** Whose password a link sets; it stays good. */
  async find(token: string): Promise<string | undefined> {
    const row = await this.#store.db
      .selectFrom('password_resets')
      .select('user_id')
      .where('hash', '=', digestOf(token))
      .where('expires_at', '>', this.#now())
      .executeTakeFirst()
    return row?.user_id
  }

  /** Uses a link up, and with it the user's others. @returns whose it was; undefined for one that is not good */
  async use(token: string): Promise<string | undefined> {
    const rows = await this.#store.db
      .deleteFrom('password_resets')
      .where('hash', '=', digestOf(token))
      .where('expires_at', '>', this.#now())
      .returning('user_id')
      .execute()
    const userId = rows[0]?.user_id
    if (userId !== undefined) await this.revoke(userId)
    return userId
  }

  async revoke(userId: string): Promise<void> {
    await this.#store.db.deleteFrom('password_resets').where('user_id', '=', userId).execute()
  }
}
