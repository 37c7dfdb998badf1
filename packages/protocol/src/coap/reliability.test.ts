import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { fuzzRuns, hex, unhex, utf8 } from '../test-bytes.ts'
import { type Block, decodeBlock, encodeBlock } from './block.ts'
import { encodeEmptyAck } from './codec.ts'
import { Deduplication } from './deduplication.ts'
import { CoapError } from './error.ts'
import { readUint, uintOption } from './options.ts'
import { deviceLimits, Retransmission, rfcLimits } from './retransmission.ts'

const message = Uint8Array.of(0x40, 0x02, 0x00, 0x01)
const never = () => 0

describe('retransmission of confirmable messages', () => {
  it('sends again after the first wait, then doubles it', () => {
    const retransmission = new Retransmission(rfcLimits, never)
    retransmission.track(1, message, 0)

    assert.deepEqual(retransmission.poll(1_999).send, [])
    assert.deepEqual(retransmission.poll(2_000).send, [message])
    assert.equal(retransmission.nextDeadline(), 6_000)
  })

  it('falls silent once the message is acknowledged', () => {
    const retransmission = new Retransmission(rfcLimits, never)
    retransmission.track(1, message, 0)

    assert.equal(retransmission.has(1), true)
    assert.equal(retransmission.acknowledge(1), true)
    assert.equal(retransmission.acknowledge(1), false)
    assert.equal(retransmission.nextDeadline(), undefined)
    assert.equal(retransmission.size, 0)
  })

  it('gives up within the minute and a half that Device OS waits', () => {
    for (const [random, after] of [
      [() => 0, 60_000],
      [() => 0.999, 90_000],
    ] as const) {
      const retransmission = new Retransmission(deviceLimits, random)
      retransmission.track(1, message, 0)
      let sent = 0
      for (let now = 0; now < after - 100; now += 20) sent += retransmission.poll(now).send.length
      assert.equal(sent, deviceLimits.maxRetransmit)
      assert.deepEqual(retransmission.poll(after).gaveUp, [1])
    }
  })

  it('never sends a message more often than allowed, however it is polled', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(20_000), { minLength: 1, maxLength: 200 }), (pauses) => {
        const retransmission = new Retransmission(rfcLimits, never)
        retransmission.track(7, message, 0)
        let now = 0
        let sent = 0
        for (const pause of pauses) {
          now += pause
          sent += retransmission.poll(now).send.length
        }
        assert.ok(sent <= rfcLimits.maxRetransmit)
      }),
      { numRuns: fuzzRuns },
    )
  })
})

describe('deduplication', () => {
  it('knows a message that comes again, and the answer to it, until it expires', () => {
    const seen = new Deduplication(45_000, 10)
    assert.equal(seen.receive(1, 0), true)
    assert.equal(seen.answerTo(1), undefined)
    seen.answered(1, message)
    assert.equal(seen.receive(1, 44_999), false)
    assert.equal(seen.answerTo(1), message)
    assert.equal(seen.receive(1, 45_000), true)
    assert.equal(seen.answerTo(1), undefined)
  })

  it('forgets the oldest beyond its capacity', () => {
    const seen = new Deduplication(45_000, 3)
    for (let id = 0; id < 5; id++) assert.equal(seen.receive(id, 0), true)
    assert.equal(seen.receive(4, 0), false)
    assert.equal(seen.receive(0, 0), true)
  })
})

describe('deduplication of any messages', () => {
  const answers = fc.oneof(fc.constant('empty' as const), fc.uint8Array({ maxLength: 6 }))
  const commands = fc.array(
    fc.record({ id: fc.constantFrom(0, 1, 2, 255, 256, 0xffff), after: fc.nat(400), answer: fc.option(answers) }),
  )

  it('gives the same answer again as a plain list would', () => {
    fc.assert(
      fc.property(commands, (list) => {
        const seen = new Deduplication(1_000, 4)
        let known: { id: number; expires: number; answer: Uint8Array | undefined }[] = []
        let now = 0
        for (const { id, after, answer } of list) {
          // Expiry is rounded up to tenths of a second: whole ones make both the same.
          now += after * 100
          known = known.filter((other) => other.expires > now)
          while (known.length >= 4) known.shift()
          const entry = known.find((other) => other.id === id)
          assert.equal(seen.receive(id, now), entry === undefined)
          const mine = entry ?? { id, expires: now + 1_000, answer: undefined }
          if (!entry) known.push(mine)
          if (answer !== null) {
            mine.answer = answer === 'empty' ? encodeEmptyAck(id) : answer
            seen.answered(id, mine.answer)
          }
          for (const other of known) assert.deepEqual(seen.answerTo(other.id), other.answer)
        }
      }),
      { numRuns: fuzzRuns },
    )
  })
})

describe('uint options', () => {
  it('have 0, 1, 2 or 4 bytes, and are read in any length up to 4', () => {
    assert.deepEqual(
      [0, 1, 255, 256, 65_535, 65_536, 0xffff_ffff].map((value) => hex(uintOption(value))),
      ['', '01', 'ff', '0100', 'ffff', '00010000', 'ffffffff'],
    )
    assert.equal(readUint(unhex('00012c')), 300)
    fc.assert(fc.property(fc.nat(0xffff_ffff), (value) => assert.equal(readUint(uintOption(value)), value)))
    assert.throws(() => readUint(utf8('12345')), CoapError)
    assert.throws(() => uintOption(-1), CoapError)
  })
})

describe('block options', () => {
  it('decode what was encoded', () => {
    const block: fc.Arbitrary<Block> = fc.record(
      {
        number: fc.nat(0xfffff),
        more: fc.boolean(),
        size: fc.constantFrom(16, 32, 64, 128, 256, 512, 1024),
      },
      { noNullPrototype: true },
    )
    fc.assert(fc.property(block, (value) => assert.deepEqual(decodeBlock(encodeBlock(value)), value)))
  })

  it('are refused when they say what no block is', () => {
    for (const value of ['07', '01000000']) assert.throws(() => decodeBlock(unhex(value)), CoapError)
    assert.throws(() => encodeBlock({ number: 0, more: false, size: 1000 }), CoapError)
    assert.throws(() => encodeBlock({ number: 0, more: false, size: 2048 }), CoapError)
    assert.throws(() => encodeBlock({ number: 0x100000, more: false, size: 1024 }), CoapError)
  })
})
