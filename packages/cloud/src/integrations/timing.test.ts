import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { DueHeap } from './due-heap.ts'
import { defaultRetryLimits, readRetryAfter, retryPause } from './retries.ts'
import { HostThrottle } from './throttle.ts'

describe('the pauses between tries', () => {
  it('are 30 s and 1 min, then double, up to a number of tries', () => {
    const pauses = [1, 2, 3, 4, 5, 6, 7, 8].map((attempts) => retryPause(attempts, defaultRetryLimits, 0.5))
    assert.deepEqual(pauses, [30_000, 60_000, 120_000, 240_000, 480_000, 960_000, 1_920_000, undefined])
    assert.equal(retryPause(12, { attempts: 20, longestPause: 600_000 }, 1), 600_000)
  })

  it('leave a fifth to chance from the third on', () => {
    assert.equal(retryPause(3, defaultRetryLimits, 0), 108_000)
    assert.equal(retryPause(3, defaultRetryLimits, 1), 132_000)
  })

  it('are at least what the server asks for, within bounds', () => {
    assert.equal(retryPause(1, defaultRetryLimits, 0, 90_000), 90_000)
    assert.equal(retryPause(1, defaultRetryLimits, 0, 10), 30_000)
    assert.equal(retryPause(1, defaultRetryLimits, 0, 10 ** 10), 3_600_000)
    const now = Date.UTC(2026, 10, 21)
    assert.equal(readRetryAfter('120', now), 120_000)
    assert.equal(readRetryAfter('Sat, 21 Nov 2026 00:01:00 GMT', now), 60_000)
    assert.equal(readRetryAfter('Sat, 21 Nov 2020 00:01:00 GMT', now), 0)
    assert.equal(readRetryAfter('soon', now), undefined)
    assert.equal(readRetryAfter(undefined, now), undefined)
  })
})

describe('a host that fails', () => {
  it('sleeps when errors outnumber successes, longer each time, and gets well', () => {
    const throttle = new HostThrottle()
    let now = 1_000_000
    for (let i = 0; i < 4; i++) throttle.failure('h', now)
    assert.equal(throttle.sleeps('h', now), 0)
    throttle.failure('h', now)
    assert.equal(throttle.sleeps('h', now), 5_000)
    assert.equal(throttle.sleeps('other', now), 0)
    now += 5_000
    assert.equal(throttle.sleeps('h', now), 0)
    for (let i = 0; i < 5; i++) throttle.failure('h', now)
    assert.equal(throttle.sleeps('h', now), 10_000)
    now += 10_000
    throttle.success('h', now)
    now += 20_000
    for (let i = 0; i < 5; i++) throttle.failure('h', now)
    assert.equal(throttle.sleeps('h', now), 5_000)
  })

  it('does not sleep while most requests succeed', () => {
    const throttle = new HostThrottle()
    throttle.failure('h', 0)
    for (let i = 0; i < 100; i++) throttle.success('h', 1)
    for (let i = 0; i < 50; i++) throttle.failure('h', 2)
    assert.equal(throttle.sleeps('h', 3), 0)
  })
})

describe('deliveries by when they are due', () => {
  it('come in their order', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 20 })), (times) => {
        const heap = new DueHeap<{ dueAt: number }>()
        for (const dueAt of times) heap.push({ dueAt })
        const popped = times.map(() => heap.pop()?.dueAt)
        assert.deepEqual(
          popped,
          times.toSorted((a, b) => a - b),
        )
        assert.equal(heap.pop(), undefined)
        assert.equal(heap.size, 0)
      }),
    )
  })
})
