import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import fc from 'fast-check'
import { type Bus, createLocalBus } from '../bus/bus.ts'
import type { CloudEvent } from './event.ts'
import { EventStreams, type StreamFilter, type StreamSink } from './event-streams.ts'
import { frameEvent, frameProductEvent } from './framing.ts'

const deviceId = '422b00000000000000000001'
const event = (more: Partial<CloudEvent> = {}): CloudEvent => ({
  name: 'temp',
  data: '25.34',
  ttl: 60,
  publishedAt: Date.UTC(2024, 4, 13, 10, 55, 2, 520),
  coreid: deviceId,
  deviceId,
  owner: 'alice',
  ...more,
})
const mine: StreamFilter = { kind: 'owner', ownerId: 'alice', prefix: '' }

class FakeSink implements StreamSink {
  readonly chunks: (Uint8Array | string)[] = []
  writableLength = 0
  bytesWritten = 0
  destroyed = false
  write(chunk: Uint8Array | string): boolean {
    this.chunks.push(chunk)
    this.bytesWritten += Buffer.byteLength(chunk)
    return true
  }
  destroy(): void {
    this.destroyed = true
  }
  get text(): string {
    return this.chunks.map((chunk) => Buffer.from(chunk).toString()).join('')
  }
}

describe('the frame of an event', () => {
  it('has the name in its own line and the keys in their order', () => {
    assert.equal(
      frameEvent(event()),
      `event: temp\ndata: {"data":"25.34","ttl":60,"published_at":"2024-05-13T10:55:02.520Z","coreid":"${deviceId}"}\n\n`,
    )
    assert.match(frameEvent(event({ data: null })), /"data":null,/)
  })

  it('says more on product streams', () => {
    assert.equal(
      frameProductEvent(event({ productId: 30301, version: 1, data: '{"t":19}' })),
      `event: temp\ndata: {"data":"{\\"t\\":19}","ttl":60,"published_at":"2024-05-13T10:55:02.520Z","coreid":"${deviceId}","userid":"alice","version":1,"public":false,"productID":30301}\n\n`,
    )
  })

  it('has the id of the event as its last line, when it has one', () => {
    fc.assert(
      fc.property(fc.oneof(fc.nat(3_000), fc.maxSafeNat()), (id) => {
        assert.equal(frameEvent(event(), id).split('\n')[2], `id: ${id}`)
      }),
    )
  })

  it('is three lines and valid JSON whatever name and data are', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (name, data) => {
        const lines = frameEvent(event({ name, data })).split(/\r\n|\r|\n/)
        assert.equal(lines.length, 4)
        const json = JSON.parse(lines[1]?.slice('data: '.length) ?? '')
        assert.equal(json.data, data)
      }),
    )
  })
})

