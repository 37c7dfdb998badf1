/** Whatever comes, the API answers with JSON and no server error, and serves on. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { get as httpGet } from 'node:http'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import { type ApiFixture, startApi } from './api-fixture.ts'

const id = '422b00000000000000000001'
const numRuns = Number(process.env.ALOE_FUZZ_RUNS ?? 200)

const segment = fc.oneof(
  fc.constantFrom(
    'v1',
    'devices',
    'events',
    id,
    'lamp',
    'access_tokens',
    'current',
    'binaries',
    'provisioning',
    'aloe',
  ),
  fc.constantFrom('..', '%2e%2e', '%2F', '%00', '%', '%zz', '__proto__', 'constructor', ''),
  fc.string({ maxLength: 20 }).map(encodeURIComponentSafely),
)
const path = fc.array(segment, { maxLength: 6 }).map((segments) => `/${segments.join('/')}`)
const knownPath = fc.constantFrom(
  '/oauth/token',
  '/v1/users',
  '/v1/user',
  '/v1/devices',
  '/v1/device_claims',
  '/v1/devices/events',
  '/v1/devices/lamp',
  '/v1/devices/lamp/ping',
  '/v1/devices/lamp/led',
  '/v1/binaries',
  `/v1/provisioning/${id}`,
  '/v1/access_tokens/x',
  '/v1/device-os/versions?page=x&per_page=-1&platform_id=[]',
  '/v1/device-os/versions/__proto__',
  '/v1/firmware/device-os/v1.0.0/..%2f..%2fmanifest.json',
  '/v1/firmware/device-os/v1.0.0/manifest.json',
)
const keys = fc.constantFrom(
  ...['name', 'notes', 'signal', 'id', 'data', 'ttl', 'args', 'username', 'password', 'grant_type', 'client_id'],
  ...['publicKey', 'platform_id', 'build_target_version', 'expires_in', 'account_info', 'firmware_updates_forced'],
)
const value = fc.oneof(fc.jsonValue({ maxDepth: 3 }), fc.string({ unit: 'binary' }), fc.double(), fc.constant(null))
const fields = fc.dictionary(keys, value, { maxKeys: 4 })
const body = fc.oneof(
  fields.map((object) => ['application/json', JSON.stringify(object)] as const),
  fc.string({ unit: 'binary' }).map((text) => ['application/json', text] as const),
  fc
    .array(fc.tuple(fc.oneof(keys, fc.string()), fc.string({ unit: 'binary' })))
    .map((pairs) => ['application/x-www-form-urlencoded', new URLSearchParams(pairs).toString()] as const),
  fc.string({ unit: 'binary' }).map((text) => ['application/x-www-form-urlencoded', text] as const),
  fc
    .tuple(keys, fc.string({ unit: 'binary' }), fc.string())
    .map(
      ([name, content, filename]) =>
        [
          'multipart/form-data; boundary=x',
          `--x\r\nContent-Disposition: form-data; name="${name}"; filename="${filename}"\r\n\r\n${content}\r\n--x--\r\n`,
        ] as const,
    ),
  fc.string({ unit: 'binary' }).map((text) => ['multipart/form-data; boundary=x', `--x${text}`] as const),
  fc.tuple(
    fc.string().map((text) => text.replace(/[^\x21-\x7e]/g, '')),
    fc.string(),
  ),
)

function encodeURIComponentSafely(text: string): string {
  return encodeURIComponent(text.toWellFormed())
}

describe('the API under bad input', () => {
  let api: ApiFixture
  before(async () => {
    api = await startApi()
    await api.device(id, 'lamp')
    api.gateway.online.add(id)
  })
  after(() => api.close())

  it('answers any request with JSON, and never with a server error', async () => {
    const method = fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH')
    const request = fc.tuple(method, fc.oneof(path, knownPath), body, fc.boolean())
    await fc.assert(
      fc.asyncProperty(request, async ([verb, url, [type, text], authenticated]) => {
        // These would stay open, or take the device or the token away.
        if (verb === 'GET' && /\/events/.test(url)) return
        if (verb === 'DELETE' && !/access_tokens\/x|oauth|aloe/.test(url)) return
        const answer = await api.request(verb, url, {
          token: authenticated ? api.token : null,
          redirect: 'manual',
          ...(verb !== 'GET' && { headers: { 'content-type': type || 'x/y' }, body: text }),
        })
        const state = `${verb} ${url} ${type} ${text} -> ${answer.status} ${answer.text}`
        assert.ok(answer.status < 500 || answer.status === 501, state)
        assert.notEqual(answer.status, 401, state)
        if (answer.headers.get('content-type') !== 'application/octet-stream') assert.ok(answer.body, state)
        if (authenticated) {
          assert.doesNotMatch(String(answer.body?.error_description ?? ''), /access token/i, state)
        }
      }),
      { numRuns },
    )
    assert.equal((await api.request('GET', '/v1/user')).status, 200)
  })

  it('refuses a header "Host" that names no host, and a path that is no URL', async () => {
    for (const host of ['bad host', '[::1', 'a/b@c', 'x:99999']) {
      // Not with fetch, which sets the header itself.
      const request = httpGet(`${api.url}/.well-known/aloe`, { headers: { host } })
      const [response] = await once(request, 'response')
      response.resume()
      assert.equal(response.statusCode, 400, host)
    }
    const { status, body } = await api.request('GET', '/v1/devices/%zz')
    assert.equal(status, 400)
    assert.equal(body.ok, false)
  })

  it('holds the CLI’s danger list: no 401 but for tokens', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ maxLength: 60 }), async (text) => {
        const token = text.replace(/[^\x21-\x7e]/g, '') || 'x'
        const answer = await api.request('GET', '/v1/devices', { token })
        assert.equal(answer.status, 401)
        assert.equal(answer.body.error, 'invalid_token')
      }),
      { numRuns: Math.min(numRuns, 50) },
    )
  })
})
