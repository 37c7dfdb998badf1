/** The cloud's session against raw bytes: devices of old Device OS versions, and the traps of device-protocol.md 8.1. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Describe } from '../messages/describe.ts'
import type { DeviceEvent } from '../messages/event.ts'
import { hex, unhex, utf8 } from '../test-bytes.ts'
import type { CloudSessionOptions } from './cloud-options.ts'
import { CloudSession } from './cloud-session.ts'
import type { RequestResult } from './result.ts'

const oldHello = '50022121b168ff0006000100060006'
const newHello = '50022121b168ff000300010036000300001838048000a000000200'
const udpHello = '40020001b168ff000d00010036000d000c0f10aced20212223242526271838048000a000000200'

function cloud(options: Partial<CloudSessionOptions> = {}) {
  const sent: string[] = []
  const seen = {
    sent,
    events: [] as DeviceEvent[],
    describes: [] as Describe[],
    closed: [] as string[],
    problems: [] as string[],
  }
  const session = new CloudSession({
    transport: 'tcp',
    random: (size) => new Uint8Array(size).fill(0x23),
    unixTime: () => 1_700_000_000,
    firstMessageId: 0x5000,
    now: 0,
    handlers: {
      send: (message) => sent.push(hex(message)),
      hello: () => undefined,
      describe: (describe) => seen.describes.push(describe),
      event: (event) => seen.events.push(event),
      problem: (error) => seen.problems.push(error.code),
      closed: (error) => seen.closed.push(error.code),
    },
    ...options,
  })
  /** Hands bytes in, returns what was sent for it. */
  const receive = (bytes: string, now = 1): string[] => {
    const before = sent.length
    session.receive(unhex(bytes), now)
    return sent.slice(before)
  }
  return { session, seen, receive }
}

describe('a device of Device OS 0.6 to 1.x', () => {
  const connected = () => {
    const made = cloud()
    return { ...made, answers: made.receive(oldHello) }
  }

  it('gets the Hello and is asked for its describe, without a query', () => {
    assert.deepEqual(connected().answers, ['50025000b168', '4101500123b164'])
  })

  it('describes system and application in one piggybacked answer', () => {
    const { seen, receive } = connected()
    const said = '{"f":["led"],"v":{"t":9},"p":6,"m":[{"s":1,"l":"m","vc":30,"vv":30,"f":"s","n":"1","v":207,"d":[]}]}'
    receive(`6145500123ff${hex(utf8(said))}`)
    assert.deepEqual(
      seen.describes.map((found) => (found.kind === 'system' ? found.describe.platformId : found.kind)),
      [6, 'application'],
    )
  })

  it('answers variables piggybacked', () => {
    const { session, receive } = connected()
    let value: RequestResult<Uint8Array> | undefined
    session.readVariable('t', 1, 1_000, (result) => {
      value = result
    })
    receive('6145500224ff0000002a')
    assert.equal(value?.ok === true && hex(value.value), '0000002a')
  })

  it('may leave the token out of a piggybacked answer', () => {
    const { session, receive } = connected()
    let value: RequestResult<Uint8Array> | undefined
    session.readVariable('t', 1, 1_000, (result) => {
      value = result
    })
    receive('60455002ff0000002a')
    assert.equal(value?.ok, true)
  })

  it('subscribes to all devices, its own, or one', () => {
    const { session, receive } = connected()
    assert.deepEqual(receive('40010009b16503666f6f'), ['60000009'])
    assert.deepEqual(receive('4001000ab165036261724175'), ['6000000a'])
    assert.deepEqual(receive('4001000bb1650362617aff306631306163656432303231323232333234323532363237'), ['6000000b'])
    assert.deepEqual(
      session.subscriptions.map(({ prefix, scope, deviceId }) => [prefix, scope, deviceId]),
      [
        ['foo', 'all', undefined],
        ['bar', 'owner', undefined],
        ['baz', 'device', '0f10aced2021222324252627'],
      ],
    )
    assert.equal(session.deliver({ name: 'baz', deviceId: 'ff10aced2021222324252627' }, 1), false)
    assert.equal(session.deliver({ name: 'baz', deviceId: '0f10aced2021222324252627' }, 1), true)
  })

  it('gets events with nothing but their path and data', () => {
    const { session, seen, receive } = connected()
    receive('40010009b16503666f6f')
    session.deliver({ name: 'foo/bar', data: utf8('{"a":1}'), contentType: 50, ttl: 300 }, 1)
    assert.equal(seen.sent.at(-1), '50025002b14503666f6f03626172ff7b2261223a317d')
    session.deliver({ name: 'foo', data: unhex('a1616101'), contentType: 65001 }, 1)
    assert.equal(seen.sent.at(-1), '50025003b14503666f6fff7b2261223a317d')
  })

  it('publishes under e, with a long Max-Age and an empty payload behind its marker', () => {
    const { seen, receive } = connected()
    assert.deepEqual(receive('40022122b16504746d70313300003cff'), ['60002122'])
    assert.deepEqual(
      seen.events.map(({ name, ttl, data }) => [name, ttl, data.length]),
      [['tmp1', 60, 0]],
    )
  })

  it('is not sent what it cannot take', () => {
    const { session } = connected()
    assert.equal(session.maxMessageSize, 767)
    let result: RequestResult<number> | undefined
    session.call('f', 'x'.repeat(800), 1, 1_000, (got) => {
      result = got
    })
    assert.equal(result?.ok === false && result.error, 'refused')
  })

  it('has no vitals to ask for before 0.8', () => {
    const { session, receive } = cloud()
    receive('50022121b168ff0006000100040006')
    let result: RequestResult<unknown> | undefined
    session.requestDescribe('metrics', 1, 1_000, (got) => {
      result = got
    })
    assert.equal(result?.ok === false && result.error, 'refused')
  })

  it('that does not describe itself is told as a problem', () => {
    const { session, seen } = connected()
    session.poll(40_000)
    assert.deepEqual(seen.problems, ['describe'])
    assert.deepEqual(seen.closed, [])
  })
})

