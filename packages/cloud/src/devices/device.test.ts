import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { firmwareVersionOf, newDevice } from './device.ts'

const member = { ...newDevice('422b00000000000000000001', 0), platformId: 43, memberOf: 10_000 }

describe('the version of its product’s firmware that a device runs', () => {
  it('is what it reports about that product, or with its platform in the product’s place', () => {
    assert.equal(firmwareVersionOf({ ...member, productId: 10_000, productVersion: 3 }), 3)
    assert.equal(firmwareVersionOf({ ...member, productId: 43, productVersion: 4 }), 4)
  })

  it('is not what it reports about another product', () => {
    assert.equal(firmwareVersionOf({ ...member, productId: 10_001, productVersion: 3 }), null)
    assert.equal(firmwareVersionOf({ ...member, productId: 10_001, productVersion: 3, applicationVersion: 5 }), 5)
  })

  it('is known by the application when it reports none', () => {
    for (const productVersion of [null, 0, 0xffff]) {
      assert.equal(firmwareVersionOf({ ...member, productId: 43, productVersion, applicationVersion: 5 }), 5)
      assert.equal(firmwareVersionOf({ ...member, productId: 43, productVersion }), null)
    }
  })

  it('of a device of no product is what it reports', () => {
    assert.equal(firmwareVersionOf({ ...member, memberOf: null, productId: 43, productVersion: 7 }), 7)
  })
})
