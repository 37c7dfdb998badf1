import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Subscription } from '@aloe/protocol'
import fc from 'fast-check'
import { decodeSubscriptions, encodeSubscriptions } from './stored-subscriptions.ts'

const subscription: fc.Arbitrary<Subscription> = fc
  .record(
    {
      prefix: fc.oneof(fc.constantFrom('particle', 'spark', ''), fc.string({ unit: 'grapheme', maxLength: 64 })),
      format: fc.constantFrom('text' as const, 'binary' as const, 'cbor' as const),
      scope: fc.constantFrom('owner' as const, 'all' as const, 'device' as const),
      deviceId: fc.constantFrom('422b00000000000000000001', '422b00000001'),
    },
    { requiredKeys: ['prefix', 'format', 'scope'], noNullPrototype: true },
  )
  .map((made) => made)

describe('subscriptions at rest', () => {
  it('are read as they were written', () => {
    fc.assert(
      fc.property(fc.array(subscription, { maxLength: 16 }), (all) => {
        assert.deepEqual(decodeSubscriptions(encodeSubscriptions(all)), all)
      }),
    )
  })

  it('are short for what nearly every device subscribes to', () => {
    const all = ['particle', 'spark', '422b00000000000000000001'].map(
      (prefix): Subscription => ({ prefix, format: 'text', scope: 'owner' }),
    )
    assert.equal(encodeSubscriptions(all), '["particle","spark","422b00000000000000000001"]')
  })

  it('are read as Aloe wrote them before, too', () => {
    const all: Subscription[] = [{ prefix: 'a', format: 'binary', scope: 'device', deviceId: '422b00000001' }]
    assert.deepEqual(decodeSubscriptions(JSON.stringify(all)), all)
  })
})
