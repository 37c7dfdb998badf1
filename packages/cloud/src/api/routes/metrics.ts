/** `GET /metrics`, for Prometheus (docs/operations.md). */
import { createHash, timingSafeEqual } from 'node:crypto'
import { anyone } from '../access.ts'
import { bearerToken, sessionOf } from '../authentication.ts'
import type { ApiContext } from '../context.ts'
import { forbidden, missingToken } from '../errors.ts'
import type { ApiMetrics } from '../metrics.ts'
import type { ApiServer } from '../schemas.ts'

export function metricRoutes(app: ApiServer, { identity, options }: ApiContext, metrics: ApiMetrics): void {
  // The token of its own is no access token, so that this route asks by itself: a scraper needs no account.
  app.get('/metrics', { config: { access: anyone } }, async (request, reply) => {
    const token = bearerToken(request)
    if (token === undefined) throw missingToken()
    if (options.metricsToken === undefined || !isSame(token, options.metricsToken)) {
      const { caller } = sessionOf(identity, token)
      if (caller.kind !== 'user' || !caller.user.administrator) throw forbidden('Only an administrator may do this')
    }
    return reply.type(metrics.contentType).send(await metrics.text())
  })
}

function isSame(given: string, expected: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(expected))
}
