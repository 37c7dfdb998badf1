/**
 * The file that a request wants on a device (cloud-api.md 1.6): a module or a bundle that it brings, one that was compiled
 * before, or sources to compile, its own or those of a known application.
 */
import type { FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import type { UploadedFile } from '../compiler/compiler.ts'
import { knownApplications } from '../compiler/tinker.ts'
import type { DeviceRecord } from '../devices/device.ts'
import type { UploadedPart } from './bodies.ts'
import type { ApiContext } from './context.ts'
import { deviceOsVersion } from './device-json.ts'
import { badRequest } from './errors.ts'
import { compileFailed, ownBinary, sourceFiles, targetOf } from './routes/binaries.ts'
import { BooleanLike, OptionalText } from './schemas.ts'

export const FlashFields = Type.Object({
  build_target_version: OptionalText(64),
  file_type: OptionalText(32),
  app: OptionalText(100),
  app_id: OptionalText(100),
  binary_id: OptionalText(64),
  /** Whatever the device's update policy says. */
  force: Type.Optional(BooleanLike),
})

export interface FileToFlash {
  readonly file: Uint8Array
  /** It was compiled for this request. */
  readonly compiled: boolean
}

/** Whether the request is for a flash, and not for another change of the device. */
export function asksForFlash({ upload, body }: Pick<FastifyRequest, 'upload' | 'body'>): boolean {
  const { app, app_id, binary_id } = body as Static<typeof FlashFields>
  return upload.length > 0 || app !== undefined || app_id !== undefined || binary_id !== undefined
}

/** @throws ApiError 400 for what cannot be flashed or compiled, 404 for a binary that is not there */
export async function fileToFlash(
  request: FastifyRequest,
  device: DeviceRecord,
  context: ApiContext,
): Promise<FileToFlash> {
  const { upload } = request
  const { build_target_version, file_type, app, app_id, binary_id } = request.body as Static<typeof FlashFields>
  const name = app ?? app_id
  if (upload.length === 0) {
    if (binary_id !== undefined) return { file: await ownBinary(request, binary_id, context), compiled: false }
    const known = knownApplications.get((name ?? '').toLowerCase())
    if (!known) {
      throw badRequest(`There is no application of this name; there is: ${[...knownApplications.keys()].join(', ')}`)
    }
    return { file: await compileFor(device, known, build_target_version, context), compiled: true }
  }
  const ready = readyFile(upload, file_type)
  if (ready) return { file: ready, compiled: false }
  return { file: await compileFor(device, sourceFiles(upload), build_target_version, context), compiled: true }
}

async function compileFor(
  device: DeviceRecord,
  files: readonly UploadedFile[],
  version: string | undefined,
  context: ApiContext,
): Promise<Uint8Array> {
  if (device.platformId === null) throw badRequest('The device has not said yet which platform it is')
  const target = targetOf(version).target ?? device.pinnedBuildTarget ?? deviceOsVersion(device, context)
  if (target === undefined) {
    const runs = device.systemVersion === null ? 'not known yet' : `module version ${device.systemVersion}`
    throw badRequest(
      `The Device OS of the device (${runs}) is not in the catalogue: name a version to compile for with build_target_version`,
    )
  }
  const result = await context.compiler.compile({ files, platformId: device.platformId, target })
  if (!result.ok) throw compileFailed(result)
  return result.module
}

/**
 * The module or bundle of an upload; undefined when it is sources. Only the end of a file's name counts (cloud-api.md
 * 0.1).
 */
function readyFile(upload: readonly UploadedPart[], fileType: string | undefined): Uint8Array | undefined {
  const isReady = ({ filename, type }: UploadedPart): boolean => {
    if (fileType === 'binary' || /\.(?:bin|zip)$/i.test(filename) || type === 'application/zip') return true
    return type === 'application/octet-stream' && !/\.\w+$/.test(filename)
  }
  if (!upload.some(isReady)) return undefined
  const [first, ...others] = upload
  if (!first || others.length > 0) throw badRequest('A binary or a bundle must be the only file in the request')
  return first.content
}
