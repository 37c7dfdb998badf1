/**
 * The names of what can be done, and who may do it: API users and clients by the scopes that they were given, people by
 * their role in the team of a product (cloud-api.md 5.2 and 5.3).
 */

/** From the one that may least to the one that may most. A product has one owner; the others are its team. */
export const roles = ['View-only', 'Support', 'Developer', 'Administrator', 'Owner'] as const
export type Role = (typeof roles)[number]
/** The roles that can be given. */
export const teamRoles = ['Administrator', 'Developer', 'Support', 'View-only'] as const
export type TeamRole = (typeof teamRoles)[number]

/**
 * Every scope, with the lowest role whose holders may do it (5.3). Names are Particle's where it has one; those marked
 * are Aloe's own, by the same pattern.
 */
export const lowestRole = {
  'devices:list': 'View-only',
  'devices:get': 'View-only',
  'devices:update': 'Developer',
  'devices:import': 'Developer',
  'devices:remove': 'Developer',
  /** Takes its owner from a device. */
  'devices:release': 'Developer',
  /** Aloe's: making a device one's own, by id or by a claim code. */
  'devices:claim': 'Developer',
  /** Aloe's: registering a device's public key. */
  'devices:provision': 'Developer',
  /** Aloe's: lifting a device's protection. */
  'devices:unprotect': 'Developer',
  'devices:ping': 'Support',
  'devices.function:call': 'Support',
  'devices.variable:get': 'Support',
  'devices.diagnostics:get': 'View-only',
  'devices.diagnostics:update': 'Support',
  'events:get': 'View-only',
  'events:send': 'Developer',
  'firmware:list': 'View-only',
  'firmware:get': 'View-only',
  'firmware:create': 'Developer',
  'firmware:update': 'Developer',
  'firmware:release': 'Developer',
  'firmware:remove': 'Developer',
  'firmware.binary:get': 'View-only',
  /** Aloe's: compiling sources, and fetching what came of it. */
  'binaries:create': 'Developer',
  'binaries:get': 'View-only',
  'products:list': 'View-only',
  'products:get': 'View-only',
  /** Aloe's: making a product, which is then its maker's. */
  'products:create': 'Owner',
  'products:update': 'Administrator',
  'products:remove': 'Owner',
  'groups:list': 'View-only',
  'groups:get': 'View-only',
  'groups:create': 'Developer',
  'groups:update': 'Developer',
  'groups:remove': 'Developer',
  'groups.impact:get': 'View-only',
  'integrations:list': 'View-only',
  'integrations:get': 'View-only',
  'integrations:create': 'Developer',
  'integrations:update': 'Developer',
  'integrations:remove': 'Developer',
  'integrations:test': 'Developer',
  'customers:list': 'View-only',
  'customers:create': 'Developer',
  'customers:update': 'Developer',
  'customers:remove': 'Developer',
  'clients:list': 'View-only',
  'clients:get': 'View-only',
  'clients:create': 'Developer',
  'clients:update': 'Developer',
  'clients:remove': 'Developer',
  'teams.users:list': 'View-only',
  'teams.users:invite': 'Administrator',
  'teams.users:update': 'Administrator',
  'teams.users:remove': 'Administrator',
  'configuration:get': 'View-only',
  'configuration:update': 'Developer',
  'locations:get': 'View-only',
  'ledgers:list': 'View-only',
  'ledgers:get': 'View-only',
  'ledgers:create': 'Developer',
  'ledgers:update': 'Developer',
  'ledgers:remove': 'Developer',
  'ledger.instances:list': 'View-only',
  'ledger.instances:get': 'View-only',
  'ledger.instances:set': 'Developer',
  'ledger.instances:remove': 'Developer',
  'ledger.instances.versions:get': 'View-only',
  'logic:list': 'View-only',
  'logic:get': 'View-only',
  'logic:create': 'Developer',
  'logic:update': 'Developer',
  'logic:remove': 'Developer',
  'logic:execute': 'Developer',
  'logic.runs:get': 'View-only',
  'logic.logs:list': 'View-only',
  'secrets:list': 'View-only',
  'secrets:get': 'View-only',
  'secrets:update': 'Developer',
  'secrets:remove': 'Developer',
  'env:get': 'View-only',
  'env:update': 'Developer',
  'libraries:list': 'View-only',
  'libraries:get': 'View-only',
  'libraries:create': 'Developer',
  'sims:list': 'View-only',
  'sims:import': 'Developer',
  'sims:update': 'Support',
  'sims.usage:get': 'View-only',
  'sims.status:get': 'View-only',
  'organization:get': 'View-only',
  'metrics.online:get': 'View-only',
  'metrics.events:get': 'View-only',
  'metrics.integrations:get': 'View-only',
  'service_agreements:list': 'View-only',
  'service_agreements.usage_summary:get': 'View-only',
  'service_agreements.pricing_terms:get': 'View-only',
  'service_agreements.usage_reports:get': 'View-only',
  /** Aloe's: what was done to a product, and by whom. */
  'audit:get': 'Administrator',
  /** Aloe's: what updates of a device would take, are doing and did. */
  'updates:get': 'View-only',
  'updates:update': 'Developer',
  /** Aloe's: rollouts of a release in waves. */
  'rollouts:list': 'View-only',
  'rollouts:get': 'View-only',
  'rollouts:create': 'Developer',
  'rollouts:update': 'Developer',
  'rollouts:remove': 'Developer',
} as const satisfies Record<string, Role>

