/** The device's session against raw bytes: the dialect of Device OS 6.2 (device-protocol.md 3 and 8.2). */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { hex, unhex, utf8 } from '../test-bytes.ts'
import type { DeviceSessionHandlers, DeviceSessionOptions } from './device-options.ts'
import { DeviceSession } from './device-session.ts'

const hello = {
  productId: 3,
  productVersion: 1,
  flags: 0x36,
  platformId: 3,
  system: { version: 6200, maxMessageSize: 1152, maxBinarySize: 10_485_760, otaChunkSize: 512 },
}
const long = utf8(`{"f":["${'x'.repeat(2_500)}"],"v":{}}`)

function device(options: Partial<DeviceSessionOptions> = {}, handlers: Partial<DeviceSessionHandlers> = {}) {
  const sent: string[] = []
  const seen = {
    times: [] as number[],
    events: [] as string[],
    closed: [] as string[],
    signals: [] as boolean[],
    keys: 0,
  }
  const session = new DeviceSession({
    transport: 'tcp',
    random: (size) => new Uint8Array(size).fill(0x7a),
    firstMessageId: 0x2121,
    hello,
    handlers: {
      send: (message) => sent.push(hex(message)),
      ready: () => undefined,
      describe: (kind) => (kind === 'application' ? long : utf8('{"m":[]}')),
      call: () => false,
      variable: () => undefined,
      event: (name) => seen.events.push(name),
      time: (unixTime) => seen.times.push(unixTime),
      signal: (on) => seen.signals.push(on),
      keyChange: () => {
        seen.keys += 1
      },
      closed: (error) => seen.closed.push(error.code),
      ...handlers,
    },
    ...options,
  })
  const receive = (bytes: string, now = 1): string[] => {
    const before = sent.length
    session.receive(unhex(bytes), now)
    return sent.slice(before)
  }
  /** As it is once the cloud has answered. */
  const ready = () => {
    session.start(0)
    receive(options.transport === 'udp' ? '60002121' : '50025000b168', 0)
    sent.length = 0
  }
  return { session, sent, seen, receive, ready }
}

const connected = (options: Partial<DeviceSessionOptions> = {}, handlers: Partial<DeviceSessionHandlers> = {}) => {
  const made = device(options, handlers)
  made.ready()
  return made
}

