import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { DatagramConditions, StreamConditions } from './conditions.ts'
import { Impairment } from './impairment.ts'
import { seeded } from './random.ts'
import { SimulatedDatagrams } from './simulated-datagrams.ts'
import { SimulatedStreams, type StreamHandlers } from './simulated-streams.ts'
import { Poller, Simulation } from './simulation.ts'
import { StreamShaper } from './stream-shaper.ts'

const runs = Number(process.env.ALOE_FUZZ_RUNS ?? 200)

describe('simulated time', () => {
  it('does everything in its order, and what is due at once in the order of asking', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(50), { maxLength: 100 }), (delays) => {
        const simulation = new Simulation()
        const seen: { at: number; asked: number }[] = []
        delays.forEach((delay, asked) => {
          simulation.setTimer(delay, () => seen.push({ at: simulation.now(), asked }))
        })
        simulation.run(50)
        const expected = delays.map((at, asked) => ({ at, asked })).sort((a, b) => a.at - b.at || a.asked - b.asked)
        assert.deepEqual(seen, expected)
        assert.equal(simulation.now(), 50)
      }),
      { numRuns: runs },
    )
  })

  it('lets timers be cancelled, repeat, and start others', () => {
    const simulation = new Simulation()
    const seen: string[] = []
    const note = (what: string) => () => seen.push(`${what}@${simulation.now()}`)
    simulation.setTimer(5, note('never')).cancel()
    const tick = simulation.every(10, note('tick'))
    simulation.setTimer(25, () => {
      tick.cancel()
      simulation.setTimer(0, note('then'))
    })
    assert.equal(
      simulation.runUntil(() => seen.length === 3, 1_000),
      true,
    )
    assert.deepEqual(seen, ['tick@10', 'tick@20', 'then@25'])
    assert.equal(
      simulation.runUntil(() => false, 75),
      false,
    )
    assert.equal(simulation.now(), 100)
  })

  it('lets promises settle between one thing and the next when it is told to', async () => {
    const simulation = new Simulation()
    const seen: string[] = []
    simulation.setTimer(1, () => void Promise.resolve().then(() => seen.push('promise')))
    simulation.setTimer(1, () => seen.push('timer'))
    await simulation.advance(1)
    assert.deepEqual(seen, ['promise', 'timer'])
  })

  it('polls machines at their deadlines', () => {
    const simulation = new Simulation()
    const polled: number[] = []
    let deadline: number | undefined = 10
    const poller = new Poller(
      simulation,
      () => deadline,
      (now) => {
        polled.push(now)
        deadline = polled.length < 3 ? now + 10 : undefined
      },
    )
    poller.changed()
    simulation.run(15)
    deadline = 17
    poller.changed()
    simulation.run(100)
    assert.deepEqual(polled, [10, 17, 27])
  })
})

/** Sends `count` datagrams of `size` bytes `every` ms. @returns arrival times by number */
function stream(conditions: DatagramConditions, count = 10_000, size = 100, every = 1, seed = 3) {
  const impairment = new Impairment(conditions, seeded(seed))
  const arrivals: (readonly number[])[] = []
  for (let index = 0; index < count; index++) arrivals.push(impairment.pass(size, index * every))
  return { arrivals, counts: impairment.counts }
}

const near = (value: number, expected: number, tolerance: number) =>
  assert.ok(Math.abs(value - expected) <= tolerance, `${value} is not ${expected}`)

