import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { decodeMessage } from '../coap/codec.ts'
import { CoapError } from '../coap/error.ts'
import { type CoapMessage, noBytes } from '../coap/message.ts'
import { MessageError } from '../messages/error.ts'
import { fuzzRuns, hex, unhex } from '../test-bytes.ts'
import {
  answers,
  chunkedRequestOf,
  decodeChunk,
  decodeChunkMissed,
  decodeUpdateBegin,
  decodeUpdateDoneResult,
  decodeUpdateReady,
  encodeChunk,
  encodeChunkMissed,
  encodeChunkReceived,
  encodeUpdateBegin,
  encodeUpdateDone,
  encodeUpdateDoneResult,
  encodeUpdateIncomplete,
  encodeUpdateReady,
} from './chunked-messages.ts'
import { coapCodeOf, decodeSystemError, encodeSystemError } from './system-error.ts'
import {
  decodeUpdateAck,
  decodeUpdateChunk,
  decodeUpdateFinish,
  decodeUpdateStart,
  decodeUpdateStarted,
  encodeUpdateAck,
  encodeUpdateChunk,
  encodeUpdateCounts,
  encodeUpdateFinish,
  encodeUpdateStart,
  encodeUpdateStarted,
  windowedRequestOf,
} from './windowed-messages.ts'

const message = (text: string) => decodeMessage(unhex(text))
const token = (value: number) => Uint8Array.of(value)
const a5 = new Uint8Array(512).fill(0xa5)

describe('messages of the chunked transfer (device-protocol.md 7.7)', () => {
  it('begin', () => {
    const begin = { fast: true, chunkSize: 512, fileSize: 1000, store: 0, address: 0 }
    const encoded = '4102501030b175ff010200000003e80000000000'
    assert.equal(hex(encodeUpdateBegin(0x5010, token(0x30), begin)), encoded)
    assert.deepEqual(decodeUpdateBegin(message(encoded)), begin)
    assert.equal(chunkedRequestOf(message(encoded)), 'begin')
    assert.equal(chunkedRequestOf(message('4102501030b173')), 'begin')
    assert.deepEqual(decodeUpdateBegin(message('4102501030b175')), {
      fast: false,
      chunkSize: 0,
      fileSize: 0,
      store: 0,
      address: 0,
    })
    assert.throws(() => decodeUpdateBegin(message('4102501030b175ff0102')), MessageError)
  })

  it('ready', () => {
    assert.equal(hex(encodeUpdateReady({ type: 0, id: 0x20, token: token(0x30) }, true)), '4144002030ff01')
    assert.equal(hex(encodeUpdateReady({ type: 1, id: 0x2150, token: token(0x30) }, true)), '5144215030ff01')
    assert.equal(decodeUpdateReady(message('5144215030ff01')).fast, true)
    assert.equal(decodeUpdateReady(message('5144215030ff00')).fast, false)
    assert.equal(decodeUpdateReady(message('5144215030')).fast, false)
    assert.equal(answers(message('5144215030'), 0x30), true)
    assert.equal(answers(message('5144215030'), 0x31), false)
  })

  it('chunks', () => {
    const fast = encodeChunk(0x5011, token(0x31), 1, a5)
    assert.equal(hex(fast.subarray(0, 22)), '5102501131b16344c906d311020001ffa5a5a5a5a5a5')
    const slow = encodeChunk(0x5012, token(0x32), undefined, a5)
    assert.equal(hex(slow.subarray(0, 18)), '4102501232b16344c906d311ffa5a5a5a5a5')
    const decoded = decodeChunk(decodeMessage(fast))
    assert.deepEqual([decoded.crc, decoded.index, decoded.data.length], [0xc906d311, 1, 512])
    assert.equal(decodeChunk(decodeMessage(slow)).index, undefined)
    assert.equal(chunkedRequestOf(decodeMessage(slow)), 'chunk')
    assert.throws(() => decodeChunk(message('5102501131b163')), MessageError)
    assert.throws(() => decodeChunk(message('5102501131b16344c906d3110100')), MessageError)
    assert.equal(hex(encodeChunkReceived({ type: 0, id: 0x21, token: token(0x32) }, true)), '4144002132')
    assert.equal(hex(encodeChunkReceived({ type: 0, id: 0x21, token: token(0x32) }, false)), '4180002132')
  })

  it('done and missed', () => {
    const done = '4103501333b175'
    assert.equal(hex(encodeUpdateDone(0x5013, token(0x33))), done)
    assert.equal(chunkedRequestOf(message(done)), 'done')
    assert.equal(hex(encodeUpdateDoneResult(message(done), 0)), '6144501333ff7b2272223a307d')
    assert.equal(hex(encodeUpdateIncomplete(message(done))), '6180501333')
    assert.equal(decodeUpdateDoneResult(message('6144501333ff7b2272223a307d')), 0)
    assert.equal(decodeUpdateDoneResult(decodeMessage(encodeUpdateDoneResult(message(done), -1320))), -1320)
    assert.equal(decodeUpdateDoneResult(message('6144501333')), 0)
    assert.equal(hex(encodeChunkMissed(0, 0x22, [3, 17])), '40010022b163ff00030011')
    assert.deepEqual(decodeChunkMissed(message('40010022b163ff00030011')), [3, 17])
    assert.equal(chunkedRequestOf(message('40010022b163ff00030011')), 'missed')
    assert.throws(() => decodeChunkMissed(message('40010022b163ff000300')), MessageError)
    assert.equal(chunkedRequestOf(message('4103500725b1734101')), undefined, 'a signal is PUT /s')
  })
})

