/**
 * Parts of Particle's API that Aloe has not, or not yet: said truthfully, in a shape that clients can show (501). A list of
 * which nobody can make an entry is empty, so that tools that look through everything do not stop.
 */
import type { FastifyRequest } from 'fastify'
import { ofProduct, owner, self } from '../access.ts'
import { type ApiError, notImplemented } from '../errors.ts'
import { type ApiServer, pathOf } from '../schemas.ts'
import { ownOrganization } from './orgs.ts'

const noPages = { page: 1, per_page: 25, total: 0, total_pages: 0 }
const ledgers = { ledger_definitions: [], meta: noPages }
const logicFunctions = { logic_functions: [] }
const secrets = { secrets: [] }

/** With the shape that clients dereference (cloud-api.md 1.7 to 1.11). */
const emptyLists: Readonly<Record<string, unknown>> = {
  '/v1/libraries': { data: [] },
  '/v1/ledgers': ledgers,
  '/v1/logic/functions': logicFunctions,
  '/v1/secrets': secrets,
  '/v1/user/service_agreements': { data: [] },
}
const emptyListsOfOrganizations: Readonly<Record<string, unknown>> = {
  '/v1/orgs/:org/ledgers': ledgers,
  '/v1/orgs/:org/logic/functions': logicFunctions,
  '/v1/orgs/:org/secrets': secrets,
  '/v1/orgs/:org/service_agreements': { data: [] },
}

/** By what a path names, whoever it belongs to; the first that matches. */
const families: readonly (readonly [RegExp, string])[] = [
  [/\/libraries(\/|$)/, 'libraries'],
  [/\/ledgers(\/|$)/, 'ledgers'],
  [/\/logic(\/|$)/, 'logic functions'],
  [/\/secrets(\/|$)/, 'secrets'],
  [/\/env(\/|$)/, 'environment variables'],
  [/\/sims(\/|$)/, 'SIM management'],
  [/\/(service_agreements|usage_reports)(\/|$)/, 'service agreements'],
  [/\/diagnostics(\/|$)/, 'such diagnostics'],
  [/\/products\/[^/]+\/config(\/|$)/, 'configuration of devices by schemas'],
  [/\/(locations|fleet_locations)(\/|$)/, 'locations of devices'],
  [/\/products\/[^/]+\/metrics(\/|$)/, 'fleet health (numbers for Prometheus are at /metrics)'],
  [/\/(registration_code|target_profile|backup_files|docs)(\/|$)/, 'provisioning of Tachyon devices'],
  [/^\/v1\/products\/[^/]+\/./, 'such part of products'],
  [/^\/v1\/orgs\/[^/]+\/./, 'such part of organizations'],
  [/^\/v1\/user\/./, 'such setting of users'],
]

export function emptyListRoutes(app: ApiServer): void {
  for (const [url, answer] of Object.entries(emptyLists)) app.get(url, { config: { access: self } }, async () => answer)
  for (const [url, answer] of Object.entries(emptyListsOfOrganizations)) {
    const access = owner('organization:get')
    app.get(url, { schema: { params: pathOf('org') }, config: { access } }, async (request: FastifyRequest) => {
      ownOrganization(request, (request.params as { org: string }).org)
      return answer
    })
  }
  app.get(
    '/v1/products/:product/ledgers',
    { schema: { params: pathOf('product') }, config: { access: ofProduct('products:get') } },
    async () => ledgers,
  )
  // In the place of a variable: without this it would be taken for one.
  app.put('/v1/devices/:id/backup_files', { schema: { params: pathOf('id') }, config: { access: self } }, async () => {
    throw notImplemented('provisioning of Tachyon devices')
  })
}

/** What to answer for a path that no route takes: 501 for what Aloe knows of and has not, undefined for the rest. */
export function unimplementedFamily(url: string): ApiError | undefined {
  const path = url.replace(/[?#].*$/s, '')
  if (!path.startsWith('/v1/')) return undefined
  const what = families.find(([pattern]) => pattern.test(path))?.[1]
  return what === undefined ? undefined : notImplemented(what)
}
