/** Both sessions joined in memory, in simulated time, over TCP and over UDP. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { decodeMessage } from '../coap/codec.ts'
import { coapType, code } from '../coap/message.ts'
import { pathLetter } from '../coap/options.ts'
import { cloudReason } from '../messages/goodbye.ts'
import { decodeVariable } from '../messages/variable.ts'
import { encodeVitals } from '../messages/vitals.ts'
import { fuzzRuns, hex, utf8 } from '../test-bytes.ts'
import type { RequestResult } from './result.ts'
import { hello62, Pair, startTime, systemDescribe } from './test-pair.ts'

const udpHello = { ...hello62, deviceId: '422b00000000000000000001' }
const seconds = 1_000
const minutes = 60_000

/** The big describe that some devices need three blocks for. */
const manyFunctions = Array.from({ length: 60 }, (_, index) => `function${'x'.repeat(40)}${index}`)

for (const transport of ['tcp', 'udp'] as const) {
  const hello = transport === 'udp' ? udpHello : hello62
  const connected = (options: ConstructorParameters<typeof Pair>[0] = {}, prepare?: (pair: Pair) => void): Pair => {
    const pair = new Pair({ transport, hello, ...options })
    prepare?.(pair)
    return pair.connect()
  }

  describe(`sessions over ${transport}`, () => {
    it('greet each other, and the device says all that a device says', () => {
      const pair = connected()
      assert.deepEqual(pair.heard.hello, [hello])
      assert.equal(pair.told.ready, 1)
      assert.deepEqual(pair.heard.describes, [
        { kind: 'system', describe: { platformId: 43, ...systemDescribe } },
        { kind: 'application', functions: [], variables: {} },
      ])
      assert.deepEqual(
        pair.heard.events.map(({ name, data }) => [name, data]),
        [
          ['particle/device/updates/enabled', 'true'],
          ['particle/device/updates/forced', 'false'],
        ],
      )
      assert.deepEqual(
        pair.cloud.subscriptions.map(({ prefix, format, scope }) => [prefix, format, scope]),
        [
          ['particle', 'text', 'owner'],
          ['spark', 'text', 'owner'],
        ],
      )
      assert.deepEqual(pair.told.times, [startTime + 1])
      assert.equal(pair.device.unacknowledged, 0)
      assert.equal(pair.cloud.maxMessageSize, transport === 'tcp' ? 1119 : 1152)
    })

    it('keep the order of a connection (3.4.1)', () => {
      const pair = new Pair({ transport, hello })
      pair.onReady = () => {
        pair.device.announce({ claimCode: 'c', safeMode: true, lastReset: 'user', updatesEnabled: false }, pair.now)
      }
      pair.device.start(pair.now)
      pair.settle()
      const requests = pair
        .sent('cloud')
        .map((message) => decodeMessage(message))
        .filter(({ code: method }) => method === code.post || method === code.get)
      assert.equal(requests.map(pathLetter).join(''), 'hdEtEEEdee')
      assert.deepEqual(
        pair.heard.events.map(({ name, data }) => [name, data]),
        [
          ['spark/device/claim/code', 'c'],
          ['spark/device/safemode', ''],
          ['spark/device/last_reset', 'user'],
          ['particle/device/updates/enabled', 'false'],
        ],
      )
    })

    it('call functions, at once and later', () => {
      const pair = connected({}, ({ functions }) => {
        functions.set('double', (argument, reply) => reply(Number(argument) * 2))
      })
      let slow: (value: number) => void = () => undefined
      pair.functions.set('slow', (_, reply) => {
        slow = reply
      })
      const results: RequestResult<number>[] = []
      pair.cloud.call('double', '21', pair.now, 10 * seconds, (result) => results.push(result))
      pair.cloud.call('slow', '', pair.now, 10 * seconds, (result) => results.push(result))
      pair.run(5 * seconds)
      assert.deepEqual(results, [{ ok: true, value: 42 }])
      slow(-7)
      slow(-8)
      pair.settle()
      assert.deepEqual(results[1], { ok: true, value: -7 })
      assert.equal(results.length, 2)
    })

    it('give a function call up that a device never answers', () => {
      const pair = connected()
      const results: RequestResult<number>[] = []
      pair.cloud.call('none', '', pair.now, 10 * seconds, (result) => results.push(result))
      pair.run(9 * seconds)
      assert.deepEqual(results, [])
      pair.run(2 * seconds)
      assert.deepEqual(results.map(failure), ['timeout'])
      assert.deepEqual(pair.heard.closed, [])
    })

    it('read variables of every type', () => {
      const pair = connected({}, ({ variables }) => {
        variables.set('b', { type: 'bool', value: true })
        variables.set('i', { type: 'int32', value: -5 })
        variables.set('d', { type: 'double', value: 21.5 })
        variables.set('s', { type: 'string', value: 'grün' })
        variables.set('e', { type: 'string', value: '' })
      })
      const application = pair.heard.describes.find(({ kind }) => kind === 'application')
      assert.equal(application?.kind, 'application')
      const read: unknown[] = []
      for (const [name, type] of Object.entries(application?.kind === 'application' ? application.variables : {})) {
        pair.cloud.readVariable(name, pair.now, seconds, (result) => {
          read.push(result.ok ? decodeVariable(type, result.value) : result)
        })
        pair.settle()
      }
      assert.deepEqual(read, [true, -5, 21.5, 'grün', ''])
    })

    it('say that there is no such variable', () => {
      const pair = connected()
      let result: RequestResult<Uint8Array> | undefined
      pair.cloud.readVariable('none', pair.now, seconds, (got) => {
        result = got
      })
      pair.settle()
      assert.equal(result?.ok === false && result.error, 'not-found')
    })

    it('publish, with and without acknowledgement', () => {
      const pair = connected()
      pair.heard.events.length = 0
      const results: RequestResult<undefined>[] = []
      assert.equal(pair.device.publish({ name: 'temp', data: utf8('21.5'), ttl: 300 }, pair.now), true)
      pair.device.publish({ name: 'a', ack: 'without' }, pair.now)
      pair.device.publish({ name: 'b' }, pair.now, (result) => results.push(result))
      pair.device.publish({ name: 'refused' }, pair.now, (result) => results.push(result))
      pair.settle()
      assert.deepEqual(pair.heard.events, [
        { name: 'temp', data: '21.5', contentType: 0, ttl: 300, confirmable: transport === 'udp' },
        { name: 'a', data: '', contentType: 0, ttl: 60, confirmable: false },
        { name: 'b', data: '', contentType: 0, ttl: 60, confirmable: true },
      ])
      assert.deepEqual(results[0], { ok: true, value: undefined })
      assert.equal(results[1]?.ok === false && results[1].code, code.badRequest)
    })

    it('tell the device that a publish was not acknowledged, after 20 s', () => {
      let cut = false
      const pair = connected({ lose: (to) => cut && to === 'device' })
      cut = true
      const results: RequestResult<undefined>[] = []
      pair.device.publish({ name: 'b' }, pair.now, (result) => results.push(result))
      pair.run(19 * seconds)
      assert.deepEqual(results, [])
      pair.run(2 * seconds)
      assert.deepEqual(results.map(failure), ['timeout'])
    })

    it('deliver events to the subscriptions that want them, in their form', () => {
      const pair = connected()
      pair.device.subscribe('plain', {}, pair.now)
      pair.device.subscribe('cbor', { format: 'cbor' }, pair.now)
      pair.device.subscribe('any', { format: 'binary' }, pair.now)
      pair.settle()
      const cbor = Uint8Array.of(0xa1, 0x61, 0x61, 1)
      const deliver = (name: string, data: Uint8Array, contentType?: number) =>
        pair.cloud.deliver({ name, data, ...(contentType === undefined ? {} : { contentType }) }, pair.now)
      assert.equal(deliver('other', utf8('x')), false)
      assert.equal(deliver('plain/a', utf8('x')), true)
      assert.equal(deliver('plain/b', cbor, 65001), true)
      assert.equal(deliver('plain/c', Uint8Array.of(0xff), 42), false)
      assert.equal(deliver('cbor/a', utf8('{"a":1}')), true)
      assert.equal(deliver('cbor/b', cbor, 65001), true)
      assert.equal(deliver('any/a', Uint8Array.of(1), 42), true)
      assert.equal(deliver('any/b', cbor, 65001), true)
      pair.settle()
      assert.deepEqual(
        pair.told.events.map(({ name, data, contentType }) => [name, data, contentType]),
        [
          ['plain/a', 'x', 0],
          ['plain/b', '{"a":1}', 0],
          ['cbor/a', Buffer.from(cbor).toString(), 60],
          ['cbor/b', Buffer.from(cbor).toString(), 60],
          ['any/a', '\u0001', 42],
          ['any/b', Buffer.from(cbor).toString(), 60],
        ],
      )
    })

    it('show one event once to a device whose subscriptions overlap', () => {
      const pair = connected()
      for (const format of ['text', 'cbor', 'binary'] as const) pair.device.subscribe('x', { format }, pair.now)
      pair.device.subscribe('x', { format: 'text' }, pair.now)
      pair.settle()
      pair.cloud.deliver({ name: 'x', data: utf8('1') }, pair.now)
      pair.settle()
      assert.deepEqual(
        pair.told.events.map(({ contentType }) => contentType),
        [0, 60],
      )
      assert.equal(pair.heard.subscriptions.length, 5)
    })

    it('deliver system events to every device, and nothing larger than it takes', () => {
      const pair = connected()
      assert.equal(pair.cloud.publishSystem('spark/device/reset', 'reboot', pair.now), true)
      assert.equal(pair.cloud.publishSystem('spark/x', new Uint8Array(1200), pair.now), false)
      pair.settle()
      assert.deepEqual(pair.told.events, [{ name: 'spark/device/reset', data: 'reboot', contentType: 0 }])
    })

    it('limit subscriptions', () => {
      const pair = connected({ cloud: { maxSubscriptions: 4 } })
      for (let index = 0; index < 5; index++) pair.device.subscribe(`s${index}`, {}, pair.now)
      pair.settle()
      assert.equal(pair.cloud.subscriptions.length, 4)
    })

    it('signal, matched by its token', () => {
      const pair = connected()
      const results: boolean[] = []
      pair.cloud.signal(true, pair.now, seconds, ({ ok }) => results.push(ok))
      pair.settle()
      pair.cloud.signal(false, pair.now, seconds, ({ ok }) => results.push(ok))
      pair.settle()
      assert.deepEqual(
        [pair.told.signals, results],
        [
          [true, false],
          [true, true],
        ],
      )
    })

    it('change the key', () => {
      const pair = connected()
      pair.cloud.changeKey()
      pair.settle()
      assert.equal(pair.told.keyChanges, 1)
      assert.equal(pair.told.closed.length, transport === 'udp' ? 1 : 0)
    })

    it('say goodbye', () => {
      const pair = connected()
      pair.device.goodbye({ cloudReason: cloudReason.sleep, sleepDuration: 3600 }, pair.now)
      pair.settle()
      assert.deepEqual(pair.heard.goodbyes, [{ cloudReason: 6, sleepDuration: 3600 }])
      assert.equal(pair.device.unacknowledged, 0)
    })

    it('post vitals, and answer the cloud that asks for them', () => {
      const pair = connected()
      pair.heard.describes.length = 0
      pair.device.publishVitals(encodeVitals([{ id: 2, value: 5 }]), pair.now)
      let asked: unknown
      pair.cloud.requestDescribe('metrics', pair.now, seconds, (result) => {
        asked = result
      })
      pair.settle()
      const fetched = { kind: 'metrics', vitals: [{ id: 6, name: 'sys:uptime', value: 3600 }] }
      assert.deepEqual(pair.heard.describes, [
        { kind: 'metrics', vitals: [{ id: 2, name: 'mem:free', value: 5 }] },
        fetched,
      ])
      assert.deepEqual(asked, { ok: true, value: [fetched] })
    })

    for (const [size, flavour] of [
      [1152, 'large'],
      [800, 'small'],
    ] as const) {
      it(`describe in blocks, posted and asked for, with a ${flavour} buffer`, () => {
        const smaller = { ...hello, system: { ...hello62.system, maxMessageSize: size } } as typeof hello
        const pair = connected({ hello: smaller, device: { maxMessageSize: size - 18 } }, ({ functions }) => {
          for (const name of manyFunctions) functions.set(name, () => undefined)
        })
        const posted = pair.heard.describes.filter(({ kind }) => kind === 'application')
        assert.deepEqual(posted, [{ kind: 'application', functions: manyFunctions, variables: {} }])
        let asked: unknown
        pair.cloud.requestDescribe('application', pair.now, seconds, (result) => {
          asked = result
        })
        pair.cloud.requestDescribe('system', pair.now, seconds)
        pair.settle()
        assert.deepEqual(asked, { ok: true, value: posted })
        assert.equal(pair.heard.describes.length, 4)
        assert.ok(Math.max(...pair.wire.map(({ message }) => message.length)) <= size)
      })
    }

    it('queue the application describe behind a block-wise system describe', () => {
      const pair = connected({}, (fresh) => {
        fresh.payloads = { system: new Uint8Array(3_000).fill(0x7a) }
      })
      const order = pair
        .sent('cloud')
        .map((message) => decodeMessage(message))
        .filter((message) => pathLetter(message) === 'd' || pathLetter(message) === 'e')
        .map(pathLetter)
      assert.equal(order.join(''), 'deeddd')
      // That system describe is no describe: it is told as a problem, and the session goes on.
      assert.deepEqual(
        pair.heard.problems.map((problem) => problem.code),
        ['describe-format'],
      )
      assert.deepEqual(
        pair.heard.describes.map(({ kind }) => kind),
        ['application'],
      )
    })

    it('ping from both ends when nothing else is said', () => {
      const pair = connected({ cloud: { ping: { interval: 10 * seconds, timeout: 5 * seconds } } })
      pair.run(10 * minutes)
      assert.deepEqual([pair.heard.closed, pair.told.closed], [[], []])
      const pings = (to: 'cloud' | 'device') =>
        pair.sent(to).filter((message) => message[0] === 0x40 && message[1] === 0)
      assert.ok(pings('device').length >= 50)
      let result: RequestResult<number> | undefined
      pair.cloud.ping(pair.now, seconds, (got) => {
        result = got
      })
      pair.settle()
      assert.deepEqual(result, { ok: true, value: 0 })
    })

    it('give each other up when the other falls silent', () => {
      let cut = false
      const pair = connected({ lose: () => cut, cloud: { ping: { interval: 60 * seconds, timeout: 15 * seconds } } })
      cut = true
      let result: RequestResult<number> | undefined
      pair.cloud.ping(pair.now, 5 * seconds, (got) => {
        result = got
      })
      const start = pair.now
      pair.run(5 * minutes)
      assert.equal(result?.ok === false && result.error, 'timeout')
      assert.deepEqual(
        pair.heard.closed.map((error) => error.code),
        ['ping-timeout'],
      )
      // 15 s + 10 s over TCP (1.7), 25 s + 30 s over UDP (2.7).
      assert.deepEqual(
        pair.told.closed.map((error) => error.code),
        ['ping-timeout'],
      )
      const last = pair.wire.filter(({ to, at }) => to === 'cloud' && at > start).map(({ at }) => at - start)
      assert.equal(last[0], (transport === 'tcp' ? 15 : 25) * seconds)
    })

    it('fail what is waited for when the connection closes', () => {
      const pair = connected()
      pair.functions.set('f', () => undefined)
      const errors: string[] = []
      const note = (result: RequestResult<unknown>) => errors.push(result.ok ? 'ok' : result.error)
      pair.cloud.call('f', '', pair.now, seconds, note)
      pair.cloud.ping(pair.now, seconds, note)
      pair.device.publish({ name: 'x' }, pair.now, note)
      pair.cloud.close()
      pair.device.close()
      pair.cloud.call('f', '', pair.now, seconds, note)
      pair.cloud.ping(pair.now, seconds, note)
      pair.device.publish({ name: 'x' }, pair.now, note)
      assert.deepEqual(errors, ['closed', 'closed', 'closed', 'closed', 'closed', 'closed'])
      assert.equal(pair.cloud.nextDeadline(), undefined)
      assert.equal(pair.device.nextDeadline(), undefined)
      assert.equal(pair.cloud.deliver({ name: 'spark' }, pair.now), false)
    })

    it('bound the requests that wait', () => {
      const pair = connected()
      pair.functions.set('f', () => undefined)
      const errors: string[] = []
      for (let index = 0; index < 100; index++) {
        pair.cloud.call('f', '', pair.now, seconds, (result) => errors.push(result.ok ? 'ok' : result.error))
      }
      assert.deepEqual(errors, new Array(36).fill('refused'))
      pair.run(2 * seconds)
      assert.equal(errors.filter((error) => error === 'timeout').length, 64)
      pair.cloud.call('f', 'x'.repeat(1200), pair.now, seconds, (result) =>
        errors.push(result.ok ? 'ok' : result.error),
      )
      assert.equal(errors.at(-1), 'refused')
    })

    it('survive any message', () => {
      const random = mulberry(transport === 'tcp' ? 1 : 2)
      for (let run = 0; run < Math.min(fuzzRuns, 2_000); run++) {
        const pair = connected()
        const seeds = pair.wire.map(({ message }) => message)
        for (let index = 0; index < 20; index++) {
          const seed = seeds[Math.floor(random() * seeds.length)] ?? utf8('')
          const message = seed.slice(0, random() < 0.3 ? Math.floor(random() * seed.length) : seed.length)
          for (let changes = random() * 3; changes > 0; changes--) {
            if (message.length > 0) message[Math.floor(random() * message.length)] = Math.floor(random() * 256)
          }
          pair.inject(random() < 0.5 ? 'cloud' : 'device', message)
        }
        pair.run(2 * minutes)
      }
    })
  })
}

