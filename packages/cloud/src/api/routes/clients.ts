/** OAuth clients of users and of products (cloud-api.md 1.7). */
import type { FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import type { ClientType, OAuthClient } from '../../identity/clients.ts'
import { ofProduct, self } from '../access.ts'
import { productOf, userOf } from '../authentication.ts'
import type { ApiContext } from '../context.ts'
import { badRequest, notFound } from '../errors.ts'
import { requireRights, scopesOf } from '../rights.ts'
import { type ApiServer, OptionalText, pathOf } from '../schemas.ts'

const Scopes = Type.Optional(
  Type.Union([
    Type.String({ maxLength: 4_000 }),
    Type.Array(Type.String({ maxLength: 100 }), { maxItems: 200 }),
    Type.Null(),
  ]),
)
const NewClient = Type.Object({
  name: OptionalText(200),
  type: OptionalText(20),
  redirect_uri: Type.Optional(Type.Union([Type.String({ maxLength: 4_000 }), Type.Null()])),
  scope: Scopes,
})
const ClientChanges = Type.Object({ name: OptionalText(200), scope: Scopes })

type Owner = { readonly userId: string } | { readonly productId: number }

export function clientRoutes(app: ApiServer, context: ApiContext): void {
  const { identity } = context

  const own = (request: FastifyRequest): Owner => ({ userId: userOf(request).id })
  app.get('/v1/clients', { config: { access: self } }, async (request) => list(own(request)))
  app.get(
    '/v1/clients/:client',
    { schema: { params: pathOf('client') }, config: { access: self } },
    async (request) => ({
      ok: true,
      client: clientJson(find(own(request), request.params.client)),
    }),
  )
  app.post('/v1/clients', { schema: { body: NewClient }, config: { rate: 'credentials', access: self } }, (request) =>
    create(request, own(request), request.body),
  )
  app.put(
    '/v1/clients/:client',
    { schema: { params: pathOf('client'), body: ClientChanges }, config: { access: self } },
    (request) => update(request, own(request), request.params.client, request.body),
  )
  app.delete(
    '/v1/clients/:client',
    { schema: { params: pathOf('client') }, config: { access: self } },
    async (request, reply) => {
      await remove(request, own(request), request.params.client)
      return reply.code(204).send()
    },
  )

  const ofIt = (request: FastifyRequest): Owner => ({ productId: productOf(request).id })
  app.get(
    '/v1/products/:product/clients',
    { schema: { params: pathOf('product') }, config: { access: ofProduct('clients:list') } },
    async (request) => list(ofIt(request)),
  )
  app.get(
    '/v1/products/:product/clients/:client',
    { schema: { params: pathOf('product', 'client') }, config: { access: ofProduct('clients:get') } },
    async (request) => ({ ok: true, client: clientJson(find(ofIt(request), request.params.client)) }),
  )
  app.post(
    '/v1/products/:product/clients',
    {
      schema: { params: pathOf('product'), body: NewClient },
      config: { rate: 'credentials', access: ofProduct('clients:create') },
    },
    (request) => create(request, ofIt(request), request.body),
  )
  app.put(
    '/v1/products/:product/clients/:client',
    {
      schema: { params: pathOf('product', 'client'), body: ClientChanges },
      config: { access: ofProduct('clients:update') },
    },
    (request) => update(request, ofIt(request), request.params.client, request.body),
  )
  app.delete(
    '/v1/products/:product/clients/:client',
    { schema: { params: pathOf('product', 'client') }, config: { access: ofProduct('clients:remove') } },
    async (request, reply) => {
      await remove(request, ofIt(request), request.params.client)
      return reply.code(204).send()
    },
  )

  function list(owner: Owner) {
    return { ok: true, clients: identity.clients.list(owner).map(clientJson) }
  }

  async function create(request: FastifyRequest, owner: Owner, body: Static<typeof NewClient>) {
    const { name, type = 'installed', redirect_uri = null } = body
    if (!name) throw badRequest('"name" is required')
    if (type !== 'installed' && type !== 'web') throw badRequest('"type" must be "installed" or "web"')
    const scopes = scopesOf(body.scope)
    if ('productId' in owner) requireRights(request, identity, scopes)
    const { client, secret } = await identity.clients.create(
      { name, type: type as ClientType, redirectUri: redirect_uri, scopes },
      owner,
    )
    context.audit(request, 'client.create', client.id, { name, scopes: [...scopes] })
    return { ok: true, client: { ...clientJson(client), secret } }
  }

  async function update(request: FastifyRequest, owner: Owner, id: string, body: Static<typeof ClientChanges>) {
    const before = find(owner, id)
    const scopes = body.scope === undefined ? undefined : scopesOf(body.scope)
    if ('productId' in owner) {
      requireRights(request, identity, before.scopes)
      if (scopes) requireRights(request, identity, scopes)
    }
    const client = await identity.clients.update(id, {
      ...(body.name !== undefined && { name: body.name }),
      ...(scopes && { scopes }),
    })
    context.audit(request, 'client.update', id, { name: client.name, scopes: [...client.scopes] })
    return { ok: true, client: clientJson(client) }
  }

  async function remove(request: FastifyRequest, owner: Owner, id: string): Promise<void> {
    const client = find(owner, id)
    await identity.clients.remove(id)
    if (client.productId !== null) identity.tokens.forgetUser(id)
    await identity.tokens.revokeOfClient(id)
    context.audit(request, 'client.remove', id)
  }

  /** @throws ApiError 404 for one of somebody else too: which of both it is is nobody's business */
  function find(owner: Owner, id: string): OAuthClient {
    const client = identity.clients.list(owner).find((one) => one.id === id)
    if (!client) throw notFound('There is no such client')
    return client
  }
}

function clientJson({ id, name, type, redirectUri, scopes }: OAuthClient): Record<string, unknown> {
  return {
    id,
    name,
    type,
    ...(redirectUri !== null && { redirect_uri: redirectUri }),
    scope: scopes.size === 0 ? null : [...scopes].join(' '),
  }
}
