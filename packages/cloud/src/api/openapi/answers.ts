/** What the document says of answers. Where a shape is named here, a test compares it with what is really answered. */
import { Type } from 'typebox'

const Text = Type.String()
const MaybeText = Type.Union([Type.String(), Type.Null()])
const Time = Type.String({ format: 'date-time' })
const MaybeTime = Type.Union([Time, Type.Null()])

export const answerSchemas = {
  Error: Type.Object(
    {
      ok: Type.Optional(Type.Literal(false)),
      error: Text,
      error_description: Type.Optional(Text),
      errors: Type.Optional(Type.Array(Type.Union([Text, Type.Object({ message: Text })]))),
      info: Type.Optional(Text),
      request_id: Type.Optional(
        Type.String({ description: 'Of server errors: with it the line in the log can be found' }),
      ),
    },
    { description: 'Every error, 400 to 599' },
  ),
  Ok: Type.Object({ ok: Type.Literal(true) }),
  Token: Type.Object({
    access_token: Text,
    token_type: Type.Literal('bearer'),
    expires_in: Type.Number({ description: 'Seconds; 0 for never' }),
    refresh_token: Type.Optional(Text),
  }),
  Device: Type.Object({
    id: Type.String({ pattern: '^[0-9a-f]{24}$' }),
    name: MaybeText,
    owner: Type.Optional(MaybeText),
    last_ip_address: Type.Optional(MaybeText),
    last_heard: MaybeTime,
    last_handshake_at: MaybeTime,
    product_id: Type.Union([Type.Number(), Type.Null()]),
    platform_id: Type.Union([Type.Number(), Type.Null()]),
    online: Type.Boolean(),
    connected: Type.Boolean(),
    notes: MaybeText,
    functions: Type.Union([Type.Array(Text), Type.Null()]),
    variables: Type.Union([Type.Record(Type.String(), Text), Type.Null()]),
    status: Type.Union([Type.Literal('normal'), Type.Literal('safe_mode')]),
    firmware_updates_enabled: Type.Boolean(),
    firmware_updates_forced: Type.Boolean(),
  }),
  FunctionResult: Type.Object({
    id: Text,
    name: MaybeText,
    connected: Type.Literal(true),
    return_value: Type.Integer(),
  }),
  VariableResult: Type.Object({
    name: Text,
    result: Type.Union([Type.Number(), Type.Boolean(), Type.String()]),
    coreInfo: Type.Object({ deviceID: Text, name: MaybeText, connected: Type.Boolean() }),
  }),
  Binary: Type.Object({
    ok: Type.Literal(true),
    binary_id: Text,
    binary_url: Text,
    build_target_version: Text,
    expires_at: Time,
    sizeInfo: Text,
  }),
  Vitals: Type.Object({
    updated_at: Time,
    deviceID: Text,
    payload: Type.Object({ device: Type.Object({}), service: Type.Object({}) }),
  }),
} as const

export type AnswerName = keyof typeof answerSchemas

/** Of 200, by method and path as the document writes it. */
export const answers: Readonly<Record<string, AnswerName | readonly [AnswerName]>> = {
  'POST /oauth/token': 'Token',
  'GET /v1/devices': ['Device'],
  'GET /v1/devices/{id}': 'Device',
  'DELETE /v1/devices/{id}': 'Ok',
  'POST /v1/devices/{id}/{name}': 'FunctionResult',
  'GET /v1/devices/{id}/{name}': 'VariableResult',
  'POST /v1/devices/events': 'Ok',
  'POST /v1/products/{product}/events': 'Ok',
  'POST /v1/binaries': 'Binary',
}

/** Schemas without what only TypeBox reads. */
export const components = JSON.parse(JSON.stringify(answerSchemas)) as Record<string, object>

/** Paths whose 200 is not JSON. */
const otherTypes: readonly (readonly [RegExp, string])[] = [
  [/\/events(\/\{\*\})?$/, 'text/event-stream'],
  [/^\/v1\/events\//, 'text/event-stream'],
  [/^\/metrics$/, 'text/plain'],
  [/^\/v1\/(binaries\/|firmware\/device-os\/)|\/binary$/, 'application/octet-stream'],
]

interface Body {
  content?: Record<string, { schema?: { properties?: object } }>
}

interface Operation {
  requestBody?: Body
  operationId?: string
  responses?: unknown
}

const ref = (name: AnswerName) => ({ $ref: `#/components/schemas/${name}` })

/** The document with what each operation answers. */
export function answersOf<T extends object>(document: T): T {
  const { paths = {} } = document as { paths?: Record<string, Record<string, Operation>> }
  const ids = new Set<string>()
  for (const [path, item] of Object.entries(paths)) {
    for (const method of ['get', 'put', 'post', 'patch', 'delete', 'head'] as const) {
      const operation = item[method]
      if (!operation) continue
      addFiles(operation.requestBody)
      operation.operationId ??= unused(`${method}${path.replace(/[^a-zA-Z0-9]+/g, '_')}`, ids)
      operation.responses = {
        200: success(method, path),
        default: { description: 'An error', content: { 'application/json': { schema: ref('Error') } } },
      }
    }
  }
  return document
}

function unused(id: string, ids: Set<string>): string {
  if (ids.has(id)) return unused(`${id}_`, ids)
  ids.add(id)
  return id
}

/** What an upload has besides its fields. */
function addFiles(body: Body | undefined): void {
  const upload = body?.content?.['multipart/form-data']
  if (!upload) return
  const description = 'One file or more, under any names; a file name may be a path in the project'
  const file = { type: 'string', format: 'binary', description }
  upload.schema = { ...upload.schema, properties: { ...upload.schema?.properties, file } }
}

function success(method: string, path: string): object {
  const type = method === 'get' ? otherTypes.find(([pattern]) => pattern.test(path))?.[1] : undefined
  if (type !== undefined) return { description: 'Success', content: { [type]: {} } }
  const answer = answers[`${method.toUpperCase()} ${path}`]
  if (answer === undefined) return { description: 'Success: JSON, or 201, 202 or 204 where docs/api.md says so' }
  const schema = typeof answer === 'string' ? ref(answer) : { type: 'array', items: ref(answer[0]) }
  return { description: 'Success', content: { 'application/json': { schema } } }
}
