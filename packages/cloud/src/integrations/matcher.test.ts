import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { CloudEvent } from '../events/event.ts'
import type { Integration, IntegrationOwner } from './integration.ts'
import { Matcher } from './matcher.ts'

const alice: IntegrationOwner = { kind: 'user', userId: 'alice' }
const product: IntegrationOwner = { kind: 'product', productId: 10_001 }
const event = (name: string, more: Partial<CloudEvent> = {}): CloudEvent => ({
  name,
  data: null,
  ttl: 60,
  publishedAt: 0,
  coreid: 'd1',
  deviceId: 'd1',
  owner: 'alice',
  ...more,
})
const hook = (id: string, prefix: string, owner: IntegrationOwner = alice, more: object = {}): Integration => ({
  id,
  owner,
  settings: {
    event: prefix,
    name: id,
    url: 'http://e.com',
    requestType: 'POST',
    noDefaults: false,
    rejectUnauthorized: true,
    disabled: false,
    ...more,
  },
  createdAt: 0,
  updatedAt: 0,
})

function matched(hooks: readonly Integration[], of: CloudEvent): string[] {
  const matcher = new Matcher()
  for (const each of hooks) matcher.add(each)
  const found: string[] = []
  matcher.forEach(of, ({ id }) => found.push(id))
  return found.sort()
}

describe('which webhooks an event triggers', () => {
  it('are those of its owner whose event its name begins with, in its case', () => {
    const hooks = [
      hook('a', 'temp'),
      hook('b', 'temp/in'),
      hook('c', 'Temp'),
      hook('d', 'temp'),
      hook('e', 'temperature'),
    ]
    assert.deepEqual(matched(hooks, event('temp/inside')), ['a', 'b', 'd'])
    assert.deepEqual(matched(hooks, event('temp', { owner: 'bob' })), [])
    const { owner: _, ...unowned } = event('temp')
    assert.deepEqual(matched(hooks, unowned), [])
  })

  it('are those of its product, claimed or not', () => {
    const hooks = [hook('a', 't', product), hook('b', 't')]
    const { owner: _, ...unclaimed } = event('t', { productId: 10_001 })
    assert.deepEqual(matched(hooks, unclaimed), ['a'])
    assert.deepEqual(matched(hooks, event('t', { productId: 10_001 })), ['a', 'b'])
    assert.deepEqual(matched(hooks, event('t', { productId: 10_002 })), ['b'])
  })

  it('can be of one device, and disabled', () => {
    const hooks = [
      hook('a', 't', alice, { deviceId: 'd1' }),
      hook('b', 't', alice, { deviceId: 'd2' }),
      hook('c', 't', alice, { disabled: true }),
    ]
    assert.deepEqual(matched(hooks, event('t')), ['a'])
    const { deviceId: _, ...published } = event('t', { coreid: 'api' })
    assert.deepEqual(matched(hooks, published), [])
  })

  it('are none for what webhooks publish, under whatever name', () => {
    const hooks = [hook('a', 'h'), hook('b', 'own'), hook('c', 'spark')]
    for (const name of ['hook-sent/x', 'hook-response/x/0', 'hook-error/x/0'])
      assert.deepEqual(matched(hooks, event(name)), [])
    assert.deepEqual(matched(hooks, event('own/0', { coreid: 'particle-internal' })), [])
    assert.deepEqual(matched(hooks, event('hook')), ['a'])
    assert.deepEqual(matched(hooks, event('spark/status', { coreid: 'particle-internal' })), ['c'])
  })

  it('are those that a look at each of them would find, also after some went', () => {
    const prefix = fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(fc.array(fc.tuple(prefix, fc.boolean()), { maxLength: 20 }), prefix, (wanted, name) => {
        const hooks = wanted.map(([of], at) => hook(String(at), of))
        const matcher = new Matcher()
        for (const each of hooks) matcher.add(each)
        for (const [at, each] of hooks.entries()) if (wanted[at]?.[1]) matcher.remove(each)
        const found: string[] = []
        matcher.forEach(event(name), ({ id }) => found.push(id))
        const expected = hooks.filter(({ settings }, at) => !wanted[at]?.[1] && name.startsWith(settings.event))
        assert.deepEqual(found.sort(), expected.map(({ id }) => id).sort())
      }),
    )
  })
})
