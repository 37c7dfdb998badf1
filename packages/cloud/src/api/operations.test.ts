/** What operators see: request ids, logs without secrets, metrics. */
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { createLogger } from '../log.ts'
import { type ApiFixture, password, startApi, username } from './api-fixture.ts'

const id = '422b00000000000000000001'

describe('request ids', () => {
  let api: ApiFixture
  before(async () => {
    api = await startApi()
  })
  after(() => api.close())
  const idOf = async (path: string, given?: string): Promise<string | null> => {
    const { headers } = await api.request(
      'GET',
      path,
      given === undefined ? {} : { headers: { 'x-request-id': given } },
    )
    return headers.get('x-request-id')
  }

  it('are in every answer: the client’s own when it sent one, or one made here', async () => {
    for (const path of ['/health', '/v1/devices', '/v1/nothing', '/v1/devices/%zz']) {
      assert.equal(await idOf(path, 'my-id.1:2'), 'my-id.1:2', path)
      assert.match((await idOf(path)) ?? '', /^[0-9a-f]{16}$/, path)
    }
    assert.notEqual(await idOf('/health'), await idOf('/health'))
  })

  it('are never what could confuse a log or a header', async () => {
    for (const given of ['a b', '<x>', 'x'.repeat(101), '"', 'ü'])
      assert.match((await idOf('/health', given)) ?? '', /^[0-9a-f]{16}$/)
  })

  it('are on event streams too, and in the answer to a failure of the server', async () => {
    const abort = new AbortController()
    const headers = { authorization: `Bearer ${api.token}`, 'x-request-id': 'stream-1' }
    const stream = await fetch(`${api.url}/v1/devices/events`, { headers, signal: abort.signal })
    assert.equal(stream.headers.get('x-request-id'), 'stream-1')
    assert.match(stream.headers.get('access-control-expose-headers') ?? '', /x-request-id/i)
    abort.abort()
    await api.device(id, 'lamp')
    api.gateway.online.add(id)
    api.gateway.answerCall = () => {
      throw new Error('secret inner words')
    }
    api.registry.recordDescribe(id, { functions: ['led'], variables: {} })
    const failed = await api.request('POST', '/v1/devices/lamp/led', { headers: { 'x-request-id': 'call-7' } })
    assert.equal(failed.status, 500)
    assert.deepEqual(
      { ...failed.body, errors: undefined },
      { ok: false, error: 'Internal server error', errors: undefined, request_id: 'call-7' },
    )
  })
})

