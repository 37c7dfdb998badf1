/** The danger list of cloud-api.md 0.3: what makes the official clients forget their user, or say what is not so. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { skip } from './cli-suite.ts'
import { OfficialCli } from './official-cli.ts'
import { createWorld, type World } from './world.ts'

interface Answer {
  readonly status: number
  readonly text: string
  readonly body: Record<string, unknown> | undefined
}

/** What clients do wrong, by mistake or on purpose, with a good token. */
const wrongs: readonly (readonly [what: string, method: string, path: string, body?: string | object])[] = [
  ['a path that is none', 'GET', '/v1/nothing/at/all'],
  ['a family that Aloe has not', 'GET', '/v1/libraries/foo'],
  ['an unknown device', 'GET', '/v1/devices/unknown'],
  ['somebody else’s device', 'GET', '/v1/devices/THEIRS'],
  ['a function of somebody else’s device', 'POST', '/v1/devices/THEIRS/led', {}],
  ['somebody else’s device, removed', 'DELETE', '/v1/devices/THEIRS'],
  ['somebody else’s device, flashed', 'PUT', '/v1/devices/THEIRS', { name: 'mine' }],
  ['somebody else’s events', 'GET', '/v1/devices/THEIRS/events'],
  ['a stream without a prefix', 'GET', '/v1/events'],
  ['an unknown variable', 'GET', '/v1/devices/alpha/nope'],
  ['an unknown function', 'POST', '/v1/devices/alpha/nope', {}],
  ['a name that is taken', 'PUT', '/v1/devices/alpha', { name: 'beta' }],
  ['a wrong present password', 'PUT', '/v1/user', { current_password: 'wrong', password: 'something else' }],
  ['a wrong password to delete oneself', 'DELETE', '/v1/user', { password: 'wrong' }],
  ['a wrong password to switch off the second factor', 'PUT', '/v1/user/mfa-disable', { current_password: 'wrong' }],
  ['a wrong code for the second factor', 'POST', '/v1/user/mfa-enable', { mfa_token: 'x', otp: '000000' }],
  ['an unknown product', 'GET', '/v1/products/nothing'],
  ['an unknown device of a product', 'GET', '/v1/products/PRODUCT/devices/ffffffffffffffffffffffff'],
  ['unknown product firmware', 'GET', '/v1/products/PRODUCT/firmware/99'],
  ['an unknown webhook', 'DELETE', '/v1/integrations/ffffffffffffffffffffffff'],
  ['an unknown binary', 'GET', '/v1/binaries/ffffffffffffffffffffffff'],
  ['an unknown Device OS', 'GET', '/v1/device-os/versions/9.9.9'],
  ['a body that is no JSON', 'POST', '/v1/devices/events', '{"name":'],
  ['an event with a reserved name', 'POST', '/v1/devices/events', { name: 'spark/status' }],
  ['values of wrong types', 'PUT', '/v1/devices/alpha', { name: { first: 1 }, notes: 7 }],
  ['a body that is too long', 'POST', '/v1/devices/events', { name: 'x', data: 'x'.repeat(100_000) }],
  ['a compilation of nothing', 'POST', '/v1/binaries', { platform_id: 43 }],
  ['a key that is none', 'POST', '/v1/provisioning/ffffffffffffffffffffffff', { publicKey: 'nonsense' }],
]

