/** For tests of access: a cloud with somebody of every kind in it, and things that are one person's alone. */
import type { FastifyInstance } from 'fastify'
import { type Role, roleMay, type Scope, scopes, type TeamRole } from '../identity/scopes.ts'
import { type ApiFixture, devicePem, password, startApi } from './api-fixture.ts'
import type { RouteRow } from './route-table.ts'

/** In all that is the owner's alone: whoever else sees this word has seen too much. */
const marker = 'zebrawood'
/** The same for what is the product's, which its team may see. */
const productMarker = 'kingwood'

/** Whether somebody sees in an answer what is not theirs to see. */
export function showsTooMuch(text: string, who: Who): boolean {
  if (text.includes(marker)) return true
  const ofProduct = who.kind !== 'nobody' && (who.kind === 'person' ? who.role !== undefined : !who.foreign)
  return text.includes(productMarker) && !ofProduct
}

export type Person = { readonly kind: 'person'; readonly role?: Role; readonly administrator?: true }
export type Program = {
  readonly kind: 'api-user' | 'client'
  readonly scopes: ReadonlySet<Scope>
  readonly foreign?: true
}
export type CustomerOf = { readonly kind: 'customer'; readonly foreign?: true }
/** Somebody, and what they are to the product. */
export type Who = { readonly name: string; readonly token: string | null } & (
  | { readonly kind: 'nobody' }
  | Person
  | Program
  | CustomerOf
)

export interface World {
  readonly api: ApiFixture
  readonly callers: readonly Who[]
  /** The path of a route with the ids of what is the owner's, and of the product that is asked for. */
  path(row: RouteRow, product?: 'own' | 'foreign'): string
  /** The same with other values for some parameters, as they stand. */
  pathWith(row: RouteRow, values: Readonly<Record<string, string>>): string
  /** All rows of all tables that last. */
  snapshot(): Promise<string>
  close(): Promise<void>
}

/** Says in its answer that a request was let in, instead of doing it. */
export const gateOnly = 'x-gate-only'

const ids = {
  device: '422b00000000000000000001',
  productDevice: '422b00000000000000000002',
  customerDevice: '422b00000000000000000003',
}

