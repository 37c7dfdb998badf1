/** Events of products, and typed content, through particle-api-js. */
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import Particle from 'particle-api-js'
import type { ProductRecord } from '../products/products.ts'
import { type ApiFixture, startApi, username } from './api-fixture.ts'

const member = '422b00000000000000000001'
const stranger = '422b00000000000000000002'

interface Shown {
  readonly name: string
  readonly data: string | null
  readonly coreid: string
  readonly productID?: number
  readonly userid?: string
  readonly version?: number
}

interface Stream {
  on(event: string, listener: (value: Shown) => void): void
  abort(): void
  /** Private to the SDK; without it the timer of an aborted stream keeps the process for 15 s. */
  stopIdleTimeout(): void
}

describe('events of a product', () => {
  let api: ApiFixture
  let particle: Particle
  let product: ProductRecord
  const streams: Stream[] = []

  before(async () => {
    api = await startApi({ limits: { tokenRecheck: 20 } })
    particle = new Particle({ baseUrl: api.url, auth: api.token })
    await api.device(member, 'one')
    await api.device(stranger, 'two')
    product = await api.products.create(api.user.id, { name: 'Lamp', platformId: 43 })
    await api.products.devices.import(product.id, [member])
  })
  after(() => api.close())
  afterEach(() => {
    for (const stream of streams.splice(0)) {
      stream.abort()
      stream.stopIdleTimeout()
    }
  })

  async function listen(options: object): Promise<{ readonly events: Shown[] }> {
    const events: Shown[] = []
    const stream = (await particle.getEventStream(options)) as unknown as Stream
    stream.on('event', (event) => events.push(event))
    streams.push(stream)
    return { events }
  }
  async function until(condition: () => boolean): Promise<void> {
    const end = Date.now() + 30_000
    while (!condition()) {
      assert.ok(Date.now() < end, 'it never happened')
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
  }
  const fromDevice = (deviceId: string, name: string, more: object = {}) =>
    api.bus.publish({
      name,
      data: '1',
      ttl: 60,
      publishedAt: 0,
      coreid: deviceId,
      deviceId,
      owner: api.user.id,
      ...(deviceId === member && { productId: product.id, version: 3 }),
      ...more,
    })
  const names = ({ events }: { readonly events: Shown[] }): string[] => events.map(({ name }) => name)

  it('are on every stream that they belong to, and in the product’s form', async () => {
    const of = { product: product.slug }
    const all = await listen(of)
    const prefixed = await listen({ ...of, name: 'temp' })
    const devices = await listen({ ...of, deviceId: 'mine' })
    const one = await listen({ ...of, deviceId: member, name: 'te' })
    const mine = await listen({ deviceId: 'mine' })
    const org = await listen({ org: username })
    const orgProduct = await listen({ org: username, product: product.slug })
    fromDevice(member, 'temp')
    fromDevice(stranger, 'temp')
    fromDevice(member, 'hum')
    await particle.publishEvent({ name: 'temperature', data: 'x', product: product.slug })
    await until(() => names(all).includes('temperature') && names(mine).includes('temperature'))
    assert.deepEqual(names(all), ['temp', 'hum', 'temperature'])
    await until(() => prefixed.events.length === 2 && orgProduct.events.length === 3 && org.events.length === 4)
    assert.deepEqual(names(devices), ['temp', 'hum'])
    assert.deepEqual(names(one), ['temp'])
    assert.deepEqual(names(mine), ['temp', 'temp', 'hum', 'temperature'])
    const [first] = all.events
    assert.equal(first?.productID, product.id)
    assert.equal(first?.version, 3)
    assert.equal(first?.userid, api.user.id)
    assert.equal(all.events[2]?.coreid, 'api')
  })

  it('can be published as one of its devices, and as no other', async () => {
    const all = await listen({ product: String(product.id) })
    const publish = (as_device_id: string) =>
      api.request('POST', `/v1/products/${product.id}/events`, {
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ name: 'as', data: '1', as_device_id }),
      })
    assert.deepEqual((await publish(member.toUpperCase())).body, { ok: true })
    assert.equal((await publish(stranger)).status, 404)
    assert.equal((await publish('x')).status, 404)
    await until(() => all.events.length === 1)
    assert.equal(all.events[0]?.coreid, member)
  })

  it('are shown to the team alone, and end for who leaves it', async () => {
    const other = await api.identity.users.create('other', 'long enough')
    const { token } = await api.identity.tokens.issue(other.id, 'particle', null)
    for (const path of ['events', 'devices/events', `devices/${member}/events`]) {
      const refused = await api.request('GET', `/v1/products/${product.slug}/${path}`, { token })
      assert.equal(refused.status, 403)
      assert.equal((await api.request('GET', `/v1/products/none/${path}`, { token })).status, 404)
    }
    assert.equal((await api.request('GET', `/v1/products/${product.slug}/devices/${stranger}/events`)).status, 404)
    assert.equal((await api.request('GET', `/v1/orgs/other/events`)).status, 404)
    await until(() => api.streams.size === 0)
    // Not with the SDK, which would come back for ever.
    const headers = { authorization: `Bearer ${api.token}` }
    const open = await fetch(`${api.url}/v1/products/${product.slug}/events`, { headers })
    assert.equal(api.streams.size, 1)
    await api.products.remove(product.id, true)
    await open.text()
    await until(() => api.streams.size === 0)
  })

  it('carry typed content: binary as data URLs, structured data as JSON', async () => {
    const mine = await listen({ deviceId: 'mine' })
    const carried: unknown[] = []
    const leave = api.bus.subscribe(({ contentType, raw }) => carried.push([contentType, raw && [...raw]]))
    const data = [{ a: [1, 'x'] }, 'data:image/png;base64,AQID', 'plain', 7]
    for (const each of data) await particle.publishEvent({ name: 'typed', data: each as string })
    await until(() => mine.events.length === data.length)
    leave()
    assert.deepEqual(
      mine.events.map((event) => event.data),
      ['{"a":[1,"x"]}', 'data:image/png;base64,AQID', 'plain', '7'],
    )
    assert.deepEqual(carried[1], [23, [1, 2, 3]])
    assert.deepEqual((carried[0] as unknown[])[0], 65_001)
    assert.deepEqual(carried[2], [undefined, undefined])
    const huge = `data:application/octet-stream;base64,${Buffer.alloc(16_384).toString('base64')}`
    assert.equal((await particle.publishEvent({ name: 'typed', data: huge })).statusCode, 200)
    await assert.rejects(
      particle.publishEvent({ name: 'typed', data: `${huge.slice(0, -4)}AAAA` }),
      ({ statusCode }: { statusCode: number }) => statusCode === 400,
    )
  })
})
