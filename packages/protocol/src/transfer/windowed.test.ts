import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { decodeMessage } from '../coap/codec.ts'
import { type CoapMessage, coapType, code, optionNumber } from '../coap/message.ts'
import { findUint, pathLetter } from '../coap/options.ts'
import type { ProtocolError } from '../protocol-error.ts'
import { fuzzRuns, hex, unhex } from '../test-bytes.ts'
import { type Impairment, perfect, seeded, type TestEnd, TestNetwork, TestTarget } from './test-link.ts'
import type { TransferResult } from './transfer.ts'
import { decodeUpdateAck, encodeUpdateChunk, encodeUpdateStart, windowedRequestOf } from './windowed-messages.ts'
import { WindowedReceiver } from './windowed-receiver.ts'
import { WindowedSender, type WindowedSenderOptions } from './windowed-sender.ts'

const fileOf = (size: number) => Uint8Array.from({ length: size }, (_, index) => (index * 31 + (index >> 8)) & 0xff)

function transfer(network: TestNetwork, target: TestTarget, file: Uint8Array, options: WindowedSenderOptions = {}) {
  const results: TransferResult[] = []
  const failures: ProtocolError[] = []
  const progress: number[] = []
  const accepted: number[] = []
  const receiver = new WindowedReceiver(network.device, target, { failed: (error) => failures.push(error) })
  const sender = new WindowedSender(network.cloud, file, options, {
    accepted: (offset) => accepted.push(offset),
    progress: (bytes) => progress.push(bytes),
    done: (result) => results.push(result),
  })
  network.cloud.machine = sender
  network.device.machine = receiver
  sender.start(network.now)
  return { sender, receiver, results, failures, progress, accepted }
}

const lossy: Impairment = { loss: 0.1, repetition: 0.05, delay: 30, jitter: 60 }
const nothing = { sha256: undefined, discard: false, moduleFunction: undefined }
const chunkIndices = (end: TestEnd) =>
  end.sent.filter((message) => windowedRequestOf(message) === 'chunk').map((m) => findUint(m, optionNumber.chunkIndex))
const acksOf = (end: TestEnd) => end.sent.filter((message) => windowedRequestOf(message) === 'ack')

