/** Compiling, and fetching what was compiled (cloud-api.md 1.5). */
import { platformById } from '@aloe/firmware'
import type { FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import { type CompileResult, compileFailedOutput } from '../../compiler/compiler.ts'
import { mayOnProduct } from '../../identity/access-rules.ts'
import { newId } from '../../store/id.ts'
import { owner } from '../access.ts'
import { callerOf, userOf } from '../authentication.ts'
import { type ApiContext, iso } from '../context.ts'
import { ApiError, badRequest, notFound } from '../errors.ts'
import { type ApiServer, NumberLike, OptionalText, pathOf, readInteger } from '../schemas.ts'

const Compile = Type.Object({
  platform_id: Type.Optional(NumberLike),
  /** Or a slug. */
  product_id: Type.Optional(Type.Union([Type.Number(), Type.String({ maxLength: 64 })])),
  build_target_version: OptionalText(64),
})

export function binaryRoutes(app: ApiServer, context: ApiContext): void {
  const { compiler, store, limits, now } = context
  app.post(
    '/v1/binaries',
    { schema: { body: Compile }, config: { upload: true, access: owner('binaries:create') } },
    async (request) => {
      const { build_target_version } = request.body
      const platformId = platformOf(request, request.body, context)
      if (request.upload.length === 0) throw badRequest('There are no source files in the request')
      const result = await compiler.compile({
        files: sourceFiles(request.upload),
        platformId,
        ...targetOf(build_target_version),
      })
      if (!result.ok) throw compileFailed(result)
      const userId = userOf(request).id
      const id = newId()
      const createdAt = now()
      const expiresAt = createdAt + limits.binaryLifetime
      await makeRoom(userId, createdAt)
      await store.db
        .insertInto('binaries')
        .values({
          id,
          user_id: userId,
          platform_id: platformId,
          target: result.target,
          content: result.module,
          created_at: createdAt,
          expires_at: expiresAt,
        })
        .execute()
      context.audit(request, 'binary.create', id, { platformId, target: result.target })
      return {
        ok: true,
        binary_id: id,
        binary_url: `/v1/binaries/${id}`,
        build_target_version: result.target,
        expires_at: iso(expiresAt),
        sizeInfo: result.sizeInfo,
      }
    },
  )

  app.get(
    '/v1/binaries/:id',
    { schema: { params: pathOf('id') }, config: { access: owner('binaries:get') } },
    async (request, reply) => {
      const content = await ownBinary(request, request.params.id, context)
      return reply.type('application/octet-stream').send(Buffer.from(content))
    },
  )

  async function makeRoom(userId: string, time: number): Promise<void> {
    await store.db.deleteFrom('binaries').where('expires_at', '<=', time).execute()
    const kept = store.db
      .selectFrom('binaries')
      .select('id')
      .where('user_id', '=', userId)
      .orderBy('created_at', 'desc')
      .limit(limits.binariesPerUser - 1)
    await store.db.deleteFrom('binaries').where('user_id', '=', userId).where('id', 'not in', kept).execute()
  }
}

/** What the caller has compiled. @throws ApiError 404 when there is no such thing, it has expired, or is not theirs */
export async function ownBinary(
  request: FastifyRequest,
  id: string,
  { store, now }: Pick<ApiContext, 'store' | 'now'>,
): Promise<Uint8Array> {
  const row = await store.db
    .selectFrom('binaries')
    .select('content')
    .where('id', '=', id)
    .where('user_id', '=', userOf(request).id)
    .where('expires_at', '>', now())
    .executeTakeFirst()
  if (!row) throw notFound('There is no such binary, or it has expired')
  return row.content
}

/** The platform to compile for: as such, or that of a product of the caller, by id or slug (cloud-api.md 1.5). */
function platformOf(
  request: FastifyRequest,
  { platform_id, product_id }: Static<typeof Compile>,
  { products, identity }: ApiContext,
): number {
  if (platform_id === undefined && product_id !== undefined) {
    const product = products.find(String(product_id))
    if (product && mayOnProduct(callerOf(request), 'products:get', product, identity.teams).ok)
      return product.platformId
    // The product of a device without one is its platform (cloud-api.md 0.4).
    const platform = readInteger(product_id)
    if (platform !== undefined && platformById(platform)) return platform
    throw notFound('There is no such product')
  }
  const platformId = readInteger(platform_id)
  if (platformId === undefined) throw badRequest('"platform_id" must be a number')
  return platformId
}

/** An upload as the compiler takes it. */
export function sourceFiles(upload: readonly { filename: string; content: Uint8Array }[]) {
  return upload.map(({ filename, content }) => ({ path: filename, content }))
}

/** `latest` is what clients say when their user named no version. */
export function targetOf(version: string | undefined): { target?: string } {
  return version === undefined || version === '' || version === 'latest' ? {} : { target: version }
}

/** The shape of which the CLI prints `errors[0]`; `diagnostics` is Aloe's own. */
export function compileFailed({ reason, errors, diagnostics }: Extract<CompileResult, { ok: false }>): ApiError {
  return new ApiError(reason === 'busy' ? 503 : 400, {
    ok: false,
    output: compileFailedOutput,
    stdout: '',
    errors,
    reason,
    diagnostics,
  })
}
