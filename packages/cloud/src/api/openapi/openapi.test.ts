import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Value } from 'typebox/value'
import { type ApiFixture, startApi } from '../api-fixture.ts'
import { answerSchemas, answers } from './answers.ts'
import { tags } from './tags.ts'

const id = '422b00000000000000000001'

interface Operation {
  readonly summary?: string
  readonly tags?: readonly string[]
  readonly security?: readonly object[]
  readonly operationId?: string
  readonly parameters?: readonly { readonly name: string; readonly in: string }[]
  readonly responses?: Readonly<Record<string, unknown>>
}

describe('the OpenAPI document', () => {
  let api: ApiFixture
  let document: {
    readonly openapi: string
    readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
    readonly components: { readonly schemas: Readonly<Record<string, unknown>> }
  }
  const operations = (): (readonly [string, Operation])[] =>
    Object.entries(document.paths).flatMap(([path, item]) =>
      Object.entries(item).map(([method, operation]) => [`${method.toUpperCase()} ${path}`, operation] as const),
    )

  before(async () => {
    api = await startApi()
    const { status, body } = await api.request('GET', '/openapi.json', { token: null })
    assert.equal(status, 200)
    document = body
  })
  after(() => api.close())

  it('describes every operation: what it does, its chapter, what it asks for, what it answers', () => {
    const known = new Set<string>(tags.map(({ name }) => name))
    assert.ok(operations().length > 60)
    for (const [key, { summary, tags: own, security, responses }] of operations()) {
      assert.ok(summary && summary.length > 5, key)
      assert.ok(own?.every((tag) => known.has(tag)) && own.length === 1, key)
      assert.ok(security, key)
      assert.ok(responses?.[200] && responses.default, key)
    }
    const ids = operations().map(([, { operationId }]) => operationId)
    assert.equal(new Set(ids).size, ids.length)
  })

  it('says which routes ask for no token, and no other does without', async () => {
    const open = operations().filter(([, { security }]) => security?.length === 0)
    const names = open.map(([key]) => key)
    for (const key of ['GET /health', 'POST /oauth/token', 'GET /v1/build_targets']) assert.ok(names.includes(key), key)
    for (const key of ['GET /v1/devices', 'POST /v1/binaries', 'PUT /v1/devices/{id}']) {
      assert.ok(!names.includes(key), key)
    }
  })

  it('declares every parameter of a path, and refers to nothing that is not in it', () => {
    for (const [key, { parameters = [] }] of operations()) {
      const named = [...key.matchAll(/\{([^}]+)\}/g)].map(([, name]) => name)
      const declared = parameters.filter((parameter) => parameter.in === 'path').map(({ name }) => name)
      assert.deepEqual([...declared].sort(), named.sort(), key)
    }
    for (const [, name = ''] of JSON.stringify(document).matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
      assert.ok(document.components.schemas[name], name)
    }
    for (const key of Object.keys(answers))
      assert.ok(
        operations().some(([other]) => other === key),
        `${key} is stale`,
      )
  })

  it('is true of what is answered', async () => {
    await api.device(id, 'lamp')
    api.gateway.online.add(id)
    api.gateway.variables.set('temp', 21.5)
    api.registry.recordDescribe(id, { functions: ['led'], variables: { temp: 'double' } })
    const json = { 'content-type': 'application/json' }
    const form = new FormData()
    form.append('file', new Blob(['export {}']), 'index.ts')
    form.append('platform_id', '43')
    const asked: Readonly<Record<string, () => Promise<{ status: number; body: unknown }>>> = {
      'GET /v1/devices': () => api.request('GET', '/v1/devices'),
      'GET /v1/devices/{id}': () => api.request('GET', '/v1/devices/lamp'),
      'POST /v1/devices/{id}/{name}': () => api.request('POST', '/v1/devices/lamp/led', { headers: json, body: '{}' }),
      'GET /v1/devices/{id}/{name}': () => api.request('GET', '/v1/devices/lamp/temp'),
      'POST /v1/devices/events': () =>
        api.request('POST', '/v1/devices/events', { headers: json, body: '{"name":"x"}' }),
      'POST /v1/binaries': () => api.request('POST', '/v1/binaries', { body: form }),
    }
    for (const [key, ask] of Object.entries(asked)) {
      const { status, body } = await ask()
      assert.equal(status, 200, key)
      const answer = answers[key] ?? assert.fail(key)
      const schema = answerSchemas[typeof answer === 'string' ? answer : answer[0]]
      for (const each of typeof answer === 'string' ? [body] : (body as unknown[])) {
        const [first] = Value.Errors(schema, each)
        assert.ok(Value.Check(schema, each), `${key}: ${JSON.stringify(first)} in ${JSON.stringify(each)}`)
      }
    }
    for (const path of ['/v1/devices/unknown', '/v1/nothing', '/v1/sims']) {
      const { body } = await api.request('GET', path)
      assert.ok(Value.Check(answerSchemas.Error, body), JSON.stringify(body))
    }
  })
})

describe('the page at /docs', () => {
  it('shows the document and loads nothing from elsewhere', async () => {
    const api = await startApi()
    const { status, text, headers } = await api.request('GET', '/docs/', { token: null })
    assert.equal(status, 200)
    const sources = [...text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, source = '']) => source)
    assert.ok(sources.length >= 4)
    for (const source of sources) {
      assert.doesNotMatch(source, /^(?:https?:)?\/\//)
      const file = await fetch(new URL(source, `${api.url}/docs/`))
      assert.equal(file.status, 200, source)
      await file.arrayBuffer()
    }
    const policy = headers.get('content-security-policy') ?? ''
    assert.match(policy, /default-src 'none'/)
    assert.doesNotMatch(policy, /https?:|upgrade-insecure/)
    const shown = await api.request('GET', '/docs/json', { token: null })
    assert.ok(shown.body.paths['/v1/devices'])
    await api.close()
  })
})