describe('the danger list', () => {
  let world: World
  let theirs = ''
  let product = 0
  before(async () => {
    world = await createWorld()
    const device = world.newDevice()
    await world.adopt(device, 'theirs', await world.stranger())
    theirs = device.id
    const made = await world.owner.particle.post({
      uri: '/v1/user/products',
      auth: world.token,
      data: { product: { name: 'Danger', platform_id: 43 } },
    })
    product = Number((made.body as { product: { id: number } }).product.id)
  })
  after(() => world?.close())

  async function ask(method: string, path: string, body?: string | object, token = world.token): Promise<Answer> {
    const text = typeof body === 'object' ? JSON.stringify(body) : body
    const response = await fetch(world.url + path.replace('THEIRS', theirs).replace('PRODUCT', String(product)), {
      method,
      headers: { authorization: `Bearer ${token}`, ...(text !== undefined && { 'content-type': 'application/json' }) },
      ...(text !== undefined && { body: text }),
    })
    const answer = await response.text()
    return { status: response.status, text: answer, body: answer === '' ? undefined : JSON.parse(answer) }
  }

  for (const [what, method, path, body] of wrongs) {
    it(`${what}: refused in JSON, without a word that logs the user out`, async () => {
      const answer = await ask(method, path, body)
      assert.ok(answer.status >= 400 && answer.status < 600, `${answer.status}`)
      assert.notEqual(answer.status, 401, 'any 401 logs the CLI out')
      assert.notEqual(answer.status, 500)
      const { error, error_description = '', errors, info } = answer.body ?? {}
      assert.ok(error ?? error_description ?? errors ?? info, 'it says nothing that the CLI can show')
      assert.doesNotMatch(String(error_description), /access token/i, 'these words log the CLI out')
      assert.ok(!['invalid_token', 'expired_token'].includes(String(error)), 'this error logs the CLI out')
      assert.equal((await ask('GET', '/v1/user')).status, 200)
    })
  }

  it('only a bad token is a 401, and says so in the words that the CLI looks for', async () => {
    const { status, body } = await ask('GET', '/v1/devices', undefined, 'f'.repeat(40))
    assert.deepEqual([status, body?.error], [401, 'invalid_token'])
  })

  it('a device that is offline is no 404, which the CLI would show as an unknown function', async () => {
    const device = world.newDevice()
    await world.adopt(device, 'offline')
    for (const [method, path] of [
      ['POST', '/v1/devices/offline/led'],
      ['GET', '/v1/devices/offline/temp'],
    ] as const) {
      const answer = await ask(method, path, method === 'POST' ? {} : undefined)
      assert.equal(answer.status, 408)
      assert.match(String(answer.body?.error), /Timed out/)
    }
    const { status, body } = await ask('DELETE', '/v1/devices/offline', {})
    assert.equal(status, 200, 'a DELETE may carry JSON')
    assert.deepEqual(body, { ok: true })
  })

  it('no success is a 200 without JSON: what has nothing to say is a 204', async () => {
    await ask('POST', '/v1/products/PRODUCT/devices', { id: world.beta.id })
    const removed = await ask('DELETE', `/v1/products/PRODUCT/devices/${world.beta.id}`, {})
    assert.deepEqual([removed.status, removed.text], [204, ''])
    const made = await ask('POST', '/v1/integrations', {
      event: 'x',
      url: 'https://example.com',
      integration_type: 'Webhook',
    })
    assert.ok(made.body?.id)
    const deleted = await ask('DELETE', `/v1/integrations/${String(made.body?.id)}`)
    assert.ok(deleted.status === 204 ? deleted.text === '' : deleted.body?.ok === true)
    const published = await ask('POST', '/v1/devices/events', { name: 'x' })
    assert.deepEqual([published.status, published.body], [200, { ok: true }])
  })

  it('mfa_required is said only where a second factor is asked for', async () => {
    const response = await fetch(`${world.url}/oauth/token`, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'password',
        username: 'x',
        password: 'y',
        client_id: 'particle',
        client_secret: 'particle',
      }),
    })
    assert.equal(((await response.json()) as { error: string }).error, 'invalid_grant')
  })

  it('the CLI stays logged in through all of it', { skip }, async () => {
    const cli = new OfficialCli(join(world.folder, 'danger'), world.url, world.token)
    for (const args of [
      ['call', theirs, 'led'],
      ['get', 'alpha', 'nope'],
      ['device', 'rename', 'alpha', 'beta'],
      ['product', 'device', 'list', '99999'],
    ]) {
      const { code, text } = await cli.run(args)
      assert.notEqual(code, 0)
      assert.doesNotMatch(text, /not logged in/i)
    }
    assert.equal(cli.profile.access_token, world.token)
  })
})
