/** A thousand clients of one event source, and bad readers among them. */
import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { CloudEvent } from '../events/event.ts'
import { type ApiFixture, startApi } from './api-fixture.ts'
import type { CrowdOrder, CrowdQuestion } from './stream-crowd.ts'

const id = '422b00000000000000000001'
const path = '/v1/devices/events'
setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const end = Date.now() + 60_000
  while (!(await condition())) {
    assert.ok(Date.now() < end, `never: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

describe('a thousand event streams', () => {
  let api: ApiFixture
  let crowd: ChildProcess
  const event = (n: number, data: string): CloudEvent => ({
    name: `n${n}`,
    data,
    ttl: 60,
    publishedAt: 0,
    coreid: id,
    deviceId: id,
    owner: api.user.id,
  })
  const port = (): number => Number(new URL(api.url).port)
  const gather = (count: number): ChildProcess => {
    const child = fork(fileURLToPath(new URL('./stream-crowd.ts', import.meta.url)))
    child.send({ port: port(), token: api.token, path, count } satisfies CrowdOrder)
    return child
  }
  async function ask(question: CrowdQuestion): Promise<number> {
    const answer = once(crowd, 'message')
    crowd.send(question)
    return Number((await answer)[0])
  }
  async function slowReader(): Promise<Socket> {
    const socket = connect(port(), '127.0.0.1')
    socket.on('error', () => undefined)
    socket.write(`GET ${path} HTTP/1.1\r\nHost: aloe\r\nAuthorization: Bearer ${api.token}\r\n\r\n`)
    await once(socket, 'data')
    socket.pause()
    return socket
  }
  /** @returns whether the slow reader is still there */
  async function fill(events: number): Promise<boolean> {
    for (let i = 0; i < events; i++) {
      api.bus.publish(event(0, 'x'.repeat(16_000)))
      if (i % 8 === 0) await nextTurn()
    }
    await nextTurn()
    return api.streams.size === 1
  }
  before(async () => {
    api = await startApi()
  })
  after(async () => {
    crowd?.kill('SIGKILL')
    await api.close()
  })

  it('all get every event, whatever a slow reader among them does, which costs no memory and is dropped', async () => {
    // How much the system itself takes for a reader that does not read, the connection's buffers full.
    const first = await slowReader()
    let taken = 0
    for (; api.streams.size === 1; taken++) {
      api.bus.publish(event(0, 'x'.repeat(16_000)))
      if (taken % 8 === 0) await nextTurn()
      assert.ok(taken < 5_000, 'the slow one was never dropped')
    }
    first.destroy()
    // Another is filled up nearly as far, before there are a thousand others to be written to as well.
    let slow = await slowReader()
    for (let share = 0.85; !(await fill(taken * share)); share -= 0.2) slow = await slowReader()
    const { dropped } = api.streams.statistics()

    crowd = gather(1_000)
    await until(async () => (await ask('fewest')) === 0, 'all are open')
    const data = 'x'.repeat(4_000)
    let sent = 0
    const round = async (): Promise<number> => {
      for (let i = 0; i < 8; i++) api.bus.publish(event(sent++, data))
      await until(async () => (await ask('fewest')) === sent, `${sent} events everywhere`)
      collectGarbage()
      return process.memoryUsage().arrayBuffers
    }
    const start = await round()
    let highest = start
    while (api.streams.size === 1_001) {
      highest = Math.max(highest, await round())
      assert.ok(sent < 5_000, 'the slow one was never dropped')
    }
    // What waits for the slow one is bounded (256 KiB here), and in memory once; the replay log has every event once.
    const growth = highest - start
    assert.ok(growth < 256 * 1024 + sent * 4_500 + 2 * 1024 * 1024, `${growth} bytes for ${sent} events`)
    assert.deepEqual(api.streams.statistics().dropped, { slow: dropped.slow + 1, stalled: 0 })
    assert.equal(api.streams.size, 1_000)
    await round()
    slow.destroy()
  })

  it('are noticed when they go: closed, half closed, reset, or their process killed', async () => {
    await ask({ leave: 300 })
    await until(() => api.streams.size === 700, '300 are gone')
    crowd.kill('SIGKILL')
    await until(() => api.streams.size === 0, 'all are gone with their process')
  })
})