describe('the session of a device', () => {
  it('says Hello as 6.2 does (7.1)', () => {
    const { session, sent } = device()
    session.start(0)
    assert.deepEqual(sent, ['50022121b168ff000300010036000300001838048000a000000200'])
    session.start(0)
    assert.equal(sent.length, 1)
  })

  it('waits 4 s for the Hello of the cloud over TCP', () => {
    const { session, seen } = device()
    session.start(0)
    assert.equal(session.nextDeadline(), 4_000)
    session.poll(3_999)
    assert.deepEqual(seen.closed, [])
    session.poll(4_000)
    assert.deepEqual(seen.closed, ['message-timeout'])
  })

  it('repeats its Hello over UDP, and gives up after a minute', () => {
    const { session, sent, seen } = device({ transport: 'udp', random: (size) => new Uint8Array(size) })
    session.start(0)
    for (let now = 0; now <= 59_000; now += 1_000) session.poll(now)
    assert.equal(sent.length, 4)
    session.poll(60_000)
    assert.deepEqual(seen.closed, ['message-timeout'])
  })

  it('ends when the cloud refuses its Hello over UDP', () => {
    const { session, seen, receive } = device({ transport: 'udp' })
    session.start(0)
    receive('60832121')
    assert.deepEqual(seen.closed, ['hello-refused'])
  })

  it('pings after 15 s of silence and ends 10 s later (1.7)', () => {
    const { session, sent, seen } = connected()
    session.poll(14_999)
    assert.deepEqual(sent, [])
    session.poll(15_000)
    assert.deepEqual(sent, ['40002122'])
    session.poll(24_999)
    assert.deepEqual(seen.closed, [])
    session.poll(25_000)
    assert.deepEqual(seen.closed, ['ping-timeout'])
  })

  it('keeps another interval when it is told to', () => {
    const { session, sent } = connected()
    session.keepAlive(60_000)
    session.poll(59_999)
    assert.deepEqual(sent, [])
    session.poll(60_000)
    assert.deepEqual(sent, ['40002122'])
  })

  it('asks for the time once, and takes any time that comes', () => {
    const { session, sent, seen, receive } = connected()
    session.requestTime(1)
    session.requestTime(1)
    assert.deepEqual(sent, ['410121227ab174'])
    receive('614521227aff6553f100')
    receive('4145500177ff6553f101')
    receive('4145500277ff00')
    assert.deepEqual(seen.times, [1_700_000_000, 1_700_000_001])
    session.requestTime(1)
    assert.equal(sent.length, 2)
  })

  it('publishes the vectors of 7.3', () => {
    const { session, sent } = connected({ firstMessageId: 0x2124 })
    session.publish({ name: 'temp', data: utf8('21.5') }, 1)
    assert.deepEqual(sent, ['50022125b1450474656d70ff32312e35'])
  })

  it('subscribes NON over TCP and CON over UDP', () => {
    const tcp = connected()
    tcp.session.subscribe('particle', {}, 1)
    assert.deepEqual(tcp.sent, ['50012122b165087061727469636c65'])
    const udp = connected({ transport: 'udp' })
    udp.session.subscribe('foo', { format: 'cbor' }, 1)
    assert.deepEqual(udp.sent, ['40012122b16503666f6f4163'])
  })

  it('acknowledges confirmable events over UDP only, and takes the name in one segment or several', () => {
    const tcp = connected()
    assert.deepEqual(tcp.receive('40025001b16501610162ff6869'), [])
    assert.deepEqual(tcp.receive('40025002b14503612f62ff6869'), [])
    assert.deepEqual(tcp.seen.events, ['a/b', 'a/b'])
    const udp = connected({ transport: 'udp' })
    assert.deepEqual(udp.receive('40025001b16501610162ff6869'), ['60005001'])
    assert.deepEqual(udp.receive('40025001b16501610162ff6869'), ['60005001'])
    assert.deepEqual(udp.seen.events, ['a/b'])
  })

  it('answers a signal with 2.04 and the token', () => {
    const { seen, receive } = connected()
    assert.deepEqual(receive('4103500725b1734101'), ['6144500725'])
    assert.deepEqual(receive('4103500825b1734100'), ['6144500825'])
    assert.deepEqual(seen.signals, [true, false])
  })

  it('changes its key only for value 1, and loses its session by it over UDP only', () => {
    const tcp = connected()
    assert.deepEqual(tcp.receive('4103500826b16b4100'), [])
    assert.deepEqual(tcp.receive('4103500926b16b4101'), ['60005009'])
    assert.deepEqual([tcp.seen.keys, tcp.seen.closed], [1, []])
    const udp = connected({ transport: 'udp' })
    assert.deepEqual(udp.receive('4103500926b16b4101'), ['60005009'])
    assert.deepEqual([udp.seen.keys, udp.seen.closed], [1, ['discard-session']])
  })

  it('acknowledges a function at once and returns its value apart', () => {
    let reply: (value: number) => void = () => undefined
    const { sent, receive } = connected(
      {},
      {
        call: (name, argument, later) => {
          assert.deepEqual([name, argument], ['led', 'on'])
          reply = later
          return true
        },
      },
    )
    assert.deepEqual(receive('4102500523b166036c6564426f6e'), ['60005005'])
    reply(-1)
    assert.equal(sent.at(-1), '5144212223ffffffffff')
  })

  it('acknowledges an unknown function and says no more (3.12)', () => {
    assert.deepEqual(connected().receive('4102500523b166036c6564426f6e'), ['60005005'])
  })

  it('answers a variable later when the application needs time', () => {
    let reply: Parameters<DeviceSessionHandlers['variable']>[1] = () => undefined
    const { sent, receive } = connected(
      {},
      {
        variable: (_, later) => {
          reply = later
          return { later: true }
        },
      },
    )
    assert.deepEqual(receive('4101500624b1760174'), ['60005006'])
    reply({ type: 'double', value: 21.5 })
    assert.equal(sent.at(-1), '5145212224ff0000000000803540')
  })

  it('answers requests without a one-byte token with 4.00', () => {
    const { receive } = connected()
    assert.deepEqual(receive('40025005b166036c6564426f6e'), ['60805005'])
    assert.deepEqual(receive('42015006aabbb1760174'), ['62805006aabb'])
  })

  it('does not react to paths that it does not know', () => {
    const { receive } = connected()
    assert.deepEqual(receive('4102500523b15a'), [])
    assert.deepEqual(receive('4102500523b14cff00'), [])
    assert.deepEqual(receive('70005005'), [])
  })

  it('describes itself when it is asked, apart from the acknowledgement', () => {
    const { receive } = connected()
    const system = `ff${hex(utf8('{"m":[]}'))}`
    assert.deepEqual(receive('4101500321b1644101'), ['60005003', `4145212221c12a${system}`])
  })

  it('refuses describes without a type, of two types, or without a token (3.8.2)', () => {
    const { receive } = connected()
    assert.deepEqual(receive('4101500321b164'), ['6180500321'])
    assert.deepEqual(receive('4101500421b1644103'), ['6180500421'])
    assert.deepEqual(receive('40015005b1644101'), ['60805005'])
    assert.deepEqual(receive('5101500621b1644101'), ['5180500621'])
  })

  it('serves blocks in order, each once, of its own size, for 90 s', () => {
    const { receive } = connected()
    const status = (answers: string[]) => [answers[0]?.slice(0, 4), answers[1]?.slice(2, 4)]
    const [, first = ''] = receive('4101500121b1644102')
    // ETag 1, Block2 number 0, more, 1024 bytes.
    assert.equal(first.slice(0, 20), '41452122214101d1060e')
    assert.deepEqual(status(receive('4101500222b16441028115')), ['6000', '82'])
    assert.deepEqual(status(receive('4101500322b16441028126')), ['6000', '84'])
    assert.deepEqual(status(receive('4101500422b16441028116')), ['6000', '45'])
    assert.deepEqual(status(receive('4101500522b16441028116')), ['6000', '84'])
    assert.deepEqual(status(receive('4101500622b16441028126', 90_001)), ['6000', '84'])
    assert.deepEqual(status(receive('4101500722b16441028136')), ['6000', '84'])
  })

  it('says goodbye without wanting an answer over TCP (7.6)', () => {
    const { session, sent } = connected({ firstMessageId: 0x213f })
    session.goodbye({ cloudReason: 2 }, 1)
    assert.deepEqual(sent, ['50022140b178d0eaff0102'])
  })

  it('sends nothing before the cloud has answered its Hello', () => {
    const { session, sent } = device()
    session.start(0)
    session.subscribe('x', {}, 1)
    session.requestTime(1)
    session.ping(1)
    session.goodbye({}, 1)
    session.postDescribe('system', utf8('{}'), 1)
    assert.equal(session.publish({ name: 'x' }, 1), false)
    assert.equal(sent.length, 1)
  })

  it('refuses what does not fit a message', () => {
    const { session, sent } = connected()
    assert.equal(session.publish({ name: 'x', data: new Uint8Array(1_200) }, 1), false)
    assert.deepEqual(sent, [])
  })
})
