import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { listDevices } from './device-list.ts'
import { impactOf, releasedAfter } from './impact.ts'
import { ann, deviceIdOf, openProductsWorld, type ProductsWorld } from './products-fixture.ts'

const page = { page: 1, perPage: 25 }

describe('the list of a product’s devices', () => {
  let world: ProductsWorld
  let productId: number
  const ids = Array.from({ length: 60 }, (_, i) => deviceIdOf(i + 1))
  const find = (query: object) =>
    listDevices(productId, { ...page, ...query }, { registry: world.registry, devices: world.products.devices })
  const numbers = (query: object) => find(query).devices.map(({ id }) => Number.parseInt(id.slice(4), 16))

  before(async () => {
    world = await openProductsWorld()
    const { registry, products } = world
    productId = (await products.create(ann, { name: 'Lamp', platformId: 43 })).id
    await registry.makeKnown([...ids, deviceIdOf(99)])
    await products.devices.import(productId, ids)
    await products.groups.create(productId, { name: 'even' })
    await products.groups.create(productId, { name: 'tens' })
    for (const [i, id] of ids.entries()) {
      const n = i + 1
      const groups = [...(n % 2 === 0 ? ['even'] : []), ...(n % 10 === 0 ? ['tens'] : [])]
      if (groups.length > 0) await products.devices.change(productId, id, { groups })
      world.now = 1_000 + n
      if (n <= 5) registry.recordConnection(id, { platformId: 43, productId, productVersion: 6 - n })
    }
    registry.recordConnection(deviceIdOf(99), { platformId: 43, productId, productVersion: 1 })
  })
  after(() => world.close())

  it('goes page by page, in the order of their import, the quarantined last', () => {
    const first = find({})
    assert.deepEqual([first.total, first.totalPages, first.devices.length], [61, 3, 25])
    assert.deepEqual(numbers({ page: 3 }), [51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 99])
    assert.deepEqual(numbers({ page: 4 }), [])
    assert.deepEqual(numbers({ quarantined: true }), [99])
    assert.equal(find({ quarantined: false }).total, 60)
  })

  it('takes devices of any of the groups', () => {
    assert.equal(find({ groups: ['even', 'tens'] }).total, 30)
    assert.deepEqual(numbers({ groups: ['tens'] }), [10, 20, 30, 40, 50, 60])
    assert.equal(find({ groups: ['none'] }).total, 0)
  })

  it('sorts, those without the attribute last', () => {
    assert.deepEqual(numbers({ sortAttr: 'firmwareVersion', perPage: 6, quarantined: false }), [5, 4, 3, 2, 1, 6])
    assert.deepEqual(numbers({ sortAttr: 'lastConnection', perPage: 3, quarantined: false }), [1, 2, 3])
    assert.deepEqual(numbers({ sortAttr: 'deviceId', descending: true, perPage: 2 }), [99, 60])
  })

  it('tells what a release would change, by the versions that devices run', () => {
    const { firmware, devices } = world.products
    const before = firmware.released(productId)
    const after = releasedAfter(before, { version: 5, groups: ['tens'], productDefault: false })
    const impact = impactOf(productId, before, after, { registry: world.registry, devices })
    assert.deepEqual(impact, { total: 6, byVersion: [{ version: 0, total: 6 }] })
    const all = releasedAfter(before, { version: 5, groups: [], productDefault: true })
    // The first of them runs it already.
    assert.equal(impactOf(productId, before, all, { registry: world.registry, devices }).total, 59)
  })
})
