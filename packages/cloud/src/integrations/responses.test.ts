import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { Integration, IntegrationOwner, TriggeringEvent } from './integration.ts'
import { errorEvents, pieceBytes, pieces, publishedBytes, responseEvents, sentEvent } from './responses.ts'

const event: TriggeringEvent = { name: 'temp/x', data: 'd', publishedAt: 1, coreid: 'dev', owner: 'alice' }
const of = (owner: IntegrationOwner): Integration => ({
  id: 'i',
  owner,
  settings: {
    event: 'temp',
    name: 'n',
    url: 'http://e.com',
    requestType: 'POST',
    noDefaults: false,
    rejectUnauthorized: true,
    disabled: false,
  },
  createdAt: 0,
  updatedAt: 0,
})
const alice = of({ kind: 'user', userId: 'alice' })

describe('the pieces of a response', () => {
  it('have 512 bytes, but the last', () => {
    const all = pieces('x'.repeat(1_100))
    assert.deepEqual(
      all.map(({ length }) => length),
      [512, 512, 76],
    )
    assert.deepEqual(pieces(''), [])
    assert.deepEqual(pieces('x'.repeat(512)).length, 1)
  })

  it('are of the first 100 KB', () => {
    const all = pieces('x'.repeat(300_000))
    assert.equal(all.length, publishedBytes / pieceBytes)
    assert.equal(all.join('').length, 102_400)
  })

  it('never cut a character in two, and lose nothing', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('a', 'é', '€', '😀', 'xyz'.repeat(60)), { maxLength: 80 }), (parts) => {
        const text = parts.join('')
        const all = pieces(text)
        assert.equal(all.join(''), text)
        for (const [at, piece] of all.entries()) {
          const bytes = Buffer.byteLength(piece)
          assert.ok(bytes <= pieceBytes)
          if (at < all.length - 1) assert.ok(bytes > pieceBytes - 4)
        }
      }),
    )
  })
})

describe('the events of a webhook', () => {
  it('are numbered, under the name of the event or the topic', () => {
    assert.deepEqual(sentEvent(alice, event, 5), {
      name: 'hook-sent/temp/x',
      data: null,
      ttl: 60,
      publishedAt: 5,
      coreid: 'particle-internal',
      owner: 'alice',
    })
    const names = responseEvents(alice, event, 'y'.repeat(600), undefined, 5).map(({ name }) => name)
    assert.deepEqual(names, ['hook-response/temp/x/0', 'hook-response/temp/x/1'])
    assert.equal(responseEvents(alice, event, 'y', 'dev/re', 5)[0]?.name, 'dev/re/0')
    assert.equal(errorEvents(alice, event, 'y', undefined, 5)[0]?.name, 'hook-error/temp/x/0')
    assert.equal(errorEvents(alice, event, 'y', 'bad', 5)[0]?.name, 'bad/0')
  })

  it('never pass for events of the system, whatever a topic renders to', () => {
    for (const topic of ['spark/device/reset', 'Particle/x', '', 'a\nb', 'x'.repeat(65)]) {
      assert.equal(responseEvents(alice, event, 'y', topic, 5)[0]?.name, 'hook-response/temp/x/0', topic)
    }
  })

  it('of a product are for the product, and for the owner of the device', () => {
    const product = of({ kind: 'product', productId: 10_001 })
    const found = responseEvents(product, event, 'y', undefined, 5)[0]
    assert.deepEqual([found?.productId, found?.owner], [10_001, 'alice'])
    const { owner: _, ...unclaimed } = event
    assert.equal(sentEvent(product, unclaimed, 5).owner, undefined)
  })
})
