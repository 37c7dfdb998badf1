import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type ApiFixture, startApi } from './api-fixture.ts'

const id = '422b00000000000000000001'

describe('updates in the API', () => {
  let api: ApiFixture
  before(async () => {
    api = await startApi()
    await api.device(id, 'lamp')
    api.updates.list = [
      {
        id: 'j',
        deviceId: id,
        kind: 'heal',
        state: 'waiting',
        requestedBy: null,
        detail: {
          sent: [],
          failures: {},
          interruptions: 0,
          wait: { cause: 'window', reason: 'outside the hours', until: 3_600_000 },
          estimate: { modules: 2, bytes: 1_000, resets: 2, seconds: 60 },
        },
        createdAt: 0,
        updatedAt: 0,
        finishedAt: null,
      },
    ]
  })
  after(() => api.close())

  const put = (path: string, body: unknown) =>
    api.request('PUT', path, { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })

  it('are listed with why they wait and what they take', async () => {
    const { body } = await api.request('GET', '/v1/devices/lamp/aloe/updates')
    assert.equal(body.active, null)
    assert.equal(body.jobs[0].wait.cause, 'window')
    assert.equal(body.jobs[0].wait.until, '1970-01-01T01:00:00.000Z')
    assert.equal(body.jobs[0].estimate.bytes, 1_000)
    const one = await api.request('GET', '/v1/devices/lamp/aloe/updates/j')
    assert.equal(one.body.job.id, 'j')
    assert.deepEqual(one.body.timeline, [])
    assert.equal((await api.request('GET', '/v1/devices/lamp/aloe/updates/other')).status, 404)
    assert.equal((await api.request('DELETE', '/v1/devices/lamp/aloe/updates/j')).status, 200)
  })

  it('are refused with the reason', async () => {
    const post = (body: object) =>
      api.request('POST', '/v1/devices/lamp/aloe/updates', {
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
    assert.equal((await post({})).status, 400)
    const { status, body } = await post({ target: '2.0.0' })
    assert.deepEqual([status, body.error], [409, 'not in these tests'])
  })

  it('follow a policy, which is checked and comes back as it was given', async () => {
    const path = '/v1/devices/lamp/aloe/update-policy'
    const policy = {
      device_os: false,
      windows: [{ from: '22:00', to: '06:00', zone: 'Europe/Berlin', days: ['sat', 'sun'] }],
      minimum_battery: 40,
      device_data_budget: 5_000_000,
    }
    const { status, body } = await put(path, policy)
    assert.equal(status, 200)
    assert.equal(body.policy.device_os, false)
    assert.deepEqual(body.policy.windows, [{ from: '22:00', to: '06:00', zone: 'Europe/Berlin', days: ['sun', 'sat'] }])
    assert.equal(body.effective.consent, false)
    assert.deepEqual((await api.request('GET', path)).body, body)
    for (const [wrong, reason] of [
      [{ windows: [{ from: '25:00', to: '06:00', zone: 'UTC' }] }, /time of day/],
      [{ windows: [{ from: '20:00', to: '06:00', zone: 'Mars' }] }, /time zone/],
      [{ minimum_battery: 101 }, /percent/],
      [{ device_data_budget: -1 }, /bytes a month/],
      [{ nonsense: 1 }, /has no "nonsense"/],
    ] as const) {
      const refused = await put(path, wrong)
      assert.equal(refused.status, 400)
      assert.match(refused.body.error, reason)
    }
    assert.equal((await put(path, {})).body.policy.device_os, null)
  })

  it('follow the policies of products and groups', async () => {
    const product = await api.request('POST', '/v1/user/products', {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ product: { name: 'Lamps', platform_id: 43 } }),
    })
    const productId = product.body.product.id
    const path = `/v1/products/${productId}`
    const headers = { 'content-type': 'application/json' }
    await api.request('POST', `${path}/groups`, { headers, body: JSON.stringify({ name: 'kitchen' }) })
    assert.equal((await put(`${path}/aloe/update-policy`, { data_budget: 100 })).body.policy.data_budget, 100)
    assert.equal((await put(`${path}/groups/kitchen/aloe/update-policy`, { consent: true })).body.policy.consent, true)
    assert.equal((await put(`${path}/groups/attic/aloe/update-policy`, {})).status, 404)
    const { body } = await api.request('GET', `${path}/aloe/data`)
    assert.deepEqual(body, { product_id: productId, data_budget: 100, months: [] })
  })

  it('are counted in bytes, by month, apart from messages', async () => {
    api.updates.data.add(id, { otaSent: 1_000, otaReceived: 10, messagesSent: 5, messagesReceived: 7 })
    api.updates.data.estimate(id, 900)
    const { body } = await api.request('GET', '/v1/devices/lamp/aloe/data')
    assert.equal(body.metered, false)
    assert.deepEqual(body.months[0].ota, { sent: 1_000, received: 10, total: 1_010, estimated: 900 })
    assert.deepEqual(body.months[0].messages, { sent: 5, received: 7, total: 12 })
    api.updates.data.add(id, { otaSent: 1, otaReceived: 0, messagesSent: 0, messagesReceived: 0 })
    assert.equal((await api.request('GET', '/v1/devices/lamp/aloe/data')).body.months[0].ota.sent, 1_001)
  })
})
