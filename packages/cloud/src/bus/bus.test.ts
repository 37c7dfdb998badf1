import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { CloudEvent } from '../events/event.ts'
import { createLocalBus } from './bus.ts'

const event: CloudEvent = { name: 'a', data: null, ttl: 60, publishedAt: 0, coreid: 'api' }
const unexpected = (error: unknown): never => {
  throw error
}

describe('the bus within a process', () => {
  it('hands an event to all subscribers before it returns', () => {
    const bus = createLocalBus(unexpected)
    const seen: string[] = []
    bus.subscribe(() => seen.push('first'))
    bus.subscribe(() => seen.push('second'))
    bus.publish(event)
    assert.deepEqual(seen, ['first', 'second'])
  })

  it('ends one subscription and not another of the same function', () => {
    const bus = createLocalBus(unexpected)
    let count = 0
    const handler = () => {
      count++
    }
    const end = bus.subscribe(handler)
    bus.subscribe(handler)
    end()
    end()
    bus.publish(event)
    assert.equal(count, 1)
  })

  it('keeps one subscriber’s failure from the others, and reports it', () => {
    const errors: unknown[] = []
    const bus = createLocalBus((error) => errors.push(error))
    const seen: CloudEvent[] = []
    bus.subscribe(() => {
      throw new Error('broken')
    })
    bus.subscribe((e) => seen.push(e))
    bus.publish(event)
    assert.equal(seen.length, 1)
    assert.equal(errors.length, 1)
  })

  it('lets a subscriber leave while an event is handed out', () => {
    const bus = createLocalBus(unexpected)
    const seen: string[] = []
    const end = bus.subscribe(() => {
      seen.push('first')
      end()
    })
    bus.subscribe(() => seen.push('second'))
    bus.publish(event)
    bus.publish(event)
    assert.deepEqual(seen, ['first', 'second', 'second'])
  })
})
