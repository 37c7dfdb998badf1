import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { decodeMessage, encodeMessage } from '../coap/codec.ts'
import { coapType, code } from '../coap/message.ts'
import type { ProtocolError } from '../protocol-error.ts'
import { fuzzRuns, hex, unhex } from '../test-bytes.ts'
import { chunkedRequestOf, decodeChunk, encodeChunk, encodeUpdateBegin } from './chunked-messages.ts'
import { ChunkedReceiver, type ChunkedReceiverOptions } from './chunked-receiver.ts'
import { ChunkedSender, type ChunkedSenderOptions } from './chunked-sender.ts'
import { type Impairment, seeded, TestNetwork, TestTarget } from './test-link.ts'
import type { TransferResult } from './transfer.ts'

const fileOf = (size: number) => Uint8Array.from({ length: size }, (_, index) => (index * 31 + (index >> 8)) & 0xff)

function transfer(
  network: TestNetwork,
  file: Uint8Array,
  options: ChunkedSenderOptions & { receiver?: ChunkedReceiverOptions } = {},
) {
  const target = new TestTarget()
  const results: TransferResult[] = []
  const failures: ProtocolError[] = []
  const progress: number[] = []
  const updating: boolean[] = []
  const receiver = new ChunkedReceiver(
    network.device,
    target,
    { failed: (error) => failures.push(error), updating: (active) => updating.push(active) },
    options.receiver,
  )
  const sender = new ChunkedSender(network.cloud, file, options, {
    progress: (bytes) => progress.push(bytes),
    done: (result) => results.push(result),
  })
  network.cloud.machine = sender
  network.device.machine = receiver
  sender.start(network.now)
  return { sender, receiver, target, results, failures, progress, updating }
}

const outcome = (result: TransferResult | undefined) =>
  result === undefined ? 'none' : result.ok ? 'ok' : `${result.stage} ${result.code}`
const chunksOf = (network: TestNetwork) =>
  network.cloud.sent.filter((message) => chunkedRequestOf(message) === 'chunk').map(decodeChunk)

