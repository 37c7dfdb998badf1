/** What goes on after access to it was lost: streams, codes, and devices of others' products. */
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, before, describe, it } from 'node:test'
import type { ProductRecord } from '../products/products.ts'
import { type ApiFixture, startApi } from './api-fixture.ts'

const fleet = '422b00000000000000000003'
const json = (body: object) => ({ headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2))
}

describe('who has lost access', () => {
  let api: ApiFixture
  let product: ProductRecord

  before(async () => {
    api = await startApi({ limits: { tokenRecheck: 20 } })
    product = await api.products.create(api.user.id, { name: 'Fleet', platformId: 43 })
    await api.registry.makeKnown([fleet])
    await api.products.devices.import(product.id, [fleet])
  })
  after(() => api.close())

  async function person(name: string) {
    const user = await api.identity.users.create(name, 'long enough')
    return { user, token: (await api.identity.tokens.issue(user.id, 'particle', null)).token }
  }
  /** Opens streams on one connection, one request behind the other. */
  function pipelined(...requests: { path: string; token: string }[]) {
    const socket = connect(Number(new URL(api.url).port), '127.0.0.1')
    const state = { closed: false, socket }
    socket.on('close', () => {
      state.closed = true
    })
    socket.on('error', () => undefined)
    socket.resume()
    const head = ({ path, token }: { path: string; token: string }) =>
      `GET ${path} HTTP/1.1\r\nHost: aloe\r\nAuthorization: Bearer ${token}\r\n\r\n`
    socket.write(requests.map(head).join(''))
    return state
  }

  it('does not keep a stream by asking for another one on the same connection', async () => {
    const { user, token } = await person('member@example.com')
    await api.identity.teams.set(product.id, user.id, 'View-only')
    const client = pipelined(
      { path: `/v1/products/${product.id}/events`, token },
      { path: '/v1/devices/events', token },
    )
    await until(() => api.streams.size === 2)
    await api.identity.teams.remove(product.id, user.id)
    await until(() => client.closed)
    await until(() => api.streams.size === 0)
  })

  it('does not keep the streams of a client whose scopes were taken', async () => {
    const scopes = new Set(['events:get', 'devices:list'] as const)
    const made = await api.identity.clients.create(
      { name: 'dashboard', type: 'installed', redirectUri: null, scopes },
      { productId: product.id },
    )
    const { token } = await api.identity.tokens.issue(made.client.id, made.client.id, null)
    const client = pipelined({ path: `/v1/products/${product.id}/events`, token })
    await until(() => api.streams.size === 1)
    const path = `/v1/products/${product.id}/clients/${made.client.id}`
    assert.equal((await api.request('PUT', path, json({ scope: 'devices:list' }))).status, 200)
    await until(() => client.closed)
  })

  it('claims nothing of the fleet with a code from before', async () => {
    const { user } = await person('was-member@example.com')
    await api.identity.teams.set(product.id, user.id, 'Developer')
    const code = await api.registry.createClaimCode(user.id, product.id)
    const path = `/v1/products/${product.id}/team/${user.username}`
    assert.equal((await api.request('DELETE', path)).status, 200)
    assert.equal(await api.registry.claimByCode(fleet, code), undefined)
    assert.equal(api.registry.get(fleet)?.ownerId, null)
  })
})

describe('who never had access', () => {
  let api: ApiFixture
  before(async () => {
    api = await startApi()
  })
  after(() => api.close())

  it('gives no serial number to a device of another’s product', async () => {
    const product = await api.products.create(api.user.id, { name: 'Fleet', platformId: 43 })
    await api.registry.makeKnown([fleet])
    await api.products.devices.import(product.id, [fleet])
    const other = await api.identity.users.create('other@example.com', 'long enough')
    const { token } = await api.identity.tokens.issue(other.id, 'particle', null)
    const own = await api.products.create(other.id, { name: 'Own', platformId: 43 })
    const body = new FormData()
    body.append('file', new Blob([`${fleet},MINE-1\n`], { type: 'text/plain' }), 'devices.txt')
    const answer = await api.request('POST', `/v1/products/${own.id}/devices`, { token, body })
    assert.deepEqual([answer.body.updated, answer.body.nonmemberDeviceIds], [0, [fleet]])
    assert.equal(api.registry.get(fleet)?.serialNumber, null)
  })

  it('puts no file on a product’s device by way of a downgrade', async () => {
    const lamp = '422b00000000000000000004'
    const product = await api.products.create(api.user.id, { name: 'Lamps', platformId: 43 })
    await api.device(lamp, 'lamp')
    await api.products.devices.import(product.id, [lamp])
    const order = () => {
      const body = new FormData()
      body.append('target', '2.0.0')
      body.append('downgrade', '1')
      body.append('file', new Blob([Buffer.alloc(100)]), 'app.bin')
      return api.request('POST', `/v1/devices/${lamp}/aloe/updates`, { body })
    }
    assert.equal((await order()).status, 403)
    await api.products.devices.change(product.id, lamp, { development: true })
    assert.equal((await order()).body.error, 'not in these tests')
  })
})
