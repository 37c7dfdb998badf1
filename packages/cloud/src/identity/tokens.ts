/**
 * Access tokens: 40 hex characters, of which the store knows only the SHA-256. All live in memory as well, so that the
 * check of a request never touches the database.
 */
import { hash as hashOf, randomBytes } from 'node:crypto'
import { newId } from '../store/id.ts'
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
  /** An access token and the refresh tokens that came with and of it have the same; null for one that stands alone. */
  readonly family: string | null
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
        family: row.family,
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
    family: string | null = null,
  ): Promise<IssuedToken> {
    const token = randomBytes(20).toString('hex')
    const now = this.#now()
    const expiresAt = lifetime === null ? null : now + lifetime
    const hash = digest(token)
    const info = { hash, userId, client, kind, expiresAt, createdAt: now, hint: token.slice(0, hintLength), family }
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
        family,
      })
      .execute()
    this.#put(info)
    return { token, expiresAt }
  }

  /** An access token, and a refresh token with which to get others. @param family of the refresh token that was used */
  async issuePair(
    userId: string,
    client: string,
    lifetimes: { readonly access: number | null; readonly refresh: number },
    family = newId(),
  ): Promise<{ access: IssuedToken; refresh: IssuedToken }> {
    const access = await this.issue(userId, client, lifetimes.access, 'access', family)
    return { access, refresh: await this.issue(userId, client, lifetimes.refresh, 'refresh', family) }
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

  /** Ends a token and those that came with it. @returns false when there was no such token */
  async revoke(token: string): Promise<boolean> {
    const info = this.#byHash.get(digest(token))
    if (!info) return false
    await this.revokeFamily(info)
    return true
  }

  async revokeFamily({ hash, userId, family }: TokenInfo): Promise<void> {
    const keys = family === null ? [hash] : [...(this.#hashesOf.get(userId) ?? [])]
    await this.#remove(keys.filter((key) => key === hash || this.#byHash.get(key)?.family === family))
  }

  /**
   * Uses a refresh token up: it is good once, and who of two comes second has lost it.
   * @returns undefined when it is not good, or not of this client
   */
  async useRefresh(token: string, client: string): Promise<TokenInfo | undefined> {
    const info = this.check(token, 'refresh')
    if (info?.client !== client) return undefined
    this.#byHash.delete(info.hash)
    await this.#remove([info.hash])
    this.#hashesOf.get(info.userId)?.delete(info.hash)
    return info
  }

  /** What is known of a token that is good, of either kind: for who wants to end it. */
  find(token: string): TokenInfo | undefined {
    return this.check(token) ?? this.check(token, 'refresh')
  }

  /** All of a user's tokens, of either kind. @param except one that stays */
  async revokeAll(userId: string, except?: TokenInfo): Promise<void> {
    await this.#remove([...(this.#hashesOf.get(userId) ?? [])].filter((key) => key !== except?.hash))
  }

  /** Those that a client was given, of whichever user: the client is gone, or has another secret. */
  async revokeOfClient(client: string): Promise<void> {
    await this.#remove([...this.#byHash.values()].filter((info) => info.client === client).map(({ hash }) => hash))
  }

  /** The user is gone, and with their row in the store these of theirs. */
  forgetUser(userId: string): void {
    for (const key of this.#hashesOf.get(userId) ?? []) this.#byHash.delete(key)
    this.#hashesOf.delete(userId)
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
    // A statement has room for so many parameters only.
    for (let at = 0; at < keys.length; at += 500) {
      await this.#store.db
        .deleteFrom('access_tokens')
        .where('hash', 'in', keys.slice(at, at + 500))
        .execute()
    }
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