describe('the windowed transfer', () => {
  for (const reliable of [true, false]) {
    it(`carries files of all sizes over ${reliable ? 'TCP' : 'UDP'}`, () => {
      for (const size of [1, 511, 512, 1104, 1105, 1136, 1137, 4096, 200_000, 700_001]) {
        const network = new TestNetwork(reliable)
        const target = new TestTarget()
        const { results, progress, accepted, receiver } = transfer(network, target, fileOf(size))
        network.run()
        const [result] = results
        assert.ok(result?.ok, JSON.stringify(result))
        assert.equal(results.length, 1)
        assert.deepEqual(target.log, ['begin', 'finish', 'apply'])
        assert.deepEqual(target.applied, fileOf(size))
        assert.deepEqual(accepted, [0])
        assert.equal(progress.at(-1), size)
        assert.equal(result.stats.resentChunks, 0)
        assert.equal(result.stats.device?.recv_chunks, result.stats.chunks)
        assert.equal(receiver.active, false)
      }
    })
  }

  it('applies the file only when the cloud has acknowledged the result', () => {
    for (const reliable of [true, false]) {
      const network = new TestNetwork(reliable)
      const target = new TestTarget()
      const { results } = transfer(network, target, fileOf(3_000))
      let response: CoapMessage | undefined
      network.lose = (message, from) => {
        if (from === network.device && message.code === code.changed) response = message
        return from === network.cloud && message.type === coapType.ack && message.id === response?.id
      }
      network.run(3_000)
      assert.equal(response?.type, coapType.con, 'on TCP too')
      assert.equal(results[0]?.ok, true)
      assert.deepEqual(target.log, ['begin', 'finish'])
      network.lose = () => false
      network.run()
      // Over UDP the device repeats its response; over TCP, where nothing is lost, there is only the time limit.
      assert.deepEqual(target.log, ['begin', 'finish', reliable ? 'cancel' : 'apply'])
    }
  })

  it('never has more under way than the window of 128 KiB, and over TCP no less', () => {
    const network = new TestNetwork(true, { ...perfect, delay: 500 })
    const { sender } = transfer(network, new TestTarget(), fileOf(600_000), { chunkSize: 512 })
    network.run(1_600)
    assert.equal(chunkIndices(network.cloud).length, 256)
    sender.cancel(network.now)
  })

  it('waits while the link is congested', () => {
    const network = new TestNetwork(true)
    const { results } = transfer(network, new TestTarget(), fileOf(20_000))
    network.cloud.congested = true
    network.run(10_000)
    assert.equal(chunkIndices(network.cloud).length, 0)
    network.cloud.congested = false
    network.run()
    assert.equal(results[0]?.ok, true)
  })

  it('acks every second chunk, the last, and alone after 200 ms', () => {
    const network = new TestNetwork(true)
    transfer(network, new TestTarget(), fileOf(512 * 4), { chunkSize: 512 })
    network.run()
    const acks = acksOf(network.device).map((message) => decodeUpdateAck(message).cumulative)
    assert.deepEqual(acks, [2, 4])
    const alone = new TestNetwork(false)
    transfer(alone, new TestTarget(), fileOf(512 * 2), { chunkSize: 512 })
    alone.lose = (message, from) => from === alone.cloud && findUint(message, optionNumber.chunkIndex) === 2
    alone.run(60 + 199)
    assert.equal(acksOf(alone.device).length, 0)
    alone.run(60 + 200)
    assert.equal(acksOf(alone.device).length, 1)
  })

  it('resends what others have overtaken without waiting for silence', () => {
    const network = new TestNetwork(false)
    const { results } = transfer(network, new TestTarget(), fileOf(512 * 12), { chunkSize: 512 })
    let lost = false
    network.lose = (message, from) => {
      const hit = !lost && from === network.cloud && findUint(message, optionNumber.chunkIndex) === 5
      if (hit) lost = true
      return hit
    }
    network.run()
    const [result] = results
    assert.ok(result?.ok)
    assert.equal(result.stats.resentChunks, 1)
    assert.ok(result.stats.duration < 400, `${result.stats.duration} ms`)
    assert.equal(result.stats.device?.ooo_chunks, 7)
  })

  it('asks again after the learned round trip when the last chunk or its ack is lost', () => {
    for (const letter of ['C', 'A']) {
      const network = new TestNetwork(false)
      const { results } = transfer(network, new TestTarget(), fileOf(512 * 12), { chunkSize: 512 })
      let lost = false
      network.lose = (message) => {
        const last = letter === 'C' ? findUint(message, optionNumber.chunkIndex) === 12 : true
        const complete = letter === 'A' && pathLetter(message) === 'A' && decodeUpdateAck(message).cumulative === 12
        const hit = !lost && ((letter === 'C' && pathLetter(message) === 'C' && last) || complete)
        if (hit) lost = true
        return hit
      }
      network.run()
      const [result] = results
      assert.ok(result?.ok && lost)
      assert.ok(result.stats.duration < 1_000, `${letter}: ${result.stats.duration} ms`)
    }
  })

  it('is the faster the better the link, and never gives a bad one up', () => {
    const time = (loss: number) => {
      const network = new TestNetwork(false, { ...lossy, loss }, seeded(7))
      const { results } = transfer(network, new TestTarget(), fileOf(100_000))
      network.run()
      const [result] = results
      assert.ok(result?.ok, `${loss}: ${JSON.stringify(result)}`)
      return result.stats.duration
    }
    const clean = time(0)
    assert.ok(clean < 3_000, `${clean} ms`)
    assert.ok(time(0.05) < 15_000)
    assert.ok(time(0.3) < 120_000)
  })
})

