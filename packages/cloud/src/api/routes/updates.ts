/**
 * Updates: jobs with their timelines, previews, policies and data, of one's own devices and of a product's
 * (docs/updates.md).
 */
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { actorOf } from '../../identity/caller.ts'
import { isMetered } from '../../updates/holds.ts'
import { scopes } from '../../updates/policies.ts'
import { policyJson, readPolicy } from '../../updates/policy.ts'
import type { UpdateJobView } from '../../updates/updates.ts'
import { UpdateRefusal } from '../../updates/updates.ts'
import { ofProduct } from '../access.ts'
import { productOf } from '../authentication.ts'
import { type ApiContext, iso } from '../context.ts'
import { checkDevelopment } from '../development.ts'
import { type DeviceForm, deviceForms } from '../device-forms.ts'
import { ApiError, badRequest, notFound } from '../errors.ts'
import { type ApiServer, BooleanLike, OptionalText, pathOf, readBoolean } from '../schemas.ts'
import { dataJson, jobJson, timelineJson } from '../update-json.ts'

/** Besides an uploaded file. */
const Order = Type.Object({
  /** Device OS release; `latest` for the newest final one. */
  target: OptionalText(64),
  downgrade: Type.Optional(BooleanLike),
  /** Whatever the update policy says. */
  force: Type.Optional(BooleanLike),
})

const Policy = Type.Record(Type.String(), Type.Unknown())

export function updateRoutes(app: ApiServer, context: ApiContext): void {
  for (const form of deviceForms(context)) {
    jobRoutes(app, context, form)
    devicePolicyRoutes(app, context, form)
  }
  productRoutes(app, context)
}

function jobRoutes(app: ApiServer, context: ApiContext, form: DeviceForm): void {
  const { updates } = context
  const path = `${form.path}/aloe/updates`
  const params = pathOf('id', 'job')

  app.get(
    path,
    { schema: { params: pathOf('id') }, config: { access: form.access('updates:get') } },
    async (request) => {
      const device = form.device(request)
      const active = updates.active(device.id)
      return { active: active?.id ?? null, jobs: (await updates.jobs(device.id)).map(jobJson) }
    },
  )

  app.post(
    path,
    {
      schema: { params: pathOf('id'), body: Order },
      config: { access: form.access('updates:update'), upload: true },
    },
    async (request, reply) => {
      const device = form.device(request)
      const { target, downgrade, force } = request.body
      if (target === undefined) throw badRequest('Say the Device OS to go to in "target"; files are flashed with PUT')
      const order = {
        target,
        by: actorOf(request.caller).id ?? '',
        ...(readBoolean(force) === true && { force: true }),
      }
      const file = uploaded(request)
      if (file) checkDevelopment(device, form, context)
      const job = await refusable(() =>
        readBoolean(downgrade) === true
          ? updates.downgrade(device.id, { ...order, ...(file && { file }) })
          : updates.update(device.id, order),
      )
      context.audit(request, `device.${job.kind}`, device.id, { target: job.detail.target })
      reply.code(202)
      return { ok: true, job: jobJson(job) }
    },
  )

  app.post(
    `${path}/preview`,
    { schema: { params: pathOf('id'), body: Order }, config: { access: form.access('updates:get'), upload: true } },
    async (request) => {
      const device = form.device(request)
      const { target, downgrade } = request.body
      const file = uploaded(request)
      const preview = await refusable(async () =>
        updates.preview(device.id, {
          ...(target !== undefined && { target }),
          ...(readBoolean(downgrade) === true && { downgrade: true }),
          ...(file && { file }),
        }),
      )
      const { plan, cost, held, metered } = preview
      const hold = held && { ...held, until: iso(held.until ?? null) }
      return { device_id: device.id, plan, cost, held: hold, metered, online: context.gateway.isOnline(device.id) }
    },
  )

  app.get(`${path}/:job`, { schema: { params }, config: { access: form.access('updates:get') } }, async (request) => {
    const job = await jobOf(form.device(request).id, request.params.job)
    return { job: jobJson(job), timeline: (await updates.timeline(job.id)).map(timelineJson) }
  })

  app.delete(
    `${path}/:job`,
    { schema: { params }, config: { access: form.access('updates:update') } },
    async (request) => {
      const job = await jobOf(form.device(request).id, request.params.job)
      const ended = await updates.cancel(job.id)
      if (!ended) throw new ApiError(409, { ok: false, error: `The update is over: it is ${job.state}` })
      context.audit(request, 'device.update.cancel', job.deviceId, { job: job.id })
      return { ok: true, job: jobJson(ended) }
    },
  )

  app.get(
    `${form.path}/aloe/data`,
    { schema: { params: pathOf('id') }, config: { access: form.access('updates:get') } },
    async (request) => {
      const device = form.device(request)
      const policy = updates.policies.of(device.id)
      const months = await updates.data.months({ deviceId: device.id })
      return {
        device_id: device.id,
        metered: isMetered(policy, device.platformId ?? -1),
        device_data_budget: policy.deviceDataBudget,
        months: months.map(dataJson),
      }
    },
  )

  async function jobOf(deviceId: string, id: string): Promise<UpdateJobView> {
    const job = id === 'active' ? updates.active(deviceId) : await updates.job(id)
    if (!job || job.deviceId !== deviceId) throw notFound('The device has no such update')
    return job
  }
}