describe('event streams', () => {
  let bus: Bus
  let streams: EventStreams
  const dropped: StreamFilter[] = []
  const shown = async (filter: StreamFilter, events: CloudEvent[]): Promise<number> => {
    const sink = new FakeSink()
    const leave = streams.open(filter, sink)
    for (const each of events) bus.publish(each)
    await nextTurn()
    leave()
    return sink.text.split('event: ').length - 1
  }

  beforeEach(() => {
    dropped.length = 0
    bus = createLocalBus((error) => {
      throw error
    })
    streams = new EventStreams({ bus, bufferLimit: 1_000, onDropped: (filter) => dropped.push(filter) })
  })
  afterEach(() => streams.close())

  it('open with a comment, at once', () => {
    const sink = new FakeSink()
    streams.open(mine, sink)
    assert.equal(sink.text, ':ok\n\n')
  })

  it('show an owner the events of the owner, by prefix, in their case', async () => {
    const events = [event(), event({ name: 'temperature' }), event({ name: 'Temp' }), event({ owner: 'bob' })]
    assert.equal(await shown(mine, events), 3)
    assert.equal(await shown({ ...mine, prefix: 'temp' }, events), 2)
    assert.equal(await shown({ ...mine, prefix: 'tempe' }, events), 1)
    assert.equal(await shown({ ...mine, prefix: 'x' }, events), 0)
    const { owner: _, ...unowned } = event()
    assert.equal(await shown(mine, [unowned]), 0)
  })

  it('show a device’s events only while they are the owner’s', async () => {
    const filter: StreamFilter = { kind: 'device', ownerId: 'alice', deviceId, prefix: '' }
    const { deviceId: _, ...published } = event({ coreid: 'api' })
    assert.equal(await shown(filter, [event(), event({ owner: 'bob' }), published]), 1)
    assert.equal(await shown({ ...filter, prefix: 'no' }, [event()]), 0)
  })

  it('show a product’s events in the product’s form', async () => {
    const sink = new FakeSink()
    streams.open({ kind: 'product', productId: 7, prefix: 'te' }, sink)
    bus.publish(event({ productId: 7 }))
    bus.publish(event({ productId: 8 }))
    await nextTurn()
    assert.equal(sink.text, `:ok\n\n${frameProductEvent(event({ productId: 7 }))}`)
  })

  it('share one buffer for all events of a turn and all clients of a filter', async () => {
    const sinks = [new FakeSink(), new FakeSink()]
    for (const sink of sinks) streams.open(mine, sink)
    for (let i = 0; i < 5; i++) bus.publish(event({ data: String(i) }))
    await nextTurn()
    assert.equal(sinks[0]?.chunks.length, 2)
    assert.equal(sinks[0]?.chunks[1], sinks[1]?.chunks[1])
  })

  it('do not show a client what was published before it came', async () => {
    const first = new FakeSink()
    const second = new FakeSink()
    streams.open(mine, first)
    bus.publish(event())
    streams.open(mine, second)
    await nextTurn()
    assert.match(first.text, /temp/)
    assert.equal(second.text, ':ok\n\n')
  })

  it('drop a client that does not read, and nobody else', async () => {
    const slow = new FakeSink()
    const quick = new FakeSink()
    streams.open(mine, slow)
    streams.open(mine, quick)
    slow.writableLength = 990
    bus.publish(event())
    await nextTurn()
    assert.equal(slow.destroyed, true)
    assert.equal(quick.destroyed, false)
    assert.match(quick.text, /temp/)
    assert.deepEqual(dropped, [mine])
    assert.equal(streams.size, 1)
  })

  it('keep quiet streams alive', async () => {
    const beating = new EventStreams({ bus, heartbeatEvery: 5 })
    const sink = new FakeSink()
    beating.open(mine, sink)
    while (!sink.text.endsWith('\n\n\n\n')) await new Promise((resolve) => setTimeout(resolve, 5))
    assert.match(sink.text, /^:ok\n\n\n+$/)
    beating.close()
  })

  it('drop a client that takes nothing of what waits for it, and leave one that reads slowly', async () => {
    const beating = new EventStreams({
      bus,
      heartbeatEvery: 5,
      stalledAfter: 15,
      onDropped: (filter) => dropped.push(filter),
    })
    const [hung, slow, quick] = [new FakeSink(), new FakeSink(), new FakeSink()]
    for (const sink of [hung, slow, quick]) beating.open(mine, sink)
    hung.writableLength = 100
    hung.write = (chunk) => {
      hung.writableLength += Buffer.byteLength(chunk)
      hung.bytesWritten += Buffer.byteLength(chunk)
      return false
    }
    // It takes something every time, and yet more and more waits for it.
    slow.write = (chunk) => {
      slow.writableLength += 1
      slow.bytesWritten += Buffer.byteLength(chunk) + 1
      return false
    }
    while (!hung.destroyed) await new Promise((resolve) => setTimeout(resolve, 5))
    assert.deepEqual([slow.destroyed, quick.destroyed], [false, false])
    assert.deepEqual(dropped, [mine])
    assert.deepEqual(beating.statistics().dropped, { slow: 0, stalled: 1 })
    beating.close()
  })

  it('bound what waits for all clients together: those furthest behind go first', async () => {
    const bounded = new EventStreams({ bus, bufferLimit: 64 * 1024 * 1024, totalLimit: 20 * 1024 * 1024 })
    const sinks = ['a', 'b', 'c'].map((prefix) => {
      const sink = new FakeSink()
      bounded.open({ ...mine, prefix }, sink)
      return sink
    })
    const [worst, bad, good] = sinks as [FakeSink, FakeSink, FakeSink]
    worst.writableLength = 16 * 1024 * 1024
    bad.writableLength = 6 * 1024 * 1024
    const data = 'x'.repeat(16_000)
    for (let i = 0; i < 600; i++) bus.publish(event({ name: 'c', data }))
    await nextTurn()
    assert.deepEqual(
      [worst, bad, good].map(({ destroyed }) => destroyed),
      [true, false, false],
    )
    bounded.close()
  })

  it('beat often enough for every client', async (t) => {
    // particle-api-js gives up after 15 s of silence (cloud-api.md 1.4).
    t.mock.timers.enable({ apis: ['setInterval'] })
    const sink = new FakeSink()
    const beating = new EventStreams({ bus })
    beating.open(mine, sink)
    for (let beats = 1; beats <= 10; beats++) {
      const before = sink.chunks.length
      t.mock.timers.tick(14_000)
      assert.ok(sink.chunks.length > before)
    }
    beating.close()
  })

  it('end when they are told to, and leave nothing behind', async () => {
    const sink = new FakeSink()
    streams.open(mine, sink)
    const leave = streams.open({ ...mine, prefix: 'x' }, new FakeSink())
    leave()
    leave()
    assert.equal(streams.size, 1)
    streams.end((filter) => filter.kind === 'owner' && filter.ownerId === 'alice')
    assert.equal(sink.destroyed, true)
    assert.equal(streams.size, 0)
    bus.publish(event())
    await nextTurn()
    assert.equal(sink.text, ':ok\n\n')
  })
})