describe('the session of the cloud', () => {
  const connected = (options: Partial<CloudSessionOptions> = {}) => {
    const made = cloud(options)
    made.receive(options.transport === 'udp' ? udpHello : newHello)
    made.seen.sent.length = 0
    return made
  }

  it('never asks a device that posts its describes', () => {
    assert.deepEqual(cloud().receive(newHello), ['50025000b168'])
  })

  it('acknowledges the Hello over UDP, and no more', () => {
    assert.deepEqual(cloud({ transport: 'udp' }).receive(udpHello), ['60000001'])
  })

  it('answers the time with 2.05, and nothing else with it', () => {
    const { receive } = connected()
    assert.deepEqual(receive('4101000a7ab174'), ['6145000a7aff6553f100'])
  })

  it('answers what it does not know with an error, never with a reset', () => {
    const { receive } = connected()
    assert.deepEqual(receive('4102004050b14cff080112050a03636667'), ['61a1004050'])
    assert.deepEqual(receive('4102004151b15a'), ['6184004151'])
    assert.deepEqual(receive('5102004251b15a'), [])
    // A block-wise ledger download has an option before its path.
    assert.deepEqual(receive('41020043024177714cc116'), ['61a1004302'])
  })

  it('acknowledges answers that nobody waits for any more', () => {
    const { receive } = connected()
    assert.deepEqual(receive('4144000e77ff00000001'), ['6000000e'])
    assert.deepEqual(receive('5144000f77ff00000001'), [])
  })

  it('takes any acknowledgement for the pong over TCP, whatever its id', () => {
    const { session, seen, receive } = connected()
    const results: RequestResult<number>[] = []
    session.ping(100, 1_000, (result) => results.push(result))
    assert.equal(seen.sent.at(-1), '40005001')
    receive('6000ffff', 142)
    assert.deepEqual(results, [{ ok: true, value: 42 }])
  })

  it('wants the right id of a pong over UDP, or a reset', () => {
    const { session, seen, receive } = connected({ transport: 'udp' })
    const results: RequestResult<number>[] = []
    session.ping(100, 10_000, (result) => results.push(result))
    receive('6000ffff', 142)
    assert.deepEqual(results, [])
    receive(seen.sent.at(-1)?.replace('4000', '7000') ?? '', 150)
    assert.deepEqual(results, [{ ok: true, value: 50 }])
  })

  it('matches the answer to a signal by its token', () => {
    const { session, seen, receive } = connected()
    const results: boolean[] = []
    session.signal(true, 1, 1_000, ({ ok }) => results.push(ok))
    assert.equal(seen.sent.at(-1), '4103500123b1734101')
    receive('6144ffff23')
    assert.deepEqual(results, [true])
  })

  it('takes a reset of its request for a refusal', () => {
    const { session, receive } = connected()
    let result: RequestResult<number> | undefined
    session.call('f', '', 1, 1_000, (got) => {
      result = got
    })
    receive('70005001')
    assert.equal(result?.ok === false && result.error, 'refused')
  })

  it('retransmits over UDP until the acknowledgement, then waits for the answer', () => {
    const { session, seen, receive } = connected({ transport: 'udp' })
    let result: RequestResult<number> | undefined
    session.call('led', 'on', 0, 60_000, (got) => {
      result = got
    })
    const request = seen.sent.at(-1)
    session.poll(3_000)
    assert.equal(seen.sent.at(-1), request)
    assert.equal(seen.sent.length, 2)
    const { id, token } = { id: request?.slice(4, 8), token: request?.slice(8, 10) }
    receive(`6000${id}`, 3_100)
    session.poll(50_000)
    assert.equal(seen.sent.length, 2)
    assert.deepEqual(receive(`4144000e${token}ff00000001`, 50_001), ['6000000e'])
    assert.deepEqual(result, { ok: true, value: 1 })
    // A repetition of the answer is acknowledged again.
    assert.deepEqual(receive(`4144000e${token}ff00000001`, 50_002), ['6000000e'])
  })

  it('treats a request that is never acknowledged as unanswered, not as a dead device (8.1)', () => {
    const { session, seen } = connected({ transport: 'udp' })
    let result: RequestResult<number> | undefined
    session.call('led', 'on', 0, 120_000, (got) => {
      result = got
    })
    for (let now = 0; now <= 120_000; now += 500) session.poll(now)
    assert.equal(seen.sent.length, 5)
    assert.equal(result?.ok === false && result.error, 'timeout')
    assert.deepEqual(seen.closed, [])
  })

  it('refuses a broken describe and goes on', () => {
    const { seen, receive } = connected()
    assert.deepEqual(receive('4102000b7bb1644102ff7b'), ['6180000b7b'])
    assert.deepEqual(seen.problems, ['describe-format'])
    assert.deepEqual(receive('40002122'), ['60002122'])
  })

  it('refuses blocks out of order, and more than it wants to keep', () => {
    const { seen, receive } = connected()
    const block = (id: number, option: string, size = 1024) =>
      `41020${id.toString(16).padStart(3, '0')}7db164112a3101${option}ff${'7a'.repeat(size)}`
    assert.deepEqual(receive(block(1, 'c11e')), ['618800017d'])
    assert.deepEqual(receive(block(2, 'c10e')), ['60000002'])
    assert.deepEqual(receive(block(3, 'c10e', 100)), ['618800037d'])
    let answer: string | undefined
    for (let index = 0; index < 100 && answer === undefined; index++) {
      const bits = (index * 16 + 14).toString(16)
      const option = index < 16 ? `c1${bits.padStart(2, '0')}` : `c2${bits.padStart(4, '0')}`
      const [got = ''] = receive(block(16 + index, option))
      if (!got.startsWith('6000')) answer = got
    }
    assert.equal(answer?.slice(0, 4), '618d')
    assert.deepEqual(seen.describes, [])
  })

  it('fetches a describe block by block from the device', () => {
    const { session, seen, receive } = connected()
    let result: RequestResult<readonly Describe[]> | undefined
    session.requestDescribe('application', 1, 10_000, (got) => {
      result = got
    })
    assert.equal(seen.sent.at(-1), '4101500123b1644102')
    receive('60005001')
    const json = utf8(JSON.stringify({ f: Array.from({ length: 120 }, (_, index) => `function-${index}`), v: {} }))
    // ETag 1, Block2 number 0, more, 1024 bytes.
    const answers = receive(`41450010234101d1060eff${hex(json.subarray(0, 1024))}`)
    assert.deepEqual(answers, ['60000010', '4101500224b16441028116'])
    receive(`41450011244101d10616ff${hex(json.subarray(1024))}`)
    assert.equal(result?.ok === true && result.value[0]?.kind, 'application')
    assert.equal(seen.describes.length, 1)
  })

  it('drops everything before the Hello over UDP, and ends over TCP', () => {
    const udp = cloud({ transport: 'udp' })
    assert.deepEqual(udp.receive('40020005b1450474656d70ff32312e35'), [])
    assert.deepEqual(udp.receive('40000006'), ['60000006'])
    assert.deepEqual(udp.seen.events, [])
    const tcp = cloud()
    assert.deepEqual(tcp.receive('50022125b1450474656d70ff32312e35'), [])
    assert.deepEqual(tcp.seen.closed, ['hello-expected'])
  })

  it('ends when no Hello comes', () => {
    const { session, seen } = cloud()
    session.poll(19_999)
    assert.deepEqual(seen.closed, [])
    assert.equal(session.nextDeadline(), 20_000)
    session.poll(20_000)
    assert.deepEqual(seen.closed, ['hello-timeout'])
    assert.equal(session.nextDeadline(), undefined)
  })

  it('can be closed from within its handlers', () => {
    const made = cloud({
      handlers: {
        send: () => assert.fail('nothing is sent after close'),
        hello: () => made.session.close(),
        describe: () => undefined,
        event: () => undefined,
        closed: () => assert.fail('the owner knows'),
      },
    })
    made.receive(newHello)
  })

  it('ends on broken CoAP over TCP, and ignores it over UDP', () => {
    const tcp = connected()
    tcp.receive('ffffffff')
    assert.deepEqual(tcp.seen.closed, ['version'])
    const udp = connected({ transport: 'udp' })
    udp.receive('ffffffff')
    assert.deepEqual([udp.seen.closed, udp.seen.problems], [[], ['version']])
  })

  it('goes on where a resumed session stopped', () => {
    const { session, seen, receive } = cloud({
      transport: 'udp',
      resume: {
        hello: { productId: 1, productVersion: 1, flags: 0x36, platformId: 13 },
        subscriptions: [{ prefix: 'temp', format: 'text', scope: 'owner' }],
      },
    })
    assert.deepEqual(receive('40002122'), ['60002122'])
    assert.equal(session.deliver({ name: 'temp', data: utf8('1') }, 1), true)
    assert.equal(seen.sent.at(-1), '40025000b1450474656d70ff31')
  })

  it('does not know a new Hello in an old subscription', () => {
    const { session, receive } = connected()
    receive('40010009b16503666f6f')
    assert.equal(session.subscriptions.length, 1)
    assert.equal(session.subscriptions[0]?.scope, 'owner')
    receive(newHello)
    assert.equal(session.subscriptions.length, 0)
  })

  it('drops events for a device that acknowledges none', () => {
    const { session, receive } = connected({ transport: 'udp' })
    receive('40010009b16503666f6f')
    const taken = Array.from({ length: 100 }, () => session.deliver({ name: 'foo' }, 1)).filter(Boolean)
    assert.equal(taken.length, 64)
  })
})
