/** What a caller may pass on to others in a product: nobody gives, or takes over, more than they have. */
import type { FastifyRequest } from 'fastify'
import type { Identity } from '../identity/identity.ts'
import { covers, type Role, readScopes, rightsOf, type Scope, type ScopeGrant } from '../identity/scopes.ts'
import { callerOf, productOf } from './authentication.ts'
import { badRequest, forbidden } from './errors.ts'

/** All that the caller may do in the product of the route. */
export function rightsIn(request: FastifyRequest, { teams }: Identity): ReadonlySet<Scope> {
  const caller = callerOf(request)
  if (caller.kind === 'customer') return new Set()
  if (caller.kind !== 'user') return rightsOf(caller.scopes)
  const role = teams.roleOf(productOf(request), caller.user.id)
  return role ? rightsOf(role) : new Set()
}

/** @throws ApiError 403 when the caller has not all of it */
export function requireRights(request: FastifyRequest, identity: Identity, theirs: Role | ScopeGrant): void {
  if (covers(rightsIn(request, identity), rightsOf(theirs))) return
  throw forbidden('You cannot give or take rights that you do not have yourself')
}

/** @throws ApiError 400 for what is no scope */
export function scopesOf(value: unknown): ScopeGrant {
  const scopes = readScopes(value)
  if (!('unknown' in scopes)) return scopes
  throw badRequest(`"${scopes.unknown.slice(0, 100)}" is no scope that this cloud knows`)
}
