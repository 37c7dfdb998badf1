/** The hook that stands before every route: who is it, and may they (cloud-api.md 0.2 and 5). */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type AccessDecision, mayOnOwn, mayOnProduct } from '../identity/access-rules.ts'
import type { Caller } from '../identity/caller.ts'
import type { Identity } from '../identity/identity.ts'
import type { ProductDirectory } from '../identity/product-directory.ts'
import type { ProductRecord } from '../products/product.ts'
import { type Access, anyone, self } from './access.ts'
import { bearerToken, mayComeInForm, queryToken, sessionOf } from './authentication.ts'
import { badClient, clientOf } from './credentials.ts'
import { type ApiError, forbidden, missingToken, notFound, oauthError } from './errors.ts'

export interface AuthorizeOptions {
  readonly identity: Identity
  readonly products: ProductDirectory<ProductRecord>
}

/**
 * Enforces the access of every route that is registered afterwards.
 *
 * A token comes in the header, in the query, or in a form body. Before a body is read, unless the token is in it: nobody
 * who may not do it can upload.
 */
export function authorizeRoutes(app: FastifyInstance, options: AuthorizeOptions): void {
  app.decorateRequest('session', null)
  app.decorateRequest('caller', null)
  app.decorateRequest('product', null)

  app.addHook('onRequest', async (request) => {
    if (request.is404) return
    const access = accessFor(request)
    if (access.to === 'anyone' || mayBeClient(access)) return
    const token = bearerToken(request) ?? queryToken(request)
    if (token !== undefined) admit(request, token, access, options)
    else if (!mayComeInForm(request)) throw missingToken()
  })

  app.addHook('preValidation', async (request) => {
    if (request.is404 || request.caller) return
    const access = accessFor(request)
    if (access.to === 'anyone') return
    const body = request.body as { access_token?: unknown; client_id?: unknown; client_secret?: unknown }
    const own = mayBeClient(access) ? clientOf(request, body, options.identity)?.own : undefined
    if (own && own.productId !== null) {
      request.caller = { kind: 'product', productId: own.productId, clientId: own.id, scopes: own.scopes }
      allow(request, request.caller, access, options)
      return
    }
    const token = bearerToken(request) ?? queryToken(request) ?? body.access_token
    if (typeof token === 'string') return admit(request, token, access, options)
    throw mayBeClient(access) && body.client_id !== undefined ? badClient() : missingToken()
  })
}

/** A route that does not say what it asks is for people with a token. A test finds it (access-matrix.test.ts). */
function accessFor(request: FastifyRequest): Access {
  return request.method === 'OPTIONS' ? anyone : (request.routeOptions.config.access ?? self)
}

/** Whose credentials may be in the body. */
function mayBeClient(access: Access): boolean {
  return access.to === 'product' && access.orClient === true
}

function admit(request: FastifyRequest, token: string, access: Access, options: AuthorizeOptions): void {
  request.session = sessionOf(options.identity, token)
  request.caller = request.session.caller
  allow(request, request.caller, access, options)
}

/** @throws ApiError when the caller may not; puts the product where the route has one */
function allow(
  request: FastifyRequest,
  caller: Caller,
  access: Access,
  { identity, products }: AuthorizeOptions,
): void {
  switch (access.to) {
    case 'anyone':
    case 'holder':
      return
    case 'self':
      if (caller.kind !== 'user') throw refusal('not-for-programs', caller)
      return
    case 'administrators':
      if (caller.kind !== 'user') throw refusal('not-for-programs', caller)
      if (!caller.user.administrator) throw forbidden('Only an administrator may do this')
      return
    case 'owner':
      enforce(mayOnOwn(caller, access.scope), caller)
      return
    case 'product': {
      const { product: name = '' } = request.params as { product?: string }
      const product = products.find(name)
      if (!product) throw notFound('There is no such product')
      enforce(mayOnProduct(caller, access.scope, product, identity.teams), caller)
      request.product = product
    }
  }
}

function enforce(decision: AccessDecision, caller: Caller): void {
  if (!decision.ok) throw refusal(decision.reason, caller)
}

type Refusal = Extract<AccessDecision, { ok: false }>['reason']

/** Never a 401, and never the words that make the official CLI log out (cloud-api.md 0.3). */
function refusal(reason: Refusal, caller: Caller): ApiError {
  if (caller.kind === 'api-user') {
    return oauthError(403, 'unauthorized', 'API users are not allowed to call this endpoint')
  }
  switch (reason) {
    case 'role-too-low':
      return forbidden('Your role in this product does not allow this')
    case 'missing-scope':
      return oauthError(403, 'insufficient_scope', 'This client has not the scope that this endpoint asks for')
    case 'not-for-programs':
      return forbidden('This endpoint is for people who have logged in')
    case 'not-yours':
      return forbidden('You have no access to this')
  }
}