describe('an impaired link for datagrams', () => {
  it('is the same for the same seed', () => {
    const conditions = { loss: 0.1, jitter: 20, duplication: 0.1, reorder: 0.1, burst: { enter: 0.01, leave: 0.3 } }
    assert.deepEqual(stream(conditions), stream(conditions))
    assert.notDeepEqual(stream(conditions), stream(conditions, undefined, undefined, undefined, 4))
  })

  it('loses as many as it should, one by one or in bursts', () => {
    near(stream({ loss: 0.2 }).counts.lost / 10_000, 0.2, 0.02)
    const { arrivals, counts } = stream({ burst: { enter: 0.01, leave: 0.1 } })
    // The share of bad time is enter / (enter + leave), and a burst is 1 / leave long.
    near(counts.lost / 10_000, 0.01 / 0.11, 0.03)
    const bursts = arrivals.filter((times, at) => times.length === 0 && arrivals[at - 1]?.length !== 0).length
    near(counts.lost / bursts, 10, 3)
  })

  it('delays, strays, holds back and repeats', () => {
    const straight = stream({ delay: 30 }, 100).arrivals
    assert.ok(straight.every(([at], index) => at === index + 30))
    const strayed = stream({ delay: 30, jitter: 40 }).arrivals.map(([at = 0], index) => at - index)
    assert.ok(Math.min(...strayed) >= 30 && Math.max(...strayed) <= 70)
    const held = stream({ reorder: 0.1, holdBack: 5 }).arrivals.filter(([at = 0], index) => at > index)
    near(held.length / 10_000, 0.1, 0.02)
    near(stream({ duplication: 0.1 }).counts.duplicated / 10_000, 0.1, 0.02)
  })

  it('carries no more than its rate, and drops what its queue cannot hold', () => {
    const { arrivals, counts } = stream({ rate: 10_000, queue: 2_000, overhead: 0 }, 1_000, 100, 1)
    // 100 bytes a millisecond are ten times the rate: a tenth comes through, and the queue's worth.
    near(counts.delivered, 120, 2)
    assert.equal(counts.overflowed, 1_000 - counts.delivered)
    const times = arrivals.flat()
    assert.ok(times.every((at, index) => index === 0 || at - (times[index - 1] ?? 0) >= 10 - 1e-6))
    assert.ok(times.every((at, index) => at >= (index + 1) * 10 - 1e-6))
    // An idle link takes a datagram that is larger than its queue.
    assert.equal(stream({ rate: 1_000, queue: 10 }, 1).counts.delivered, 1)
  })

  it('drops what is larger than its MTU, and everything during outages', () => {
    assert.equal(stream({ mtu: 576 }, 10, 549).counts.tooLarge, 10)
    assert.equal(stream({ mtu: 576 }, 10, 548).counts.delivered, 10)
    const { arrivals } = stream({ outages: [{ at: 100, duration: 50, every: 300 }] }, 700)
    const dead = arrivals.flatMap((times, index) => (times.length === 0 ? [index] : []))
    assert.deepEqual([dead.length, dead[0], dead[49], dead[50], dead.at(-1)], [100, 100, 149, 400, 449])
  })
})

describe('simulated datagrams', () => {
  it('go both ways between a cloud and devices behind a NAT, which forgets', () => {
    const simulation = new Simulation()
    const network = new SimulatedDatagrams(simulation)
    const heard: string[] = []
    const server = network.listen((bytes, from) => {
      heard.push(`${Buffer.from(bytes)} ${from}`)
      server.send(Buffer.from(`re: ${Buffer.from(bytes)}`), from)
    })
    const answers: string[] = []
    const device = network.connect({ up: { delay: 10 }, down: { delay: 20 } }, (bytes) =>
      answers.push(`${Buffer.from(bytes)} ${simulation.now()}`),
    )
    const first = device.address
    device.send(Buffer.from('a'))
    simulation.run(100)
    assert.deepEqual(answers, ['re: a 30'])
    device.rebind()
    server.send(Buffer.from('to nobody'), first)
    device.send(Buffer.from('b'))
    simulation.run(100)
    assert.deepEqual(answers, ['re: a 30', 're: b 130'])
    assert.notEqual(device.address, first)
    assert.deepEqual(heard, [`a ${first}`, `b ${device.address}`])
    device.down.down = true
    device.send(Buffer.from('c'))
    simulation.run(100)
    assert.equal(answers.length, 2)
    assert.equal(device.down.counts.duringOutage, 1)
    server.close()
    device.send(Buffer.from('d'))
    device.close()
    simulation.run(100)
    assert.equal(heard.length, 3)
  })
})

const streamConditions = fc.record({
  delay: fc.nat(200),
  jitter: fc.nat(100),
  rate: fc.integer({ min: 500, max: 100_000 }),
  segment: fc.integer({ min: 1, max: 1_400 }),
  ragged: fc.boolean(),
  stall: fc.record({ probability: fc.double({ min: 0, max: 0.2, noNaN: true }), duration: fc.nat(1_000) }),
  outages: fc.array(fc.record({ at: fc.nat(2_000), duration: fc.nat(500) }), { maxLength: 2 }),
})

