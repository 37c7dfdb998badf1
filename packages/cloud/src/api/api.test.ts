import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type ApiFixture, devicePem, password, startApi, username } from './api-fixture.ts'

const id = '422b00000000000000000001'
const form = { 'content-type': 'application/x-www-form-urlencoded' }
const json = { 'content-type': 'application/json' }

describe('the REST API', () => {
  let api: ApiFixture
  before(async () => {
    api = await startApi()
    await api.device(id, 'lamp')
    api.gateway.online.add(id)
    api.registry.recordDescribe(id, { functions: ['led'], variables: { temp: 'double' } })
    api.registry.recordConnection(id, { address: '192.0.2.1', platformId: 43 })
  })
  after(() => api.close())

  const login = (fields: Record<string, string>, headers: Record<string, string> = form) =>
    api.request('POST', '/oauth/token', { token: null, headers, body: new URLSearchParams(fields).toString() })
  const grant = { username, password, grant_type: 'password' }

  describe('the password grant', () => {
    it('takes the client pairs that are known, in the form or as Basic', async () => {
      for (const client of ['particle', 'particle-api', 'particle-cli']) {
        const answer = await login({ ...grant, client_id: client, client_secret: client })
        assert.equal(answer.status, 200)
        assert.equal(answer.headers.get('cache-control'), 'no-store')
      }
      const basic = `Basic ${Buffer.from('particle:particle').toString('base64')}`
      assert.equal((await login(grant, { ...form, authorization: basic })).status, 200)
      const wrong = await login({ ...grant, client_id: 'particle', client_secret: 'wrong' })
      assert.equal(wrong.status, 400)
      assert.deepEqual(wrong.body, { error: 'invalid_client', error_description: 'Client credentials are invalid' })
      assert.equal((await login({ ...grant, client_id: '__proto__', client_secret: '' })).status, 400)
    })

    it('answers wrong credentials with 400, never with 401', async () => {
      const client = { client_id: 'particle', client_secret: 'particle' }
      const wrong = await login({ ...grant, password: 'wrong', ...client })
      assert.equal(wrong.status, 400)
      assert.deepEqual(wrong.body, { error: 'invalid_grant', error_description: 'User credentials are invalid' })
      assert.equal((await login({ ...grant, username: 'nobody', ...client })).body.error, 'invalid_grant')
      assert.equal((await login({ grant_type: 'password', ...client })).body.error, 'invalid_request')
      const other = await login({ ...grant, grant_type: 'client_credentials', ...client })
      assert.equal(other.body.error, 'unauthorized_client')
    })

    it('gives tokens for as long as they are asked for', async () => {
      const client = { client_id: 'particle', client_secret: 'particle' }
      assert.equal((await login({ ...grant, ...client, expires_in: '60' })).body.expires_in, 60)
      const eternal = await login({ ...grant, ...client, expires_in: '0' })
      const { body } = await api.request('GET', '/v1/access_tokens/current', { token: eternal.body.access_token })
      assert.equal(body.expires_at, null)
      assert.equal(body.client, 'particle')
      const dated = await login({ ...grant, ...client, expires_at: new Date(Date.now() + 3_600_000).toISOString() })
      assert.ok(Math.abs(dated.body.expires_in - 3_600) < 10)
      for (const bad of [{ expires_in: '-1' }, { expires_in: 'x' }, { expires_in: '1e99' }, { expires_at: 'never' }]) {
        assert.equal((await login({ ...grant, ...client, ...bad } as Record<string, string>)).status, 400)
      }
    })

    it('renews a token once', async () => {
      const client = { client_id: 'particle', client_secret: 'particle' }
      const { body } = await login({ ...grant, ...client })
      const renewal = { grant_type: 'refresh_token', refresh_token: body.refresh_token, ...client }
      const renewed = await login(renewal)
      assert.equal(renewed.status, 200)
      assert.equal((await api.request('GET', '/v1/user', { token: renewed.body.access_token })).status, 200)
      assert.equal((await login(renewal)).body.error, 'invalid_grant')
      assert.equal((await api.request('GET', '/v1/user', { token: body.refresh_token })).status, 401)
    })
  })

  describe('authentication', () => {
    it('finds the token in the header, the query or the form', async () => {
      assert.equal((await api.request('GET', '/v1/user')).status, 200)
      assert.equal((await api.request('GET', `/v1/user?access_token=${api.token}`, { token: null })).status, 200)
      const body = new URLSearchParams({ access_token: api.token, name: 'e' }).toString()
      assert.equal((await api.request('POST', '/v1/devices/events', { token: null, headers: form, body })).status, 200)
      const parts = new FormData()
      parts.set('access_token', api.token)
      parts.set('name', 'e')
      assert.equal((await api.request('POST', '/v1/devices/events', { token: null, body: parts })).status, 200)
    })

    it('answers 400 for none and 401 for a bad one, on every route that asks for one', async () => {
      for (const [method, path] of [
        ['GET', '/v1/devices'],
        ['GET', '/v1/devices/events'],
        ['POST', '/v1/devices/x/y'],
        ['PUT', '/v1/devices/x'],
        ['DELETE', '/v1/devices/x'],
        ['POST', '/v1/binaries'],
        ['GET', '/v1/aloe/handshake-failures'],
      ] as const) {
        const none = await api.request(method, path, { token: null })
        assert.equal(none.status, 400, path)
        assert.deepEqual(none.body, { error: 'invalid_request', error_description: 'The access token was not found' })
        const bad = await api.request(method, path, { token: 'x' })
        assert.equal(bad.status, 401, path)
        assert.equal(bad.body.error, 'invalid_token')
      }
    })

    it('does not read an upload of somebody without a token', async () => {
      const parts = new FormData()
      parts.set('file', new Blob(['x']), 'a.bin')
      parts.set('access_token', api.token)
      assert.equal((await api.request('PUT', `/v1/devices/${id}`, { token: null, body: parts })).status, 400)
    })

    it('expires tokens', async () => {
      const { token } = await api.identity.tokens.issue(api.user.id, 'particle', 1_000)
      api.skew = 2_000
      assert.equal((await api.request('GET', '/v1/user', { token })).status, 401)
      api.skew = 0
    })

    it('lists tokens to who knows the password, without their text', async () => {
      const basic = (secret: string) => `Basic ${Buffer.from(`${username}:${secret}`).toString('base64')}`
      const { status, body } = await api.request('GET', '/v1/access_tokens', {
        headers: { authorization: basic(password) },
      })
      assert.equal(status, 200)
      assert.match(body[0].token, /^[0-9a-f]{6}\*+$/)
      assert.equal(
        (await api.request('GET', '/v1/access_tokens', { headers: { authorization: basic('no') } })).status,
        403,
      )
    })

    it('revokes a token for whoever knows it', async () => {
      const { token } = await api.identity.tokens.issue(api.user.id, 'particle', null)
      const revoked = await api.request('DELETE', `/v1/access_tokens/${token}`, { token: null })
      assert.deepEqual([revoked.status, revoked.body], [200, { ok: true }])
      assert.equal((await api.request('DELETE', `/v1/access_tokens/${token}`, { token: null })).status, 404)
      assert.equal((await api.request('GET', '/v1/user', { token })).status, 401)
    })
  })

  describe('bodies', () => {
    it('may be JSON, a form or multipart', async () => {
      const parts = new FormData()
      parts.set('notes', 'multipart')
      const bodies: [string, RequestInit][] = [
        ['json', { headers: json, body: JSON.stringify({ notes: 'json' }) }],
        ['form', { headers: form, body: 'notes=form' }],
        ['multipart', { body: parts }],
      ]
      for (const [notes, init] of bodies) {
        const answer = await api.request('PUT', '/v1/devices/lamp', init)
        assert.equal(answer.status, 200, notes)
        assert.equal(answer.body.notes, notes)
      }
      const none = await api.request('PUT', '/v1/devices/lamp', { headers: json, body: '{"notes":null}' })
      assert.equal(none.body.notes, null)
    })

    it('may be JSON on DELETE, empty too', async () => {
      for (const body of ['', '{}', '{"deny":true}']) {
        await api.device('422b00000000000000000009')
        const answer = await api.request('DELETE', '/v1/devices/422b00000000000000000009', { headers: json, body })
        assert.equal(answer.status, 200)
      }
    })

    it('are refused in JSON when they are broken, of another type, or too large', async () => {
      const put = (init: RequestInit) => api.request('PUT', '/v1/devices/lamp', init)
      assert.equal((await put({ headers: json, body: '{' })).status, 400)
      assert.equal((await put({ headers: json, body: '[]' })).status, 400)
      assert.equal((await put({ headers: json, body: '{"__proto__":{}}' })).status, 400)
      assert.equal((await put({ headers: { 'content-type': 'text/plain' }, body: 'x' })).status, 415)
      assert.equal((await put({ headers: json, body: JSON.stringify({ notes: 'x'.repeat(300_000) }) })).status, 413)
      assert.equal((await put({ headers: json, body: '{"notes":5}' })).status, 400)
      assert.equal((await put({ headers: { 'content-type': 'multipart/form-data' }, body: 'x' })).status, 400)
      const broken = { headers: { 'content-type': 'multipart/form-data; boundary=x' }, body: '--x\r\nbroken' }
      const answer = await put(broken)
      assert.equal(answer.status, 400)
      assert.equal(answer.body.ok, false)
    })
  })

  describe('devices', () => {
    it('answer to a name that needs encoding, and to a long one with 403', async () => {
      await api.request('PUT', `/v1/devices/${id}`, { headers: json, body: '{"name":"Lämp one"}' })
      assert.equal((await api.request('GET', `/v1/devices/${encodeURIComponent('lämp ONE')}`)).body.id, id)
      await api.request('PUT', `/v1/devices/${id}`, { headers: json, body: '{"name":"lamp"}' })
      const unknown = await api.request('GET', `/v1/devices/${'x'.repeat(500)}`)
      assert.equal(unknown.status, 403)
      assert.equal(unknown.body.error, 'Permission Denied')
    })

    it('take the function argument under any of its names, and say the bare value when asked', async () => {
      api.gateway.answerCall = () => ({ ok: true, value: -7 })
      for (const body of ['args=on', 'arg=on', 'params=on']) {
        const { body: answer } = await api.request('POST', '/v1/devices/lamp/led', { headers: form, body })
        assert.equal(answer.return_value, -7)
        assert.deepEqual(api.gateway.log.at(-1), ['call', id, 'led', 'on'])
      }
      const bare = await api.request('POST', '/v1/devices/lamp/led', { headers: form, body: 'arg=on&format=raw' })
      assert.equal(bare.text, '-7')
      await api.request('POST', '/v1/devices/lamp/led', { headers: json, body: '{}' })
      assert.deepEqual(api.gateway.log.at(-1), ['call', id, 'led', ''])
      api.gateway.variables.set('temp', 21.5)
      assert.equal((await api.request('GET', '/v1/devices/lamp/temp?format=raw')).text, '21.5')
      const long = JSON.stringify({ arg: 'x'.repeat(1_025) })
      assert.equal((await api.request('POST', '/v1/devices/lamp/led', { headers: json, body: long })).status, 400)
    })

    it('are asked what they have before a function is said to be missing', async () => {
      api.gateway.onDescribe = (device) => api.registry.recordDescribe(device, { functions: ['led', 'fan'] })
      const answer = await api.request('POST', '/v1/devices/lamp/fan')
      assert.equal(answer.status, 200)
      api.gateway.onDescribe = () => undefined
      assert.equal((await api.request('POST', '/v1/devices/lamp/toString')).status, 404)
      assert.equal((await api.request('GET', '/v1/devices/lamp/toString')).status, 404)
    })

    it('refuse for themselves with 400', async () => {
      api.gateway.answerCall = () => ({ ok: false, error: 'refused', message: 'busy' })
      const { status, body } = await api.request('POST', '/v1/devices/lamp/led')
      assert.deepEqual([status, body.error], [400, 'busy'])
    })

    it('say on ping whether they are there', async () => {
      assert.deepEqual((await api.request('PUT', '/v1/devices/lamp/ping', { headers: form, body: '' })).body, {
        online: true,
        ok: true,
      })
    })

    it('take forced updates, and tell the device', async () => {
      const { body } = await api.request('PUT', '/v1/devices/lamp', {
        headers: form,
        body: 'firmware_updates_forced=true',
      })
      assert.equal(body.firmware_updates_forced, true)
      assert.equal(api.registry.get(id)?.updatesForced, true)
      assert.deepEqual(api.gateway.log.at(-1), ['forced', id, true])
      const wrong = await api.request('PUT', '/v1/devices/lamp', { headers: json, body: '{"signal":"maybe"}' })
      assert.equal(wrong.status, 400)
    })

    it('change nothing when a signal does not reach them', async () => {
      api.gateway.online.delete(id)
      const body = '{"signal":"1","name":"other"}'
      assert.equal((await api.request('PUT', '/v1/devices/lamp', { headers: json, body })).status, 408)
      assert.equal(api.registry.get(id)?.name, 'lamp')
      api.gateway.online.add(id)
    })

    it('get their key from the CLI’s form, and lose their connection when it changes', async () => {
      const provision = (key: string, algorithm = 'rsa') =>
        api.request('POST', `/v1/provisioning/${id.toUpperCase()}`, {
          headers: form,
          body: new URLSearchParams({
            deviceID: id,
            publicKey: key,
            filename: 'cli',
            order: 'manual_1',
            algorithm,
          }).toString(),
        })
      const key = devicePem()
      assert.deepEqual((await provision(key)).body, { ok: true })
      assert.deepEqual(api.gateway.log.at(-1), ['disconnect', id])
      const before = api.gateway.log.length
      await provision(key)
      assert.equal(api.gateway.log.length, before)
      assert.equal((await provision(key, 'ecc')).status, 400)
      assert.equal((await provision('nonsense')).status, 400)
    })
  })

  describe('uploads', () => {
    const upload = (files: Record<string, string>, fields: Record<string, string> = {}): FormData => {
      const parts = new FormData()
      let number = 0
      for (const [name, content] of Object.entries(files)) parts.set(`any${number++}`, new Blob([content]), name)
      for (const [name, value] of Object.entries(fields)) parts.set(name, value)
      return parts
    }

    it('keep the paths of sources', async () => {
      const body = upload({ 'src/app.ts': 'a', 'lib/foo/src/foo.ts': 'b' }, { platform_id: '43', latest: 'true' })
      const answer = await api.request('POST', '/v1/binaries', { body })
      assert.equal(answer.status, 200)
      const request = api.compiler.requests.at(-1)
      assert.deepEqual(
        request?.files.map(({ path }) => path),
        ['src/app.ts', 'lib/foo/src/foo.ts'],
      )
      assert.equal(request?.target, undefined)
    })

    it('are one binary, one bundle, or sources', async () => {
      const put = (files: Record<string, string>, fields = {}) =>
        api.request('PUT', '/v1/devices/lamp', { body: upload(files, fields) })
      assert.equal((await put({ '/abs/path/x.BIN': 'b' }, { latest: 'true' })).body.status, 'Update started')
      assert.equal((await put({ firmware: 'b' })).body.status, 'Update started')
      assert.equal((await put({ 'firmware.x': 'b' }, { file_type: 'binary' })).body.status, 'Update started')
      assert.equal((await put({ 'a.bin': 'b', 'b.bin': 'b' })).status, 400)
      assert.equal((await put({ 'a.zip': 'b' })).body.status, 'Update started')
      assert.equal((await put({ 'a.zip': 'b', 'b.ts': 'b' })).status, 400)
      assert.equal((await put({})).status, 400)
    })

    it('pass on why an update was not started', async () => {
      api.updates.result = { ok: false, status: 400, error: 'The file is for another platform' }
      const { status, body } = await api.request('PUT', '/v1/devices/lamp', { body: upload({ 'a.bin': 'b' }) })
      assert.equal(status, 400)
      assert.equal(body.error, 'The file is for another platform')
    })

    it('need a Device OS that is known to compile for', async () => {
      const put = (fields = {}) => api.request('PUT', '/v1/devices/lamp', { body: upload({ 'a.ts': '' }, fields) })
      const unknown = await put()
      assert.equal(unknown.status, 400)
      assert.match(unknown.body.error, /build_target_version/)
    })

    it('are bounded in number and size', async () => {
      const files = Object.fromEntries(Array.from({ length: 501 }, (_, i) => [`f${i}.ts`, '']))
      assert.equal(
        (await api.request('POST', '/v1/binaries', { body: upload(files, { platform_id: '43' }) })).status,
        413,
      )
      const large = upload({ 'large.ts': 'x'.repeat(11 * 1024 * 1024) }, { platform_id: '43' })
      assert.equal((await api.request('POST', '/v1/binaries', { body: large })).status, 413)
      const many = upload({ 'a.ts': 'x'.repeat(9 << 20), 'b.ts': 'x'.repeat(9 << 20) }, { platform_id: '43' })
      assert.equal((await api.request('POST', '/v1/binaries', { body: many })).status, 413)
      const elsewhere = upload({ 'a.ts': 'x' }, { name: 'e' })
      assert.equal((await api.request('POST', '/v1/devices/events', { body: elsewhere })).status, 413)
    })

    it('are forgotten when they have expired, and the oldest when there are many', async () => {
      const compile = async (): Promise<string> => {
        const body = upload({ 'a.ts': '' }, { platform_id: '43' })
        return (await api.request('POST', '/v1/binaries', { body })).body.binary_id
      }
      const first = await compile()
      assert.equal((await api.request('GET', `/v1/binaries/${first}`)).text, 'module for 2.0.0')
      const other = await api.identity.users.create('other', 'long enough')
      const { token } = await api.identity.tokens.issue(other.id, 'particle', null)
      assert.equal((await api.request('GET', `/v1/binaries/${first}`, { token })).status, 404)
      api.skew = 24 * 3_600_000
      assert.equal((await api.request('GET', `/v1/binaries/${first}`)).status, 404)
      api.skew = 0
      for (let i = 0; i < 100; i++) await compile()
      assert.equal((await api.request('GET', `/v1/binaries/${first}`)).status, 404)
      const { rows } = await api.store.db
        .selectFrom('binaries')
        .select(({ fn }) => fn.countAll<number>().as('rows'))
        .executeTakeFirstOrThrow()
      assert.equal(rows, 100)
    })
  })

  describe('what is Aloe’s own', () => {
    it('says that it serves, and where devices come in', async () => {
      assert.equal((await api.request('GET', '/health', { token: null })).status, 200)
      const { body } = await api.request('GET', '/.well-known/aloe', { token: null })
      assert.deepEqual(body, {
        service: 'aloe',
        version: '0.0.0',
        http: api.url,
        tcp: { host: '127.0.0.1', port: 5_683 },
        udp: null,
        keys: { tcp: { algorithm: 'rsa', publicKey: 'RSA PEM' }, udp: { algorithm: 'ecc', publicKey: 'EC PEM' } },
      })
    })

    it('shows failed handshakes to the administrator, and to an owner those of the owner’s devices', async () => {
      api.registry.recordRefusal({ deviceId: id, address: '192.0.2.1:1', step: 'key', reason: 'another key' })
      api.registry.recordRefusal({ address: '192.0.2.2:1', step: 'nonce', reason: 'timeout' })
      const mine = await api.request('GET', '/v1/aloe/handshake-failures')
      assert.deepEqual(
        mine.body.failures.map((failure: { step: string }) => failure.step),
        ['key'],
      )
      const admin = await api.identity.users.create('root', 'administrator', { administrator: true })
      const { token } = await api.identity.tokens.issue(admin.id, 'particle', null)
      const all = await api.request('GET', '/v1/aloe/handshake-failures', { token })
      assert.deepEqual(
        all.body.failures.map((failure: { step: string }) => failure.step),
        ['nonce', 'key'],
      )
      assert.equal(all.body.failures[1].device_id, id)
    })

    it('shows the gateway’s counters to administrators alone', async () => {
      assert.equal((await api.request('GET', '/v1/aloe/gateway')).status, 403)
      const admin = await api.identity.users.create('boss', 'administrator', { administrator: true })
      const { token } = await api.identity.tokens.issue(admin.id, 'particle', null)
      const { body } = await api.request('GET', '/v1/aloe/gateway', { token })
      assert.equal(body.udp, null)
    })

    it('shows a device’s update jobs', async () => {
      api.updates.list = [
        {
          id: 'j',
          deviceId: id,
          kind: 'heal',
          state: 'sending',
          requestedBy: null,
          detail: { sent: [], failures: {}, interruptions: 0 },
          createdAt: 0,
          updatedAt: 0,
          finishedAt: null,
        },
      ]
      const { body } = await api.request('GET', '/v1/devices/lamp/aloe/updates')
      assert.equal(body.jobs[0].kind, 'heal')
      assert.equal(body.jobs[0].created_at, '1970-01-01T00:00:00.000Z')
    })

    it('says what is not there: 501 for what Particle has, 404 for the rest', async () => {
      for (const [method, path] of [
        ['GET', '/v1/products/1/config'],
        ['GET', '/v1/secrets/NAME'],
        ['GET', '/v1/sims'],
        ['PATCH', '/v1/env'],
      ] as const) {
        const { status, body } = await api.request(method, path)
        assert.equal(status, 501, path)
        assert.match(body.error, /^Not implemented: Aloe has no .* yet$/)
      }
      for (const path of ['/', '/v1', '/v1/nothing', '/v1/constructor', '/favicon.ico']) {
        const { status, body } = await api.request('GET', path)
        assert.equal(status, 404, path)
        assert.equal(body.ok, false)
      }
    })

    it('lets browsers in from anywhere', async () => {
      const preflight = await fetch(`${api.url}/v1/devices`, {
        method: 'OPTIONS',
        headers: {
          origin: 'http://example.com',
          'access-control-request-method': 'PUT',
          'access-control-request-headers': 'Authorization, X-Particle-Tool',
        },
      })
      assert.equal(preflight.status, 204)
      assert.equal(preflight.headers.get('access-control-allow-origin'), '*')
      assert.match(preflight.headers.get('access-control-allow-methods') ?? '', /PATCH/)
      assert.match(preflight.headers.get('access-control-allow-headers') ?? '', /X-Particle-Tool/)
      assert.equal((await api.request('GET', '/v1/user')).headers.get('access-control-allow-origin'), '*')
    })
  })
})
