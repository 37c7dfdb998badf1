/**
 * `PUT` of a device, one's own or a product's: with files it flashes, without it changes the device (cloud-api.md 1.3
 * and 1.6).
 */
import type { FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import { actorOf } from '../../identity/caller.ts'
import type { ApiContext } from '../context.ts'
import { checkDevelopment } from '../development.ts'
import { type DeviceForm, deviceForms } from '../device-forms.ts'
import { ApiError, badRequest, forbidden, timedOut } from '../errors.ts'
import { asksForFlash, FlashFields, fileToFlash } from '../flash-file.ts'
import { type ApiServer, pathOf, readBoolean } from '../schemas.ts'
import { changeDevice, changeProductDevice, DeviceChanges, ProductDeviceFields } from './change-device.ts'

export function flashRoutes(app: ApiServer, context: ApiContext): void {
  const { updates } = context

  for (const form of deviceForms(context)) {
    app.put(
      form.path,
      {
        schema: { params: pathOf('id'), body: Type.Intersect([DeviceChanges, ProductDeviceFields, FlashFields]) },
        config: { upload: true, access: form.access('devices:update') },
      },
      async (request) => {
        const { body } = request
        if (asksForFlash(request)) return flash(request, form)
        if (request.isMultipart() && Object.keys(body).length === 0) throw badRequest('There is no file in the request')
        if (form.ofProduct) return changeProductDevice(request, request.params.id, body, context)
        return changeDevice(request, form.device(request), body, context)
      },
    )
  }

  async function flash(request: FastifyRequest, form: DeviceForm) {
    if (request.caller?.kind === 'customer') throw forbidden('Customers use a device; its makers flash it')
    const device = form.device(request)
    checkDevelopment(device, form, context)
    // Before anything is compiled for a device that cannot take it. One that restarts in the middle of an update can.
    if (!updates.reachable(device.id)) throw timedOut()
    const { file, compiled } = await fileToFlash(request, device, context)
    const force = readBoolean((request.body as Static<typeof FlashFields>).force) === true
    const result = await updates.flash(device.id, file, actorOf(request.caller).id ?? '', { force })
    if (!result.ok) throw new ApiError(result.status, { ok: false, error: result.error, errors: [result.error] })
    context.audit(request, 'device.flash', device.id, { bytes: file.length })
    return compiled
      ? { ok: true, id: device.id, message: 'Update started' }
      : { ok: true, id: device.id, status: 'Update started' }
  }
}
