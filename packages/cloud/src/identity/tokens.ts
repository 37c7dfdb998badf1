/**
 * Access tokens: 40 hex characters, of which the store knows only the SHA-256. All live in memory as well, so that the
 * check of a request never touches the database.
 */
import { hash as hashOf, randomBytes } from 'node:crypto'
import type { Store } from '../store/store.ts'

export interface TokenInfo {
  /** The token's SHA-256, under which it is known. */
  readonly hash: string
  readonly userId: string
  readonly client: string
  readonly kind: 'access' | 'refresh'
  /** Unix milliseconds; null for a token that does not expire. */
  readonly expiresAt: number | null
  readonly createdAt: number
  /** The first characters of the token. */
  readonly hint: string
}

export interface IssuedToken {
  readonly token: string
  readonly expiresAt: number | null
}

/** More than a user needs; the oldest go first. */
const tokensPerUser = 1_000
const hintLength = 6

export class Tokens {
  readonly #store: Store
  readonly #now: () => number
  readonly #byHash = new Map<string, TokenInfo>()
  readonly #hashesOf = new Map<string, Set<string>>()

  private constructor(store: Store, now: () => number) {
    this.#store = store
    this.#now = now
  }

  static async open(store: Store, now: () => number): Promise<Tokens> {
    const tokens = new Tokens(store, now)
    await store.db.deleteFrom('access_tokens').where('expires_at', '<=', now()).execute()
    const rows = await store.db.selectFrom('access_tokens').selectAll().orderBy('created_at').execute()
    for (const row of rows) {
      tokens.#put({
        hash: row.hash,
        userId: row.user_id,
        client: row.client,
        kind: row.kind,
        expiresAt: row.expires_at,
        createdAt: row.created_at,
        hint: row.hint,
      })
    }
    return tokens
  }

  /** @param lifetime milliseconds; null for ever */
  async issue(
    userId: string,
    client: string,
    lifetime: number | null,
    kind: TokenInfo['kind'] = 'access',
  ): Promise<IssuedToken> {
    const token = randomBytes(20).toString('hex')
    const now = this.#now()
    const expiresAt = lifetime === null ? null : now + lifetime
    const hash = digest(token)
    const info = { hash, userId, client, kind, expiresAt, createdAt: now, hint: token.slice(0, hintLength) }
    await this.#makeRoom(userId)
    await this.#store.db
      .insertInto('access_tokens')
      .values({
        hash,
        hint: info.hint,
        kind,
        user_id: userId,
        client,
        created_at: now,
        expires_at: expiresAt,
      })
      .execute()
    this.#put(info)
    return { token, expiresAt }
  }

  /** What a token is; undefined when it is unknown, revoked or expired. From memory alone. */
  check(token: string, kind: TokenInfo['kind'] = 'access'): TokenInfo | undefined {
    if (token.length !== 40) return undefined
    const info = this.#byHash.get(digest(token))
    return info?.kind === kind && this.isGood(info) ? info : undefined
  }

  /** Whether a token that was good still is: for what lasts longer than a request. */
  isGood({ hash, expiresAt }: TokenInfo): boolean {
    return this.#byHash.has(hash) && (expiresAt === null || expiresAt > this.#now())
  }

  /** A user's access tokens that are good, the newest first. */
  list(userId: string): TokenInfo[] {
    const now = this.#now()
    const infos = [...(this.#hashesOf.get(userId) ?? [])].map((key) => this.#byHash.get(key))
    return infos
      .filter((info) => info !== undefined)
      .filter(({ kind, expiresAt }) => kind === 'access' && (expiresAt === null || expiresAt > now))
      .reverse()
  }

  /** @returns false when there was no such token */
  async revoke(token: string): Promise<boolean> {
    const key = digest(token)
    if (!this.#byHash.has(key)) return false
    await this.#remove([key])
    return true
  }

  async revokeAll(userId: string): Promise<void> {
    await this.#remove([...(this.#hashesOf.get(userId) ?? [])])
  }

  async #makeRoom(userId: string): Promise<void> {
    const keys = [...(this.#hashesOf.get(userId) ?? [])]
    const now = this.#now()
    const expired = keys.filter((key) => {
      const { expiresAt = null } = this.#byHash.get(key) ?? {}
      return expiresAt !== null && expiresAt <= now
    })
    const left = keys.filter((key) => !expired.includes(key))
    const surplus = left.slice(0, Math.max(0, left.length - tokensPerUser + 1))
    await this.#remove([...expired, ...surplus])
  }

  async #remove(keys: readonly string[]): Promise<void> {
    if (keys.length === 0) return
    await this.#store.db.deleteFrom('access_tokens').where('hash', 'in', keys).execute()
    for (const key of keys) {
      const info = this.#byHash.get(key)
      this.#byHash.delete(key)
      if (info) this.#hashesOf.get(info.userId)?.delete(key)
    }
  }

  #put(info: TokenInfo): void {
    this.#byHash.set(info.hash, info)
    const keys = this.#hashesOf.get(info.userId) ?? new Set()
    this.#hashesOf.set(info.userId, keys.add(info.hash))
  }
}

function digest(token: string): string {
  return hashOf('sha256', token, 'hex')
}
