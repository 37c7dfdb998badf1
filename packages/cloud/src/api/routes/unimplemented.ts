/**
 * Parts of Particle's API that Aloe has not, or not yet: said truthfully, in a shape that clients can show. A list of
 * which nobody can make an entry is empty, so that tools that look through everything do not stop.
 */

import { self } from '../access.ts'
import { notImplemented } from '../errors.ts'
import type { ApiServer } from '../schemas.ts'

/** Lists, with the shape that clients dereference (cloud-api.md 1.7 to 1.11). */
const emptyLists: Readonly<Record<string, unknown>> = {
  '/v1/libraries': { data: [] },
  '/v1/ledgers': { ledger_definitions: [], meta: { page: 1, per_page: 25, total: 0, total_pages: 0 } },
  '/v1/logic/functions': { logic_functions: [] },
  '/v1/secrets': { secrets: [] },
  '/v1/user/service_agreements': { data: [] },
}

/** The first part of a path behind `/v1/`, and what the family is called. */
const families: Readonly<Record<string, string>> = {
  products: 'such part of products',
  orgs: 'such part of organizations',
  libraries: 'libraries',
  ledgers: 'ledgers',
  logic: 'logic functions',
  secrets: 'secrets',
  env: 'environment variables',
  diagnostics: 'diagnostics',
  sims: 'SIM management',
  user: 'such setting of users',
}

export function emptyListRoutes(app: ApiServer): void {
  for (const [url, answer] of Object.entries(emptyLists)) app.get(url, { config: { access: self } }, async () => answer)
}

/** What to answer for a path that no route takes: 501 for a family that Aloe knows of, 404 for the rest. */
export function unimplementedFamily(path: string) {
  const family = /^\/v1\/([a-z_]+)(?:[/?]|$)/.exec(path)?.[1] ?? ''
  return Object.hasOwn(families, family) ? notImplemented(families[family] ?? family) : undefined
}