describe('an impaired stream', () => {
  it('keeps every byte and the order, whatever happens', () => {
    fc.assert(
      fc.property(
        streamConditions,
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 3_000 }), { maxLength: 10 }),
        fc.integer(),
        (conditions, writes, seed) => {
          const shaper = new StreamShaper(conditions, seeded(seed))
          const segments = writes.flatMap((bytes, index) => shaper.pass(bytes, index * 100).segments)
          assert.deepEqual(Buffer.concat(segments.map(({ bytes }) => bytes)), Buffer.concat(writes))
          assert.ok(segments.every(({ at }, index) => at >= (segments[index - 1]?.at ?? 0)))
          const last = segments.at(-1)
          assert.ok(!last || last.at >= (shaper.bytes * 1000) / conditions.rate + conditions.delay - 1)
        },
      ),
      { numRuns: runs },
    )
  })

  it('breaks at any byte', () => {
    fc.assert(
      fc.property(fc.nat(5_000), fc.array(fc.integer({ min: 1, max: 2_000 }), { maxLength: 5 }), (cutAfter, sizes) => {
        const shaper = new StreamShaper({ cutAfter, delay: 10 }, seeded(1))
        const shaped = sizes.map((size) => shaper.pass(new Uint8Array(size), 0))
        const total = sizes.reduce((sum, size) => sum + size, 0)
        assert.equal(shaper.bytes, Math.min(total, cutAfter))
        assert.equal(
          shaped.some(({ cutAt }) => cutAt !== undefined),
          sizes.length > 0 && total >= cutAfter,
        )
      }),
      { numRuns: runs },
    )
  })
})

describe('simulated streams', () => {
  const note = (log: string[], who: string, simulation: Simulation): StreamHandlers => ({
    open: () => log.push(`${who} open ${simulation.now()}`),
    data: (bytes) => log.push(`${who} ${Buffer.from(bytes)} ${simulation.now()}`),
    closed: (error) => log.push(`${who} closed ${error?.message} ${simulation.now()}`),
  })
  const conditions = { up: { delay: 10 }, down: { delay: 20 } }

  it('connect, talk and close in order', () => {
    const simulation = new Simulation()
    const streams = new SimulatedStreams(simulation)
    const log: string[] = []
    streams.listen((socket) => {
      socket.write(Buffer.from('hi'))
      return note(log, 'cloud', simulation)
    })
    const socket = streams.connect(conditions, note(log, 'device', simulation))
    simulation.run(40)
    socket.write(Buffer.from('there'))
    simulation.run(60)
    socket.write(Buffer.from('last'))
    socket.end()
    simulation.run(100)
    assert.deepEqual(log, [
      'device open 30',
      'device hi 50',
      'cloud there 50',
      'cloud last 110',
      'device closed undefined 110',
      'cloud closed undefined 110',
    ])
  })

  it('are refused while nobody listens, and break for both', () => {
    const simulation = new Simulation()
    const streams = new SimulatedStreams(simulation)
    const log: string[] = []
    streams.connect(conditions, note(log, 'a', simulation))
    simulation.run(50)
    streams.listen(() => note(log, 'cloud', simulation))
    const broken: StreamConditions = { delay: 10, cutAfter: 3 }
    streams.connect({ ...conditions, up: broken }, note(log, 'b', simulation)).write(Buffer.from('12345'))
    streams.connect(conditions, note(log, 'c', simulation))
    simulation.run(50)
    streams.cut()
    assert.deepEqual(log, [
      'a closed connection refused 30',
      'b closed connection reset 60',
      'c open 80',
      'c closed connection reset 100',
      'cloud closed connection reset 100',
    ])
  })

  it('tell how much waits for the link', () => {
    const simulation = new Simulation()
    const streams = new SimulatedStreams(simulation)
    streams.listen(() => note([], 'cloud', simulation))
    const socket = streams.connect({ up: { rate: 1_000 }, down: {} }, note([], 'device', simulation))
    simulation.run(1)
    socket.write(new Uint8Array(500))
    assert.equal(socket.buffered, 500)
    simulation.run(100)
    assert.equal(Math.round(socket.buffered), 400)
    socket.destroy()
  })
})
