import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import fc from 'fast-check'
import type { Clock } from '../clock.ts'
import { openStore, type Store } from '../store/store.ts'
import type { CloudEvent } from './event.ts'
import { decodeGroup, encodeGroup } from './event-group.ts'
import { EventLog, type EventLogLimits } from './event-log.ts'

const event = (n: number, more: Partial<CloudEvent> = {}): CloudEvent => ({
  name: `e${n}`,
  data: String(n),
  ttl: 60,
  publishedAt: n,
  coreid: 'api',
  owner: 'alice',
  ...more,
})
const anything = (): boolean => true

/** Time that passes when it is told to. */
class FakeClock implements Clock {
  time = 1_000_000
  readonly timers = new Set<() => void>()
  /** Of the last timer. */
  delay = 0
  now(): number {
    return this.time
  }
  setTimeout(callback: () => void, ms: number): unknown {
    this.delay = ms
    this.timers.add(callback)
    return callback
  }
  clearTimeout(timer: unknown): void {
    this.timers.delete(timer as () => void)
  }
  ring(): void {
    const due = [...this.timers]
    this.timers.clear()
    for (const callback of due) callback()
  }
}

describe('a group of events', () => {
  it('comes back as it was, but for what only devices take', () => {
    const text = fc.string({ unit: 'binary' }).map((value) => value.toWellFormed())
    const any = fc.record(
      {
        name: text,
        data: fc.option(text),
        ttl: fc.nat(),
        publishedAt: fc.nat(),
        coreid: text.filter((value) => value !== ''),
        deviceId: text.filter((value) => value !== ''),
        owner: text,
        productId: fc.nat(),
        version: fc.nat(),
      },
      { requiredKeys: ['name', 'data', 'ttl', 'publishedAt', 'coreid'], noNullPrototype: true },
    )
    fc.assert(
      fc.property(fc.array(any), (events) => {
        assert.deepEqual(decodeGroup(encodeGroup(events as CloudEvent[])), events)
      }),
    )
    const [back] = decodeGroup(encodeGroup([event(1, { contentType: 42, raw: new Uint8Array(3) })]))
    assert.deepEqual(back, event(1))
  })
})

