import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { readWebhook } from './input.ts'
import { IntegrationError } from './integration.ts'

const id = '422b00000000000000000001'
const devices = { deviceId: (name: string) => (name === 'kitchen' || name === id ? id : undefined) }
const read = (body: Record<string, unknown>) => readWebhook(body, devices)
const least = { event: 'temp', url: 'http://example.com/hook?x=1' }

describe('the settings of a webhook', () => {
  it('are complete with an event and a URL', () => {
    assert.deepEqual(read(least), {
      event: 'temp',
      name: 'temp for example.com',
      url: 'http://example.com/hook?x=1',
      requestType: 'POST',
      noDefaults: false,
      rejectUnauthorized: true,
      disabled: false,
    })
  })

  it('come under every name that clients use', () => {
    for (const key of ['deviceID', 'deviceId', 'deviceid']) {
      assert.equal(read({ ...least, [key]: 'kitchen' }).deviceId, id)
      assert.equal(read({ ...least, [key]: '' }).deviceId, undefined)
    }
    assert.equal(read({ eventName: 'e', url: 'https://e.com' }).event, 'e')
    assert.equal(read({ ...least, deviceid: 'mine', mydevices: true, template: 'x' }).deviceId, undefined)
    assert.equal(read({ ...least, integration_type: 'Webhook', requestType: 'put' }).requestType, 'PUT')
  })

  it('may come as a form, as text', () => {
    const settings = read({
      ...least,
      rejectUnauthorized: 'false',
      noDefaults: '1',
      headers: '{"a":"b"}',
      json: '{"x":"{{{v}}}"}',
      auth: { username: 'u', password: 'p' },
      responseTemplate: '{{a}}',
      responseTopic: 'r',
      errorResponseTopic: 'e',
      query: {},
      form: '',
      body: '',
    })
    assert.equal(settings.rejectUnauthorized, false)
    assert.equal(settings.noDefaults, true)
    assert.deepEqual(settings.headers, { a: 'b' })
    assert.equal(settings.json, '{"x":"{{{v}}}"}')
    assert.equal(settings.query, undefined)
    assert.equal(settings.form, undefined)
  })

  it('keep what must be there, when a replacement does not say it', () => {
    const existing = read({ ...least, json: { a: 1 }, disabled: true })
    const replaced = readWebhook({ requestType: 'GET' }, { ...devices, existing })
    assert.deepEqual(
      [replaced.event, replaced.url, replaced.json, replaced.disabled],
      ['temp', least.url, undefined, false],
    )
  })

  it('are refused with a reason', () => {
    const wrong: [Record<string, unknown>, RegExp][] = [
      [{ url: 'http://e.com' }, /"event" is missing/],
      [{ event: 'e' }, /"url" is missing/],
      [{ ...least, event: 'x'.repeat(65) }, /1 to 64 printable/],
      [{ ...least, event: 'é' }, /printable/],
      [{ ...least, event: ['x'] }, /"event" must be a text/],
      [{ ...least, url: 'example.com' }, /must begin with http/],
      [{ ...least, url: 'ftp://example.com' }, /must begin with http/],
      [{ ...least, url: 'http://' }, /no URL/],
      [{ ...least, url: `http://e.com/${'{{a'.repeat(5_000)}` }, /longer than 8192/],
      [{ ...least, requestType: 'CONNECT' }, /one of GET, POST/],
      [{ ...least, json: { a: 1 }, form: { a: 1 } }, /either "form", "json" or "body", not form and json/],
      [{ ...least, headers: [1] }, /"headers" must be an object/],
      [{ ...least, query: '{' }, /this text is no JSON/],
      [{ ...least, auth: { user: 'x' } }, /"auth" needs a "username"/],
      [{ ...least, deviceid: 'elsewhere' }, /no device "elsewhere"/],
      [{ ...least, noDefaults: 'perhaps' }, /true or false/],
      [{ ...least, json: { a: '{{x' } }, /The template is wrong in json\.a: Unclosed tag at 3/],
      [{ ...least, url: 'http://e.com/{{#a}}' }, /wrong in url: Unclosed section/],
      [{ ...least, responseTopic: 'Spark/x' }, /must not begin with "spark"/],
      [{ ...least, integration_type: 'Pigeon' }, /must be "Webhook"/],
      [{ ...least, name: 'x'.repeat(201) }, /longer than 200/],
    ]
    for (const [body, reason] of wrong) {
      assert.throws(
        () => read(body),
        (error) => error instanceof IntegrationError && error.code === 'invalid' && reason.test(error.message),
        JSON.stringify(body),
      )
    }
    assert.throws(() => read({ ...least, integration_type: 'AzureIotHub' }), { code: 'unsupported' })
  })

  it('are read or refused, whatever comes', () => {
    const keys = [
      'event',
      'url',
      'name',
      'requestType',
      'deviceid',
      'headers',
      'auth',
      'query',
      'form',
      'json',
      'body',
      'noDefaults',
      'responseTemplate',
      'responseTopic',
      'integration_type',
      'disabled',
      '__proto__',
    ]
    const body = fc.dictionary(
      fc.constantFrom(...keys),
      fc.oneof(fc.jsonValue(), fc.constantFrom('{{a}}', '{{', 'http://e.com')),
    )
    fc.assert(
      fc.property(body, (more) => {
        try {
          read({ ...least, ...more })
        } catch (error) {
          assert.ok(error instanceof IntegrationError, String(error))
        }
      }),
      { numRuns: Number(process.env.ALOE_FUZZ_RUNS ?? 300) },
    )
  })
})
