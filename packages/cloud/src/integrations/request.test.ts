import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { readWebhook } from './input.ts'
import type { TriggeringEvent, WebhookSettings } from './integration.ts'
import { compileWebhook } from './request.ts'
import { TemplateError } from './template.ts'

const deviceId = '422b00000000000000000001'
const event: TriggeringEvent = {
  name: 'temp/kitchen',
  data: '{"t":21.5,"list":[{"ca":"A & B"}]}',
  publishedAt: Date.UTC(2026, 10, 21, 5, 6, 7, 89),
  coreid: deviceId,
  owner: 'alice',
}
const plain: TriggeringEvent = { ...event, data: 'hello "world"' }
const time = '2026-11-21T05:06:07.089Z'

function settings(more: Record<string, unknown>): WebhookSettings {
  return readWebhook({ event: 'temp', url: 'http://example.com/hook', ...more }, { deviceId: () => undefined })
}

function requestOf(more: Record<string, unknown>, of = event) {
  const { url, ...rest } = compileWebhook(settings(more)).request(of)
  return { ...rest, url: url.href }
}

describe('the request of a webhook', () => {
  it('is a form with the event, when nothing else is asked for', () => {
    const { method, url, headers, body } = requestOf({}, plain)
    assert.equal(method, 'POST')
    assert.equal(url, 'http://example.com/hook')
    assert.deepEqual(headers, {
      'user-agent': 'ParticleBot/1.1 (https://docs.particle.io/webhooks)',
      accept: '*/*',
      'content-type': 'application/x-www-form-urlencoded',
    })
    assert.deepEqual(Object.fromEntries(new URLSearchParams(body)), {
      event: 'temp/kitchen',
      data: 'hello "world"',
      published_at: time,
      coreid: deviceId,
    })
  })

  it('has the event in its query for GET, and no body', () => {
    const { url, body, headers } = requestOf({
      requestType: 'get',
      url: 'http://example.com/a%20b?x=1',
      query: { q: '{{t}}' },
    })
    assert.equal(body, undefined)
    assert.equal(headers['content-type'], undefined)
    const { searchParams, href } = new URL(url)
    assert.match(href, /^http:\/\/example\.com\/a%20b\?x=1&event=temp%2Fkitchen&/)
    assert.deepEqual(Object.fromEntries(searchParams), {
      x: '1',
      event: 'temp/kitchen',
      data: event.data,
      published_at: time,
      coreid: deviceId,
      q: '21.5',
    })
  })

  it('is JSON with the event when JSON is asked for, whose texts stay texts', () => {
    const { headers, body } = requestOf({
      json: { t: '{{{t}}}', n: 3, '{{list.0.ca}}': ['{{{list.0.ca}}}', '{{list.0.ca}}'] },
    })
    assert.equal(headers['content-type'], 'application/json')
    assert.equal(headers.accept, 'application/json')
    assert.equal(
      body,
      JSON.stringify({
        event: 'temp/kitchen',
        data: event.data,
        published_at: time,
        coreid: deviceId,
        t: '21.5',
        n: 3,
        'A &amp; B': ['A & B', 'A &amp; B'],
      }),
    )
  })

  it('says more for products', () => {
    const of: TriggeringEvent = { ...plain, productId: 10_001, version: 7 }
    const { body } = requestOf({ json: { user: '{{PRODUCT_USER_ID}}', version: '{{PRODUCT_VERSION}}' } }, of)
    const { event: _e, data: _d, published_at: _p, coreid: _c, ...rest } = JSON.parse(body ?? '')
    assert.deepEqual(rest, { userid: 'alice', fw_version: 7, public: false, user: 'alice', version: '7' })
    const { owner: _, ...unclaimed } = of
    assert.equal(JSON.parse(requestOf({ json: { a: 1 } }, unclaimed).body ?? '').userid, '')
  })

  it('leaves the event out with noDefaults', () => {
    assert.equal(requestOf({ noDefaults: true }).body, undefined)
    assert.equal(requestOf({ noDefaults: true, form: { a: '{{t}}' } }).body, 'a=21.5')
    assert.equal(requestOf({ noDefaults: true, json: { a: '{{t}}' } }).body, '{"a":"21.5"}')
    assert.equal(requestOf({ noDefaults: true, requestType: 'GET' }).url, 'http://example.com/hook')
  })

  it('has a body of its own, and nothing with it', () => {
    const json = requestOf({ body: '{"v":{{{t}}}}' })
    assert.equal(json.body, '{"v":21.5}')
    assert.equal(json.headers['content-type'], 'application/json')
    const text = requestOf({ body: '{{PARTICLE_EVENT_NAME}} {{SPARK_EVENT_VALUE}}', requestType: 'PUT' }, plain)
    assert.equal(text.body, 'temp/kitchen hello &quot;world&quot;')
    assert.equal(text.headers['content-type'], 'text/plain; charset=utf-8')
    const own = requestOf({ body: '<x/>', headers: { 'Content-Type': 'application/xml' } })
    assert.equal(own.headers['content-type'], 'application/xml')
    assert.equal(requestOf({ json: '{{{PARTICLE_EVENT_VALUE}}}' }).body, event.data)
  })

  it('knows all predefined values under both names, which data cannot hide', () => {
    const keys = ['DEVICE_ID', 'EVENT_NAME', 'EVENT_VALUE', 'PUBLISHED_AT']
    const body = keys.map((key) => `{{{PARTICLE_${key}}}} {{{SPARK_${key}}}}`).join('\n')
    const of = { ...event, data: '{"PARTICLE_DEVICE_ID":"forged"}' }
    const values = [deviceId, event.name, of.data, time]
    assert.equal(requestOf({ body }, of).body, values.map((value) => `${value} ${value}`).join('\n'))
  })

  it('carries headers, credentials, and templates in all of them', () => {
    const { headers, url } = requestOf(
      {
        url: 'https://{{{list.0.ca}}}.example.com/{{t}}?d={{PARTICLE_DEVICE_ID}}',
        headers: { 'X-{{PARTICLE_EVENT_NAME}}': 1, Authorization: 'Token {{t}}', 'User-Agent': 'mine' },
      },
      { ...event, name: 'temp', data: '{"t":21.5,"list":[{"ca":"ab"}]}' },
    )
    assert.equal(url, `https://ab.example.com/21.5?d=${deviceId}`)
    assert.equal(headers['x-temp'], '1')
    assert.equal(headers.authorization, 'Token 21.5')
    assert.equal(headers['user-agent'], 'mine')
    const auth = requestOf({ auth: { username: 'me', password: '{{{t}}}' } })
    assert.equal(auth.headers.authorization, `Basic ${Buffer.from('me:21.5').toString('base64')}`)
    const inUrl = requestOf({ url: 'http://a%40b:c@example.com/' })
    assert.equal(inUrl.headers.authorization, `Basic ${Buffer.from('a@b:c').toString('base64')}`)
    assert.equal(inUrl.url, 'http://example.com/')
  })

  it('lets no data of a device make further headers, or say how long the body is', () => {
    const headers = {
      'X-Data': '{{{PARTICLE_EVENT_VALUE}}}',
      'Content-Length': '5',
      'Transfer-Encoding': 'chunked',
      Connection: 'upgrade',
    }
    const request = requestOf({ headers }, { ...event, data: 'a\r\nX-Evil: 1\r\n\r\nGET / é' })
    assert.equal(request.headers['x-data'], Buffer.from('a X-Evil: 1 GET / é').toString('latin1'))
    for (const name of ['content-length', 'transfer-encoding', 'connection'])
      assert.equal(request.headers[name], undefined)
    assert.throws(
      () => requestOf({ headers: { '{{{PARTICLE_EVENT_VALUE}}}': 'x' } }, { ...event, data: 'a: b\r\nc' }),
      /no header name/,
    )
  })

  it('takes nested fields in forms and queries', () => {
    const { body } = requestOf({ noDefaults: true, form: { a: { b: ['{{t}}', 2] } } })
    assert.deepEqual(
      [...new URLSearchParams(body)],
      [
        ['a[b][0]', '21.5'],
        ['a[b][1]', '2'],
      ],
    )
  })

  it('is none when the URL is no http or https URL in the end', () => {
    for (const data of ['', 'file:///etc/passwd', 'gopher://x', 'no url']) {
      assert.throws(() => requestOf({ url: '{{{PARTICLE_EVENT_VALUE}}}' }, { ...event, data }), TemplateError, data)
    }
  })

  it('is a request or a TemplateError, whatever a device publishes', () => {
    const webhook = compileWebhook(
      settings({
        url: 'http://{{{h}}}.example.com/{{{p}}}',
        headers: { '{{{k}}}': '{{{PARTICLE_EVENT_VALUE}}}' },
        json: { '{{k}}': '{{{v}}}' },
        auth: { username: '{{{u}}}', password: 'p' },
      }),
    )
    const data = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.json(),
      fc
        .dictionary(fc.constantFrom('h', 'p', 'k', 'v', 'u'), fc.string({ unit: 'binary' }))
        .map((value) => JSON.stringify(value)),
    )
    fc.assert(
      fc.property(data, (value) => {
        try {
          const { url, headers } = webhook.request({ ...event, data: value })
          assert.match(url.protocol, /^https?:$/)
          for (const [name, field] of Object.entries(headers)) {
            assert.match(name, /^[\w!#$%&'*+.^`|~-]+$/)
            assert.doesNotMatch(field, /[^\t\x20-\x7e\x80-\xff]/)
          }
        } catch (error) {
          assert.ok(error instanceof TemplateError, String(error))
        }
      }),
      { numRuns: Number(process.env.ALOE_FUZZ_RUNS ?? 200) },
    )
  })
})

describe('what is published of a response', () => {
  const text = (responseTemplate: unknown, body: string) =>
    compileWebhook(settings({ responseTemplate })).responseText(event, body)

  it('is its text, or what the template makes of its JSON', () => {
    assert.equal(text(undefined, '{"a":1}'), '{"a":1}')
    assert.equal(text('{{a}} of {{PARTICLE_EVENT_NAME}}', '{"a":1}'), '1 of temp/kitchen')
    assert.equal(text({ x: '{{a.0}}' }, '{"a":[7]}'), '{"x":"7"}')
    assert.equal(text('{{a}}', 'no JSON'), 'no JSON')
  })

  it('may have topics out of the event', () => {
    const topics = compileWebhook(
      settings({ responseTopic: '{{PARTICLE_DEVICE_ID}}/re', errorResponseTopic: 'bad/{{PARTICLE_EVENT_NAME}}' }),
    )
    assert.equal(topics.responseTopic(event), `${deviceId}/re`)
    assert.equal(topics.errorTopic(event), 'bad/temp/kitchen')
    assert.equal(compileWebhook(settings({})).responseTopic(event), undefined)
  })
})