export async function makeWorld(): Promise<World> {
  const api = await startApi({}, (app: FastifyInstance) => {
    app.addHook('preValidation', async (request, reply) => {
      if (request.headers[gateOnly] !== undefined) return reply.send({ admitted: true })
    })
  })
  const { identity, registry } = api
  const person = async (name: string, administrator = false) => {
    const user = await identity.users.create(`${name}@example.com`, password, { administrator })
    return { user, token: (await identity.tokens.issue(user.id, 'particle', null)).token }
  }
  const make = async (path: string, body: object, token = api.token) => {
    const answer = await api.request('POST', path, {
      token,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    if (answer.status >= 300) throw new Error(`${path}: ${answer.text}`)
    return answer.body
  }

  const stranger = await person('stranger')
  const administrator = await person('cloud-administrator', true)
  const { product } = await make('/v1/products', { name: `${productMarker} lamps`, platform_id: 43 })
  const foreign = (await make('/v1/products', { name: 'stones', platform_id: 43 }, stranger.token)).product
  await api.device(ids.device, `${marker}-desk`)
  await registry.setNotes(ids.device, api.user.id, marker)
  for (const id of [ids.productDevice, ids.customerDevice]) {
    await registry.provision(id, devicePem(), { id: api.user.id, administrator: false }, 43)
  }
  const base = `/v1/products/${product.id}`
  await make(`${base}/devices`, { ids: [ids.productDevice, ids.customerDevice] })
  await make(`${base}/groups`, { name: 'group', description: productMarker })
  // Nobody listens there.
  const hook = { url: 'http://127.0.0.1:9/hook', integration_type: 'Webhook' }
  const ownHook = await make('/v1/integrations', { event: marker, ...hook })
  const productHook = await make(`${base}/integrations`, { event: productMarker, ...hook })
  const ownClient = (await make('/v1/clients', { name: marker })).client
  const client = (await make(`${base}/clients`, { name: productMarker, scope: '*:*' })).client
  const narrow = (await make(`${base}/clients`, { name: `${productMarker} app`, scope: 'customers:create' })).client
  const foreignBase = `/v1/products/${foreign.id}`
  const foreignClient = (await make(`${foreignBase}/clients`, { name: 'c', scope: '*:*' }, stranger.token)).client

  const apiUser = async (of: string, given: readonly Scope[], token?: string) =>
    (await make(`${of}/team`, { friendly_name: 'robot', scopes: given }, token)).created.tokens[0].token as string
  const ofClient = async ({ id, secret }: { id: string; secret: string }) => {
    const body = new URLSearchParams({ grant_type: 'client_credentials', client_id: id, client_secret: secret })
    return (await api.request('POST', '/oauth/token', { token: null, body })).body.access_token as string
  }
  const customer = async (of: string, name: string, token?: string) =>
    (await make(`${of}/customers`, { email: `${name}@example.com`, password }, token)).access_token as string
  const member = async (role: TeamRole) => {
    const { user, token } = await person(role.toLowerCase())
    await make(`${base}/team`, { username: user.username, role })
    return { token, role }
  }
  const customerToken = await customer(base, 'customer')
  const customerId = identity.customers.find(product.id, 'customer@example.com')?.user.id ?? ''
  await registry.claim(ids.customerDevice, customerId)

  const every = new Set(scopes)
  const developer = new Set(scopes.filter((scope) => roleMay('Developer', scope)))
  const callers: Who[] = [
    { name: 'nobody', kind: 'nobody', token: null },
    { name: 'the owner', kind: 'person', role: 'Owner', token: api.token },
    { name: 'a stranger', kind: 'person', token: stranger.token },
    { name: 'the administrator of the cloud', kind: 'person', administrator: true, token: administrator.token },
  ]
  for (const role of ['Administrator', 'Developer', 'Support', 'View-only'] as const) {
    const { token } = await member(role)
    callers.push({ name: role, kind: 'person', role, token })
  }
  callers.push(
    { name: 'API user, all scopes', kind: 'api-user', scopes: every, token: await apiUser(base, scopes) },
    {
      name: 'API user, another scope',
      kind: 'api-user',
      scopes: new Set(['sims:list']),
      token: await apiUser(base, ['sims:list']),
    },
    {
      name: 'API user of another product',
      kind: 'api-user',
      scopes: every,
      foreign: true,
      token: await apiUser(foreignBase, scopes, stranger.token),
    },
    { name: 'product token', kind: 'client', scopes: developer, token: await ofClient(client) },
    {
      name: 'product token, customers:create',
      kind: 'client',
      scopes: new Set(['customers:create']),
      token: await ofClient(narrow),
    },
    {
      name: 'token of another product',
      kind: 'client',
      scopes: developer,
      foreign: true,
      token: await ofClient(foreignClient),
    },
    { name: 'customer', kind: 'customer', token: customerToken },
    {
      name: 'customer of another product',
      kind: 'customer',
      foreign: true,
      token: await customer(foreignBase, 'other-customer', stranger.token),
    },
  )

  const samples = (url: string): Readonly<Record<string, string>> => {
    const ofProduct = url.startsWith('/v1/products/')
    const family = /\/(devices|diagnostics|provisioning|integrations|webhooks)\/:id/.exec(url)?.[1]
    const hooks = family === 'integrations' || family === 'webhooks'
    const deviceId = ofProduct ? ids.productDevice : ids.device
    return {
      product: String(product.id),
      id: hooks ? (ofProduct ? productHook : ownHook).id : family === undefined ? 'f'.repeat(24) : deviceId,
      client: ofProduct ? client.id : ownClient.id,
      customer: 'customer@example.com',
      username: ofProduct ? 'developer@example.com' : 'view-only@example.com',
      group: 'group',
      org: api.user.username,
      version: '1',
      name: 'led',
    }
  }
  return {
    api,
    callers,
    path(row, which = 'own') {
      return filled(row.url, { ...samples(row.url), ...(which === 'foreign' && { product: String(foreign.id) }) })
    },
    pathWith(row, values) {
      return filled(row.url, { ...samples(row.url), ...values })
    },
    async snapshot() {
      await registry.flush()
      const tables = await api.store.db.introspection.getTables()
      const rows = tables
        .filter(({ name }) => name !== 'audit_log')
        .map(async ({ name }) => [
          name,
          await api.store.db
            .selectFrom(name as 'users')
            .selectAll()
            .execute(),
        ])
      return JSON.stringify(await Promise.all(rows))
    },
    close: () => api.close(),
  }
}

function filled(url: string, values: Readonly<Record<string, string>>): string {
  return url.replace(/:(\w+)/g, (_, name: string) => values[name] ?? 'x').replace('*', () => values['*'] ?? 'x')
}
