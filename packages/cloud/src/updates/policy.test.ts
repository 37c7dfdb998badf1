import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { mergePolicies, readPolicy } from './policy.ts'
import { isInside, nextOpening } from './window.ts'

describe('update policies', () => {
  it('let everything through where nobody says anything', () => {
    const policy = mergePolicies(undefined, [], undefined)
    assert.deepEqual([policy.deviceOs, policy.application, policy.windows], [true, true, []])
  })

  it('hold for the device before its groups, for them before the product', () => {
    const product = { deviceOs: false, minimumBattery: 20, consent: true }
    const policy = mergePolicies({ minimumBattery: 50 }, [{ deviceOs: true }], product)
    assert.deepEqual([policy.deviceOs, policy.minimumBattery, policy.consent], [true, 50, true])
  })

  it('have no settings but their own, whatever objects have', () => {
    for (const name of ['valueOf', 'constructor', 'isPrototypeOf', '__defineSetter__']) {
      assert.match(String(readPolicy({ [name]: 1 })), /^A policy has no "/, name)
    }
  })

  it('are the strictest of several groups', () => {
    const policy = mergePolicies(
      undefined,
      [
        { deviceOs: true, minimumBattery: 30, deviceDataBudget: 100 },
        { deviceOs: false, minimumBattery: 20, deviceDataBudget: null },
      ],
      undefined,
    )
    assert.deepEqual([policy.deviceOs, policy.minimumBattery, policy.deviceDataBudget], [false, 30, 100])
  })
})

describe('hours for updates', () => {
  const at = (text: string): number => Date.parse(text)

  it('are those of a time zone, also over midnight', () => {
    const night = [{ from: '22:00', to: '06:00', zone: 'Europe/Berlin' }]
    assert.equal(isInside(night, at('2026-11-21T20:59:00Z')), false)
    assert.equal(isInside(night, at('2026-11-21T21:00:00Z')), true)
    assert.equal(isInside(night, at('2026-11-22T04:59:00Z')), true)
    assert.equal(isInside(night, at('2026-11-22T05:00:00Z')), false)
    // In summer time it is an hour earlier.
    assert.equal(isInside(night, at('2026-07-21T20:00:00Z')), true)
  })

  it('begin on certain days, and may last into the next', () => {
    const weekend = [{ from: '23:00', to: '02:00', zone: 'UTC', days: ['sat'] as const }]
    assert.equal(isInside(weekend, at('2026-11-21T23:30:00Z')), true)
    assert.equal(isInside(weekend, at('2026-11-22T01:30:00Z')), true)
    assert.equal(isInside(weekend, at('2026-11-22T23:30:00Z')), false)
    assert.equal(isInside(weekend, at('2026-11-21T01:30:00Z')), false)
  })

  it('come again, to the minute', () => {
    const lunch = [{ from: '12:07', to: '12:37', zone: 'America/New_York', days: ['wed'] as const }]
    const next = nextOpening(lunch, at('2026-11-21T12:00:00Z'))
    assert.equal(new Date(next ?? 0).toISOString(), '2026-11-25T17:07:00.000Z')
    assert.equal(nextOpening([], at('2026-11-21T12:00:00Z')), undefined)
  })
})
