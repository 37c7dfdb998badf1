/** The audit log: what was done, by whom (`docs/identity.md`). */
import { Type } from 'typebox'
import type { AuditEntry, AuditQuery } from '../../identity/audit.ts'
import { ofProduct, self } from '../access.ts'
import { productOf, userOf } from '../authentication.ts'
import { type ApiContext, iso } from '../context.ts'
import { badRequest } from '../errors.ts'
import { type ApiServer, NumberLike, OptionalText, pathOf, readInteger } from '../schemas.ts'

const Query = Type.Object({
  /** The `next` of the page before. */
  before: OptionalText(24),
  action: OptionalText(100),
  per_page: Type.Optional(NumberLike),
  access_token: OptionalText(200),
})

const defaultPage = 100
const largestPage = 1_000

export function auditRoutes(app: ApiServer, { identity }: ApiContext): void {
  app.get('/v1/aloe/audit', { schema: { querystring: Query }, config: { access: self } }, (request) => {
    const { id, administrator } = userOf(request)
    return page(request.query, administrator ? {} : { userId: id })
  })

  app.get(
    '/v1/products/:product/aloe/audit',
    { schema: { params: pathOf('product'), querystring: Query }, config: { access: ofProduct('audit:get') } },
    (request) => page(request.query, { productId: productOf(request).id }),
  )

  async function page(
    { before, action, per_page }: { before?: string; action?: string; per_page?: number | string },
    of: Pick<AuditQuery, 'userId' | 'productId'>,
  ) {
    const limit = per_page === undefined ? defaultPage : readInteger(per_page)
    if (limit === undefined || limit < 1 || limit > largestPage) {
      throw badRequest(`"per_page" must be a number from 1 to ${largestPage}`)
    }
    const entries = await identity.audit.list({
      ...of,
      limit: limit + 1,
      ...(before !== undefined && { before }),
      ...(action !== undefined && { action }),
    })
    const shown = entries.slice(0, limit)
    return {
      entries: shown.map(entryJson),
      meta: { per_page: limit, next: entries.length > limit ? (shown.at(-1)?.id ?? null) : null },
    }
  }
}

function entryJson(entry: AuditEntry): Record<string, unknown> {
  const { id, at, actor, action, target, userId, productId, ip, requestId, detail } = entry
  return {
    id,
    at: iso(at),
    actor,
    action,
    target,
    user_id: userId,
    product_id: productId,
    ip,
    request_id: requestId,
    detail,
  }
}
