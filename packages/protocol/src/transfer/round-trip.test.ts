import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { RoundTrip } from './round-trip.ts'

describe('the round trip', () => {
  it('is smoothed as RFC 6298 has it, and its timeout leaves room for a delayed ack', () => {
    const trip = new RoundTrip()
    assert.equal(trip.timeout, 3_000)
    trip.measure(800, 0)
    assert.deepEqual([trip.smooth, trip.timeout], [800, 800 + 4 * 400 + 200])
    trip.measure(1_000, 1_000)
    // SRTT 7/8 * 800 + 1/8 * 1000; RTTVAR 3/4 * 400 + 1/4 * 200.
    assert.deepEqual([trip.smooth, trip.timeout], [825, 825 + 4 * 350 + 200])
    for (let at = 0; at < 200; at++) trip.measure(1_000, 2_000 + at)
    assert.equal(Math.round(trip.timeout), 1_000 + 25 + 200)
  })

  it('remembers the shortest one until it is stale and its owner had time to empty the queue', () => {
    const trip = new RoundTrip()
    assert.equal(trip.shortest, undefined)
    trip.measure(100, 0)
    trip.measure(300, 10_000)
    assert.equal(trip.shortest, 100)
    assert.equal(trip.isStale(30_000), false)
    assert.equal(trip.isStale(30_001), true)
    trip.measure(300, 30_001)
    assert.equal(trip.shortest, 100)
    trip.measure(250, 31_000)
    assert.equal(trip.shortest, 250)
    assert.equal(trip.isStale(31_001), false)
  })
})
