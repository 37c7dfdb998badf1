import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import fc from 'fast-check'
import Particle from 'particle-api-js'
import { until } from '../gateway/until.ts'
import { Receiver } from '../integrations/test-receiver.ts'
import { type ApiFixture, startApi } from './api-fixture.ts'

const id = '422b00000000000000000001'

/** What came: the SDK's types do not say all of it. */
// biome-ignore lint/suspicious/noExplicitAny: the assertions are the types
async function answered(promise: Promise<unknown>): Promise<any> {
  return promise
}

describe('the API of webhooks', () => {
  let api: ApiFixture
  let receiver: Receiver
  let particle: Particle
  let strange: string
  let product: number

  before(async () => {
    api = await startApi()
    receiver = await Receiver.start()
    particle = new Particle({ baseUrl: api.url, auth: api.token })
    await api.device(id, 'kitchen')
    const other = await api.identity.users.create('other@example.com', 'another password')
    strange = (await api.identity.tokens.issue(other.id, 'particle', null)).token
    product = (await api.products.create(api.user.id, { name: 'thing', platformId: 12 })).id
  })
  after(async () => {
    await receiver.stop()
    await api.close()
  })
  afterEach(() => {
    receiver.received.length = 0
    receiver.answer = (_request, response) => response.end()
  })

  const json = (method: string, path: string, body: object, token?: string) =>
    api.request(method, path, {
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
      ...(token !== undefined && { token }),
    })
  const make = async (more: object = {}, base = '/v1'): Promise<string> => {
    const { status, body } = await json('POST', `${base}/integrations`, { event: 'temp', url: receiver.url, ...more })
    assert.equal(status, 201, body?.error)
    return body.id
  }
  const publish = (name: string, data: string): Promise<unknown> => json('POST', '/v1/devices/events', { name, data })

  it('makes, lists, shows, replaces and removes them, through particle-api-js', async () => {
    const { statusCode, body: made } = await answered(
      particle.createIntegration({
        event: 'temp',
        deviceId: 'kitchen',
        settings: {
          url: 'http://example.com/a?key=1',
          requestType: 'PUT',
          json: { a: '{{b}}' },
          integration_type: 'Webhook',
        },
      }),
    )
    assert.equal(statusCode, 201)
    assert.deepEqual(Object.keys(made), ['ok', 'id', 'url', 'event', 'name', 'created_at', 'hookUrl'])
    assert.equal(made.name, 'temp for example.com')
    assert.equal(made.hookUrl, `${api.url}/v1/integrations/${made.id}`)
    const { body: list } = await particle.listIntegrations({})
    assert.ok(Array.isArray(list))
    assert.deepEqual(list[0], {
      id: made.id,
      integration_type: 'Webhook',
      event: 'temp',
      name: 'temp for example.com',
      url: 'http://example.com/a?key=1',
      requestType: 'PUT',
      json: { a: '{{b}}' },
      noDefaults: false,
      rejectUnauthorized: true,
      disabled: false,
      deviceID: id,
      created_at: made.created_at,
      updated_at: made.created_at,
    })
    const { body: edited } = await answered(
      particle.editIntegration({
        integrationId: made.id,
        event: 'hum',
        settings: { url: 'http://example.com/b' },
      }),
    )
    // As a whole: what is not said is not kept.
    assert.equal(edited.integration.event, 'hum')
    assert.equal(edited.integration.requestType, 'POST')
    assert.equal(edited.integration.json, undefined)
    assert.equal(edited.integration.deviceID, undefined)
    assert.equal(edited.integration.created_at, made.created_at)
    assert.deepEqual((await particle.deleteIntegration({ integrationId: made.id })).statusCode, 204)
    assert.deepEqual((await particle.listIntegrations({})).body, [])
  })

  it('knows them as webhooks too', async () => {
    const { body: made } = await particle.createWebhook({
      event: 'temp',
      url: 'http://example.com/',
      device: id,
      rejectUnauthorized: false,
      noDefaults: true,
      webhookAuth: { username: 'u', password: 'p' },
      headers: {},
      responseTopic: 'r',
    } as never)
    assert.equal(made.hookUrl, `${api.url}/v1/webhooks/${made.id}`)
    const { body: list } = await particle.listWebhooks({})
    assert.deepEqual(
      list.map((hook: { id: string }) => hook.id),
      [made.id],
    )
    assert.equal((await api.request('GET', `/v1/webhooks/${made.id}`)).body.webhook.rejectUnauthorized, false)
    assert.equal((await particle.deleteWebhook({ hookId: made.id })).statusCode, 204)
  })

  it('has those of products apart, for who may', async () => {
    for (const name of [String(product), 'thing-v1', 'thing'].filter((each) => api.products.find(each))) {
      const { body: made } = await particle.createIntegration({
        product: name,
        event: 'p',
        settings: { url: 'http://e.com' },
      })
      const { body: list } = await answered(particle.listIntegrations({ product: name }))
      assert.deepEqual(
        list.map((each: { product_id: number }) => each.product_id),
        [product],
      )
      assert.equal((await particle.listWebhooks({ product: name })).body.length, 1)
      assert.deepEqual((await particle.listIntegrations({})).body, [])
      assert.equal((await api.request('GET', `/v1/integrations/${made.id}`)).status, 404)
      assert.equal((await api.request('GET', `/v1/products/${product}/integrations`, { token: strange })).status, 403)
      await particle.editIntegration({
        product: name,
        integrationId: made.id,
        event: 'q',
        settings: { url: 'http://e.com' },
      })
      assert.equal((await particle.deleteIntegration({ product: name, integrationId: made.id })).statusCode, 204)
    }
    assert.equal((await api.request('GET', '/v1/products/none/integrations')).status, 404)
  })

  it('has those of a person under the person’s name as an organization, and of no other', async () => {
    const org = api.user.username
    const settings = { url: 'http://e.com' }
    const { body: made } = await answered(particle.createIntegration({ org, event: 'o', settings }))
    assert.equal(made.hookUrl, `${api.url}/v1/orgs/${org}/integrations/${made.id}`)
    assert.deepEqual((await particle.listIntegrations({ org })).body, (await particle.listIntegrations({})).body)
    await particle.editIntegration({ org, integrationId: made.id, event: 'p', settings })
    assert.equal((await particle.deleteIntegration({ org, integrationId: made.id })).statusCode, 204)
    assert.equal((await api.request('GET', '/v1/orgs/acme/integrations')).status, 404)
    assert.equal((await api.request('GET', `/v1/orgs/${org}/integrations`, { token: strange })).status, 404)
  })

  it('explains what is wrong with them', async () => {
    const { status, body } = await json('POST', '/v1/integrations', { event: 'e', url: 'http://e.com', body: '{{x' })
    assert.equal(status, 400)
    assert.match(body.error, /^The template is wrong in body: Unclosed tag/)
    const cloudPubSub = await json('POST', '/v1/integrations', {
      event: 'e',
      integration_type: 'GoogleCloudPubSub',
      topic: 't',
    })
    assert.equal(cloudPubSub.status, 501)
    const form = new URLSearchParams({ event: 'e', url: 'http://e.com', 'json[a]': '{{b}}', 'auth[username]': 'u' })
    const made = await api.request('POST', '/v1/integrations', { body: form })
    assert.equal(made.status, 201)
    const { integration } = (await api.request('GET', `/v1/integrations/${made.body.id}`)).body
    assert.deepEqual([integration.json, integration.auth], [{ a: '{{b}}' }, { username: 'u', password: '' }])
    await api.request('DELETE', `/v1/integrations/${made.body.id}`)
  })

  it('shows what became of the last events, and tests on demand', async () => {
    receiver.answer = (_request, response) => response.end('fine')
    const hook = await make({ body: '{{PARTICLE_EVENT_VALUE}} {{PARTICLE_DEVICE_ID}}' })
    await publish('temperature', '7')
    await until(() => receiver.received.length === 1)
    assert.equal(receiver.received[0]?.body, '7 api')
    const test = await json('POST', `/v1/integrations/${hook}/test`, { data: 'x', device_id: id })
    assert.deepEqual([test.status, test.body], [200, { pass: true, data: 'fine' }])
    assert.equal((await json('POST', `/v1/integrations/${hook}/test`, {})).body.pass, true)
    assert.deepEqual(receiver.received.map(({ body }) => body).slice(1), [`x ${id}`, 'test-event api'])
    const { integration } = (await api.request('GET', `/v1/integrations/${hook}`)).body
    assert.equal(integration.logs.length, 3)
    assert.equal(integration.logs[2].event.name, 'temperature')
    assert.equal(integration.logs[2].response, '200 fine')
    assert.equal(integration.counters[0].success, 3)
    assert.deepEqual(integration.queue, { waiting: 0, dead_letters: 0 })
    await api.request('DELETE', `/v1/integrations/${hook}`)
  })

  it('lists dead letters, delivers them again, and deletes them', async () => {
    const hook = await make({ body: '{{PARTICLE_EVENT_VALUE}}', url: 'http://{{{PARTICLE_EVENT_VALUE}}}' })
    const path = `/v1/integrations/${hook}/dead-letters`
    for (const data of ['a b', 'c d', 'e f']) await publish('temp', data)
    const list = async () => (await api.request('GET', path)).body
    await until(() => api.integrations.statistics().deadLetters === 3)
    const { dead_letters: letters, total } = await list()
    assert.equal(total, 3)
    assert.deepEqual(letters.map(({ data }: { data: string }) => data).sort(), ['a b', 'c d', 'e f'])
    assert.match(letters[0].error, /is no URL/)
    const [one, two] = letters
    assert.deepEqual((await api.request('GET', `${path}/${one.id}`)).body, { dead_letter: one })
    assert.equal((await api.request('GET', `${path}?limit=1&offset=1`)).body.dead_letters.length, 1)
    assert.equal((await api.request('GET', `${path}?limit=x`)).status, 400)
    await json('PUT', `/v1/integrations/${hook}`, { url: receiver.url, body: '{{PARTICLE_EVENT_VALUE}}' })
    assert.deepEqual((await api.request('POST', `${path}/${one.id}/replay`)).body, { ok: true, replayed: 1 })
    assert.equal((await api.request('POST', `${path}/${one.id}/replay`)).status, 404)
    await until(() => receiver.received.length === 1)
    assert.equal(receiver.received[0]?.body, one.data)
    assert.deepEqual((await api.request('DELETE', `${path}/${two.id}`)).body, { ok: true, deleted: 1 })
    assert.deepEqual((await api.request('POST', `${path}/replay`)).body, { ok: true, replayed: 1 })
    await until(() => receiver.received.length === 2)
    assert.deepEqual((await api.request('DELETE', path)).body, { ok: true, deleted: 0 })
    assert.equal((await list()).total, 0)
    await api.request('DELETE', `/v1/integrations/${hook}`)
  })

  it('are nobody else’s business', async () => {
    const hook = await make()
    const paths: [string, string][] = [
      ['GET', ''],
      ['PUT', ''],
      ['DELETE', ''],
      ['POST', '/test'],
      ['GET', '/dead-letters'],
      ['DELETE', '/dead-letters'],
      ['POST', '/dead-letters/replay'],
      ['GET', `/dead-letters/${hook}`],
      ['DELETE', `/dead-letters/${hook}`],
      ['POST', `/dead-letters/${hook}/replay`],
    ]
    const body = { event: 'stolen', url: 'http://e.com' }
    for (const [method, path] of paths) {
      const answer = await api.request(method, `/v1/integrations/${hook}${path}`, {
        token: strange,
        headers: { 'content-type': 'application/json' },
        ...(method !== 'GET' && { body: JSON.stringify(body) }),
      })
      assert.equal(answer.status, 404, `${method} ${path}`)
      assert.doesNotMatch(answer.text, /access token/i)
    }
    assert.deepEqual((await api.request('GET', '/v1/integrations', { token: strange })).body, [])
    assert.equal((await api.request('GET', `/v1/integrations/${hook}`)).body.integration.event, 'temp')
    assert.equal((await json('POST', '/v1/integrations', { ...body, deviceid: 'kitchen' }, strange)).status, 400)
    await api.request('DELETE', `/v1/integrations/${hook}`)
  })

  it('answer anything that comes with 201 or 4xx', async () => {
    const keys = [
      'event',
      'url',
      'json',
      'form',
      'headers',
      'auth',
      'deviceid',
      'requestType',
      'integration_type',
      '__proto__',
    ]
    const body = fc.dictionary(fc.constantFrom(...keys), fc.oneof(fc.jsonValue(), fc.constant('http://e.com/{{x}}')))
    await fc.assert(
      fc.asyncProperty(body, async (anything) => {
        const answer = await json('POST', '/v1/webhooks', anything)
        assert.ok(
          answer.status === 201 || (answer.status >= 400 && answer.status < 500 && answer.status !== 401),
          answer.text,
        )
        if (answer.status === 201) await api.request('DELETE', `/v1/webhooks/${answer.body.id}`)
      }),
      { numRuns: Number(process.env.ALOE_FUZZ_RUNS ?? 40) },
    )
  })

  it('go with their user', async () => {
    const gone = await api.identity.users.create('gone@example.com', 'a third password')
    const { token } = await api.identity.tokens.issue(gone.id, 'particle', null)
    const { body } = await json('POST', '/v1/integrations', { event: 'e', url: receiver.url }, token)
    assert.equal((await json('DELETE', '/v1/user', { password: 'a third password' }, token)).status, 200)
    assert.equal(api.integrations.find(body.id, { kind: 'user', userId: gone.id }), undefined)
    assert.equal(api.integrations.statistics().integrations, 0)
  })
})
