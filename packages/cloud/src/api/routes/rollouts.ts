/** Releases on their way to a product's devices, and what one would do (docs/releases.md). */
import { ModuleFormatError, readBundle } from '@aloe/firmware'
import { Type } from 'typebox'
import { actorOf } from '../../identity/caller.ts'
import { releasedAfter } from '../../products/impact.ts'
import { previewRelease } from '../../rollouts/preview.ts'
import { deviceStates, RolloutError, readSettings, settingsJson } from '../../rollouts/rollout.ts'
import { applicationIn, isBundle } from '../../updates/file-check.ts'
import { ofProduct } from '../access.ts'
import { productOf } from '../authentication.ts'
import type { ApiContext } from '../context.ts'
import { ApiError, badRequest, notFound } from '../errors.ts'
import { listOf, queryOf } from '../lists.ts'
import { previewJson, rolloutDeviceJson, rolloutJson } from '../rollout-json.ts'
import { type ApiServer, BooleanLike, NumberLike, pathOf, readBoolean, readInteger } from '../schemas.ts'

const Question = Type.Object({
  version: Type.Optional(NumberLike),
  product_default: Type.Optional(BooleanLike),
  groups: Type.Optional(Type.Union([Type.String(), Type.Array(Type.String()), Type.Null()])),
  intelligent: Type.Optional(BooleanLike),
})
const Settings = Type.Record(Type.String(), Type.Unknown())

const pageSize = 100
const largestPage = 1_000

export function rolloutRoutes(app: ApiServer, context: ApiContext): void {
  const { rollouts, products, registry, gateway, catalogue, updates, now } = context
  const base = '/v1/products/:product/aloe'
  const params = pathOf('product', 'id')
  const see = { access: ofProduct('firmware:get') }
  const steer = { access: ofProduct('firmware:release') }

  app.post(
    `${base}/preview`,
    { schema: { params: pathOf('product'), body: Question }, config: see },
    async (request) => {
      const product = productOf(request)
      const { body } = request
      const version = readInteger(body.version)
      if (version === undefined) throw badRequest('"version" is required, and is a whole number')
      const firmware = products.firmware.get(product.id, version)
      if (!firmware) throw notFound(`The product has no firmware version ${version}`)
      const groups = listOf(body.groups)
      products.groups.check(product.id, groups)
      const productDefault = readBoolean(body.product_default) ?? groups.length === 0
      const released = releasedAfter(products.firmware.released(product.id), { version, productDefault, groups })
      const application = await applicationOf(product.id, version)
      const intelligent = readBoolean(body.intelligent) === true
      const preview = previewRelease(
        {
          products,
          registry,
          gateway,
          catalogue,
          policies: updates.policies,
          settings: rollouts.settings(product.id),
          now: now(),
        },
        product,
        { firmware, application, released, intelligent },
      )
      return previewJson(preview)
    },
  )

  app.get(`${base}/rollouts`, { schema: { params: pathOf('product') }, config: see }, async (request) => ({
    rollouts: (await rollouts.list(productOf(request).id)).map(rolloutJson),
  }))

  app.get(`${base}/rollouts/:id`, { schema: { params }, config: see }, async (request) => ({
    rollout: rolloutJson(await known(() => rollouts.get(productOf(request).id, request.params.id))),
  }))

  app.get(`${base}/rollouts/:id/devices`, { schema: { params }, config: see }, async (request) => {
    const query = queryOf(request)
    const state = query.state === undefined || query.state === '' ? undefined : String(query.state)
    if (state !== undefined && !deviceStates.some((one) => one === state)) {
      throw badRequest(`"state" can be ${deviceStates.join(', ')}`)
    }
    const page = Math.max(1, readInteger(query.page) ?? 1)
    const size = Math.min(largestPage, Math.max(1, readInteger(query.per_page) ?? pageSize))
    const asked = { page, size, ...(state !== undefined && { state }) }
    const found = await known(() => rollouts.devices(productOf(request).id, request.params.id, asked))
    const pages = Math.ceil(found.total / size)
    return { devices: found.devices.map(rolloutDeviceJson), meta: { total: found.total, page, total_pages: pages } }
  })

  for (const what of ['pause', 'resume', 'stop', 'retry'] as const) {
    app.post(`${base}/rollouts/:id/${what}`, { schema: { params }, config: steer }, async (request) => {
      const { id: productId } = productOf(request)
      const { id } = request.params
      const answer = await known(async () => {
        if (what !== 'retry') return { rollout: rolloutJson(await rollouts[what](productId, id)) }
        const { rollout, retried } = await rollouts.retry(productId, id)
        return { retried, rollout: rolloutJson(rollout) }
      })
      context.audit(request, `rollout.${what}`, id)
      return { ok: true, ...answer }
    })
  }

  app.get(`${base}/rollout-settings`, { schema: { params: pathOf('product') }, config: see }, async (request) => ({
    settings: settingsJson(rollouts.settings(productOf(request).id)),
  }))

  app.put(
    `${base}/rollout-settings`,
    { schema: { params: pathOf('product'), body: Settings }, config: steer },
    async (request) => {
      const { id } = productOf(request)
      const change = readSettings(request.body)
      if (typeof change === 'string') throw badRequest(change)
      const settings = settingsJson(await rollouts.putSettings(id, change, actorOf(request.caller).id ?? null))
      context.audit(request, 'rollout.settings', id, settings)
      return { ok: true, settings }
    },
  )

  async function applicationOf(productId: number, version: number) {
    const content = new Uint8Array(await products.firmware.content(productId, version))
    try {
      const application = applicationIn(isBundle(content) ? readBundle(content).application.data : content)
      if (application) return application
    } catch (error) {
      if (!(error instanceof ModuleFormatError)) throw error
    }
    throw badRequest('The firmware is no application')
  }
}

async function known<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    if (!(error instanceof RolloutError)) throw error
    const status = error.code === 'unknown-rollout' ? 404 : error.code === 'wrong-state' ? 409 : 400
    throw new ApiError(status, { ok: false, error: error.message, errors: [error.message] })
  }
}
