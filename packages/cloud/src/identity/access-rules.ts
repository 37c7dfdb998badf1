/** Whether a caller may do what a scope names: the one place where this is decided (cloud-api.md 5). */
import type { Caller } from './caller.ts'
import type { ProductRef } from './product-directory.ts'
import { customerMay, grants, roleMay, type Scope } from './scopes.ts'
import type { Teams } from './teams.ts'

export type AccessDecision =
  | { readonly ok: true }
  /** API users and clients are told so in Particle's words. */
  | { readonly ok: false; readonly reason: 'not-for-programs' | 'missing-scope' | 'not-yours' | 'role-too-low' }

const yes: AccessDecision = { ok: true }
const no = (reason: Extract<AccessDecision, { ok: false }>['reason']): AccessDecision => ({ ok: false, reason })

/** A route about what is the caller's own, outside products. Whose a single thing is, the handler looks up. */
export function mayOnOwn(caller: Caller, scope: Scope): AccessDecision {
  switch (caller.kind) {
    case 'user':
      return yes
    case 'customer':
      return customerMay(scope, 'owner') ? yes : no('not-yours')
    default:
      // Nothing outside of their product is theirs, and nothing may become so.
      return no('not-for-programs')
  }
}

/** A route under a product. */
export function mayOnProduct(caller: Caller, scope: Scope, product: ProductRef, teams: Teams): AccessDecision {
  switch (caller.kind) {
    case 'user': {
      const role = teams.roleOf(product, caller.user.id)
      if (!role) return no('not-yours')
      return roleMay(role, scope) ? yes : no('role-too-low')
    }
    case 'api-user':
    case 'product':
      if (caller.productId !== product.id) return no('not-yours')
      return grants(caller.scopes, scope) ? yes : no('missing-scope')
    case 'customer':
      return caller.productId === product.id && customerMay(scope, 'product') ? yes : no('not-yours')
  }
}