describe('messages of the windowed transfer (device-protocol.md 7.8)', () => {
  const start = '4102502040b153e206f103e84d13ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad420200'
  const sha256 = unhex('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')

  it('start', () => {
    const fields = { fileSize: 1000, chunkSize: 512, sha256, discard: false, moduleFunction: undefined }
    assert.equal(hex(encodeUpdateStart(0x5020, token(0x40), fields)), start)
    assert.deepEqual(decodeUpdateStart(message(start)), fields)
    assert.equal(windowedRequestOf(message(start)), 'start')
    const all = { ...fields, sha256: undefined, discard: true, moduleFunction: 9 }
    assert.deepEqual(decodeUpdateStart(decodeMessage(encodeUpdateStart(1, token(1), all))), all)
  })

  it('refuses sizes that a device would refuse', () => {
    const refused = (fileSize: number, chunkSize: number, hash = sha256) => {
      const fields = { fileSize, chunkSize, sha256: hash, discard: false, moduleFunction: undefined }
      assert.throws(() => decodeUpdateStart(decodeMessage(encodeUpdateStart(1, token(1), fields))), MessageError)
    }
    refused(0, 512)
    refused(1000, 508)
    refused(1000, 1140)
    refused(1000, 514)
    refused(1000, 512, sha256.subarray(1))
    assert.throws(() => decodeUpdateStart(message('4102502040b153')), MessageError)
  })

  it('started', () => {
    const head = { type: 0, id: 0x30, token: token(0x40) } as const
    assert.equal(hex(encodeUpdateStarted(head, { window: 256, offset: 0 })), '4141003040e206f8010040')
    assert.deepEqual(decodeUpdateStarted(message('4141003040e206f8010040')), { window: 256, offset: 0 })
    const resumed = { window: 115, offset: 70_000 }
    assert.deepEqual(decodeUpdateStarted(decodeMessage(encodeUpdateStarted(head, resumed))), resumed)
    assert.throws(() => decodeUpdateStarted(message('4141003040')), MessageError)
  })

  it('chunk', () => {
    assert.equal(hex(encodeUpdateChunk(0x5021, 1, unhex('61626364'))), '50025021b143e106e901ff61626364')
    const chunk = decodeUpdateChunk(message('50025021b143e106e901ff61626364'))
    assert.deepEqual([chunk.index, hex(chunk.data)], [1, '61626364'])
    for (const fatal of [
      '40025021b143e106e901ff61626364',
      '5102502101b143e106e901ff61626364',
      '50025021b143e006e9ff61626364',
      '50025021b143ff61626364',
      '50025021b143e106e901',
    ]) {
      assert.throws(() => decodeUpdateChunk(message(fatal)), MessageError)
    }
  })

  it('acks with their bitmap in little-endian words', () => {
    assert.equal(hex(encodeUpdateAck(0x31, 5, [])), '50020031b141e106e905')
    // Of 6 and later, 7, 8 and 10 have arrived.
    assert.equal(hex(encodeUpdateAck(0x32, 5, [0b10110, 0])), '50020032b141e106e905ff16000000')
    const ack = decodeUpdateAck(message('50020032b141e106e905ff16000000'))
    assert.equal(ack.cumulative, 5)
    const received = Array.from({ length: ack.bits }, (_, bit) => bit).filter((bit) => ack.received(bit))
    assert.deepEqual(
      received.map((bit) => bit + 6),
      [7, 8, 10],
    )
    const high = decodeUpdateAck(decodeMessage(encodeUpdateAck(1, 0, [0, 0x8000_0001])))
    assert.deepEqual([31, 32, 33, 62, 63].map(high.received), [false, true, false, false, true])
    assert.throws(() => decodeUpdateAck(message('50020032b141e106e905ff160000')), MessageError)
    assert.throws(() => decodeUpdateAck(message('50020032b141')), MessageError)
  })

  it('finish and its answers', () => {
    assert.equal(hex(encodeUpdateFinish(0x5022, token(0x41), { cancel: false, discard: false })), '4102502241b146')
    const cancel = { cancel: true, discard: true }
    assert.equal(hex(encodeUpdateFinish(0x5023, token(0x42), cancel)), '4102502342b146e006fd40')
    assert.deepEqual(decodeUpdateFinish(message('4102502342b146e006fd40')), cancel)
    assert.deepEqual(decodeUpdateFinish(message('4102502241b146')), { cancel: false, discard: false })
    const counts = { received: 2, duplicates: 0, outOfOrder: 0, acks: 2, processingTime: 12 }
    assert.equal(
      hex(encodeUpdateCounts(counts)),
      '7b22726563765f6368756e6b73223a322c226475705f6368756e6b73223a302c226f6f6f5f6368756e6b73223a302c2273656e745f61636b73223a322c2270726f635f74696d65223a31327d',
    )
  })
})

