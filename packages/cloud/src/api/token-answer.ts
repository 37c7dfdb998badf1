/** What whoever logged in gets (RFC 6749 section 5.1). */
import type { Identity } from '../identity/identity.ts'

const day = 24 * 60 * 60 * 1_000

/** Milliseconds (cloud-api.md 4). */
export const lifetimes = { access: 90 * day, refresh: 14 * day }

export interface TokenAnswer {
  readonly token_type: 'bearer'
  readonly access_token: string
  /** Seconds; 0 for one that does not expire. */
  readonly expires_in: number
  readonly refresh_token: string
}

/** @param lifetime of the access token, milliseconds; null for one that does not expire */
export async function issueTokens(
  identity: Identity,
  userId: string,
  client: string,
  lifetime: number | null,
  family?: string,
): Promise<TokenAnswer> {
  const times = { access: lifetime, refresh: lifetimes.refresh }
  const { access, refresh } = await identity.tokens.issuePair(userId, client, times, family)
  return {
    token_type: 'bearer',
    access_token: access.token,
    expires_in: lifetime === null ? 0 : Math.round(lifetime / 1_000),
    refresh_token: refresh.token,
  }
}
