import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { DeadlineWheel, type Timed } from './deadlines.ts'

class Item implements Timed {
  dueTick = -1
  nextTimed: Timed | undefined
  previousTimed: Timed | undefined
  readonly calls: number[] = []
  readonly #then: ((now: number) => void) | undefined
  constructor(then?: (now: number) => void) {
    this.#then = then
  }
  timeCame(now: number): void {
    this.calls.push(now)
    this.#then?.(now)
  }
}

describe('deadline wheel', () => {
  it('calls an item once its time has come, and not before', () => {
    const wheel = new DeadlineWheel(0)
    const item = new Item()
    wheel.schedule(item, 1_000)
    wheel.advance(999)
    assert.deepEqual(item.calls, [])
    wheel.advance(1_000)
    assert.deepEqual(item.calls, [1_000])
    assert.equal(wheel.size, 0)
  })

  it('moves an item to an earlier time, and leaves it when the new time is later', () => {
    const wheel = new DeadlineWheel(0)
    const item = new Item()
    wheel.schedule(item, 5_000)
    wheel.schedule(item, 1_000)
    wheel.schedule(item, 9_000)
    wheel.advance(1_000)
    assert.deepEqual(item.calls, [1_000])
  })

  it('keeps an item that is further away than one turn', () => {
    const wheel = new DeadlineWheel(0, { resolution: 10, slots: 8 })
    const item = new Item()
    wheel.schedule(item, 1_000)
    for (let now = 0; now < 1_000; now += 10) wheel.advance(now)
    assert.deepEqual(item.calls, [])
    wheel.advance(1_000)
    assert.deepEqual(item.calls, [1_000])
  })

  it('lets an item that is called cancel its neighbour and come back itself', () => {
    const wheel = new DeadlineWheel(0)
    const neighbour = new Item()
    const item: Item = new Item((now) => {
      wheel.cancel(neighbour)
      wheel.schedule(item, now + 200)
    })
    wheel.schedule(neighbour, 100)
    wheel.schedule(item, 100)
    wheel.advance(150)
    wheel.advance(400)
    assert.deepEqual(neighbour.calls, [])
    assert.equal(item.calls.length, 2)
  })

  it('calls everything exactly once, never early and at most a tick late, in whatever steps time moves', () => {
    const times = fc.array(fc.nat(3_000), { minLength: 1, maxLength: 30 })
    const steps = fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 40 })
    fc.assert(
      fc.property(times, steps, (deadlines, pauses) => {
        const wheel = new DeadlineWheel(0, { resolution: 10, slots: 16 })
        const items = deadlines.map(() => new Item())
        items.forEach((item, index) => {
          wheel.schedule(item, deadlines[index] ?? 0)
        })
        let now = 0
        for (const pause of [...pauses, 4_000]) {
          const before = now
          now += pause
          wheel.advance(now)
          items.forEach((item, index) => {
            const at = deadlines[index] ?? 0
            if (at > now) assert.equal(item.calls.length, 0)
            if (at + 10 <= before) assert.equal(item.calls.length, 1)
          })
        }
        assert.equal(wheel.size, 0)
      }),
    )
  })
})
