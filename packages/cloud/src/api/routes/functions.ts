/** Calling functions and reading variables (cloud-api.md 1.3). */
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { DeviceRecord } from '../../devices/device.ts'
import type { RequestResult } from '../../gateway/gateway.ts'
import { type ApiContext, iso } from '../context.ts'
import { deviceForms } from '../device-forms.ts'
import { ApiError, badRequest, timedOut, unknownDevice } from '../errors.ts'
import { type ApiServer, OptionalText, pathOf } from '../schemas.ts'

const Query = Type.Object({ format: OptionalText(20) })
const Argument = Type.Optional(Type.Union([Type.String(), Type.Number(), Type.Boolean(), Type.Null()]))

export function functionRoutes(app: ApiServer, context: ApiContext): void {
  const { gateway, limits } = context

  const Call = Type.Object({ args: Argument, arg: Argument, params: Argument, format: OptionalText(20) })
  for (const { path, access, device: find } of deviceForms(context)) {
    app.post(
      `${path}/:name`,
      {
        schema: { params: pathOf('id', 'name'), body: Call, querystring: Query },
        config: { access: access('devices.function:call') },
      },
      async (request, reply) => {
        const device = findForCall(request, find)
        const { name } = request.params
        const { args, arg, params, format = request.query.format } = request.body
        const argument = String(args ?? arg ?? params ?? '')
        if (Buffer.byteLength(argument) > limits.argument) {
          throw badRequest(`The argument is longer than ${limits.argument} bytes`)
        }
        if (!gateway.isOnline(device.id)) throw timedOut()
        if (!(await has(device, ({ functions }) => functions?.includes(name)))) throw noFunction(name)
        const value = answerOf(await gateway.call(device.id, name, argument), () => noFunction(name))
        if (format === 'raw') return reply.type('text/plain; charset=utf-8').send(String(value))
        return { id: device.id, name: device.name, connected: true, return_value: value }
      },
    )

    app.get(
      `${path}/:name`,
      {
        schema: { params: pathOf('id', 'name'), querystring: Query },
        config: { access: access('devices.variable:get') },
      },
      async (request, reply) => {
        const device = find(request)
        const { name } = request.params
        if (!gateway.isOnline(device.id)) throw timedOut()
        if (!(await has(device, ({ variables }) => variables && Object.hasOwn(variables, name)))) throw noVariable()
        const result = answerOf(await gateway.readVariable(device.id, name), noVariable)
        if (request.query.format === 'raw') return reply.type('text/plain; charset=utf-8').send(String(result))
        return {
          cmd: 'VarReturn',
          name,
          result,
          coreInfo: {
            last_app: '',
            last_heard: iso(device.lastHeardAt),
            last_handshake_at: iso(device.lastHandshakeAt),
            connected: true,
            deviceID: device.id,
            name: device.name,
            product_id: device.memberOf ?? device.platformId,
          },
        }
      },
    )
  }

  /** Of a call, clients show every 404 as a function that there is not (cloud-api.md 0.3). */
  function findForCall(request: FastifyRequest, find: (request: FastifyRequest) => DeviceRecord): DeviceRecord {
    try {
      return find(request)
    } catch (error) {
      if (error instanceof ApiError && error.statusCode === 404) throw unknownDevice(context.publicUrl(request))
      throw error
    }
  }

  /**
   * A device does not answer a call of a function that it has not (device-protocol.md, trap 9), so the cloud must know.
   * Before it says no, it asks the device once more: its application may be another since it described itself.
   */
  async function has(
    device: DeviceRecord,
    test: (device: DeviceRecord) => boolean | null | undefined,
  ): Promise<boolean> {
    if (test(device) ?? false) return true
    await gateway.requestDescribe(device.id, 'application')
    const now = context.registry.get(device.id)
    // A device that has never described itself gets the benefit of the doubt.
    return now !== undefined && (test(now) ?? true)
  }
}

function answerOf<T>(result: RequestResult<T>, missing: () => ApiError): T {
  if (result.ok) return result.value
  switch (result.error) {
    case 'not-found':
      throw missing()
    case 'refused':
      throw new ApiError(400, { ok: false, error: result.message ?? 'The device refused the request' })
    default:
      throw timedOut()
  }
}

function noFunction(name: string): ApiError {
  return new ApiError(404, { ok: false, error: `Function ${name} not found` })
}

function noVariable(): ApiError {
  return new ApiError(404, { ok: false, error: 'Variable not found' })
}
