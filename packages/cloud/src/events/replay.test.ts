import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import fc from 'fast-check'
import { type Bus, createLocalBus } from '../bus/bus.ts'
import { openStore, type Store } from '../store/store.ts'
import type { CloudEvent } from './event.ts'
import { EventLog } from './event-log.ts'
import { EventStreams, type StreamSink } from './event-streams.ts'
import { gapEventName } from './framing.ts'
import type { StreamFilter } from './stream-filter.ts'

const event = (more: Partial<CloudEvent> = {}): CloudEvent => ({
  name: 'temp',
  data: 'x',
  ttl: 60,
  publishedAt: 0,
  coreid: 'd1',
  deviceId: 'd1',
  owner: 'alice',
  ...more,
})
const mine: StreamFilter = { kind: 'owner', ownerId: 'alice', prefix: '' }

class Sink implements StreamSink {
  text = ''
  writableLength = 0
  bytesWritten = 0
  destroyed = false
  write(chunk: Uint8Array | string): boolean {
    this.text += Buffer.from(chunk).toString()
    return true
  }
  destroy(): void {
    this.destroyed = true
  }
  /** Data of the events, in their order. */
  get events(): string[] {
    return [...this.text.matchAll(/^data: (.*)$/gm)].map(([, json = '']) => JSON.parse(json).data)
  }
  /** As an EventSource would send it. */
  get lastEventId(): string {
    return [...this.text.matchAll(/^id: (\d+)$/gm)].at(-1)?.[1] ?? ''
  }
  get gap(): boolean {
    return this.text.includes(`event: ${gapEventName}\n`)
  }
}

const fail = (error: unknown): never => {
  throw error
}

describe('a client that comes back', () => {
  let store: Store
  let bus: Bus
  let log: EventLog
  let streams: EventStreams
  const caughtUp = async (sink: Sink): Promise<void> => {
    while (!sink.text.includes(':caught up')) await nextTurn()
  }

  beforeEach(async () => {
    store = await openStore()
    bus = createLocalBus(fail)
    log = await EventLog.open({ store, onError: fail, commitAfter: 5 })
    streams = new EventStreams({ bus, log })
  })
  afterEach(async () => {
    streams.close()
    await log.close()
    await store.close()
  })

  it('gets what it missed and then what happens, each once and in order', async () => {
    const first = new Sink()
    const leave = streams.open(mine, first)
    bus.publish(event({ data: '1' }))
    bus.publish(event({ data: '2' }))
    await nextTurn()
    leave()
    for (const data of ['3', '4']) bus.publish(event({ data }))
    await new Promise((resolve) => setTimeout(resolve, 20))
    for (const data of ['5', '6']) bus.publish(event({ data }))

    const second = new Sink()
    streams.open(mine, second, first.lastEventId)
    bus.publish(event({ data: '7' }))
    await caughtUp(second)
    bus.publish(event({ data: '8' }))
    await nextTurn()
    assert.deepEqual([...first.events, ...second.events], ['1', '2', '3', '4', '5', '6', '7', '8'])
    assert.equal(second.gap, false)
    assert.match(second.text, /^:ok\n\n/)
    assert.equal(streams.statistics().replayed, 1)
  })

  it('gets nothing twice when others are served in the same turn', async () => {
    const other = new Sink()
    streams.open(mine, other)
    bus.publish(event({ data: '1' }))
    const sink = new Sink()
    streams.open(mine, sink, String(log.lastId - 1))
    await nextTurn()
    assert.deepEqual(other.events, ['1'])
    assert.deepEqual(sink.events, ['1'])
  })

  it('is told when more was missed than is kept, or when its id means nothing', async () => {
    for (const id of ['1', 'x', '', '-1', '1e3', String(log.lastId + 1_000)]) {
      const sink = new Sink()
      streams.open(mine, sink, id)
      await caughtUp(sink)
      assert.equal(sink.gap, true, id)
      assert.equal(sink.lastEventId, '', 'the telling has no id of its own')
    }
    const sink = new Sink()
    streams.open(mine, sink, String(log.lastId))
    assert.equal(sink.gap, false)
  })

  it('is not waited for: one that does not read holds nothing up, and reads on when it can', async () => {
    for (let i = 0; i < 200; i++) bus.publish(event({ data: `${i} ${'x'.repeat(10_000)}` }))
    const sink = new Sink()
    sink.writableLength = 10_000_000
    streams.open(mine, sink, String(log.lastId - 200))
    const live = new Sink()
    streams.open(mine, live)
    bus.publish(event({ data: '200 ' }))
    await nextTurn()
    assert.equal(sink.text, ':ok\n\n')
    assert.deepEqual(live.events, ['200 '])
    assert.equal(streams.size, 2)
    sink.writableLength = 0
    await caughtUp(sink)
    assert.deepEqual(
      sink.events.map((data) => Number(data.split(' ')[0])),
      Array.from({ length: 201 }, (_, i) => i),
    )
  })

  it('can leave, or be sent away, in the middle', async () => {
    for (let i = 0; i < 100; i++) bus.publish(event({ data: 'x'.repeat(10_000) }))
    const [one, two] = [new Sink(), new Sink()]
    const leave = streams.open(mine, one, String(log.lastId - 100))
    streams.open(mine, two, String(log.lastId - 100))
    leave()
    streams.end(({ kind }) => kind === 'owner')
    assert.equal(two.destroyed, true)
    assert.equal(streams.size, 0)
    const length = one.text.length
    bus.publish(event())
    await nextTurn()
    assert.equal(one.text.length, length)
  })

  it('is shown exactly what the live stream showed', async () => {
    const some = <T>(...values: T[]) => fc.constantFrom(...values)
    const anEvent = fc.record({
      name: some('a', 'ab', 'b'),
      deviceId: some('d1', 'd2', undefined),
      owner: some('alice', 'bob', undefined),
      productId: some(1, 2, undefined),
    })
    const aFilter: fc.Arbitrary<StreamFilter> = fc.oneof(
      fc.record({ kind: some('owner' as const), ownerId: some('alice', 'bob'), prefix: some('', 'a', 'ab') }),
      fc.record({
        kind: some('device' as const),
        ownerId: some('alice', 'bob'),
        deviceId: some('d1', 'd2'),
        prefix: some('', 'b'),
      }),
      fc.record(
        {
          kind: some('product' as const),
          productId: some(1, 2),
          of: some<'devices' | { deviceId: string }>('devices', { deviceId: 'd1' }),
          prefix: some('', 'a'),
        },
        { requiredKeys: ['kind', 'productId', 'prefix'] },
      ),
    )
    await fc.assert(
      fc.asyncProperty(aFilter, fc.array(anEvent, { maxLength: 30 }), fc.nat(30), async (filter, events, cut) => {
        const start = log.lastId
        const live = new Sink()
        const leave = streams.open(filter, live)
        events.forEach((each, index) => {
          if (index === cut) log.read(0, () => false)
          const { name, ...rest } = each
          const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined))
          bus.publish({ name, data: 'x', ttl: 60, publishedAt: 0, coreid: 'api', ...given })
        })
        await nextTurn()
        const late = new Sink()
        const leaveLate = streams.open(filter, late, String(start))
        await caughtUp(late)
        leave()
        leaveLate()
        assert.equal(late.text.replace(':caught up\n\n', ''), live.text)
      }),
      { numRuns: 60 },
    )
  })
})