describe('a windowed transfer that ends early', () => {
  it('tells a refusal of the start, and the connection stays up', () => {
    const network = new TestNetwork(false)
    const target = new TestTarget()
    target.refuse.begin = -1351
    const { results, failures } = transfer(network, target, fileOf(3_000))
    network.run()
    const message = 'Invalid module size'
    assert.deepEqual(results, [{ ok: false, code: -1351, message, stage: 'start' }])
    assert.deepEqual(failures, [])
    assert.equal(network.connected, true)
  })

  it('tells a refusal of the file; then the device forgets the file, and the connection stays up', () => {
    for (const reliable of [true, false]) {
      const network = new TestNetwork(reliable)
      const target = new TestTarget()
      target.refuse.finish = -1340
      const { results, failures } = transfer(network, target, fileOf(3_000))
      network.run()
      assert.deepEqual(results, [{ ok: false, code: -1340, message: 'Dependency check failed', stage: 'finish' }])
      assert.deepEqual(target.log, ['begin', 'finish', 'cancel discard'])
      assert.deepEqual(failures, [])
      assert.equal(network.connected, true)
      // The next file finds the way free.
      delete target.refuse.finish
      const next = transfer(network, target, fileOf(4_000))
      network.run()
      assert.equal(next.results[0]?.ok, true)
    }
  })

  it('starts anew with discard when what was kept turns out to be damaged (-1331)', () => {
    const target = new TestTarget()
    const file = fileOf(50_000)
    const first = new TestNetwork(false)
    first.cutAfter = 20_000
    const cut = transfer(first, target, file)
    first.run()
    assert.deepEqual(cut.results[0], {
      ok: false,
      code: -150,
      message: 'the connection was lost during the update',
      stage: 'transfer',
    })
    assert.ok(target.damage())
    const second = new TestNetwork(false)
    const resumed = transfer(second, target, file)
    second.run()
    assert.ok((resumed.accepted[0] ?? 0) > 0)
    assert.equal(resumed.results[0]?.ok === false && resumed.results[0].code, -1331)
    const third = new TestNetwork(false)
    const anew = transfer(third, target, file, { discard: true })
    third.run()
    assert.deepEqual(anew.accepted, [0])
    assert.equal(anew.results[0]?.ok, true)
    assert.deepEqual(target.applied, file)
  })

  it('is not resumed when the cloud keeps the hash to itself', () => {
    const target = new TestTarget()
    const first = new TestNetwork(true)
    first.cutAfter = 20_000
    transfer(first, target, fileOf(50_000), { resumable: false })
    first.run()
    const second = new TestNetwork(true)
    const again = transfer(second, target, fileOf(50_000), { resumable: false })
    second.run()
    assert.deepEqual(again.accepted, [0])
    assert.equal(again.results[0]?.ok, true)
  })

  it('is cancelled by the cloud in any stage', () => {
    for (const at of [0, 30, 50, 90, 200]) {
      const network = new TestNetwork(false)
      const target = new TestTarget()
      const { sender, results, failures, receiver } = transfer(network, target, fileOf(2_000_000))
      network.run(at)
      sender.cancel(network.now, true)
      network.run()
      assert.equal(results[0]?.ok === false && results[0].code, -140)
      assert.equal(receiver.active, false)
      assert.equal(target.log.at(-1), 'cancel discard')
      assert.deepEqual(failures, [])
    }
  })

  it('runs out of time at both ends', () => {
    const mute = new TestNetwork(true)
    const first = transfer(mute, new TestTarget(), fileOf(3_000))
    mute.device.machine = undefined
    mute.run()
    assert.equal(mute.now, 60_000)
    assert.equal(first.results[0]?.ok === false && `${first.results[0].stage} ${first.results[0].code}`, 'start -160')

    const stuck = new TestNetwork(true)
    const target = new TestTarget()
    const second = transfer(stuck, target, fileOf(3_000))
    stuck.lose = (message) => pathLetter(message) === 'C'
    stuck.run()
    assert.equal(
      second.results[0]?.ok === false && `${second.results[0].stage} ${second.results[0].code}`,
      'transfer -160',
    )
    assert.equal(second.failures[0]?.code, 'message-timeout')
    assert.deepEqual(target.log, ['begin', 'cancel'])
    assert.ok(stuck.now >= 300_000 && stuck.now < 301_000)
  })

  it('knows that a device that resets chunks has forgotten the update', () => {
    const network = new TestNetwork(false)
    const { results } = transfer(network, new TestTarget(), fileOf(100_000))
    network.run(70)
    network.device.machine = new WindowedReceiver(network.device, new TestTarget(), { failed: () => {} })
    network.run()
    assert.equal(results[0]?.ok === false && results[0].code, -210)
  })

  it('refuses sizes that no device takes', () => {
    const { cloud } = new TestNetwork(true)
    const make = (chunkSize: number) => new WindowedSender(cloud, fileOf(1), { chunkSize }, { done: () => {} })
    for (const size of [508, 514, 1108, 1140]) assert.throws(() => make(size), RangeError)
    make(1104)
    const empty = transfer(new TestNetwork(true), new TestTarget(), new Uint8Array(0))
    assert.equal(empty.results[0]?.ok === false && empty.results[0].code, -1351)
  })
})

