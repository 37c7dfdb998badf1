/** Compiling, fetching and flashing, as particle-api-js and curl ask for it. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import Particle from 'particle-api-js'
import type { User } from '../identity/users.ts'
import type { ProductRecord } from '../products/products.ts'
import { type ApiFixture, startApi } from './api-fixture.ts'

const id = '422b00000000000000000001'
const json = { 'content-type': 'application/json' }

describe('firmware', () => {
  let api: ApiFixture
  let particle: Particle
  let product: ProductRecord
  let other: User
  let otherToken: string
  before(async () => {
    api = await startApi()
    particle = new Particle({ baseUrl: api.url, auth: api.token })
    await api.device(id, 'lamp')
    api.gateway.online.add(id)
    product = await api.products.create(api.user.id, { name: 'Lamp', platformId: 43 })
    other = await api.identity.users.create('other', 'long enough')
    otherToken = (await api.identity.tokens.issue(other.id, 'particle', null)).token
  })
  after(() => api.close())
  beforeEach(() => {
    api.compiler.requests.length = 0
    api.updates.flashed.length = 0
  })

  const compile = async (fields: Record<string, string>, token = api.token) => {
    const form = new FormData()
    form.append('file', new Blob(['export {}']), 'src/index.ts')
    form.append('file2', new Blob(['export {}']), 'lib/rgb/src/rgb.ts')
    for (const [name, value] of Object.entries(fields)) form.append(name, value)
    return api.request('POST', '/v1/binaries', { token, body: form })
  }
  const flash = (body: object, token = api.token) =>
    api.request('PUT', '/v1/devices/lamp', { token, headers: json, body: JSON.stringify(body) })

  it('is compiled for a platform, or for that of a product: by id, by slug, or a platform’s id', async () => {
    for (const product_id of [String(product.id), product.slug, '43']) {
      assert.equal((await compile({ product_id })).status, 200)
      assert.equal(api.compiler.requests.at(-1)?.platformId, 43)
    }
    const paths = api.compiler.requests.at(-1)?.files.map(({ path }) => path)
    assert.deepEqual(paths, ['src/index.ts', 'lib/rgb/src/rgb.ts'])
    assert.equal((await compile({ product_id: '99999' })).status, 404)
    assert.equal((await compile({ product_id: product.slug }, otherToken)).status, 404, 'not of their products')
    assert.equal((await compile({ platform_id: 'x' })).status, 400)
    assert.equal((await compile({})).status, 400)
  })

  it('is fetched and flashed by whom it belongs to, while it lasts', async () => {
    const { binary_id } = (await compile({ platform_id: '43' })).body
    const bytes: unknown = await particle.downloadFirmwareBinary({ binaryId: binary_id })
    assert.ok(Buffer.isBuffer(bytes))
    assert.equal(bytes.toString(), 'module for 2.0.0')
    assert.equal((await api.request('GET', `/v1/binaries/${binary_id}`, { token: otherToken })).status, 404)

    const flashed = await flash({ binary_id })
    assert.equal(flashed.status, 200)
    assert.equal(flashed.body.status, 'Update started')
    assert.equal(Buffer.from(api.updates.flashed[0]?.file ?? []).toString(), 'module for 2.0.0')
    assert.equal((await flash({ binary_id }, otherToken)).status, 403, 'not their device')
    assert.equal((await flash({ binary_id: 'x' })).status, 404)
    api.skew = 25 * 60 * 60 * 1_000
    assert.equal((await flash({ binary_id })).status, 404)
    api.skew = 0
  })

  it('is flashed by the name of a known application, which is compiled for the device', async () => {
    api.registry.recordDescribe(id, {})
    for (const fields of [{ app: 'tinker' }, { app_id: 'tinker' }]) {
      const flashed = await flash({ ...fields, build_target_version: '1.1.0' })
      assert.deepEqual(flashed.body, { ok: true, id, message: 'Update started' })
    }
    assert.equal(api.compiler.requests[0]?.target, '1.1.0')
    assert.match(Buffer.from(api.compiler.requests[0]?.files[0]?.content ?? []).toString(), /digitalread/)
    const unknown = await flash({ app: '../../etc/passwd' })
    assert.equal(unknown.status, 400)
    assert.match(unknown.body.error, /there is: tinker/)
  })

  it('is flashed as a bundle of an application and its assets, alone in its request', async () => {
    const zip = Buffer.from('PK\u0003\u0004 and so on')
    const flashed = await particle.flashDevice({ deviceId: 'lamp', files: { '/home/ada/bundle.zip': zip } })
    assert.equal((flashed.body as { status?: string }).status, 'Update started')
    assert.deepEqual(Buffer.from(api.updates.flashed[0]?.file ?? []), zip)
    const form = new FormData()
    form.append('file', new Blob([zip], { type: 'application/zip' }), 'b')
    form.append('file2', new Blob(['x']), 'index.ts')
    const both = await api.request('PUT', '/v1/devices/lamp', { body: form })
    assert.equal(both.status, 400)
    assert.match(both.body.error, /must be the only file/)
  })

  it('of products goes to their devices through the product’s route, by file or by name', async () => {
    await api.products.devices.import(product.id, [id])
    const { status, body } = await api.request('PUT', '/v1/devices/lamp', {
      headers: json,
      body: '{"app":"tinker","build_target_version":"1.1.0"}',
    })
    assert.equal(status, 403, JSON.stringify(body))
    const path = `/v1/products/${product.slug}/devices/${id}`
    const named = await api.request('PUT', path, {
      headers: json,
      body: '{"app":"tinker","build_target_version":"1.1.0"}',
    })
    assert.equal(named.status, 200, named.text)
    const sent = await particle.flashDevice({
      deviceId: id,
      product: product.slug,
      files: { 'app.bin': Buffer.from('module') },
    })
    assert.equal((sent.body as { status?: string }).status, 'Update started')
    const foreign = await api.request('PUT', path, { token: otherToken, headers: json, body: '{"app":"tinker"}' })
    assert.equal(foreign.status, 403)
    await api.products.devices.remove(product.id, id)
  })

  it('that is too large is refused while it comes', async () => {
    const form = new FormData()
    form.append('file', new Blob([Buffer.alloc(11 * 1024 * 1024)]), 'big.zip')
    assert.equal((await api.request('PUT', '/v1/devices/lamp', { body: form })).status, 413)
    assert.equal(api.updates.flashed.length, 0)
  })
})
