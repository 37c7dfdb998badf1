/**
 * The API's own description: an OpenAPI document out of the schemas that validate, at `/openapi.json`, and a page to
 * read it and try it at `/docs`, which loads nothing from elsewhere.
 */
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance, FastifySchema, RouteOptions } from 'fastify'
import type { Access } from '../access.ts'
import { anyone } from '../access.ts'
import type { ApiContext } from '../context.ts'
import type { ApiServer } from '../schemas.ts'
import { answersOf, components } from './answers.ts'
import { summaryOf } from './summaries.ts'
import { tagOf, tags } from './tags.ts'

/** The page loads nothing from elsewhere, also over plain HTTP, where asking for HTTPS would break it. */
const policy =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; frame-ancestors 'self'; base-uri 'none'"

/** To be called before any route is registered, as it collects them. */
export async function describeApi(app: ApiServer, { options }: ApiContext): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Aloe',
        version: options.version,
        description:
          'A device cloud compatible with Particle’s. Errors are JSON with `error`; only a token that is not good is a 401. A body may be JSON or a form.',
      },
      // Relative to where the document is, behind whatever proxy.
      servers: [{ url: '/' }],
      tags: [...tags],
      components: {
        securitySchemes: {
          bearer: { type: 'http', scheme: 'bearer', description: 'An access token of `POST /oauth/token`' },
          query: {
            type: 'apiKey',
            in: 'query',
            name: 'access_token',
            description: 'The same token, where no header can be set',
          },
        },
        schemas: components,
      },
    },
    transform: ({ schema, url, route }) => ({ schema: documented(schema, url, route), url }),
    transformObject(document) {
      if (!('openapiObject' in document)) return document.swaggerObject
      return answersOf(document.openapiObject)
    },
  })

  app.get('/openapi.json', { config: { access: anyone }, schema: { hide: true } as FastifySchema }, async () =>
    (app as unknown as FastifyInstance).swagger(),
  )
  await app.register(async (scope) => {
    scope.addHook('onRoute', (route) => {
      route.config = { ...route.config, access: anyone }
    })
    await scope.register(swaggerUi, {
      routePrefix: '/docs',
      staticCSP: true,
      transformStaticCSP: () => policy,
      uiConfig: { validatorUrl: 'none', docExpansion: 'none', deepLinking: true, displayRequestDuration: true },
      theme: { title: 'Aloe: HTTP API' },
    })
  })
}

/** The route's schema, with what it does and what it asks of its caller; for the document alone. */
function documented(schema: FastifySchema | undefined, url: string, { method, config }: RouteOptions): FastifySchema {
  if (schema?.hide) return schema
  const access: Access = config?.access ?? { to: 'self' }
  const verb = String(Array.isArray(method) ? method[0] : method)
  const takesBody = verb === 'POST' || verb === 'PUT' || verb === 'PATCH' || verb === 'DELETE'
  const takesFiles = config?.upload === true
  const types = ['application/json', 'application/x-www-form-urlencoded']
  return {
    ...schema,
    ...parametersOf(schema?.params, url),
    summary: schema?.summary ?? summaryOf(verb, url),
    description: schema?.description ?? wordsFor(access),
    tags: [...(schema?.tags ?? [tagOf(url)])],
    security: access.to === 'anyone' ? [] : [{ bearer: [] }, { query: [] }],
    ...(takesBody &&
      schema?.body !== undefined && { consumes: takesFiles ? [...types, 'multipart/form-data'] : types }),
  }
}

/** Every parameter of the path, also where the route's schema has none. */
function parametersOf(params: unknown, url: string): { params?: object } {
  const names = [...url.matchAll(/:(\w+)/g)].map(([, name = '']) => name)
  if (url.endsWith('*')) names.push('*')
  if (names.length === 0) return {}
  const { properties: own = {} } = (params ?? {}) as { properties?: Record<string, object> }
  const properties = Object.fromEntries(names.map((name) => [name, own[name] ?? { type: 'string' }]))
  return { params: { type: 'object', properties, required: names } }
}

function wordsFor(access: Access): string {
  switch (access.to) {
    case 'anyone':
      return 'Asks for no token.'
    case 'holder':
      return 'Any good token.'
    case 'self':
      return 'For people who have logged in.'
    case 'administrators':
      return 'For administrators of this cloud.'
    case 'owner':
      return `For whom it belongs to (scope \`${access.scope}\`).`
    case 'product':
      return `For the team and the clients of the product (scope \`${access.scope}\`).`
  }
}
