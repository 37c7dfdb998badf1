/** Device OS releases and build targets, for everybody (cloud-api.md 1.5). */
import { platformById } from '@aloe/firmware'
import { Type } from 'typebox'
import type { CatalogueRelease } from '../../updates/catalogue.ts'
import { describeVersion, describeVersionWithModules } from '../../updates/catalogue-description.ts'
import { anyone } from '../access.ts'
import type { ApiContext } from '../context.ts'
import { ApiError } from '../errors.ts'
import { type ApiServer, NumberLike, pathOf, readInteger } from '../schemas.ts'

const defaultPage = 25
const largestPage = 100

const Query = Type.Object({
  platform_id: Type.Optional(NumberLike),
  internal_version: Type.Optional(NumberLike),
  page: Type.Optional(NumberLike),
  per_page: Type.Optional(NumberLike),
})

/** The CLI finds an unknown version by the digits in the message (cloud-api.md 1.5). */
const unknownVersion = () => new ApiError(404, { ok: false, code: 404, error: '404 Not Found' })

export function deviceOsRoutes(app: ApiServer, context: ApiContext): void {
  const { catalogue } = context

  app.get('/v1/device-os/versions', { schema: { querystring: Query }, config: { access: anyone } }, async (request) => {
    const { query } = request
    const platformId = readInteger(query.platform_id)
    const internal = readInteger(query.internal_version)
    const all = versionsOf(catalogue.releases(platformId)).filter(
      ({ systemVersion }) => internal === undefined || systemVersion === internal,
    )
    const perPage = Math.min(Math.max(readInteger(query.per_page) ?? defaultPage, 1), largestPage)
    const page = Math.max(readInteger(query.page) ?? 1, 1)
    const url = context.publicUrl(request)
    return {
      versions: all
        .slice((page - 1) * perPage, page * perPage)
        .map((release) => describeVersion(catalogue, release, url)),
      meta: { total: all.length, page, per_page: perPage, total_pages: Math.ceil(all.length / perPage) },
    }
  })

  app.get(
    '/v1/device-os/versions/:version',
    { schema: { params: pathOf('version'), querystring: Query }, config: { access: anyone } },
    async (request) => {
      const release = catalogue.release(request.params.version, readInteger(request.query.platform_id))
      if (!release) throw unknownVersion()
      return describeVersionWithModules(catalogue, release, context.publicUrl(request))
    },
  )

  app.get(
    '/v1/firmware/device-os/:version/:file',
    { schema: { params: pathOf('version', 'file') }, config: { access: anyone } },
    async (request, reply) => {
      const { version, file } = request.params
      const found = catalogue.file(version, file)
      if (!found) throw unknownVersion()
      return reply.type('application/octet-stream').send(Buffer.from(found.bytes))
    },
  )

  app.get('/v1/build_targets', { config: { access: anyone } }, async () => {
    const releases = catalogue.releases()
    const platformIds = [...new Set(releases.map(({ platformId }) => platformId))].sort((a, b) => a - b)
    const latest = (platformId: number) => catalogue.release('latest', platformId)?.version
    return {
      targets: versionsOf(releases).map(({ version }) => {
        const same = releases.filter((release) => release.version === version)
        return {
          platforms: same.map(({ platformId }) => platformId),
          prereleases: same.filter(({ prerelease }) => prerelease).map(({ platformId }) => platformId),
          firmware_vendor: 'Aloe',
          version,
        }
      }),
      platforms: Object.fromEntries(platformIds.map((id) => [platformById(id)?.displayName ?? String(id), id])),
      default_versions: Object.fromEntries(platformIds.map((id) => [String(id), latest(id)])),
    }
  })
}

/** One release for each version, in their order. */
function versionsOf(releases: readonly CatalogueRelease[]): CatalogueRelease[] {
  return [...Map.groupBy(releases, ({ version }) => version).values()].flatMap(([first]) => first ?? [])
}