function devicePolicyRoutes(app: ApiServer, context: ApiContext, form: DeviceForm): void {
  const { policies } = context.updates
  const path = `${form.path}/aloe/update-policy`

  app.get(path, { schema: { params: pathOf('id') }, config: { access: form.access('updates:get') } }, async (request) =>
    shown(form.device(request).id),
  )

  app.put(
    path,
    { schema: { params: pathOf('id'), body: Policy }, config: { access: form.access('updates:update') } },
    async (request) => {
      const device = form.device(request)
      await putPolicy(request, context, scopes.device(device.id), device.id)
      return shown(device.id)
    },
  )

  function shown(deviceId: string) {
    return { policy: policyOf(context, scopes.device(deviceId)), effective: policyJson(policies.of(deviceId)) }
  }
}

function productRoutes(app: ApiServer, context: ApiContext): void {
  const { updates } = context
  const ofAll = '/v1/products/:product/aloe/update-policy'
  const ofGroup = '/v1/products/:product/groups/:group/aloe/update-policy'
  const params = pathOf('product', 'group')

  app.get(
    ofAll,
    { schema: { params: pathOf('product') }, config: { access: ofProduct('products:get') } },
    async (request) => ({
      policy: policyOf(context, scopes.product(productOf(request).id)),
    }),
  )

  app.put(
    ofAll,
    { schema: { params: pathOf('product'), body: Policy }, config: { access: ofProduct('products:update') } },
    async (request) => {
      const { id } = productOf(request)
      await putPolicy(request, context, scopes.product(id), String(id))
      return { policy: policyOf(context, scopes.product(id)) }
    },
  )

  app.get(ofGroup, { schema: { params }, config: { access: ofProduct('groups:get') } }, async (request) => ({
    policy: policyOf(context, groupScope(request, request.params.group)),
  }))

  app.put(
    ofGroup,
    { schema: { params, body: Policy }, config: { access: ofProduct('groups:update') } },
    async (request) => {
      const scope = groupScope(request, request.params.group)
      await putPolicy(request, context, scope, request.params.group)
      return { policy: policyOf(context, scope) }
    },
  )

  app.get(
    '/v1/products/:product/aloe/data',
    { schema: { params: pathOf('product') }, config: { access: ofProduct('products:get') } },
    async (request) => {
      const { id } = productOf(request)
      const months = await updates.data.months({ productId: id })
      const budget = updates.policies.get(scopes.product(id))?.policy.dataBudget ?? null
      return { product_id: id, data_budget: budget, months: months.map(dataJson) }
    },
  )

  function groupScope(request: FastifyRequest, name: string): string {
    const { id } = productOf(request)
    if (!context.products.groups.get(id, name)) throw notFound(`The product has no group "${name}"`)
    return scopes.group(id, name)
  }
}

function policyOf({ updates }: ApiContext, scope: string): Record<string, unknown> {
  return policyJson(updates.policies.get(scope)?.policy ?? {})
}

async function putPolicy(request: FastifyRequest, context: ApiContext, scope: string, target: string): Promise<void> {
  const policy = readPolicy(request.body)
  if (typeof policy === 'string') throw badRequest(policy)
  await context.updates.policies.put(scope, policy, actorOf(request.caller).id ?? null)
  context.audit(request, 'update-policy.set', target, policyJson(policy))
}

function uploaded({ upload }: FastifyRequest): Uint8Array | undefined {
  if (upload.length > 1) throw badRequest('There is more than one file in the request')
  return upload[0]?.content
}

async function refusable<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    if (!(error instanceof UpdateRefusal)) throw error
    throw new ApiError(error.status, { ok: false, error: error.message, errors: [error.message] })
  }
}