describe('sessions over a channel that loses and repeats', () => {
  for (let seed = 1; seed <= 20; seed++) {
    it(`come through, seed ${seed}`, () => {
      const random = mulberry(seed)
      const pair = new Pair({
        transport: 'udp',
        hello: udpHello,
        lose: () => random() < 0.2,
        repeat: () => random() < 0.2,
      })
      let calls = 0
      pair.functions.set('count', (_, reply) => reply(++calls))
      for (const name of manyFunctions) pair.functions.set(name, () => undefined)
      pair.connect()
      pair.run(2 * minutes)
      if (pair.told.closed.length > 0) {
        // A message or ping that is lost each time that it is tried ends the session, as it should (2.10).
        assert.match(pair.told.closed[0]?.code ?? '', /^(message|ping)-timeout$/)
        return
      }
      assert.equal(pair.heard.describes.filter(({ kind }) => kind === 'application').length, 1)
      assert.equal(pair.heard.subscriptions.length, 2)
      const results: RequestResult<number>[] = []
      for (let index = 1; index <= 20; index++) {
        pair.cloud.call('count', '', pair.now, minutes, (result) => results.push(result))
        pair.device.publish({ name: `event${index}` }, pair.now)
        pair.run(2 * minutes)
      }
      // However often a message came: each function ran once, each event was heard once.
      assert.equal(calls, results.filter(({ ok }) => ok).length)
      const names = pair.heard.events.map(({ name }) => name).filter((name) => name.startsWith('event'))
      assert.equal(new Set(names).size, names.length)
      if (pair.told.closed.length === 0) assert.equal(names.length, 20)
    })
  }

  it('repeat the same acknowledgement for the same message', () => {
    const pair = new Pair({ transport: 'udp', hello: udpHello }).connect()
    pair.device.publish({ name: 'x' }, pair.now)
    const published = pair.sent('cloud').at(-1) ?? utf8('')
    pair.settle()
    const acknowledgement = pair.sent('device').at(-1) ?? utf8('')
    pair.inject('cloud', published)
    assert.equal(hex(pair.sent('device').at(-1) ?? utf8('')), hex(acknowledgement))
    assert.equal(pair.heard.events.filter(({ name }) => name === 'x').length, 1)
  })

  it('drop what the cloud sends before it acknowledged the Hello', () => {
    const pair = new Pair({ transport: 'udp', hello: udpHello, lose: (to, index) => to === 'device' && index === 0 })
    pair.device.start(pair.now)
    pair.settle()
    assert.equal(pair.heard.hello.length, 1)
    pair.cloud.publishSystem('spark/device/reset', 'reboot', pair.now)
    pair.settle()
    assert.deepEqual(pair.told.events, [])
    pair.run(20 * seconds)
    assert.equal(pair.told.ready, 1)
    assert.equal(pair.told.events.length, 1)
    assert.equal(pair.heard.hello.length, 1)
  })

  it('end the session when the cloud resets it', () => {
    const pair = new Pair({ transport: 'udp', hello: udpHello }).connect()
    pair.inject('device', Uint8Array.of(0x70, 0, 0xff, 0xff))
    assert.deepEqual(
      pair.told.closed.map((error) => error.code),
      ['message-reset'],
    )
  })

  it('clear the flag of a successful update with a Hello of the cloud', () => {
    const pair = new Pair({ transport: 'udp', hello: { ...udpHello, flags: 0x37 } }).connect()
    const types = pair.sent('device').map((message) => decodeMessage(message))
    assert.ok(types.some((message) => pathLetter(message) === 'h' && message.type === coapType.con))
  })
})

const failure = (result: RequestResult<unknown>): string => (result.ok ? 'ok' : result.error)

/** A small seeded generator. */
function mulberry(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
