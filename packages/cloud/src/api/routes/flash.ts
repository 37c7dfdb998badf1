/**
 * `PUT` of a device, one's own or a product's: with files it flashes, without it changes the device (cloud-api.md 1.3
 * and 1.6).
 */
import type { FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import type { DeviceRecord } from '../../devices/device.ts'
import { actorOf } from '../../identity/caller.ts'
import type { UploadedPart } from '../bodies.ts'
import type { ApiContext } from '../context.ts'
import { type DeviceForm, deviceForms } from '../device-forms.ts'
import { deviceOsVersion } from '../device-json.ts'
import { ApiError, badRequest, forbidden, notImplemented, timedOut } from '../errors.ts'
import { type ApiServer, OptionalText, pathOf } from '../schemas.ts'
import { compileFailed, sourceFiles, targetOf } from './binaries.ts'
import { changeDevice, changeProductDevice, DeviceChanges, ProductDeviceFields } from './change-device.ts'

const FlashFields = Type.Object({
  build_target_version: OptionalText(64),
  file_type: OptionalText(32),
  app: OptionalText(100),
  app_id: OptionalText(100),
})

export function flashRoutes(app: ApiServer, context: ApiContext): void {
  const { updates, compiler } = context

  for (const form of deviceForms(context)) {
    app.put(
      form.path,
      {
        schema: { params: pathOf('id'), body: Type.Intersect([DeviceChanges, ProductDeviceFields, FlashFields]) },
        config: { upload: true, access: form.access('devices:update') },
      },
      async (request) => {
        const { body, upload } = request
        if (upload.length > 0) return flash(request, form)
        if (request.isMultipart() && Object.keys(body).length === 0) throw badRequest('There is no file in the request')
        if (body.app !== undefined || body.app_id !== undefined) throw notImplemented('applications by name')
        if (form.ofProduct) return changeProductDevice(request, request.params.id, body, context)
        return changeDevice(request, form.device(request), body, context)
      },
    )
  }

  async function flash(request: FastifyRequest, form: DeviceForm) {
    const device = form.device(request)
    const { upload } = request
    const body = request.body as Static<typeof FlashFields>
    checkDevelopment(device, form)
    // Before anything is compiled for a device that cannot take it. One that restarts in the middle of an update can.
    if (!updates.reachable(device.id)) throw timedOut()
    const binary = binaryOf(upload, body.file_type)
    const file = binary ?? (await compileFor(device, upload, body.build_target_version))
    const result = await updates.flash(device.id, file, actorOf(request.caller).id ?? '')
    if (!result.ok) throw new ApiError(result.status, { ok: false, error: result.error, errors: [result.error] })
    context.audit(request, 'device.flash', device.id, { bytes: file.length })
    return binary
      ? { ok: true, id: device.id, status: 'Update started' }
      : { ok: true, id: device.id, message: 'Update started' }
  }

  /** The owner of a product's device flashes it when the product says that it is for development (cloud-api.md 5.4). */
  function checkDevelopment(device: DeviceRecord, form: DeviceForm): void {
    const member = form.ofProduct ? undefined : context.products.devices.of(device.id)
    if (!member || member.development) return
    throw forbidden(
      `The device belongs to product ${member.productId}: mark it as a development device, or flash it through the product`,
    )
  }

  async function compileFor(device: DeviceRecord, upload: readonly UploadedPart[], version: string | undefined) {
    if (device.platformId === null) throw badRequest('The device has not said yet which platform it is')
    const asked = targetOf(version)
    const target = asked.target ?? device.pinnedBuildTarget ?? deviceOsVersion(device, context)
    if (target === undefined) {
      const runs = device.systemVersion === null ? 'not known yet' : `module version ${device.systemVersion}`
      throw badRequest(
        `The Device OS of the device (${runs}) is not in the catalogue: name a version to compile for with build_target_version`,
      )
    }
    const result = await compiler.compile({ files: sourceFiles(upload), platformId: device.platformId, target })
    if (!result.ok) throw compileFailed(result)
    return result.module
  }
}

/** The module file of an upload; undefined when it is sources. Only the end of a file's name counts (cloud-api.md 0.1). */
function binaryOf(upload: readonly UploadedPart[], fileType: string | undefined): Uint8Array | undefined {
  const [first] = upload
  if (!first) return undefined
  if (upload.some(({ filename, type }) => /\.zip$/i.test(filename) || type === 'application/zip')) {
    throw notImplemented('bundles of an application with assets')
  }
  const isBinary = ({ filename, type }: UploadedPart): boolean => {
    if (fileType === 'binary' || /\.bin$/i.test(filename)) return true
    return type === 'application/octet-stream' && !/\.\w+$/.test(filename)
  }
  if (!upload.some(isBinary)) return undefined
  if (upload.length > 1) throw badRequest('A binary must be the only file in the request')
  return first.content
}
