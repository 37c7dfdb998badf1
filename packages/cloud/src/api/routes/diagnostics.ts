/** Vitals: the last, their history, and asking for new ones (cloud-api.md 1.9); of one's own devices and of products'. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { DeviceRecord } from '../../devices/device.ts'
import type { VitalsRecord } from '../../vitals/vitals.ts'
import { vitalsCsv } from '../../vitals/vitals-csv.ts'
import { ofProduct, owner } from '../access.ts'
import { type ApiContext, iso } from '../context.ts'
import { ApiError, notFound, notImplemented, timedOut } from '../errors.ts'
import { type ApiServer, OptionalText, pathOf } from '../schemas.ts'

const Range = Type.Object({ start_date: OptionalText(40), end_date: OptionalText(40) })
/** Records of one answer, the newest: a device that says something every ten minutes has fewer in a month. */
const mostRecords = 5_000

type Find = (request: FastifyRequest, id: string) => DeviceRecord

export function diagnosticRoutes(app: ApiServer, context: ApiContext): void {
  const { vitals, gateway, now } = context

  const forms = [
    { base: '/v1/diagnostics', names: ['id'], access: owner, find: context.device },
    {
      base: '/v1/products/:product/diagnostics',
      names: ['product', 'id'],
      access: ofProduct,
      find: context.productDevice,
    },
  ] as const
  for (const { base, names, access, find } of forms) {
    const params = pathOf(...names)
    // A product has the history of its devices, a person only their own part of it.
    const whose = ({ ownerId }: DeviceRecord) => (access === ofProduct ? undefined : ownerId)
    const read = { access: access('devices.diagnostics:get') }

    app.post(
      `${base}/:id/update`,
      { schema: { params }, config: { access: access('devices.diagnostics:update') } },
      async (request, reply) => {
        const { id } = deviceOf(find, request)
        if (!gateway.isOnline(id)) throw timedOut()
        // The answer comes as the device's vitals, whenever it comes; the ping measures the way there and back for them.
        void gateway.ping(id).then(() => gateway.requestDescribe(id, 'metrics'))
        return reply.code(202).send({ ok: true })
      },
    )

    app.get(`${base}/:id/last`, { schema: { params }, config: read }, async (request) => {
      const device = deviceOf(find, request)
      const last = await vitals.last(device.id, whose(device))
      if (!last) throw notFound('The device has sent no vitals yet')
      return { diagnostics: vitalsJson(last) }
    })

    app.get(`${base}/:id/metadata`, { schema: { params }, config: read }, async (request) => {
      deviceOf(find, request)
      throw notImplemented('labels and thresholds of vitals')
    })

    app.get(`${base}/:id`, { schema: { params, querystring: Range }, config: read }, async (request, reply) => {
      const device = deviceOf(find, request)
      const { start_date, end_date } = request.query
      const from = timeOf('start_date', start_date, 0)
      const to = timeOf('end_date', end_date, now())
      if (from > to) throw badDates('"start_date" is after "end_date"')
      return answer(request, reply, await vitals.between(device.id, from, to, mostRecords, whose(device)))
    })
  }
}

function deviceOf(find: Find, request: FastifyRequest): DeviceRecord {
  return find(request, (request.params as { id: string }).id)
}

function answer(request: FastifyRequest, reply: FastifyReply, records: readonly VitalsRecord[]): FastifyReply {
  if (/\btext\/csv\b/i.test(request.headers.accept ?? '')) {
    return reply.type('text/csv; charset=utf-8').send(vitalsCsv(records))
  }
  return reply.send({ diagnostics: records.map(vitalsJson) })
}

function vitalsJson({ deviceId, updatedAt, payload }: VitalsRecord) {
  return { updated_at: iso(updatedAt), deviceID: deviceId, payload }
}

/** ISO 8601, with or without time. */
function timeOf(name: string, text: string | undefined, otherwise: number): number {
  if (text === undefined || text === '') return otherwise
  const time = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(time)) throw badDates(`"${name}" is no date as ISO 8601 has them`)
  return time
}

function badDates(description: string): ApiError {
  return new ApiError(400, { ok: false, error: 'bad_request', description, error_description: description })
}