describe('the log', () => {
  it('has a line for every request, by its route, and no password, token or other secret, whatever happens', async () => {
    const lines: string[] = []
    const logger = createLogger('trace', { write: (line) => lines.push(line) })
    const api = await startApi({ logger })
    const { token } = api
    const json = { 'content-type': 'application/json' }
    const form = { 'content-type': 'application/x-www-form-urlencoded' }
    const secret = 'S3cr3t-of-somebody'
    await api.device(id, 'lamp')
    api.gateway.online.add(id)
    api.registry.recordDescribe(id, { functions: ['led'], variables: {} })
    api.gateway.answerCall = () => {
      throw new Error('boom')
    }
    const login = (pass: string) =>
      api.request('POST', '/oauth/token', {
        token: null,
        headers: form,
        body: `grant_type=password&username=${encodeURIComponent(username)}&password=${encodeURIComponent(pass)}&client_id=particle&client_secret=particle`,
      })
    const granted = (await login(password)).body
    await login(secret)
    const asked = [
      api.request('GET', `/v1/devices?access_token=${token}`, { token: null }),
      api.request('GET', `/v1/devices/lamp/events/%zz?access_token=${token}`, { token: null }),
      api.request('GET', `/v1/nothing/${secret}?access_token=${token}`, { token: null }),
      api.request('DELETE', `/v1/access_tokens/${secret}`, { token: null }),
      api.request('GET', '/v1/devices', { token: secret }),
      api.request('GET', '/v1/access_tokens', {
        token: null,
        headers: { authorization: `Basic ${Buffer.from(`${username}:${secret}`).toString('base64')}` },
      }),
      api.request('POST', '/v1/devices/lamp/led', { headers: json, body: JSON.stringify({ args: secret }) }),
      api.request('POST', '/v1/devices/lamp/led', { token: null, headers: form, body: `access_token=${token}` }),
      api.request('PUT', '/v1/user', {
        headers: json,
        body: JSON.stringify({ password: 'another password', current_password: secret }),
      }),
      api.request('POST', '/v1/users', { headers: json, body: `{"username":"x","password":"${secret}"` }),
      api.request('POST', '/v1/devices', { headers: { 'content-type': 'x/y' }, body: secret }),
    ]
    const statuses = (await Promise.all(asked)).map(({ status }) => status)
    assert.ok(statuses.includes(500) && statuses.includes(401) && statuses.includes(200), String(statuses))
    // Not HTTP at all: the parser's error has the bytes that came.
    const socket = connect(Number(new URL(api.url).port), '127.0.0.1')
    socket.write(`GET /v1/devices?access_token=${token} HTTP/9.9\r\nAuthorization: Bearer ${secret}\r\n\r\n`)
    let answer = ''
    for await (const chunk of socket) answer += chunk
    assert.match(answer, /^HTTP\/1\.1 400 [\s\S]*\{"ok":false/)
    await api.close()

    const log = lines.join('')
    const bytes = (text: string): string => [...Buffer.from(text)].join(',')
    for (const text of [token, secret, granted.access_token, granted.refresh_token, password]) {
      assert.equal(log.includes(text), false, text)
      assert.equal(log.includes(bytes(text)), false, `${text} as bytes`)
      assert.equal(log.includes(Buffer.from(`${username}:${text}`).toString('base64')), false, `${text} in base64`)
    }
    const entries = lines.map((line) => JSON.parse(line))
    const failed = entries.find(({ level }) => level === 'error')
    assert.match(failed.err.message, /boom/)
    assert.match(failed.reqId, /^[0-9a-f]{16}$/)
    const answered = entries.filter(({ msg }) => msg === 'request answered')
    assert.ok(answered.some(({ route, status }) => route === '/v1/devices/:id/:name' && status === 500))
    assert.ok(answered.every(({ url, req }) => url === undefined && req === undefined))
    assert.ok(entries.some(({ msg, code }) => msg === 'no valid HTTP came' && typeof code === 'string'))
  })
})

describe('GET /metrics', () => {
  let api: ApiFixture
  before(async () => {
    api = await startApi({ metricsToken: 'scraper' })
  })
  after(() => api.close())

  it('is for administrators, and for who has its own token', async () => {
    assert.equal((await api.request('GET', '/metrics', { token: null })).status, 400)
    assert.equal((await api.request('GET', '/metrics', { token: 'wrong' })).status, 401)
    assert.equal((await api.request('GET', '/metrics')).status, 403)
    const scraped = await api.request('GET', '/metrics', { token: 'scraper' })
    assert.equal(scraped.status, 200)
    assert.match(scraped.headers.get('content-type') ?? '', /^text\/plain/)
    await api.identity.ensureAdministrator({ username: 'admin', password: 'administrator' })
    const admin = api.identity.users.find('admin')
    assert.ok(admin)
    const { token } = await api.identity.tokens.issue(admin.id, 'particle', null)
    assert.equal((await api.request('GET', '/metrics', { token })).status, 200)
    assert.equal((await api.request('GET', '/v1/devices', { token: 'scraper' })).status, 401)
  })

  it('counts requests by route, and makes no series of what clients make up', async () => {
    await api.device(id, 'lamp')
    const scrape = async (): Promise<string[]> =>
      (await api.request('GET', '/metrics', { token: 'scraper' })).text.split('\n')
    await Promise.all(['/v1/devices/lamp', '/v1/made/up', '/v1/devices/x/y/z'].map((path) => api.request('GET', path)))
    const before = (await scrape()).length
    for (let i = 0; i < 50; i++) {
      await api.request('GET', `/v1/devices/${i}`)
      await api.request('GET', `/v1/made/up${i}`)
    }
    const lines = await scrape()
    // One more status of a route that was known, with its buckets, and the first look at the metrics themselves.
    assert.ok(lines.length - before <= 2 * 11, `${lines.length - before} lines more`)
    const value = (start: string): number =>
      Number(
        lines
          .find((line) => line.startsWith(start))
          ?.split(' ')
          .at(-1),
      )
    assert.equal(
      value('aloe_http_request_duration_seconds_count{method="GET",route="/v1/devices/:id",status="200"}'),
      1,
    )
    assert.equal(
      value('aloe_http_request_duration_seconds_count{method="GET",route="/v1/devices/:id",status="403"}'),
      50,
    )
    assert.equal(value('aloe_devices{state="known"}'), 1)
  })

  it('counts events and streams', async () => {
    const abort = new AbortController()
    const headers = { authorization: `Bearer ${api.token}` }
    const stream = await fetch(`${api.url}/v1/devices/events`, { headers, signal: abort.signal })
    const reader = stream.body?.getReader()
    await reader?.read()
    api.bus.publish({ name: 'a', data: '1', ttl: 60, publishedAt: 0, coreid: 'api', owner: api.user.id })
    await reader?.read()
    const { text } = await api.request('GET', '/metrics', { token: 'scraper' })
    assert.match(text, /^aloe_event_streams\{state="live"\} 1$/m)
    assert.match(text, /^aloe_events_total 1$/m)
    assert.match(text, /^aloe_events_delivered_total 1$/m)
    assert.match(text, /^aloe_event_log_events\{state="kept"\} 1$/m)
    assert.doesNotMatch(text, /route="\/v1\/devices\/events"/)
    abort.abort()
  })
})