describe('the event log', () => {
  let folder: string
  let store: Store
  let clock: FakeClock
  let log: EventLog
  const errors: unknown[] = []

  const open = async (limits: Partial<EventLogLimits> = {}): Promise<void> => {
    store = await openStore(folder)
    log = await EventLog.open({ store, clock, limits, onError: (error) => errors.push(error) })
  }
  const restart = async (how: 'closed' | 'killed', limits: Partial<EventLogLimits> = {}): Promise<void> => {
    if (how === 'closed') await log.close()
    await store.close()
    await open(limits)
  }
  /** All that comes after an id, page by page. */
  const after = (id: number, wanted: (event: CloudEvent) => boolean = anything) => {
    const names: string[] = []
    const ids: number[] = []
    let gap = false
    for (let at = id; ; ) {
      const page = log.read(at, wanted)
      names.push(...page.events.map((logged) => logged.event.name))
      ids.push(...page.events.map((logged) => logged.id))
      gap ||= page.gap
      at = page.through
      if (page.complete) return { names, ids, gap }
    }
  }

  beforeEach(async () => {
    errors.length = 0
    folder = mkdtempSync(join(tmpdir(), 'aloe-event-log-'))
    clock = new FakeClock()
    await open()
  })
  afterEach(async () => {
    await store.close()
    rmSync(folder, { recursive: true })
    assert.deepEqual(errors, [])
  })

  it('gives every event an id greater than all before, also in the next process', async () => {
    const ids = [1, 2, 3].map((n) => log.append(event(n)))
    assert.deepEqual(
      ids.map((id) => id - (ids[0] ?? 0)),
      [0, 1, 2],
    )
    clock.time -= 60_000
    await restart('closed')
    assert.ok(log.append(event(4)) > (ids[2] ?? 0))
    await restart('killed')
    assert.ok(log.append(event(5)) > (ids[2] ?? 0) + 1)
  })

  it('has what came after an id, sealed or not', () => {
    const start = log.lastId
    const first = log.append(event(1))
    log.append(event(2))
    clock.ring()
    log.append(event(3))
    assert.deepEqual(after(first), { names: ['e2', 'e3'], ids: [first + 1, first + 2], gap: false })
    assert.deepEqual(after(start).names, ['e1', 'e2', 'e3'])
    assert.deepEqual(after(log.lastId), { names: [], ids: [], gap: false })
    assert.deepEqual(after(first, ({ name }) => name === 'e3').names, ['e3'])
  })

  it('has it after a restart too', async () => {
    const first = log.append(event(1))
    log.append(event(2))
    clock.ring()
    log.append(event(3))
    await restart('closed')
    assert.deepEqual(after(first), { names: ['e2', 'e3'], ids: [first + 1, first + 2], gap: false })
    await restart('closed')
    log.append(event(4))
    assert.deepEqual(after(first).names, ['e2', 'e3', 'e4'])
    assert.equal(after(first).gap, false)
  })

  it('says after a kill that something may be missing, where it may be', async () => {
    const first = log.append(event(1))
    clock.ring()
    while (log.uncommitted > 0) await new Promise((resolve) => setImmediate(resolve))
    const lost = log.append(event(2))
    await restart('killed')
    const found = after(first - 1)
    assert.deepEqual([found.names, found.gap], [['e1'], true])
    assert.equal(after(lost).gap, true)
    const next = log.append(event(3))
    assert.deepEqual(after(next - 1), { names: ['e3'], ids: [next], gap: false })
    await restart('closed')
    assert.equal(after(first).gap, true)
    assert.equal(after(next).gap, false)
  })

  it('keeps no more events, bytes and hours than it may, and says when more is asked for', async () => {
    await restart('closed', { count: 10 })
    const start = log.lastId
    for (let n = 1; n <= 30; n++) {
      log.append(event(n))
      if (n % 3 === 0) clock.ring()
    }
    assert.equal(log.size, 9)
    assert.deepEqual(after(start), {
      names: ['e22', 'e23', 'e24', 'e25', 'e26', 'e27', 'e28', 'e29', 'e30'],
      ids: Array.from({ length: 9 }, (_, i) => start + 22 + i),
      gap: true,
    })
    assert.equal(after(start + 21).gap, false)
    assert.equal(after(start + 20).gap, true)
    await restart('closed', { count: 10 })
    assert.equal(log.size, 9)

    await restart('closed', { bytes: 50_000 })
    for (let n = 0; n < 20; n++) {
      log.append(event(n, { data: 'x'.repeat(9_000) }))
      clock.ring()
    }
    assert.ok(log.bytes <= 50_000 && log.size > 2, `${log.bytes}`)
    const old = log.append(event(99))

    await restart('closed', { age: 1_000 })
    clock.time += 2_000
    log.append(event(1))
    clock.ring()
    assert.deepEqual(after(old).names, ['e1'])
    assert.equal(after(old - 1).gap, true)
    await log.close()
    const rows = await store.db.selectFrom('event_log').select('count').execute()
    assert.equal(rows.length, 1)
  })

  it('seals early what is large, so that no page takes long', () => {
    const start = log.lastId
    for (let n = 0; n < 40; n++) log.append(event(n, { data: 'x'.repeat(16_000) }))
    assert.ok(log.read(start, anything).events.length < 20)
    assert.equal(after(start).names.length, 40)
  })

  it('commits within 50 ms, and less often when the disk is slow', async () => {
    log.append(event(1))
    assert.equal(clock.delay, 50)
    const { now } = clock
    clock.now = () => {
      clock.time += 30
      return clock.time
    }
    clock.ring()
    while (log.uncommitted > 0) await new Promise((resolve) => setImmediate(resolve))
    clock.now = now
    log.append(event(2))
    assert.ok(clock.delay >= 4 * 30, `${clock.delay}`)
  })

  it('goes on without the store, and writes when it can again', async () => {
    const { db } = store
    await db.schema.alterTable('event_log').renameTo('away').execute()
    const first = log.append(event(1))
    clock.ring()
    while (errors.length === 0) await new Promise((resolve) => setImmediate(resolve))
    errors.length = 0
    assert.deepEqual(after(first - 1).names, ['e1'])
    await db.schema.alterTable('away').renameTo('event_log').execute()
    log.append(event(2))
    await restart('closed')
    assert.deepEqual(after(first - 1), { names: ['e1', 'e2'], ids: [first, first + 1], gap: false })
  })
})
