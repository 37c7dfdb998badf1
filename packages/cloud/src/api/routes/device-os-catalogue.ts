/** The catalogue for administrators: import, list, look, change and remove releases while the cloud runs (docs/catalogue.md). */
import { type Platform, platformById, platformByName } from '@aloe/firmware'
import { Type } from 'typebox'
import { ImportError } from '../../catalogue/import-error.ts'
import { uploadedSources } from '../../catalogue/import-sources.ts'
import { describeRelease, listReleases } from '../../catalogue/release-listing.ts'
import { isStateWord, type StateWord, stateWords } from '../../catalogue/release-state.ts'
import { administrators } from '../access.ts'
import type { ApiContext } from '../context.ts'
import { ApiError, badRequest, notFound } from '../errors.ts'
import { type ApiServer, BooleanLike, OptionalText, pathOf, readBoolean } from '../schemas.ts'

const notesLimit = 10_000

const ImportBody = Type.Object({
  release: OptionalText(100),
  state: OptionalText(20),
  notes: OptionalText(notesLimit),
  /** What the importer calls the source. */
  from: OptionalText(500),
})

const PlatformQuery = Type.Object({ platform: OptionalText(32) })

const Changes = Type.Object({
  platform: OptionalText(32),
  state: OptionalText(20),
  notes: OptionalText(notesLimit),
  default: Type.Optional(BooleanLike),
  allow_prerelease: Type.Optional(BooleanLike),
})

export function deviceOsCatalogueRoutes(app: ApiServer, context: ApiContext): void {
  const { catalogue } = context
  const url = '/v1/aloe/device-os'

  app.post(
    url,
    {
      schema: { summary: 'Import Device OS releases', body: ImportBody },
      config: { access: administrators, upload: true },
    },
    async (request) => {
      const { upload, body } = request
      if (upload.length === 0)
        throw badRequest('There is no file in the request: send modules (.bin) or archives (.zip)')
      const { release, notes, from = upload[0]?.filename ?? '' } = body
      const state = readState(body.state)
      const report = await catalogue.import(uploadedSources(upload), {
        from,
        ...(release !== undefined && { release: release.replace(/^v/, '') }),
        ...(state && { state }),
        ...(notes !== undefined && { notes }),
      })
      const releases = [...new Set(report.imported.map((module) => `${module.release} ${module.platform}`))]
      if (releases.length > 0) {
        context.audit(request, 'device-os.import', from, {
          modules: report.imported.length,
          releases: releases.slice(0, 50),
        })
      }
      return { ok: report.refused.length === 0, ...report }
    },
  )

  app.get(
    url,
    {
      schema: { summary: 'The catalogue of Device OS releases', querystring: PlatformQuery },
      config: { access: administrators },
    },
    async (request) => listReleases(catalogue, platformOf(request.query.platform)?.id),
  )

  app.get(
    `${url}/:version`,
    {
      schema: {
        summary: 'A release of the catalogue with its modules',
        params: pathOf('version'),
        querystring: PlatformQuery,
      },
      config: { access: administrators },
    },
    async (request) => {
      const { version } = request.params
      const releases = describeRelease(catalogue, version, platformOf(request.query.platform)?.id)
      if (releases.length === 0) throw notFound(`There is no Device OS ${version} in the catalogue`)
      return { releases }
    },
  )

  app.put(
    `${url}/:version`,
    {
      schema: { summary: 'Set state, notes or default of a release', params: pathOf('version'), body: Changes },
      config: { access: administrators },
    },
    async (request) => {
      const { version } = request.params
      const { body } = request
      const platformId = platformOf(body.platform)?.id
      const state = readState(body.state)
      const isDefault = readBoolean(body.default)
      if (state === undefined && body.notes === undefined && isDefault === undefined) {
        throw badRequest('Nothing is to be changed: give "state", "notes" or "default"')
      }
      await asAnswer(
        catalogue.update(version, platformId, {
          ...(state && { state }),
          ...(body.notes !== undefined && { notes: body.notes }),
          ...(isDefault !== undefined && { default: isDefault }),
          allowPrerelease: readBoolean(body.allow_prerelease) === true,
        }),
      )
      const { platform = null, notes, default: becomesDefault = null } = body
      context.audit(request, 'device-os.change', version, {
        platform,
        ...(state && { state }),
        notes: notes !== undefined,
        default: becomesDefault,
      })
      return { ok: true, releases: describeRelease(catalogue, version, platformId) }
    },
  )

  app.delete(
    `${url}/:version`,
    {
      schema: { summary: 'Remove an imported release', params: pathOf('version'), querystring: PlatformQuery },
      config: { access: administrators },
    },
    async (request) => {
      const { version } = request.params
      const platforms = await asAnswer(catalogue.remove(version, platformOf(request.query.platform)?.id))
      context.audit(request, 'device-os.remove', version, { platforms })
      return { ok: true, version, platforms }
    },
  )
}

async function asAnswer<T>(change: Promise<T>): Promise<T> {
  try {
    return await change
  } catch (error) {
    if (!(error instanceof ImportError)) throw error
    if (error.code === 'not-found') throw notFound(error.message)
    throw new ApiError(error.code === 'built-in' ? 409 : 400, {
      ok: false,
      error: error.message,
      errors: [error.message],
    })
  }
}

function readState(word: string | undefined): StateWord | undefined {
  if (word === undefined || isStateWord(word)) return word
  throw badRequest(`"state" must be one of ${stateWords.join(', ')}`)
}

/** A platform by name or id. */
function platformOf(text: string | undefined): Platform | undefined {
  if (text === undefined) return undefined
  const found = platformByName(text) ?? (/^\d{1,5}$/.test(text) ? platformById(Number(text)) : undefined)
  if (!found) throw badRequest(`There is no platform ${text}`)
  return found
}