describe('the chunked transfer', () => {
  for (const reliable of [true, false]) {
    for (const fast of [true, false]) {
      it(`carries files of all sizes over ${reliable ? 'TCP' : 'UDP'}, ${fast ? 'fast' : 'slow'}`, () => {
        for (const size of [1, 511, 512, 513, 1300, 100_000]) {
          const network = new TestNetwork(reliable)
          const { target, results, progress, updating } = transfer(network, fileOf(size), { fast })
          network.run()
          assert.equal(outcome(results[0]), 'ok')
          assert.equal(results.length, 1)
          assert.equal(hex(target.applied ?? new Uint8Array(0)), hex(fileOf(size)))
          assert.deepEqual(target.log, ['begin discard', 'finish', 'apply'])
          assert.deepEqual(updating, [true, false])
          assert.equal(progress.at(-1), size)
          const chunks = chunksOf(network)
          assert.equal(chunks.length, Math.ceil(size / 512))
          assert.equal(chunks.at(-1)?.data.length, size % 512 || 512, 'the last chunk is not padded')
          assert.ok(chunks.every(({ index }, at) => index === (fast ? at : undefined)))
        }
      })
    }
  }

  it('obeys the device that wants to be answered', () => {
    const network = new TestNetwork(true)
    const { results } = transfer(network, fileOf(5_000), { fast: true, receiver: { fast: false } })
    network.run()
    assert.equal(outcome(results[0]), 'ok')
    assert.ok(chunksOf(network).every(({ index }) => index === undefined))
  })

  it('sends again what the device has missed, in rounds', () => {
    const network = new TestNetwork(false)
    const { results } = transfer(network, fileOf(512 * 200))
    let first = 0
    network.lose = (message) => chunkedRequestOf(message) === 'chunk' && first++ < 200 && first % 2 === 0
    network.run()
    const [result] = results
    assert.ok(result?.ok)
    assert.equal(result.stats.resentChunks, 100)
    const lists = network.device.sent.filter((message) => chunkedRequestOf(message) === 'missed')
    assert.deepEqual(
      lists.map(({ payload }) => payload.length / 2),
      [40, 40, 20],
    )
    assert.ok(lists.every(({ type }) => type === coapType.con))
  })

  it('asks a device again that does not say what it has missed', () => {
    const network = new TestNetwork(true)
    const { results } = transfer(network, fileOf(5_000))
    let lost = 0
    network.lose = (message) => {
      const request = chunkedRequestOf(message)
      return (
        (request === 'chunk' && decodeChunk(message).index === 3 && lost++ < 1) || (request === 'missed' && lost++ < 2)
      )
    }
    network.run()
    assert.equal(outcome(results[0]), 'ok')
    assert.ok(network.now > 10_000 && network.now < 12_000)
  })

  it('sends a broken chunk of a slow transfer again, but not for ever', () => {
    const broken = (times: number) => {
      const network = new TestNetwork(true)
      const { results, receiver } = transfer(network, fileOf(3_000), { fast: false })
      let count = 0
      network.device.machine = {
        receive: (message, now) => {
          if (chunkedRequestOf(message) !== 'chunk' || count++ >= times) return receiver.receive(message, now)
          const payload = message.payload.map((byte) => byte ^ 1)
          return receiver.receive(decodeMessage(encodeMessage({ ...message, payload })), now)
        },
        poll: (now) => receiver.poll(now),
        nextDeadline: () => receiver.nextDeadline(),
        disconnected: () => receiver.disconnected(),
      }
      network.run()
      return outcome(results[0])
    }
    assert.equal(broken(3), 'ok')
    assert.equal(broken(1_000), 'transfer -280')
  })

  it('tells the result of the validation', () => {
    const network = new TestNetwork(true)
    const { results, target } = transfer(network, fileOf(3_000))
    target.refuse.finish = -1330
    network.run()
    assert.equal(outcome(results[0]), 'finish -1330')
    assert.deepEqual(target.log, ['begin discard', 'finish', 'cancel discard'])
  })

  it('is refused by the device, or before when the device could not hold it', () => {
    const refused = (file: Uint8Array, options: Parameters<typeof transfer>[2] = {}, begin?: number) => {
      const network = new TestNetwork(true)
      const { results, target, receiver } = transfer(network, file, options)
      if (begin !== undefined) target.refuse.begin = begin
      network.run()
      assert.equal(receiver.active, false)
      return outcome(results[0])
    }
    assert.equal(refused(fileOf(3_000), {}, -1380), 'start -1390')
    assert.equal(refused(new Uint8Array(0)), 'start -1351')
    assert.equal(refused(new Uint8Array(512 * 8 * 600)), 'start -1351')
    assert.equal(refused(fileOf(3_000), { receiver: { bufferSize: 512 } }), 'start -1390')
    const { cloud } = new TestNetwork(true)
    assert.throws(() => new ChunkedSender(cloud, fileOf(1), { chunkSize: 1_104 }, { done: () => {} }), RangeError)
    assert.throws(() => new ChunkedSender(cloud, fileOf(1), { chunkSize: 0 }, { done: () => {} }), RangeError)
  })

  it('runs out of time at both ends', () => {
    const network = new TestNetwork(true)
    const { results, failures, target } = transfer(network, fileOf(3_000), { fast: false })
    network.lose = (message) => chunkedRequestOf(message) === 'chunk'
    network.run()
    assert.equal(outcome(results[0]), 'transfer -160')
    assert.equal(failures[0]?.code, 'message-timeout')
    assert.deepEqual(target.log, ['begin discard', 'cancel discard'])
    const congested = new TestNetwork(true)
    const stuck = transfer(congested, fileOf(3_000))
    congested.cloud.congested = true
    congested.run()
    assert.equal(outcome(stuck.results[0]), 'transfer -160')
  })

  it('ends with the connection, and with a cancel', () => {
    const network = new TestNetwork(true)
    network.cutAfter = 5_000
    const { results, target } = transfer(network, fileOf(30_000))
    network.run()
    assert.equal(outcome(results[0]), 'transfer -150')
    assert.deepEqual(target.log, ['begin discard', 'cancel discard'])
    const other = new TestNetwork(true)
    const cancelled = transfer(other, fileOf(300_000))
    other.run(41)
    cancelled.sender.cancel(other.now)
    assert.equal(outcome(cancelled.results[0]), 'transfer -140')
  })

  it('always ends with the same bytes or with a typed failure over a bad link', () => {
    /** A list of missed chunks from a flight before comes while the last UpdateDone waits for its answer. */
    const lateList = {
      reliable: false,
      fast: true,
      size: 38_913,
      chunkSize: 128,
      impairment: { loss: 0.24463786790147427, repetition: 0, delay: 32, jitter: 6 },
      seed: -7,
    }
    const scenario = fc.record({
      reliable: fc.boolean(),
      fast: fc.boolean(),
      size: fc.integer({ min: 1, max: 40_000 }),
      chunkSize: fc.constantFrom(128, 512, 1000),
      impairment: fc.record<Impairment>({
        loss: fc.double({ min: 0, max: 0.25, noNaN: true }),
        repetition: fc.double({ min: 0, max: 0.2, noNaN: true }),
        delay: fc.nat(200),
        jitter: fc.nat(300),
      }),
      seed: fc.integer(),
    })
    fc.assert(
      fc.property(scenario, ({ reliable, fast, size, chunkSize, impairment, seed }) => {
        const file = fileOf(size)
        const network = new TestNetwork(reliable, impairment, seeded(seed))
        const { results, target } = transfer(network, file, { fast, chunkSize })
        network.run()
        assert.equal(results.length, 1)
        const [result] = results
        if (result?.ok) assert.equal(hex(target.applied ?? new Uint8Array(0)), hex(file))
        else assert.ok(result && [-150, -160].includes(result.code), outcome(result))
        if (target.applied) assert.equal(hex(target.applied), hex(file))
        if (reliable || impairment.loss === 0) assert.equal(result.ok, true)
      }),
      { numRuns: fuzzRuns, examples: [[lateList]] },
    )
  })
})