describe('the receiver of a windowed transfer', () => {
  const started = (size = 4 * 512) => {
    const network = new TestNetwork(false)
    const target = new TestTarget()
    const setup = transfer(network, target, fileOf(size), { chunkSize: 512 })
    network.lose = (message) => pathLetter(message) === 'C'
    network.run(100)
    network.lose = () => false
    network.device.sent.length = 0
    const give = (text: string | Uint8Array) =>
      setup.receiver.receive(decodeMessage(typeof text === 'string' ? unhex(text) : text), 200)
    return { ...setup, network, target, give, sent: network.device.sent }
  }

  it('takes violations as fatal: reset, cancel, drop the connection', () => {
    const violations: Record<string, Uint8Array> = {
      'index 0': encodeUpdateChunk(7, 0, new Uint8Array(512)),
      'beyond the last': encodeUpdateChunk(7, 5, new Uint8Array(512)),
      'too short': encodeUpdateChunk(7, 1, new Uint8Array(511)),
      'too long': encodeUpdateChunk(7, 4, new Uint8Array(513)),
      'no data': encodeUpdateChunk(7, 1, new Uint8Array(0)),
      'no index': unhex('50020007b143ff00'),
      confirmable: encodeUpdateChunk(7, 1, new Uint8Array(512)).map((byte, at) => (at === 0 ? 0x40 : byte)),
      'with token': unhex('5102000701b143e106e901ff00'),
    }
    for (const [name, violation] of Object.entries(violations)) {
      const { give, sent, failures, target } = started()
      assert.equal(give(violation), true)
      assert.deepEqual(
        sent.map(({ type, id }) => [type, id]),
        [[coapType.rst, 7]],
        name,
      )
      assert.equal(failures[0]?.code, 'ota-update', name)
      assert.deepEqual(target.log, ['begin', 'cancel'], name)
    }
  })

  it('ignores what lies beyond its window', () => {
    const { give, sent, failures } = started(512 * 300)
    give(encodeUpdateChunk(7, 257, new Uint8Array(512)))
    assert.deepEqual([sent.length, failures.length], [0, 0])
    give(encodeUpdateChunk(8, 256, new Uint8Array(512)))
    assert.equal(sent.length, 1)
    const ack = decodeUpdateAck(sent[0] as CoapMessage)
    assert.deepEqual([ack.cumulative, ack.bits, ack.received(255), ack.received(254)], [0, 256, true, false])
  })

  it('acks repetitions and gaps at once', () => {
    const { give, sent } = started()
    const acks = () => sent.map((message) => `${decodeUpdateAck(message).cumulative} ${hex(message.payload)}`)
    give(encodeUpdateChunk(1, 1, new Uint8Array(512)))
    assert.deepEqual(acks(), [])
    give(encodeUpdateChunk(2, 1, new Uint8Array(512)))
    assert.deepEqual(acks(), ['1 '])
    give(encodeUpdateChunk(3, 3, new Uint8Array(512)))
    assert.deepEqual(acks(), ['1 ', '1 02000000'])
    give(encodeUpdateChunk(4, 2, new Uint8Array(512)))
    assert.deepEqual(acks(), ['1 ', '1 02000000', '3 '])
    give(encodeUpdateChunk(5, 4, new Uint8Array(512)))
    assert.deepEqual(acks(), ['1 ', '1 02000000', '3 ', '4 '])
  })

  it('says its last ack again while nothing comes over UDP, less and less often', () => {
    const { sent, receiver, network } = started()
    network.cloud.machine = undefined
    network.lose = (_, from) => from === network.cloud
    const began = network.now
    const times: number[] = []
    for (let now = began; now < began + 100_000; now += 100) {
      receiver.poll(now)
      if (sent.length > times.length) times.push(now - began)
    }
    assert.equal(times.length, 4)
    assert.ok(
      times.every((at, index) => Math.abs(at - 5_000 * (2 ** (index + 1) - 1)) < 200),
      `${times}`,
    )
    assert.ok(sent.every((message) => decodeUpdateAck(message).cumulative === 0))
  })

  it('answers a late chunk with a reset and nothing more', () => {
    const network = new TestNetwork(false)
    const receiver = new WindowedReceiver(network.device, new TestTarget(), { failed: () => assert.fail() })
    assert.equal(receiver.receive(decodeMessage(encodeUpdateChunk(9, 1, new Uint8Array(512))), 0), true)
    assert.deepEqual(
      network.device.sent.map(({ type, id }) => [type, id]),
      [[coapType.rst, 9]],
    )
  })

  it('refuses a bad start with a piggybacked error', () => {
    const network = new TestNetwork(false)
    const receiver = new WindowedReceiver(network.device, new TestTarget(), { failed: () => assert.fail() })
    receiver.receive(decodeMessage(unhex('4102502040b153e206f103e8420200')), 0)
    const [answer] = network.device.sent
    assert.deepEqual([answer?.type, answer?.code, answer?.id], [coapType.ack, code.badRequest, 0x5020])
    assert.equal(JSON.parse(Buffer.from(answer?.payload ?? []).toString()).code, -270)
    assert.equal(receiver.active, false)
  })

  it('answers a finish that comes too early, and ends the update once that is known', () => {
    const { give, sent, network, failures, target } = started()
    give('4102777741b146')
    assert.deepEqual(
      sent.map(({ type, code: value }) => [type, value]),
      [
        [coapType.ack, 0],
        [coapType.con, code.serviceUnavailable],
      ],
    )
    assert.equal(failures.length, 0)
    give(Uint8Array.of(0x60, 0, (sent[1]?.id ?? 0) >> 8, (sent[1]?.id ?? 0) & 0xff))
    assert.equal(failures[0]?.code, 'ota-update')
    assert.deepEqual(target.log, ['begin', 'cancel'])
    network.run(1_000)
  })

  it('answers a finish without update', () => {
    const network = new TestNetwork(false)
    const receiver = new WindowedReceiver(network.device, new TestTarget(), { failed: () => assert.fail() })
    receiver.receive(decodeMessage(unhex('4102502241b146')), 0)
    assert.equal(JSON.parse(Buffer.from(network.device.sent[1]?.payload ?? []).toString()).code, -210)
  })

  it('cancels one update for the next', () => {
    const { give, sent, target, receiver } = started()
    const sha256 = new Uint8Array(32)
    give(encodeUpdateStart(9, Uint8Array.of(5), { ...nothing, fileSize: 700, chunkSize: 512, sha256 }))
    assert.deepEqual(target.log, ['begin', 'cancel', 'begin'])
    assert.equal(target.request?.size, 700)
    assert.equal(receiver.active, true)
    assert.deepEqual(
      sent.map(({ type, code: value }) => [type, value]),
      [
        [coapType.ack, 0],
        [coapType.con, code.created],
      ],
    )
  })
})

