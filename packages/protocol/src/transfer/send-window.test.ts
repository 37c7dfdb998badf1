import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { SendWindow } from './send-window.ts'
import type { UpdateAck } from './windowed-messages.ts'

/** @param beyond chunks that have arrived behind a gap */
const ackOf = (cumulative: number, ...beyond: number[]): UpdateAck => ({
  cumulative,
  bits: beyond.length === 0 ? 0 : 256,
  received: (bit) => beyond.includes(cumulative + 1 + bit),
})

/** All that may be sent now. */
function drain(window: SendWindow, now: number): number[] {
  const sent: number[] = []
  for (let next = window.next(now); next !== undefined; next = window.next(now)) sent.push(next)
  return sent
}

/** Sends whatever may be sent until nothing may be, before `end`. */
function sendUntil(window: SendWindow, from: number, end: number): number[] {
  const sent: number[] = []
  for (let now = from; now <= end; now++) sent.push(...drain(window, now))
  return sent
}

describe('the window of a sender', () => {
  it('begins with few chunks, spread over the round trip that the start took', () => {
    const slow = new SendWindow(100, 115, false, 1_000)
    assert.deepEqual(drain(slow, 0), [1])
    assert.deepEqual(sendUntil(slow, 1, 1_000), [2, 3, 4])
    const quick = new SendWindow(100, 115, false, 50)
    assert.equal(sendUntil(quick, 0, 50).length, 10)
    assert.equal(drain(new SendWindow(100, 115, false), 0).length, 4)
  })

  it('sends all that fits the window at once over a reliable link', () => {
    const window = new SendWindow(100, 60, true)
    assert.equal(drain(window, 0).length, 60)
    assert.equal(window.nextDeadline(), undefined)
    window.acknowledge(ackOf(10), 1)
    assert.deepEqual(drain(window, 1), [61, 62, 63, 64, 65, 66, 67, 68, 69, 70])
  })

  it('repeats at once what three others have overtaken, while order was kept until then', () => {
    const window = new SendWindow(100, 115, false, 50)
    sendUntil(window, 0, 60)
    window.acknowledge(ackOf(0, 2, 3), 70)
    assert.ok(!sendUntil(window, 70, 80).includes(1))
    window.acknowledge(ackOf(0, 2, 3, 4), 81)
    assert.equal(window.next(90), 1)
    assert.equal(window.resent, 1)
  })

  it('is patient once chunks were seen to overtake each other', () => {
    const window = new SendWindow(100, 115, false, 40)
    sendUntil(window, 0, 40)
    window.acknowledge(ackOf(1, 3), 41)
    window.acknowledge(ackOf(3), 42)
    // Now 4 is overtaken by more than three, and is given a quarter of a round trip.
    window.acknowledge(ackOf(3, 5, 6, 7, 8), 50)
    assert.ok(!sendUntil(window, 50, 51).includes(4))
    const due = window.nextDeadline() ?? 0
    assert.ok(due > 50 && due < 100, `${due}`)
    for (let now = 50; now < 120 && window.resent === 0; now++) {
      window.poll(now)
      drain(window, now)
    }
    assert.equal(window.resent, 1)
  })

  it('meets silence with a probe, later each time, and starts small again', () => {
    const window = new SendWindow(100, 115, false, 40)
    sendUntil(window, 0, 40)
    window.acknowledge(ackOf(6), 60)
    sendUntil(window, 60, 100)
    const probes: number[] = []
    for (let now = 100; now < 20_000; now++) {
      window.poll(now)
      if (drain(window, now).length > 0) probes.push(now)
    }
    const waits = probes.slice(1).map((at, index) => at - (probes[index] ?? 0))
    assert.ok((probes[0] ?? 0) < 600 && probes.length >= 6, `${probes}`)
    assert.ok(
      waits.every((wait, index) => wait >= (waits[index - 1] ?? 0) - 1 && wait <= 4_001),
      `${waits}`,
    )
    window.acknowledge(ackOf(7), 20_000)
    assert.ok(drain(window, 20_000).length <= 4)
  })

  it('is not confused by acks that are old, early or of nothing', () => {
    const window = new SendWindow(10, 115, false, 50)
    sendUntil(window, 0, 60)
    assert.equal(window.acknowledge(ackOf(11), 70), false)
    assert.equal(window.acknowledge(ackOf(4), 70), true)
    assert.equal(window.acknowledge(ackOf(2, 8), 71), false)
    assert.equal(window.acknowledge(ackOf(4), 72), false)
    assert.equal(window.received, 4)
    assert.equal(window.acknowledge(ackOf(10), 80), true)
    assert.equal(window.complete, true)
    assert.equal(window.nextDeadline(), undefined)
  })
})
