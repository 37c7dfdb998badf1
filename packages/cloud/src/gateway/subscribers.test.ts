import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { Subscribers } from './subscribers.ts'

function receivers(subscribers: Subscribers<string>, owner: string, name: string): string[] {
  const found: string[] = []
  subscribers.forEach(owner, name, (subscriber) => found.push(subscriber))
  return found.sort()
}

describe('subscribers of an owner', () => {
  it('are found by the prefix of the name, each once', () => {
    const subscribers = new Subscribers<string>()
    subscribers.add('ann', 'temp', 'a')
    subscribers.add('ann', 'temperature', 'a')
    subscribers.add('ann', 'temperature', 'b')
    subscribers.add('ann', '', 'c')
    assert.deepEqual(receivers(subscribers, 'ann', 'temperature/kitchen'), ['a', 'b', 'c'])
    assert.deepEqual(receivers(subscribers, 'ann', 'te'), ['c'])
  })

  it('never get what belongs to another owner', () => {
    const subscribers = new Subscribers<string>()
    subscribers.add('ann', 'temp', 'a')
    assert.deepEqual(receivers(subscribers, 'bob', 'temp'), [])
  })

  it('never get the names that Device OS takes as commands of the cloud', () => {
    const subscribers = new Subscribers<string>()
    subscribers.add('ann', 'particle/device', 'a')
    subscribers.add('ann', 's', 'a')
    assert.deepEqual(receivers(subscribers, 'ann', 'particle/device/updates/forced'), [])
    assert.deepEqual(receivers(subscribers, 'ann', 'spark/device/reset'), [])
  })

  it('agree with a plain comparison of all of them, through additions and removals', () => {
    const names = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 4 })
    const operations = fc.array(fc.tuple(fc.boolean(), names, fc.constantFrom('x', 'y', 'z')), { maxLength: 60 })
    fc.assert(
      fc.property(operations, names, (list, name) => {
        const subscribers = new Subscribers<string>()
        const plain = new Set<string>()
        for (const [add, prefix, who] of list) {
          if (add) subscribers.add('o', prefix, who)
          else subscribers.remove('o', prefix, who)
          if (add) plain.add(`${who}:${prefix}`)
          else plain.delete(`${who}:${prefix}`)
        }
        const expected = new Set([...plain].filter((e) => name.startsWith(e.slice(2))).map((e) => e.slice(0, 1)))
        assert.deepEqual(receivers(subscribers, 'o', name), [...expected].sort())
      }),
    )
  })
})
