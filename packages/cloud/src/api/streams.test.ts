/** Event streams on real sockets, byte by byte. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { get } from 'node:https'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { CloudEvent } from '../events/event.ts'
import { type ApiFixture, startApi } from './api-fixture.ts'

const id = '422b00000000000000000001'

class Client {
  readonly socket: Socket
  text = ''
  closed = false
  constructor(api: ApiFixture, path: string, token = api.token) {
    this.socket = connect(Number(new URL(api.url).port), '127.0.0.1')
    this.socket.on('data', (chunk) => {
      this.text += chunk.toString('latin1')
    })
    this.socket.on('close', () => {
      this.closed = true
    })
    this.socket.on('error', () => undefined)
    this.socket.write(`GET ${path} HTTP/1.1\r\nHost: aloe\r\nAuthorization: Bearer ${token}\r\n\r\n`)
  }
  get body(): string {
    return this.text.split('\r\n\r\n').slice(1).join('\r\n\r\n')
  }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2))
}

describe('event streams over HTTP', () => {
  let api: ApiFixture
  const event = (more: Partial<CloudEvent> = {}): CloudEvent => ({
    name: 'temp',
    data: '21',
    ttl: 60,
    publishedAt: 0,
    coreid: id,
    deviceId: id,
    owner: api.user.id,
    ...more,
  })
  before(async () => {
    api = await startApi({ limits: { tokenRecheck: 20 } })
    await api.device(id, 'lamp')
  })
  after(() => api.close())

  it('are framed exactly', async () => {
    const client = new Client(api, '/v1/devices/events')
    await until(() => client.body.startsWith(':ok'))
    const head = client.text.split('\r\n\r\n')[0] ?? ''
    assert.match(head, /^HTTP\/1\.1 200 OK\r\n/)
    assert.match(head, /\r\ncontent-type: text\/event-stream/i)
    assert.match(head, /\r\ncache-control: no-cache/i)
    assert.match(head, /\r\naccess-control-allow-origin: \*/i)
    assert.doesNotMatch(head, /transfer-encoding|content-length/i)

    api.bus.publish(event())
    api.bus.publish(event({ name: 'none', data: null }))
    await until(() => client.body.includes('none'))
    const frame = (name: string, data: string) =>
      `event: ${name}\ndata: {"data":${data},"ttl":60,"published_at":"1970-01-01T00:00:00.000Z","coreid":"${id}"}\nid: N\n\n`
    assert.equal(
      client.body.replaceAll(/^id: \d+$/gm, 'id: N'),
      `:ok\n\n${frame('temp', '"21"')}${frame('none', 'null')}`,
    )
    client.socket.destroy()
    await until(() => api.streams.size === 0)
  })

  it('take the rest of the path as prefix, encoded or not', async () => {
    const paths = [
      '/v1/devices/events/a/b',
      '/v1/devices/events/a%2Fb',
      '/v1/events/a/b',
      '/v1/devices/lamp/events/a/b',
    ]
    const clients = paths.map((path) => new Client(api, `${path}?nonce=1.5`))
    await until(() => api.streams.size === paths.length)
    api.bus.publish(event({ name: 'a' }))
    api.bus.publish(event({ name: 'a/bc' }))
    for (const client of clients) {
      await until(() => client.body.includes('a/bc'))
      assert.equal(client.body.split('event: ').length, 2)
      client.socket.destroy()
    }
    await until(() => api.streams.size === 0)
  })

  it('want a prefix where it is required, and answer errors as JSON', async () => {
    for (const path of ['/v1/events', '/v1/events/']) {
      const { status, body } = await api.request('GET', path)
      assert.deepEqual([status, body], [400, { ok: false, error: 'event prefix filter is required' }])
    }
    assert.equal((await api.request('GET', '/v1/devices/unknown/events')).status, 403)
    assert.equal((await api.request('GET', '/v1/devices/events', { token: 'x' })).status, 401)
  })

  it('drop a client that does not read, and the others get everything', async () => {
    const slow = new Client(api, '/v1/devices/events')
    const quick = new Client(api, '/v1/devices/events')
    await until(() => api.streams.size === 2)
    slow.socket.pause()
    const data = 'x'.repeat(10_000)
    let sent = 0
    while (api.streams.size === 2) {
      for (let i = 0; i < 10; i++) api.bus.publish(event({ name: `n${sent++}`, data }))
      await until(() => quick.body.includes(`n${sent - 1}\n`))
      assert.ok(sent < 10_000, 'never dropped')
    }
    assert.equal(quick.body.split('event: ').length - 1, sent)
    quick.socket.destroy()
    slow.socket.destroy()
    await until(() => api.streams.size === 0)
  })

  it('end when the user is removed', async () => {
    const gone = await api.identity.users.create('gone', 'long enough')
    const { token } = await api.identity.tokens.issue(gone.id, 'particle', null)
    const client = new Client(api, '/v1/devices/events', token)
    await until(() => api.streams.size === 1)
    const body = JSON.stringify({ password: 'long enough' })
    const headers = { 'content-type': 'application/json' }
    assert.equal((await api.request('DELETE', '/v1/user', { token, headers, body })).status, 200)
    await until(() => client.closed)
  })

  it('end when their token is revoked', async () => {
    const { token } = await api.identity.tokens.issue(api.user.id, 'particle', null)
    const client = new Client(api, '/v1/devices/events', token)
    const other = new Client(api, '/v1/devices/events')
    await until(() => api.streams.size === 2)
    await api.identity.tokens.revoke(token)
    await until(() => client.closed)
    assert.equal(other.closed, false)
    other.socket.destroy()
    await until(() => api.streams.size === 0)
  })

  it('are bounded per host, and so are requests and logins', async () => {
    const strict = await startApi({
      limits: { exemptLoopback: false, streamsOpen: 2, streamsOpened: 5, logins: 3, requests: 50 },
    })
    const clients = [1, 2].map(() => new Client(strict, '/v1/devices/events'))
    await until(() => strict.streams.size === 2)
    const third = await strict.request('GET', '/v1/devices/events')
    assert.equal(third.status, 429)
    assert.ok(Number(third.headers.get('retry-after')) > 0)
    assert.match(third.body.error, /Too many requests/)
    for (const client of clients) client.socket.destroy()
    await until(() => strict.streams.size === 0)

    const login = () => strict.request('POST', '/oauth/token', { token: null })
    assert.deepEqual([(await login()).status, (await login()).status, (await login()).status], [400, 400, 400])
    assert.equal((await login()).status, 429)
    let status = 200
    for (let i = 0; i < 50 && status === 200; i++) status = (await strict.request('GET', '/health')).status
    assert.equal(status, 429)
    await strict.close()
  })

  it('close with the cloud', async () => {
    const closing = await startApi()
    const client = new Client(closing, '/v1/devices/events')
    await until(() => closing.streams.size === 1)
    await closing.close()
    await until(() => client.closed)
  })

  it('work over HTTPS', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'aloe-https-'))
    const [key, cert] = ['key.pem', 'cert.pem'].map((name) => join(folder, name)) as [string, string]
    const subject = ['-subj', '/CN=127.0.0.1', '-days', '2', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256']
    try {
      execFileSync('openssl', ['req', '-x509', '-nodes', ...subject, '-keyout', key, '-out', cert], { stdio: 'ignore' })
    } catch {
      rmSync(folder, { recursive: true })
      t.skip('there is no openssl to make a certificate with')
      return
    }
    const secure = await startApi({ https: { cert: readFileSync(cert), key: readFileSync(key) } })
    rmSync(folder, { recursive: true })
    let text = ''
    const headers = { authorization: `Bearer ${secure.token}` }
    const request = get(`${secure.url}/v1/devices/events`, { headers, rejectUnauthorized: false }, (response) => {
      response.on('data', (chunk) => {
        text += chunk
      })
      response.on('error', () => undefined)
    })
    request.on('error', () => undefined)
    await until(() => text === ':ok\n\n')
    secure.bus.publish(event({ owner: secure.user.id }))
    await until(() => text.includes('event: temp'))
    request.destroy()
    await secure.close()
  })
})
