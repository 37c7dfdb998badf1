/** Who sees which vitals, and what the routes answer. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type ApiFixture, startApi } from './api-fixture.ts'

const id = '422b00000000000000000001'

describe('vitals over HTTP', () => {
  let api: ApiFixture
  let otherToken: string
  let slug: string
  const start = Date.now() - 60_000
  const record = (ownerId: string, uptime: number) =>
    api.vitals.record({
      deviceId: id,
      ownerId,
      updatedAt: start + uptime,
      payload: { device: { system: { uptime } }, service: {} },
    })
  before(async () => {
    api = await startApi()
    await api.device(id, 'lamp')
    const other = await api.identity.users.create('other', 'long enough')
    otherToken = (await api.identity.tokens.issue(other.id, 'particle', null)).token
    const product = await api.products.create(api.user.id, { name: 'Lamp', platformId: 43 })
    slug = product.slug
    await api.products.devices.import(product.id, [id])
  })
  after(() => api.close())
  const uptimes = async (path: string): Promise<number[]> => {
    const { status, body } = await api.request('GET', path)
    assert.equal(status, 200)
    return body.diagnostics.map((each: { payload: { device: { system: { uptime: number } } } }) => {
      return each.payload.device.system.uptime
    })
  }

  it('are asked of a device that is there', async () => {
    const update = () => api.request('POST', '/v1/diagnostics/lamp/update')
    assert.equal((await update()).status, 408)
    api.gateway.online.add(id)
    const { status, body } = await update()
    assert.deepEqual([status, body], [202, { ok: true }])
    while (!api.gateway.log.some(([what]) => what === 'describe')) await new Promise((resolve) => setImmediate(resolve))
    assert.equal((await api.request('POST', `/v1/products/${slug}/diagnostics/${id}/update`)).status, 202)
  })

  it('are shown to the device’s owner of then, to the product, and to nobody else', async () => {
    assert.equal((await api.request('GET', '/v1/diagnostics/lamp/last')).status, 404)
    record(api.user.id, 1)
    record('the owner before', 2)
    record(api.user.id, 3)
    assert.deepEqual(await uptimes('/v1/diagnostics/lamp'), [3, 1])
    assert.deepEqual(await uptimes(`/v1/products/${slug}/diagnostics/${id}`), [3, 2, 1])
    assert.deepEqual(await uptimes(`/v1/diagnostics/lamp?start_date=${new Date(start + 2).toISOString()}`), [3])
    assert.equal((await api.request('GET', '/v1/diagnostics/lamp/last')).body.diagnostics.deviceID, id)
    for (const path of [`/v1/diagnostics/${id}`, `/v1/diagnostics/${id}/last`]) {
      assert.equal((await api.request('GET', path, { token: otherToken })).status, 403)
      assert.equal((await api.request('GET', path, { token: null })).status, 400)
    }
    assert.equal(
      (await api.request('GET', `/v1/products/${slug}/diagnostics/${id}`, { token: otherToken })).status,
      403,
    )
  })
})
