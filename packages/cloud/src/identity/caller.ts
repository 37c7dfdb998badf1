/** Who makes a request (cloud-api.md 5.1). */
import type { ScopeGrant } from './scopes.ts'
import type { User } from './users.ts'

export type Caller =
  /** A person, with all that is theirs. */
  | { readonly kind: 'user'; readonly user: User }
  /** A program in the team of a product, with the scopes that it was given. */
  | { readonly kind: 'api-user'; readonly user: User; readonly productId: number; readonly scopes: ScopeGrant }
  /** An OAuth client of a product, for itself. */
  | { readonly kind: 'product'; readonly productId: number; readonly clientId: string; readonly scopes: ScopeGrant }
  /** A customer of a product, with the devices of it that they claimed. `user` owns these, and cannot log in elsewhere. */
  | { readonly kind: 'customer'; readonly customerId: string; readonly productId: number; readonly user: User }

export type CallerKind = Caller['kind']

/** What a list or a log says of a caller. */
export interface Actor {
  readonly kind: CallerKind | 'nobody' | 'cloud'
  readonly id: string | null
  readonly name: string | null
}

export function actorOf(caller: Caller | null): Actor {
  if (!caller) return { kind: 'nobody', id: null, name: null }
  if (caller.kind === 'product') return { kind: 'product', id: caller.clientId, name: caller.clientId }
  return { kind: caller.kind, id: caller.user.id, name: caller.user.username }
}
