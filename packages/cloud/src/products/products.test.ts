import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { slugOf } from './product.ts'
import type { ProductDevice } from './product-devices.ts'
import { ProductError, type ProductErrorCode } from './product-error.ts'
import type { Release } from './product-firmware.ts'
import { ann, ben, deviceIdOf, openProductsWorld, type ProductsWorld } from './products-fixture.ts'

const refused = (code: ProductErrorCode) => (error: unknown) => error instanceof ProductError && error.code === code
const [one, two, three] = [deviceIdOf(1), deviceIdOf(2), deviceIdOf(3)]
const firmware = (version: number) => ({
  version,
  fileName: 'firmware.bin' as const,
  content: Uint8Array.of(version),
  appHash: String(version).padStart(64, '0'),
  uploadedBy: 'ann',
})

describe('products', () => {
  let world: ProductsWorld
  beforeEach(async () => {
    world = await openProductsWorld()
  })
  afterEach(() => world.close())

  const create = (name = 'Lamp', owner = ann) => world.products.create(owner, { name, platformId: 43 })
  const members = async (productId: number, ids: string[]) => {
    await world.registry.makeKnown(ids)
    await world.products.devices.import(productId, ids)
  }

  it('come back after a kill as they were answered, with devices, groups, firmware and releases', async () => {
    const { id } = await create()
    await world.products.update(id, { name: 'Big Lamp', slug: 'big-lamp', settings: { quarantine: false } })
    await members(id, [one, two])
    await world.products.groups.create(id, { name: 'kitchen', color: '#fff' })
    await world.products.devices.change(id, one, { groups: ['kitchen'], development: true, desiredVersion: 1 })
    await world.products.devices.remove(id, two, true)
    await world.products.firmware.upload(id, firmware(1))
    await world.products.firmware.ran(id, 1)
    await world.products.firmware.put(id, { version: 1, productDefault: true, groups: ['kitchen'], by: 'ann' })
    const before = {
      product: world.products.get(id),
      member: world.products.devices.of(one),
      groups: world.products.groups.list(id),
      firmware: world.products.firmware.list(id),
      releases: world.products.firmware.releases(id),
    }
    await world.restart()

    const { products, registry } = world
    assert.deepEqual(products.find('BIG-LAMP'), before.product)
    assert.deepEqual(products.find(String(id)), before.product)
    assert.deepEqual(products.devices.of(one), before.member)
    assert.deepEqual(products.groups.list(id), before.groups)
    assert.deepEqual(products.firmware.list(id), before.firmware)
    assert.deepEqual(products.firmware.releases(id), before.releases)
    assert.deepEqual(products.firmware.released(id), { default: 1, groups: new Map([['kitchen', 1]]) })
    assert.deepEqual(await products.firmware.content(id, 1), Uint8Array.of(1))
    assert.deepEqual([...products.devices.denied(id)], [two])
    assert.equal(registry.get(one)?.memberOf, id)
    assert.equal(registry.get(two)?.memberOf, null)
  })

  it('have ids that are no platform’s and never come again, and names that are unique per owner', async () => {
    const first = await create()
    assert.equal(first.id, 10_000)
    await assert.rejects(create('lamp'), refused('taken'))
    const second = await create('Lamp', ben)
    assert.deepEqual([second.slug, second.id], ['lamp-10001', 10_001])
    await world.products.remove(second.id)
    await world.restart()
    assert.equal((await create('Other')).id, 10_002)
    await assert.rejects(create(''), refused('bad-value'))
    await assert.rejects(world.products.create(ann, { name: 'x', platformId: 4_711 }), refused('bad-value'))
    const both = await Promise.allSettled([create('Race'), create('race')])
    assert.deepEqual(both.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
  })

  it('have slugs that paths can tell from ids', () => {
    const slugs = ['Garden Lamp!', 'Ünïcode', '42', '日本', ' -a- ', 'x'.repeat(100)].map(slugOf)
    assert.deepEqual(slugs, ['garden-lamp', 'u-ni-code', 'p-42', 'product', 'a', 'x'.repeat(60)])
  })

  it('have devices of their own: one product each', async () => {
    const lamp = await create()
    const fan = await create('Fan')
    const told: [ProductDevice | undefined, ProductDevice | undefined][] = []
    world.products.devices.observe((before, after) => told.push([before, after]))
    await members(lamp.id, [one, two])
    await world.registry.makeKnown([three])
    const result = await world.products.devices.import(fan.id, [one, three, three])
    assert.deepEqual(result, { added: [three], existing: [], elsewhere: [one] })
    assert.deepEqual([...world.products.devices.members(lamp.id)], [one, two])
    assert.equal(told.length, 3)
    await world.products.devices.remove(lamp.id, one)
    // Not of the other one: nothing happens.
    await world.products.devices.remove(lamp.id, three)
    assert.equal(world.products.devices.of(three)?.productId, fan.id)
    assert.deepEqual(told.at(-1)?.[1], undefined)
    await assert.rejects(
      world.products.devices.change(lamp.id, three, { development: true }),
      refused('not-in-product'),
    )
    await assert.rejects(
      world.products.devices.changeGroups(lamp.id, [two, three], { add: ['x'] }),
      refused('not-in-product'),
    )
    assert.deepEqual(world.products.devices.of(two)?.groups, [])
  })

  it('let a denied device in when it is imported', async () => {
    const { id } = await create()
    await world.registry.makeKnown([one])
    await world.products.devices.remove(id, one, true)
    assert.ok(world.products.devices.denied(id).has(one))
    await world.products.devices.import(id, [one])
    assert.ok(!world.products.devices.denied(id).has(one))
    await world.restart()
    assert.ok(!world.products.devices.denied(id).has(one))
  })

  it('go with all that they had, when they are empty or somebody insists', async () => {
    const { id } = await create()
    await members(id, [one])
    await world.products.groups.create(id, { name: 'g' })
    await world.products.firmware.upload(id, firmware(1))
    await assert.rejects(world.products.remove(id), refused('in-use'))
    await world.products.remove(id, true)
    assert.equal(world.registry.get(one)?.memberOf, null)
    await world.restart()
    const { products } = world
    assert.equal(products.get(id), undefined)
    assert.deepEqual(
      [products.groups.list(id), products.firmware.list(id), products.devices.of(one)],
      [[], [], undefined],
    )
  })

  it('leave no device behind when they go while devices come', async () => {
    const { id } = await create()
    await members(id, [one])
    await world.registry.makeKnown([two, three])
    const [removed, ...imports] = await Promise.allSettled([
      world.products.remove(id, true),
      world.products.devices.import(id, [two]),
      new Promise(setImmediate).then(() => world.products.devices.import(id, [three])),
    ])
    assert.equal(removed.status, 'fulfilled')
    await assert.rejects(world.products.devices.import(id, [one]), refused('unknown-product'))
    for (const state of [`at once, ${imports.map(({ status }) => status)}`, 'after a restart']) {
      for (const device of [one, two, three]) {
        assert.equal(world.products.devices.of(device), undefined, state)
        assert.equal(world.registry.get(device)?.memberOf, null, state)
      }
      await world.restart()
    }
  })

  it('release firmware to groups and to all, each target to one version', async () => {
    const { id } = await create()
    const { firmware: versions, groups } = world.products
    for (const version of [1, 2]) {
      await versions.upload(id, firmware(version))
      await versions.ran(id, version)
    }
    for (const name of ['a', 'b']) await groups.create(id, { name })
    const told: (readonly Release[] | 'withdrawn')[] = []
    versions.observe({ released: (_, releases) => told.push(releases), withdrawn: () => told.push('withdrawn') })
    await versions.put(id, { version: 1, productDefault: true, groups: ['a', 'b'], by: 'ann' })
    await versions.put(id, { version: 2, groups: ['b'], intelligent: true, by: 'ben' })
    assert.deepEqual(
      versions.released(id).groups,
      new Map([
        ['a', 1],
        ['b', 2],
      ]),
    )
    const { intelligent, releasedBy } = versions.release(id, 'b') ?? {}
    assert.deepEqual([intelligent, releasedBy], [true, 'ben'])
    assert.deepEqual(
      told.map((each) => each.length),
      [3, 1],
    )
    await versions.put(id, { version: 1, productDefault: false, by: 'ann' })
    assert.equal(versions.released(id).default, null)
    await versions.withdraw(id, 2, ['b', 'a'])
    assert.deepEqual(versions.released(id).groups, new Map([['a', 1]]))
    await groups.update(id, 'a', { name: 'c' })
    assert.deepEqual(versions.released(id).groups, new Map([['c', 1]]))
    await groups.remove(id, 'c')
    assert.equal(versions.releases(id).length, 0)
    assert.ok(told.includes('withdrawn'))
    await world.restart()
    assert.equal(world.products.firmware.releases(id).length, 0)
  })

  it('say which firmware each of their devices should run', async () => {
    const { id } = await create()
    await members(id, [one, two])
    const { products } = world
    for (const version of [1, 2, 3]) {
      await products.firmware.upload(id, firmware(version))
      await products.firmware.ran(id, version)
    }
    await products.groups.create(id, { name: 'beta' })
    await products.firmware.put(id, { version: 1, productDefault: true, by: 'ann' })
    await products.firmware.put(id, { version: 2, groups: ['beta'], by: 'ann' })
    assert.deepEqual(products.targetOf(one), { version: 1, why: 'default' })
    await products.devices.change(id, one, { groups: ['beta'] })
    assert.deepEqual(products.targetOf(one), { version: 2, why: 'group' })
    await products.devices.change(id, one, { desiredVersion: 3 })
    assert.deepEqual(products.targetOf(one), { version: 3, why: 'locked' })
    await products.devices.change(id, one, { development: true })
    assert.equal(products.targetOf(one), undefined)
    assert.equal(products.targetOf(three), undefined)
  })

  it('rename and remove groups while releases and changes of devices come', async () => {
    const { id } = await create()
    await members(id, [one, two])
    const { products } = world
    await products.firmware.upload(id, firmware(1))
    await products.groups.create(id, { name: 'a' })
    await products.devices.changeGroups(id, [one, two], { add: ['a'] })
    const checkGroups = (names: readonly string[]) => products.groups.check(id, names)
    await Promise.allSettled([
      products.groups.update(id, 'a', { name: 'b' }),
      products.firmware.put(id, { version: 1, groups: ['a'], untested: true, by: 'ann', checkGroups }),
      products.devices.change(id, one, { development: true }),
      products.groups.remove(id, 'b'),
      products.firmware.put(id, { version: 1, groups: ['b'], untested: true, by: 'ann', checkGroups }),
    ])
    for (const state of ['at once', 'after a restart']) {
      const { groups, devices, firmware: versions } = world.products
      assert.deepEqual(groups.list(id), [], state)
      assert.deepEqual(versions.releases(id), [], state)
      assert.deepEqual([devices.of(one)?.groups, devices.of(two)?.groups], [[], []], state)
      await world.restart()
    }
  })

  it('keep firmware that was released, and release none that never ran unless told so', async () => {
    const { id } = await create()
    const versions = world.products.firmware
    await versions.upload(id, firmware(1))
    await versions.upload(id, firmware(2))
    await assert.rejects(versions.put(id, { version: 1, productDefault: true, by: 'a' }), refused('never-run'))
    await versions.put(id, { version: 1, productDefault: true, untested: true, by: 'a' })
    await versions.withdraw(id, 1, [null])
    await assert.rejects(versions.remove(id, 1), refused('in-use'))
    await versions.remove(id, 2)
    await assert.rejects(versions.content(id, 2), refused('unknown-firmware'))
    await assert.rejects(versions.put(id, { version: 1, by: 'a' }), refused('bad-value'))
    for (const version of [0, -1, 1.5, 65_535]) {
      await assert.rejects(versions.upload(id, firmware(version)), refused('bad-value'))
    }
  })
})