describe('a windowed transfer over a bad link', () => {
  const impairment = fc.record({
    loss: fc.double({ min: 0, max: 0.3, noNaN: true }),
    repetition: fc.double({ min: 0, max: 0.2, noNaN: true }),
    delay: fc.nat(200),
    jitter: fc.nat(300),
  })
  const scenario = fc.record({
    reliable: fc.boolean(),
    size: fc.integer({ min: 1, max: 60_000 }),
    chunkSize: fc.constantFrom(512, 768, 1104),
    impairment,
    seed: fc.integer(),
    cuts: fc.array(fc.nat(70_000), { maxLength: 4 }),
    damageAt: fc.nat(8),
  })

  it('always ends with the same bytes, through cuts at any byte, or with a typed failure', () => {
    fc.assert(
      fc.property(scenario, ({ reliable, size, chunkSize, impairment, seed, cuts, damageAt }) => {
        const file = fileOf(size)
        const target = new TestTarget()
        const chance = seeded(seed)
        let now = 0
        let discard = false
        for (let attempt = 0; target.applied === undefined; attempt++) {
          assert.ok(attempt < 40, `no end: ${target.log.join(', ')}`)
          const network = new TestNetwork(reliable, impairment, chance, now)
          network.cutAfter = cuts[attempt] ?? Number.POSITIVE_INFINITY
          const { results, failures } = transfer(network, target, file, { chunkSize, discard })
          network.run()
          if (target.applied === undefined && network.connected && results[0]?.ok) network.run(network.now + 1)
          assert.equal(results.length, 1, 'one result for each attempt')
          const [result] = results
          discard = result?.ok === false && result.code === -1331
          if (result?.ok === false) {
            assert.ok([-150, -160, -1331].includes(result.code), `${result.code} ${result.message}`)
          }
          assert.ok(failures.every((error) => error.code === 'ota-update' || error.code === 'message-timeout'))
          // A connection that the device or the cloud gives up ends for both.
          network.cloud.machine?.disconnected()
          network.device.machine?.disconnected()
          if (attempt === damageAt) target.damage()
          now = network.now + 1_000
        }
        assert.equal(hex(target.applied), hex(file))
        assert.equal(target.log.filter((line) => line === 'apply').length, 1)
      }),
      { numRuns: fuzzRuns },
    )
  })
})
