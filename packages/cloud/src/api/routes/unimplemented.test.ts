/** What Aloe has not is told in words that clients show: the paths of cloud-api.md's Appendix A that are E, S or X. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type ApiFixture, startApi } from '../api-fixture.ts'

const id = '422b00000000000000000001'
const notThere: readonly (readonly [string, string, RegExp])[] = [
  ['GET', '/v1/libraries/NAME?version=3', /no libraries/],
  ['GET', '/v1/libraries/NAME/versions', /no libraries/],
  ['POST', '/v1/libraries', /no libraries/],
  ['PATCH', '/v1/libraries/NAME', /no libraries/],
  ['DELETE', '/v1/libraries/NAME', /no libraries/],
  ['POST', '/v1/logic/execute', /no logic functions/],
  ['POST', '/v1/orgs/ORG/logic/execute', /no logic functions/],
  ['POST', '/v1/logic/functions', /no logic functions/],
  ['GET', '/v1/logic/functions/LF/runs/LR/logs', /no logic functions/],
  ['POST', '/v1/ledgers', /no ledgers/],
  ['GET', '/v1/orgs/ORG/ledgers/LN/instances/SV', /no ledgers/],
  ['PUT', '/v1/ledgers/LN/instances/SV?set_mode=Merge', /no ledgers/],
  ['GET', '/v1/env', /no environment variables/],
  ['GET', '/v1/products/PRODUCT/env/render', /no environment variables/],
  ['PATCH', '/v1/orgs/ORG/env', /no environment variables/],
  ['PUT', '/v1/secrets/FOO', /no secrets/],
  ['GET', '/v1/sims', /no SIM management/],
  ['GET', '/v1/products/PRODUCT/sims/data_usage', /no SIM management/],
  ['DELETE', '/v1/sims/ICC', /no SIM management/],
  ['GET', '/v1/products/PRODUCT/config', /no configuration/],
  ['PUT', `/v1/products/PRODUCT/config/${id}`, /no configuration/],
  ['GET', '/v1/products/PRODUCT/locations', /no locations/],
  ['GET', `/v1/products/PRODUCT/locations/${id}?date_range=d`, /no locations/],
  ['GET', '/v1/products/PRODUCT/metrics/online', /no fleet health/],
  ['POST', '/v1/products/PRODUCT/registration_code', /no provisioning/],
  ['PUT', `/v1/devices/${id}/backup_files`, /no provisioning/],
  ['GET', `/v1/diagnostics/${id}/metadata`, /no labels/],
]
const empty: readonly (readonly [string, string])[] = [
  ['/v1/libraries', 'data'],
  ['/v1/ledgers', 'ledger_definitions'],
  ['/v1/logic/functions?today_stats=true', 'logic_functions'],
  ['/v1/secrets', 'secrets'],
  ['/v1/orgs', 'organizations'],
  ['/v1/orgs/ORG/ledgers', 'ledger_definitions'],
  ['/v1/orgs/ORG/logic/functions', 'logic_functions'],
  ['/v1/orgs/ORG/secrets', 'secrets'],
  ['/v1/products/PRODUCT/ledgers', 'ledger_definitions'],
  ['/v1/user/service_agreements', 'data'],
]

describe('what is not here', () => {
  let api: ApiFixture
  let slug: string
  const ask = (method: string, path: string) =>
    api.request(method, path.replace('PRODUCT', slug).replace('ORG', api.user.username), {
      ...(method !== 'GET' && { headers: { 'content-type': 'application/json' }, body: '{}' }),
    })
  before(async () => {
    api = await startApi()
    await api.device(id, 'lamp')
    slug = (await api.products.create(api.user.id, { name: 'Lamp', platformId: 43 })).slug
  })
  after(() => api.close())

  it('answers 501 and says what it is, in the fields that the CLI prints', async () => {
    for (const [method, path, words] of notThere) {
      const { status, body } = await ask(method, path)
      assert.equal(status, 501, `${method} ${path}`)
      assert.match(body.error, words, path)
      assert.match(body.errors[0].message, words, path)
    }
  })

  it('has empty lists where tools look through everything', async () => {
    for (const [path, key] of empty) {
      const { status, body } = await ask('GET', path)
      assert.equal(status, 200, path)
      assert.deepEqual(body[key], [], path)
    }
    assert.equal((await api.request('GET', '/v1/orgs/acme/ledgers')).status, 404)
  })

  it('is 404 where Particle has nothing either', async () => {
    for (const path of ['/v1/nothing', '/v2/devices', '/v1', '/env', '/v1/devices/lamp/a/b/c']) {
      const { status, body } = await api.request('GET', path)
      assert.equal(status, 404, path)
      assert.equal(body.error, 'There is no such path')
    }
  })
})
