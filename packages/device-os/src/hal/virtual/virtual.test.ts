import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { PinBank } from '../pins.ts'
import { VirtualClock } from './virtual-clock.ts'
import { VirtualHal } from './virtual-hal.ts'
import { VirtualNetwork } from './virtual-network.ts'

describe('the virtual clock', () => {
  it('runs timers at their own time, in order, also those that timers set', async () => {
    const clock = new VirtualClock(100)
    const seen: [string, number][] = []
    const note = (name: string) => seen.push([name, clock.now()])
    clock.setTimer(20, () => note('b'))
    clock.setTimer(10, () => {
      note('a')
      clock.setTimer(5, () => note('a2'))
    })
    clock.setTimer(20, () => note('c'))
    const cancelled = clock.setTimer(1, () => note('never'))
    cancelled.cancel()
    await clock.advance(30)
    assert.deepEqual(seen, [
      ['a', 110],
      ['a2', 115],
      ['b', 120],
      ['c', 120],
    ])
    assert.equal(clock.now(), 130)
  })

  it('lets promises go on between timers', async () => {
    const clock = new VirtualClock()
    const wait = (ms: number) => new Promise<void>((resolve) => clock.setTimer(ms, resolve))
    let loops = 0
    const run = async () => {
      for (;;) {
        await wait(10)
        loops += 1
      }
    }
    run().catch(() => {})
    await clock.advance(1_000)
    assert.equal(loops, 100)
  })
})

describe('the virtual network', () => {
  const set = () => {
    const network = new VirtualNetwork()
    const log: string[] = []
    network.listen(1, (socket) => {
      log.push('server open')
      return {
        data: (bytes) => {
          log.push(`server ${Buffer.from(bytes)}`)
          socket.write(Buffer.from('pong'))
        },
        closed: () => log.push('server closed'),
      }
    })
    const connect = (port: number) =>
      network.connect(port, {
        open: () => log.push('open'),
        data: (bytes) => log.push(`client ${Buffer.from(bytes)}`),
        closed: (error) => log.push(`closed ${error?.message ?? ''}`),
      })
    return { network, log, connect, settle: () => new Promise((resolve) => setImmediate(resolve)) }
  }

  it('carries bytes both ways and closes both ends', async () => {
    const { log, connect, settle } = set()
    const socket = connect(1)
    await settle()
    socket.write(Buffer.from('ping'))
    socket.end()
    await settle()
    assert.deepEqual(log, ['open', 'server open', 'server ping', 'server closed', 'closed '])
  })

  it('refuses where nobody listens, and while it is down', async () => {
    const { network, log, connect, settle } = set()
    connect(2)
    network.up = false
    connect(1)
    await settle()
    assert.equal(log.length, 2)
    assert.ok(log.every((line) => line.startsWith('closed connection refused')))
  })

  it('cuts all connections', async () => {
    const { network, log, connect, settle } = set()
    connect(1)
    await settle()
    network.cut()
    assert.deepEqual(log.slice(2), ['server closed', 'closed connection reset'])
  })
})

describe('the virtual HAL and its pins', () => {
  it('knows the time once it is told', async () => {
    const clock = new VirtualClock()
    const hal = new VirtualHal({
      clock,
      connectTcp: (_host, port, handlers) => new VirtualNetwork().connect(port, handlers),
    })
    assert.equal(hal.unixTime(), undefined)
    hal.setUnixTime(1_000)
    await clock.advance(2_500)
    assert.equal(hal.unixTime(), 1_002.5)
  })

  it('shares pins over their memory and tells of changes', () => {
    const system = new PinBank()
    const application = new PinBank(system.memory)
    const seen: number[] = []
    const stop = system.onChange(({ pin, level }) => seen.push(pin, level))
    application.setMode(3, 'OUTPUT')
    application.setLevel(3, true)
    assert.deepEqual([system.mode(3), system.level(3)], ['OUTPUT', 1])
    system.changed(3)
    stop()
    system.setLevel(4, 1)
    assert.deepEqual(seen, [3, 1])
    assert.throws(() => system.level(32), RangeError)
  })
})
