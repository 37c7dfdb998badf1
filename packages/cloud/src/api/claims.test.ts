/** How devices come to their owners, other than by claiming what is nobody's (cloud-api.md 1.3). */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { CloudEvent } from '../events/event.ts'
import type { User } from '../identity/users.ts'
import type { ProductRecord } from '../products/products.ts'
import { type ApiFixture, devicePem, startApi } from './api-fixture.ts'

const lamp = '422b00000000000000000001'
const fan = '422b00000000000000000002'
const fleet = '422b00000000000000000003'

describe('devices of others', () => {
  let api: ApiFixture
  let other: User
  let otherToken: string
  let product: ProductRecord
  const events: CloudEvent[] = []
  const send = (method: string, path: string, body: object, token = otherToken) =>
    api.request(method, path, {
      token,
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    })

  before(async () => {
    api = await startApi()
    api.bus.subscribe((event) => events.push(event))
    other = await api.identity.users.create('other@example.com', 'long enough')
    otherToken = (await api.identity.tokens.issue(other.id, 'particle', null)).token
    await api.device(lamp, 'lamp')
    await api.device(fan, 'fan')
    product = await api.products.create(api.user.id, { name: 'Fleet', platformId: 43 })
    await api.registry.makeKnown([fleet])
    await api.products.devices.import(product.id, [fleet])
  })
  after(() => api.close())

  it('are asked for; the owner is told, and may refuse', async () => {
    const asked = await send('POST', '/v1/devices', { id: lamp, request_transfer: true })
    assert.equal(asked.status, 200)
    const { transfer_id } = asked.body
    const told = events.filter(({ name }) => name === 'aloe/device/transfer')
    assert.deepEqual([told.length, told[0]?.owner], [1, api.user.id])
    assert.deepEqual(JSON.parse(told[0]?.data ?? ''), {
      id: transfer_id,
      device_id: lamp,
      from: 'user@example.com',
      to: 'other@example.com',
      state: 'open',
    })
    const again = await send('POST', '/v1/devices', { id: lamp, request_transfer: '1' })
    assert.equal(again.body.transfer_id, transfer_id)

    const [incoming] = (await api.request('GET', '/v1/aloe/transfers')).body.transfers
    assert.deepEqual([incoming.direction, incoming.device_name, incoming.state], ['incoming', 'lamp', 'open'])
    const [outgoing] = (await api.request('GET', '/v1/aloe/transfers', { token: otherToken })).body.transfers
    assert.deepEqual([outgoing.direction, outgoing.device_name], ['outgoing', null])
    // Only the owner decides.
    assert.equal((await send('PUT', `/v1/aloe/transfers/${transfer_id}/accept`, {})).status, 404)
    const refused = await api.request('PUT', `/v1/aloe/transfers/${transfer_id}/refuse`)
    assert.equal(refused.body.transfer.state, 'refused')
    assert.equal((await api.request('PUT', `/v1/aloe/transfers/${transfer_id}/accept`)).status, 409)
    assert.equal(api.registry.get(lamp)?.ownerId, api.user.id)
  })

  it('change hands when the owner accepts', async () => {
    const { transfer_id } = (await send('POST', '/v1/devices', { id: lamp, request_transfer: true })).body
    const accepted = await api.request('PUT', `/v1/aloe/transfers/${transfer_id}/accept`)
    assert.equal(accepted.status, 200)
    assert.equal(api.registry.get(lamp)?.ownerId, other.id)
    assert.deepEqual(api.gateway.log.at(-1), ['owner', lamp])
    assert.equal((await api.request('GET', `/v1/devices/${lamp}`)).status, 403)
    assert.equal((await api.request('GET', '/v1/devices/lamp', { token: otherToken })).body.id, lamp)
    const told = events.findLast(({ name }) => name === 'aloe/device/transfer')
    assert.deepEqual([told?.owner, JSON.parse(told?.data ?? '').state], [other.id, 'accepted'])
  })

  it('are no longer asked for when who asked withdraws', async () => {
    const { transfer_id } = (await send('POST', '/v1/devices', { id: fan, request_transfer: true })).body
    assert.equal((await api.request('DELETE', `/v1/aloe/transfers/${transfer_id}`)).status, 404)
    assert.equal((await send('DELETE', `/v1/aloe/transfers/${transfer_id}`, {})).body.transfer.state, 'withdrawn')
    assert.equal((await api.request('PUT', `/v1/aloe/transfers/${transfer_id}/accept`)).status, 409)
  })

  it('are not given away by a request alone', async () => {
    const claim = await send('POST', '/v1/devices', { id: fan })
    assert.equal(claim.status, 403)
    assert.match(claim.body.error, /belongs to someone else/)
    assert.equal(api.registry.get(fan)?.ownerId, api.user.id)
  })

  it('that nobody owns are not for everybody when they are of a product', async () => {
    for (const [method, path, body] of [
      ['POST', '/v1/devices', { id: fleet }],
      ['POST', '/v1/devices', { id: fleet, request_transfer: true }],
      ['POST', `/v1/provisioning/${fleet}`, { publicKey: devicePem() }],
    ] as const) {
      assert.equal((await send(method, path, body)).status, 403, path)
    }
    const foreign = { publicKey: devicePem(), product_id: product.id }
    assert.equal((await send('POST', '/v1/provisioning/422b00000000000000000009', foreign)).status, 403)
    assert.equal(api.registry.get('422b00000000000000000009'), undefined)
  })

  it('are for the customers of their product: to claim, to use and to give back', async () => {
    const customer = await api.identity.customers.create(product.id, 'customer@example.com', 'long enough')
    const { token } = await api.identity.tokens.issue(customer.user.id, 'particle', null)
    assert.equal((await send('POST', '/v1/devices', { id: fan }, token)).status, 403)
    const codes = await send('POST', `/v1/products/${product.id}/device_claims`, {}, token)
    assert.equal(codes.body.claim_code.length, 63)
    // A customer's code takes no device into the product.
    const stray = '422b00000000000000000010'
    await api.registry.makeKnown([stray])
    assert.equal(await api.registry.claimByCode(stray, codes.body.claim_code), undefined)

    assert.equal((await send('POST', '/v1/devices', { id: fleet }, token)).status, 200)
    const list = await api.request('GET', '/v1/devices', { token })
    assert.deepEqual(
      list.body.map(({ id }: { id: string }) => id),
      [fleet],
    )
    assert.equal((await send('POST', '/v1/devices', { id: fleet, request_transfer: true })).status, 403)
    const { body } = await api.request('GET', `/v1/products/${product.id}/devices`)
    assert.deepEqual(body.customers, [{ id: customer.user.id, username: 'customer@example.com' }])
    assert.equal((await api.request('DELETE', `/v1/devices/${fleet}`, { token })).body.ok, true)
    assert.equal(api.registry.get(fleet)?.ownerId, null)
    // Out of the product, a device is no customer's.
    assert.equal((await send('POST', '/v1/devices', { id: fleet }, token)).status, 200)
    assert.equal((await api.request('DELETE', `/v1/products/${product.id}/devices/${fleet}`)).status, 204)
    assert.equal(api.registry.get(fleet)?.ownerId, null)
    await api.products.devices.import(product.id, [fleet])
  })

  it('show by organization what is one’s own', async () => {
    assert.deepEqual((await api.request('GET', '/v1/orgs')).body, { organizations: [] })
    assert.equal((await api.request('GET', '/v1/orgs/user@example.com')).body.organization.id, api.user.id)
    assert.equal((await api.request('GET', '/v1/orgs/somebody')).status, 404)
    assert.equal((await api.request('GET', `/v1/orgs/user@example.com/devices/${fan}`)).body.name, 'fan')
    assert.equal((await api.request('GET', `/v1/orgs/user@example.com/devices/${fleet}`)).body.product_id, product.id)
    assert.equal((await api.request('GET', `/v1/orgs/user@example.com/devices/${lamp}`)).status, 403)
    const unprotect = await api.request('PUT', `/v1/orgs/user@example.com/devices/${fan}/unprotect`)
    assert.equal(unprotect.status, 501)
  })
})
