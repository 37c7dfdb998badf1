/** Rollouts over HTTP: asked about before, seen, steered; the work itself is tested in `rollouts/`. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { buildModule, installedModule, parseModule } from '@aloe/firmware'
import { linuxSystem } from '../gateway/fake-device.ts'
import { type ApiFixture, startApi } from './api-fixture.ts'

const ids = Array.from({ length: 5 }, (_, at) => `422b${String(at).padStart(20, '0')}`)

function application(version: number, system: number): Uint8Array {
  const dependencies = [{ function: 'system_part' as const, index: 2, version: system }]
  return buildModule({
    platformId: 43,
    function: 'user_part',
    index: 1,
    version: 1,
    dependencies,
    body: new Uint8Array(500 + version),
  })
}

describe('rollouts over HTTP', () => {
  let api: ApiFixture
  let base: string
  const ask = async (method: string, path: string, body?: object) =>
    api.request(method, `${base}${path}`, {
      ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    })

  before(async () => {
    api = await startApi()
    const product = await api.products.create(api.user.id, {
      name: 'lamps',
      platformId: 43,
      settings: { releaseUntested: true },
    })
    base = `/v1/products/${product.id}`
    await api.registry.makeKnown(ids)
    await api.products.devices.import(product.id, ids)
    for (const version of [1, 2, 3]) {
      // The third needs what no release has.
      const form = new FormData()
      form.set('version', String(version))
      const file = application(version, version === 3 ? 9_000 : version === 2 ? 2_000 : 1_000)
      form.set('file', new Blob([Uint8Array.from(file)]), 'firmware.bin')
      const uploaded = await api.request('POST', `${base}/firmware`, { body: form })
      assert.equal(uploaded.status, 201, uploaded.text)
    }
    const modules = [...linuxSystem(1_000, 100, 1_000), application(1, 1_000)].map((bytes) => {
      const { assetDependencies: _, ...module } = installedModule(parseModule(bytes))
      return { ...module, store: 'main' as const, maxSize: 100_000, checked: 30, passed: 30 }
    })
    for (const id of ids.slice(0, 4)) {
      api.registry.recordConnection(id, { platformId: 43 })
      api.registry.recordDescribe(id, { system: { platformId: 43, modules } })
      api.gateway.connect(id)
    }
    await api.products.devices.change(product.id, ids[1] ?? '', { development: true })
    await api.products.devices.change(product.id, ids[2] ?? '', { desiredVersion: 1 })
    await api.updates.policies.put(`device:${ids[3]}`, { deviceOs: false }, null)
  })
  after(() => api.close())

  it('say before a release what it would do', async () => {
    const { status, body } = await ask('POST', '/aloe/preview', { version: 2, intelligent: true })
    assert.equal(status, 200)
    assert.equal(body.devices, 3)
    assert.deepEqual(body.when, { now: 1, 'next-connection': 0, 'when-online': 1, 'when-enabled': 0, held: 1 })
    const [way, unknown] = body.ways
    assert.equal(way.devices, 2)
    assert.equal(way.known, true)
    assert.deepEqual(
      way.steps.map(({ label, release }: { label: string; release: string | null }) => [label, release]),
      [
        ['application', null],
        ['bootloader 0@200', '2.0.0'],
        ['system_part 1@2000', '2.0.0'],
        ['system_part 2@2000', '2.0.0'],
      ],
    )
    assert.equal(unknown.known, false)
    assert.equal(body.total.modules, 2 * way.modules)
    assert.ok(body.total.bytes > 0 && body.total.resets > 0 && body.seconds > 0)
    assert.deepEqual(body.excluded.map(({ why, devices }: { why: string; devices: number }) => [why, devices]).sort(), [
      ['development', 1],
      ['locked', 1],
    ])
    assert.match(body.warnings.join(), /1 devices have not said/)
    const impossible = await ask('POST', '/aloe/preview', { version: 3 })
    assert.equal(impossible.body.excluded[0].why, 'impossible')
    assert.match(impossible.body.excluded[0].reason, /9000/)
    assert.equal((await ask('POST', '/aloe/preview', { version: 9 })).status, 404)
    assert.equal((await ask('POST', '/aloe/preview', { version: 2, groups: ['none'] })).status, 404)
  })

  it('are seen and steered', async () => {
    assert.deepEqual((await ask('GET', '/aloe/rollouts')).body, { rollouts: [] })
    assert.equal((await ask('PUT', '/firmware/release', { version: 2, product_default: true })).status, 200)
    const { rollouts } = (await ask('GET', '/aloe/rollouts')).body
    const [{ id, state, devices, product_default: isDefault, started_by: by }] = rollouts
    assert.deepEqual([state, isDefault, by], ['running', true, api.user.username])
    assert.equal(devices.waiting, 3)
    assert.equal(devices.total, 3)
    const one = await ask('GET', `/aloe/rollouts/${id}`)
    assert.deepEqual(one.body.rollout, rollouts[0])
    const listed = await ask('GET', `/aloe/rollouts/${id}/devices?state=waiting&page=1&per_page=2`)
    assert.equal(listed.body.devices.length, 2)
    assert.deepEqual(listed.body.meta, { total: 3, page: 1, total_pages: 2 })
    assert.equal((await ask('GET', `/aloe/rollouts/${id}/devices?state=lost`)).status, 400)
    assert.equal((await ask('POST', `/aloe/rollouts/${id}/pause`)).body.rollout.state, 'paused')
    assert.equal((await ask('POST', `/aloe/rollouts/${id}/pause`)).status, 409)
    assert.equal((await ask('POST', `/aloe/rollouts/${id}/resume`)).body.rollout.state, 'running')
    assert.equal((await ask('POST', `/aloe/rollouts/${id}/retry`)).body.retried, 0)
    assert.equal((await ask('POST', `/aloe/rollouts/${id}/stop`)).body.rollout.state, 'stopped')
    assert.equal((await ask('POST', `/aloe/rollouts/${id}/resume`)).status, 409)
    assert.equal((await ask('GET', '/aloe/rollouts/none')).status, 404)
  })

  it('have settings', async () => {
    const path = '/aloe/rollout-settings'
    const { settings } = (await ask('GET', path)).body
    assert.equal(settings.concurrent, 250)
    assert.equal(settings.halt_at_failures, 50)
    const changed = await ask('PUT', path, { concurrent: 10, halt_at_failures: null })
    assert.deepEqual(changed.body.settings, { ...settings, concurrent: 10, halt_at_failures: null })
    assert.match((await ask('PUT', path, { concurrent: 0 })).text, /1 to 10000/)
    assert.match((await ask('PUT', path, { speed: 1 })).text, /There is no setting \\"speed\\"/)
    assert.equal((await ask('PUT', path, { concurrent: null })).body.settings.concurrent, 250)
  })
})