export type Scope = keyof typeof lowestRole

export const scopes = Object.keys(lowestRole) as readonly Scope[]

/**
 * What a client or an API user was given: single scopes, or `*:*`, which is all that a Developer may do. Managing people,
 * the product's settings and its end must be given by name.
 */
export type ScopeGrant = ReadonlySet<GrantedScope>
export type GrantedScope = Scope | typeof everyScope

export const everyScope = '*:*'

export function isScope(text: string): text is Scope {
  return Object.hasOwn(lowestRole, text)
}

export function grants(grant: ScopeGrant, scope: Scope): boolean {
  return grant.has(scope) || (grant.has(everyScope) && roleMay('Developer', scope))
}

/** All that a role or a grant allows. */
export function rightsOf(of: Role | ScopeGrant): ReadonlySet<Scope> {
  return new Set(scopes.filter((scope) => (typeof of === 'string' ? roleMay(of, scope) : grants(of, scope))))
}

/** Whether who has `mine` may give `theirs`, or change who has them: nobody gives more than they have. */
export function covers(mine: ReadonlySet<Scope>, theirs: ReadonlySet<Scope>): boolean {
  return [...theirs].every((scope) => mine.has(scope))
}

/**
 * Scopes as clients send them: a list, or text with spaces or commas between them; `none` is no scope at all.
 * @returns the first name that is no scope, when there is one
 */
export function readScopes(value: unknown): ScopeGrant | { readonly unknown: string } {
  const words = (Array.isArray(value) ? value : String(value ?? '').split(/[\s,]+/)).map(String)
  const names = words.filter((word) => word !== '' && word !== 'none')
  const wrong = names.find((name) => name !== everyScope && !isScope(name))
  return wrong === undefined ? new Set(names as GrantedScope[]) : { unknown: wrong }
}

export function isTeamRole(text: unknown): text is TeamRole {
  return (teamRoles as readonly unknown[]).includes(text)
}

/** Whether who holds `role` may do what `scope` names. */
export function roleMay(role: Role, scope: Scope): boolean {
  return roles.indexOf(role) >= roles.indexOf(lowestRole[scope])
}

/**
 * What customers may do with the devices that are theirs. They run an application that somebody made for them: they do
 * not flash, and see nothing else of the product.
 */
const customerScopes: ReadonlySet<Scope> = new Set<Scope>([
  'devices:list',
  'devices:get',
  'devices:update',
  'devices:release',
  'devices:remove',
  'devices:claim',
  'devices:ping',
  'devices.function:call',
  'devices.variable:get',
  'devices.diagnostics:get',
  'events:get',
  'events:send',
  'updates:get',
])

/** Of the product's own routes: getting a claim code for a new device. */
const customerProductScopes: ReadonlySet<Scope> = new Set<Scope>(['devices:claim'])

/** @param where on routes about one's own devices, or on those under the product */
export function customerMay(scope: Scope, where: 'owner' | 'product'): boolean {
  return (where === 'owner' ? customerScopes : customerProductScopes).has(scope)
}
