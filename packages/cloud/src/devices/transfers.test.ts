import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { ann, ben, deviceIdOf, openProductsWorld, type ProductsWorld } from '../products/products-fixture.ts'
import { DeviceError, type DeviceErrorCode } from './device-error.ts'
import { Transfers } from './transfers.ts'

const id = deviceIdOf(1)
const refused = (code: DeviceErrorCode) => (error: unknown) => error instanceof DeviceError && error.code === code

describe('a request for somebody else’s device', () => {
  let world: ProductsWorld
  let transfers: Transfers
  const open = () => new Transfers({ store: world.store, registry: world.registry, now: () => world.now })
  beforeEach(async () => {
    world = await openProductsWorld()
    transfers = open()
    await world.registry.makeKnown([id])
    await world.registry.claim(id, ann)
    await world.registry.rename(id, ann, 'lamp')
  })
  afterEach(() => world.close())

  it('is open until the owner decides, also over a restart, and asking again changes nothing', async () => {
    const { transfer, isNew } = await transfers.request(id, ben)
    assert.equal(isNew, true)
    assert.equal(world.registry.get(id)?.ownerId, ann)
    await world.restart()
    transfers = open()
    assert.deepEqual(await transfers.request(id, ben), { transfer, isNew: false })
    assert.deepEqual(await transfers.list(ann), [transfer])
    assert.deepEqual(await transfers.list(ben), [transfer])
    const accepted = await transfers.accept(transfer)
    assert.equal(accepted.state, 'accepted')
    const { ownerId, name } = world.registry.get(id) ?? {}
    assert.deepEqual([ownerId, name], [ben, 'lamp'])
    await assert.rejects(transfers.close(transfer, 'refused'), refused('decided'))
  })

  it('takes the name away where the new owner has a device of that name', async () => {
    await world.registry.makeKnown([deviceIdOf(2)])
    await world.registry.claim(deviceIdOf(2), ben)
    await world.registry.rename(deviceIdOf(2), ben, 'Lamp')
    await transfers.accept((await transfers.request(id, ben)).transfer)
    assert.equal(world.registry.get(id)?.name, null)
    assert.equal(world.registry.find('lamp', ben)?.id, deviceIdOf(2))
  })

  it('is void when the owner has let the device go meanwhile', async () => {
    const { transfer } = await transfers.request(id, ben)
    await world.registry.unclaim(id, ann)
    await assert.rejects(transfers.accept(transfer), refused('not-yours'))
    assert.equal(world.registry.get(id)?.ownerId, null)
    await assert.rejects(transfers.request(id, ben), refused('unknown-device'))
  })

  it('is decided once, of two decisions at the same time', async () => {
    const { transfer } = await transfers.request(id, ben)
    const both = await Promise.allSettled([transfers.accept(transfer), transfers.close(transfer, 'withdrawn')])
    assert.deepEqual(both.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
  })
})
