/** The REST and SSE API: Particle's (cloud-api.md), and what Aloe adds. `docs/api.md` is its description. */
import cors from '@fastify/cors'
import Fastify, { type FastifyInstance, type FastifyRequest, LogController } from 'fastify'
import { authorizeRoutes } from './authorize.ts'
import { registerBodies } from './bodies.ts'
import { type ApiContext, createContext } from './context.ts'
import { type ApiError, notFound, sendError, tooMany } from './errors.ts'
import type { RateClass } from './limits.ts'
import { createMetrics } from './metrics.ts'
import { answerClientError, observeRequests } from './observe.ts'
import { describeApi } from './openapi/openapi.ts'
import { requestIdOf } from './request-id.ts'
import { collectRoutes } from './route-table.ts'
import { aloeRoutes, openAloeRoutes } from './routes/aloe.ts'
import { binaryRoutes } from './routes/binaries.ts'
import { deviceOsRoutes } from './routes/device-os.ts'
import { deviceOsCatalogueRoutes } from './routes/device-os-catalogue.ts'
import { deviceRoutes } from './routes/devices.ts'
import { diagnosticRoutes } from './routes/diagnostics.ts'
import { eventRoutes } from './routes/events.ts'
import { flashRoutes } from './routes/flash.ts'
import { functionRoutes } from './routes/functions.ts'
import { identityRoutes } from './routes/identity.ts'
import { integrationRoutes } from './routes/integrations.ts'
import { metricRoutes } from './routes/metrics.ts'
import { planRoutes } from './routes/plan.ts'
import { registerProducts } from './routes/product-routes.ts'
import { publishRoutes } from './routes/publish.ts'
import { rolloutRoutes } from './routes/rollouts.ts'
import { emptyListRoutes, unimplementedFamily } from './routes/unimplemented.ts'
import { updateRoutes } from './routes/updates.ts'
import type { ApiServer } from './schemas.ts'
import type { ApiDeps } from './services.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Counted besides all requests. */
    rate?: Exclude<RateClass, 'requests' | 'serialNumbers'>
  }
}

/** Particle's header limit is not documented; ids and names are short, event prefixes are not. */
const longestParameter = 1_024

/**
 * Builds the API's server. The caller listens (`app.listen({ host, port })`) and closes it (`app.close()`), which also
 * ends the open event streams.
 *
 * @param beforeRoutes may add hooks, which run after access has been decided
 */
export async function createApi(
  deps: ApiDeps,
  beforeRoutes: (app: FastifyInstance) => void = () => undefined,
): Promise<FastifyInstance> {
  const context = createContext(deps)
  const app = createServer(context)
  collectRoutes(app as unknown as FastifyInstance)

  app.setErrorHandler((error, request, reply) => sendError(error, request, reply))
  app.setNotFoundHandler((request, reply) => sendError(noSuchPath(request), request, reply))
  await app.register(cors, {
    origin: '*',
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    allowedHeaders: [
      ...['Authorization', 'Content-Type', 'Accept', 'X-Particle-Tool', 'X-Particle-Project'],
      ...['Last-Event-ID', 'X-Request-Id'],
    ],
    exposedHeaders: ['X-Request-Id', 'Retry-After'],
    maxAge: 86_400,
  })
  const metrics = createMetrics(context)
  observeRequests(app, metrics)
  await describeApi(app, context)
  limitRates(app, context)
  await registerBodies(app as unknown as FastifyInstance, context.limits)
  authorizeRoutes(app as unknown as FastifyInstance, {
    identity: context.identity,
    products: deps.products,
  })
  beforeRoutes(app as unknown as FastifyInstance)

  openAloeRoutes(app, context)
  identityRoutes(app, context)
  deviceOsRoutes(app, context)
  deviceOsCatalogueRoutes(app, context)
  deviceRoutes(app, context)
  registerProducts(app, context)
  flashRoutes(app, context)
  publishRoutes(app, context)
  eventRoutes(app, context)
  functionRoutes(app, context)
  integrationRoutes(app, context)
  binaryRoutes(app, context)
  diagnosticRoutes(app, context)
  aloeRoutes(app, context)
  planRoutes(app, context)
  updateRoutes(app, context)
  rolloutRoutes(app, context)
  metricRoutes(app, context, metrics)
  emptyListRoutes(app)

  // Streams have no end of their own: the server would wait for them.
  app.addHook('preClose', async () => context.streams.end(() => true))
  await app.ready()
  return app as unknown as FastifyInstance
}

function createServer({ options, limits }: ApiContext): ApiServer {
  const app = Fastify({
    bodyLimit: limits.body,
    requestTimeout: limits.requestTimeout,
    forceCloseConnections: true,
    genReqId: requestIdOf,
    clientErrorHandler: (error, socket) =>
      answerClientError(error, socket, (code) => options.logger?.debug({ code }, 'no valid HTTP came')),
    // `true` is for whoever connects, and not for all that a client writes into the header: its own address is the last.
    trustProxy: options.trustProxy === true ? (_address, hop) => hop === 0 : (options.trustProxy ?? false),
    exposeHeadRoutes: false,
    // A path that is no URL fails before any hook runs.
    frameworkErrors: (error, request, reply) => sendError(error, request, reply),
    routerOptions: { maxParamLength: longestParameter },
    // What a form sends as text, handlers read; a validator that guesses would turn a device's name into a number.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: false } },
    ...(options.logger && {
      loggerInstance: options.logger,
      logController: new LogController({ disableRequestLogging: true }),
    }),
    ...(options.https && { https: options.https }),
  })
  return app as unknown as ApiServer
}

function limitRates(app: ApiServer, { rates, now }: ApiContext): void {
  app.addHook('onRequest', async (request: FastifyRequest) => {
    const { rate } = request.routeOptions.config
    const wait = rates.count('requests', request.ip, now()) || (rate ? rates.count(rate, request.ip, now()) : 0)
    if (wait > 0) throw tooMany(wait)
    // Before a body is read: whatever it is, nobody wants it. A preflight is answered by the hook of CORS.
    if (request.is404 && request.method !== 'OPTIONS') throw noSuchPath(request)
  })
}

function noSuchPath({ url }: FastifyRequest): ApiError {
  return unimplementedFamily(url) ?? notFound('There is no such path')
}
