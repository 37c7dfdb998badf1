/** Device OS releases and build targets, for everybody (cloud-api.md 1.5). */
import { Readable } from 'node:stream'
import { platformById } from '@aloe/firmware'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { platformZip, type ReleaseZip, readZipName, releaseZip } from '../../catalogue/release-zip.ts'
import type { Catalogue, CatalogueRelease } from '../../updates/catalogue.ts'
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
    const all = versionsOf(
      catalogue
        .releases(platformId)
        .filter((release) => hasSystem(release) && (internal === undefined || release.systemVersion === internal)),
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
      const platformId = readInteger(request.query.platform_id)
      const release = catalogue.release(request.params.version, platformId)
      if (!release) throw unknownVersion()
      const platforms = platformId === undefined ? catalogue.platformsOf(release.version) : [release]
      return describeVersionWithModules(catalogue, release, context.publicUrl(request), platforms)
    },
  )

  app.get(
    '/v1/firmware/device-os/:version/:file',
    { schema: { params: pathOf('version', 'file') }, config: { access: anyone } },
    async (request, reply) => {
      const { version, file } = request.params
      const found = catalogue.file(version, file)
      if (found) {
        if (isKnown(request, reply, `"${found.sha256}"`)) return reply.code(304).send()
        return reply.type('application/octet-stream').send(Buffer.from(found.bytes))
      }
      const zip = zipNamed(catalogue, version, file)
      if (!zip) throw unknownVersion()
      if (isKnown(request, reply, zip.etag)) return reply.code(304).send()
      return reply.type('application/zip').header('content-length', zip.size).send(Readable.from(zip.chunks()))
    },
  )

  app.get('/v1/build_targets', { config: { access: anyone } }, async () => {
    const releases = catalogue.releases().filter(hasSystem)
    const platformIds = [...new Set(releases.map(({ platformId }) => platformId))].sort((a, b) => a - b)
    return {
      targets: versionsOf(releases).map(({ version }) => {
        const same = catalogue.platformsOf(version).filter(hasSystem)
        return {
          platforms: same.map(({ platformId }) => platformId),
          prereleases: same.filter(({ prerelease }) => prerelease).map(({ platformId }) => platformId),
          firmware_vendor: 'Aloe',
          version,
        }
      }),
      platforms: Object.fromEntries(platformIds.map((id) => [platformById(id)?.displayName ?? String(id), id])),
      default_versions: Object.fromEntries(
        platformIds.map((id) => [String(id), catalogue.defaultRelease(id)?.version]),
      ),
    }
  })
}

/** The archive of a release that has this name: of one platform, or of all. */
function zipNamed(catalogue: Catalogue, version: string, filename: string): ReleaseZip | undefined {
  const name = readZipName(filename)
  const releases = catalogue.platformsOf(version)
  if (!name || releases.length === 0 || name.version !== releases[0]?.version) return undefined
  if (name.platform === undefined) return releaseZip(releases)
  const release = releases.find(({ platform }) => platform === name.platform)
  return release && platformZip(release)
}

/** A file of a release never changes, so clients may keep it; one that was removed and imported anew has another tag. */
function isKnown(request: FastifyRequest, reply: FastifyReply, etag: string): boolean {
  reply.header('etag', etag).header('cache-control', 'public, max-age=31536000, immutable')
  const tags = request.headers['if-none-match']?.split(',').map((tag) => tag.trim().replace(/^W\//, ''))
  return tags?.some((tag) => tag === etag || tag === '*') ?? false
}

/** Of a release only a bootloader may have been imported: that is nothing to compile for or update to. */
function hasSystem({ files }: CatalogueRelease): boolean {
  return files.some((file) => file.function === 'system_part' || file.function === 'mono_firmware')
}

/** One release for each version, in their order. */
function versionsOf(releases: readonly CatalogueRelease[]): CatalogueRelease[] {
  return [...Map.groupBy(releases, ({ version }) => version).values()].flatMap(([first]) => first ?? [])
}