describe('the receiver of a chunked transfer', () => {
  const begun = (size = 1_300) => {
    const network = new TestNetwork(true)
    const target = new TestTarget()
    const failures: ProtocolError[] = []
    const receiver = new ChunkedReceiver(network.device, target, { failed: (error) => failures.push(error) })
    const give = (bytes: Uint8Array) => receiver.receive(decodeMessage(bytes), 0)
    const begin = { fast: true, chunkSize: 0, fileSize: size, store: 0, address: 0 }
    give(encodeUpdateBegin(1, Uint8Array.of(1), begin))
    return { network, target, failures, receiver, give, begin, sent: network.device.sent }
  }

  it('takes 512 bytes for a chunk size of 0, and cuts a padded last chunk', () => {
    const { give, target } = begun()
    const file = fileOf(1_536)
    for (const index of [2, 0, 1]) {
      give(encodeChunk(2 + index, Uint8Array.of(1), index, file.subarray(index * 512, (index + 1) * 512)))
    }
    give(unhex('4103501333b175'))
    assert.deepEqual(target.applied, file.subarray(0, 1_300))
  })

  it('drops chunks that are broken or have no place, and asks for them', () => {
    const { give, sent, failures } = begun()
    const broken = encodeChunk(2, Uint8Array.of(1), 0, new Uint8Array(512))
    broken[broken.length - 1] = 1
    give(broken)
    give(encodeChunk(3, Uint8Array.of(1), 3, new Uint8Array(512)))
    give(encodeChunk(4, Uint8Array.of(1), 1, new Uint8Array(100)))
    give(unhex('4103501333b175'))
    assert.deepEqual(
      sent.slice(2).map(({ type, code: value, payload }) => [type, value, hex(payload)]),
      [
        [coapType.ack, code.badRequest, ''],
        [coapType.non, code.get, '000000010002'],
      ],
    )
    assert.equal(failures.length, 0)
  })

  it('refuses a second update, a foreign store, and a done without update', () => {
    const { give, sent, begin, receiver } = begun()
    give(encodeUpdateBegin(5, Uint8Array.of(2), begin))
    assert.deepEqual([sent.at(-1)?.type, sent.at(-1)?.code], [coapType.ack, code.serviceUnavailable])
    receiver.disconnected()
    give(encodeUpdateBegin(6, Uint8Array.of(2), { ...begin, store: 1 }))
    assert.deepEqual([sent.at(-1)?.id, sent.at(-1)?.code], [6, code.serviceUnavailable])
    give(unhex('4102501030b175ff0102'))
    assert.equal(sent.at(-1)?.code, code.serviceUnavailable)
    give(unhex('4103501333b175'))
    assert.equal(sent.at(-1)?.code, code.serviceUnavailable)
    assert.equal(receiver.active, false)
  })

  it('drops the connection for a chunk that is none', () => {
    const { give, failures, target } = begun()
    give(unhex('5102501131b16341aaff00'))
    assert.equal(failures[0]?.code, 'malformed-message')
    assert.deepEqual(target.log, ['begin discard', 'cancel discard'])
  })
})