describe('system errors', () => {
  it('have the CoAP codes of device-protocol.md 3.19', () => {
    const codes = [0, -270, -190, -170, -130, -1351, -110, -240, -160, -120, -250].map((code) => coapCodeOf(code))
    assert.deepEqual(codes, [0x44, 0x80, 0x80, 0x84, 0x83, 0xa3, 0xa3, 0xa3, 0xa4, 0xa1, 0xa0])
  })

  it('are read from JSON, and from whatever else comes', () => {
    const response = (payload: Uint8Array): CoapMessage => ({ ...message('41a3003040'), payload })
    const full = decodeSystemError(response(encodeSystemError(-1340, 'needs a newer system part')))
    assert.deepEqual(full, { code: -1340, message: 'needs a newer system part' })
    assert.deepEqual(decodeSystemError(response(Buffer.from('{"code":-1351}'))), {
      code: -1351,
      message: 'Invalid module size (5.03)',
    })
    for (const text of ['', '{"code":-13', '[]', 'null', '7']) {
      assert.equal(decodeSystemError(response(Buffer.from(text))).code, -1390)
    }
  })
})

describe('decoders of transfer messages', () => {
  it('throw MessageError or CoapError and nothing else, whatever the input', () => {
    const option = fc.record({
      number: fc.constantFrom(11, 15, 2049, 2053, 2057, 2061, 2065),
      value: fc.uint8Array({ maxLength: 6 }),
    })
    const anyMessage = fc.record({
      type: fc.constantFrom<0 | 1 | 2 | 3>(0, 1, 2, 3),
      code: fc.constantFrom(1, 2, 3, 0x41, 0x44, 0x80),
      id: fc.nat(0xffff),
      token: fc.constantFrom(noBytes, token(1)),
      options: fc.array(option, { maxLength: 6 }),
      payload: fc.uint8Array({ maxLength: 40 }),
    })
    const decoders: ((message: CoapMessage) => unknown)[] = [
      decodeUpdateBegin,
      decodeUpdateReady,
      decodeChunk,
      decodeUpdateDoneResult,
      decodeChunkMissed,
      chunkedRequestOf,
      decodeUpdateStart,
      decodeUpdateStarted,
      decodeUpdateChunk,
      decodeUpdateAck,
      decodeUpdateFinish,
      windowedRequestOf,
      decodeSystemError,
    ]
    fc.assert(
      fc.property(anyMessage, (input) => {
        for (const decode of decoders) {
          try {
            decode(input)
          } catch (error) {
            assert.ok(error instanceof MessageError || error instanceof CoapError, String(error))
          }
        }
      }),
      { numRuns: fuzzRuns },
    )
  })
})
