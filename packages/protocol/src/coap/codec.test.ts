import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { fuzzRuns, hex, unhex } from '../test-bytes.ts'
import { decodeMessage, encodeEmptyAck, encodeMessage, encodePing, encodeReset } from './codec.ts'
import { CoapError } from './error.ts'
import { type CoapMessage, type CoapOption, coapType, code, noBytes, optionNumber } from './message.ts'

const bytes = (maxLength: number) => fc.uint8Array({ maxLength })

const anyMessage: fc.Arbitrary<CoapMessage> = fc.record({
  type: fc.constantFrom<0 | 1 | 2 | 3>(0, 1, 2, 3),
  code: fc.oneof(fc.integer({ min: 1, max: 0x1f }), fc.integer({ min: 0x40, max: 0xbf })),
  id: fc.nat(0xffff),
  token: bytes(8),
  options: fc
    .array(fc.record({ number: fc.nat(0xffff), value: fc.oneof(bytes(20), bytes(400)) }), { maxLength: 8 })
    .map((options: CoapOption[]) => options.sort((a, b) => a.number - b.number)),
  payload: bytes(300),
})

const plain = (message: CoapMessage) => ({
  ...message,
  token: hex(message.token),
  options: message.options.map(({ number, value }) => [number, hex(value)]),
  payload: hex(message.payload),
})

describe('the CoAP codec', () => {
  it('decodes what it encoded', () => {
    fc.assert(
      fc.property(anyMessage, (message) => {
        assert.deepEqual(plain(decodeMessage(encodeMessage(message))), plain(message))
      }),
      { numRuns: fuzzRuns },
    )
  })

  it('throws CoapError and nothing else, whatever the input', () => {
    const damaged = fc.tuple(anyMessage, fc.nat(), fc.nat(255), fc.nat()).map(([message, at, value, cut]) => {
      const encoded = encodeMessage(message)
      encoded[at % encoded.length] = value
      return encoded.subarray(0, cut % (encoded.length + 1))
    })
    fc.assert(
      fc.property(fc.oneof(bytes(64), damaged), (input) => {
        try {
          const message = decodeMessage(input)
          encodeMessage(message)
        } catch (error) {
          assert.ok(error instanceof CoapError, String(error))
        }
      }),
      { numRuns: fuzzRuns * 5 },
    )
  })

  it('names what is wrong', () => {
    const codeOf = (input: string): string => {
      try {
        decodeMessage(unhex(input))
        return 'ok'
      } catch (error) {
        return error instanceof CoapError ? error.code : String(error)
      }
    }
    assert.equal(codeOf(''), 'truncated')
    assert.equal(codeOf('400200'), 'truncated')
    assert.equal(codeOf('80020001'), 'version')
    assert.equal(codeOf('49020001000000000000000000'), 'token-length')
    assert.equal(codeOf('4102000a'), 'truncated')
    assert.equal(codeOf('40020001b2'), 'truncated')
    assert.equal(codeOf('40020001d0'), 'truncated')
    assert.equal(codeOf('40020001e001'), 'truncated')
    assert.equal(codeOf('40020001f0'), 'option-format')
    assert.equal(codeOf('40020001bf'), 'option-format')
    assert.equal(codeOf('40020001e0ffff'), 'option-format')
    assert.equal(codeOf('4000000100'), 'empty-with-content')
    assert.equal(codeOf('40200001'), 'reserved-code')
    assert.equal(codeOf('40e00001'), 'reserved-code')
  })

  it('accepts a payload marker without payload, which devices before 6.2 send', () => {
    const message = decodeMessage(unhex('50022125b1450178ff'))
    assert.equal(message.payload.length, 0)
    assert.equal(hex(encodeMessage(message)), '50022125b1450178')
  })

  it('refuses to encode what has no encoding', () => {
    const message: CoapMessage = { type: 0, code: code.post, id: 1, token: noBytes, options: [], payload: noBytes }
    const reject = (change: Partial<CoapMessage>) =>
      assert.throws(() => encodeMessage({ ...message, ...change }), CoapError)
    reject({ id: 0x10000 })
    reject({ id: -1 })
    reject({ token: new Uint8Array(9) })
    reject({ code: 0, payload: Uint8Array.of(1) })
    reject({ options: [{ number: 0x10000, value: noBytes }] })
    reject({ options: [{ number: 1, value: new Uint8Array(66_000) }] })
  })

  it('puts options into ascending order and keeps those of one number in theirs', () => {
    const encoded = encodeMessage({
      type: coapType.con,
      code: code.post,
      id: 6,
      token: noBytes,
      options: [
        { number: optionNumber.maxAge, value: Uint8Array.of(1, 0x2c) },
        { number: optionNumber.uriPath, value: Uint8Array.of(0x45) },
        { number: optionNumber.uriPath, value: Uint8Array.of(0x61, 0x2f, 0x62) },
      ],
      payload: Uint8Array.of(0x78),
    })
    assert.equal(hex(encoded), '40020006b14503612f6232012cff78')
  })

  it('has short cuts for the four byte messages', () => {
    assert.equal(hex(encodeEmptyAck(0x2122)), '60002122')
    assert.equal(hex(encodePing(0x2122)), '40002122')
    assert.equal(hex(encodeReset(0xffff)), '7000ffff')
  })
})
