/** Bodies as clients send them: JSON (also empty, also on DELETE), forms, and multipart (cloud-api.md 0.1). */
import multipart from '@fastify/multipart'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { ApiError, badRequest } from './errors.ts'
import { collectForm, type FormObject, parseForm } from './form.ts'
import type { ApiLimits } from './limits.ts'

export interface UploadedPart {
  /** The path as the client gave it, slashes and all: never a path of this machine. */
  readonly filename: string
  readonly type: string
  readonly content: Uint8Array
}

declare module 'fastify' {
  interface FastifyRequest {
    /** The files of a multipart body, on routes that take files. */
    upload: readonly UploadedPart[]
  }
  interface FastifyContextConfig {
    /** Takes files in a multipart body. */
    upload?: boolean
  }
}

const fieldLimits = { fieldNameSize: 200, fieldSize: 64 * 1024, fields: 100, headerPairs: 50 }

/** After this every request has an object as its body, however it came. */
export async function registerBodies(app: FastifyInstance, limits: ApiLimits): Promise<void> {
  const json = app.getDefaultJsonParser('error', 'error')
  app.removeContentTypeParser(['application/json', 'text/plain'])
  app.addContentTypeParser(
    ['application/json', 'application/*+json'],
    { parseAs: 'string' },
    (request, body, done): void => {
      if (body.length === 0) done(null, {})
      else json(request, body as string, done)
    },
  )
  app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_request, body, done) => {
    done(null, parseForm(body as string))
  })
  await app.register(multipart, { limits: fieldLimits, throwFileSizeLimit: true })

  app.decorateRequest('upload')
  app.addHook('onRequest', async (request) => {
    request.upload = []
  })
  app.addHook('preValidation', async (request) => {
    if (request.isMultipart()) request.body = await readMultipart(request, limits).catch(asBadRequest)
    else request.body ??= {}
  })
}

/** What the parser throws for a body that it cannot read has no status. */
function asBadRequest(error: Error & { statusCode?: number }): never {
  if (error.statusCode !== undefined) throw error
  throw badRequest(`The multipart body cannot be read: ${error.message}`)
}

async function readMultipart(request: FastifyRequest, limits: ApiLimits): Promise<FormObject> {
  const takesFiles = request.routeOptions.config.upload === true
  const fields: [string, string][] = []
  const upload: UploadedPart[] = []
  const total = takesFiles ? limits.upload : limits.body
  const options = {
    // Sources come with their paths, which the parser would cut to the last part.
    preservePath: true,
    limits: {
      ...fieldLimits,
      fileSize: Math.min(limits.uploadFile, total),
      files: takesFiles ? limits.uploadFiles : 0,
      parts: limits.uploadFiles + fieldLimits.fields,
    },
  }
  let bytes = 0
  const count = (length: number): void => {
    bytes += length
    if (bytes > total) throw new ApiError(413, { ok: false, error: `The upload is larger than ${total} bytes` })
  }
  for await (const part of request.parts(options)) {
    if (part.type === 'field') {
      const value = String(part.value)
      if (part.valueTruncated || part.fieldnameTruncated) throw badRequest('A field of the form is too long')
      count(Buffer.byteLength(value))
      fields.push([part.fieldname, value])
      continue
    }
    const chunks: Buffer[] = []
    for await (const chunk of part.file as AsyncIterable<Buffer>) {
      count(chunk.length)
      chunks.push(chunk)
    }
    if (part.file.truncated) {
      throw new ApiError(413, { ok: false, error: `A file is larger than ${options.limits.fileSize} bytes` })
    }
    upload.push({ filename: part.filename ?? '', type: part.mimetype, content: Buffer.concat(chunks) })
  }
  request.upload = upload
  return collectForm(fields)
}
