import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { releasedTo, targetFor } from './targeting.ts'

const plain = { desiredVersion: null, development: false, groups: [] as string[] }
const released = {
  default: 3,
  groups: new Map([
    ['kitchen', 5],
    ['beta', 7],
    ['old', 1],
  ]),
}

describe('the firmware that a device should run', () => {
  it('is nothing for a development device, also for a locked one', () => {
    assert.equal(targetFor({ ...plain, development: true, desiredVersion: 2, groups: ['beta'] }, released), undefined)
  })

  it('is the version that the device is locked to, before all releases', () => {
    const target = targetFor({ ...plain, desiredVersion: 2, groups: ['beta'] }, released)
    assert.deepEqual(target, { version: 2, why: 'locked' })
  })

  it('is the highest version among the releases to its groups, also when the default is higher', () => {
    assert.deepEqual(targetFor({ ...plain, groups: ['kitchen', 'beta', 'x'] }, released), { version: 7, why: 'group' })
    assert.deepEqual(targetFor({ ...plain, groups: ['old'] }, released), { version: 1, why: 'group' })
  })

  it('is the default of the product otherwise', () => {
    assert.deepEqual(targetFor({ ...plain, groups: ['x'] }, released), { version: 3, why: 'default' })
  })

  it('is nothing when nothing is released', () => {
    assert.equal(targetFor(plain, { default: null, groups: released.groups }), undefined)
  })

  it('does not depend on the order of groups', () => {
    const group = fc.constantFrom('kitchen', 'beta', 'old', 'x')
    fc.assert(
      fc.property(fc.array(group), (groups) => {
        assert.deepEqual(releasedTo({ groups }, released), releasedTo({ groups: groups.toReversed() }, released))
      }),
    )
  })
})
