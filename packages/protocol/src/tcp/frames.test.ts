import assert from 'node:assert/strict'
import { createCipheriv } from 'node:crypto'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { ProtocolError } from '../protocol-error.ts'
import { fuzzRuns, hex, unhex } from '../test-bytes.ts'
import { FrameDecoder, FrameEncoder } from './frames.ts'
import { InboundBytes } from './inbound.ts'

const credentials = Uint8Array.from({ length: 40 }, (_, index) => index)
const maxFrame = 1152

/** The framing as device-protocol.md 1.4 writes it down: a cipher for each message. */
function plainFrames(messages: readonly Uint8Array[]): Buffer {
  let iv = credentials.subarray(16, 32)
  const frames = messages.map((message) => {
    const cipher = createCipheriv('aes-128-cbc', credentials.subarray(0, 16), iv)
    const ciphertext = Buffer.concat([cipher.update(message), cipher.final()])
    iv = ciphertext.subarray(0, 16)
    return Buffer.concat([Buffer.of(ciphertext.length >> 8, ciphertext.length & 0xff), ciphertext])
  })
  return Buffer.concat(frames)
}

function decodeAll(segments: readonly Uint8Array[]): { messages: string[]; error: ProtocolError | undefined } {
  const decoder = new FrameDecoder(credentials, maxFrame)
  const inbound = new InboundBytes()
  const messages: string[] = []
  for (const segment of segments) {
    inbound.push(segment)
    for (;;) {
      const message = decoder.next(inbound)
      if (message === undefined) break
      if (message instanceof ProtocolError) return { messages, error: message }
      messages.push(hex(message))
    }
    inbound.settle()
  }
  return { messages, error: undefined }
}

const someMessages = fc.array(fc.uint8Array({ minLength: 1, maxLength: 1119 }), { minLength: 1, maxLength: 6 })

describe('frames of the TCP transport', () => {
  it('match the vectors, whose IV is the first block of the message before (device-protocol.md 7.10)', () => {
    const device = new FrameEncoder(credentials)
    const hello = device.encode(unhex('50022121b168ff000300010036000300001838048000a000000200'))
    assert.equal(hex(hello), '0020e052996bc0b57f9a4495940185665f1d838ed178a5edac8e90c8b2aaf8f5e8d6')
    assert.equal(hex(device.encode(unhex('40002122'))), '001056ebbdf11f086958a9c3f4667a1c782b')
    const server = new FrameEncoder(credentials)
    assert.equal(hex(server.encode(unhex('50025000b168'))), '0010f6502224d7bf68d46370318eeed77947')
    assert.equal(hex(server.encode(unhex('60002122'))), '0010f7d72f4b019822156efe3274ec33cfc8')
    const { messages } = decodeAll([
      unhex('0020e052996bc0b57f9a4495940185665f1d838ed178a5edac8e90c8b2aaf8f5e8d6001056ebbdf11f086958a9c3f4667a1c782b'),
    ])
    assert.deepEqual(messages, ['50022121b168ff000300010036000300001838048000a000000200', '40002122'])
  })

  it('are those of a cipher made anew for each message', () => {
    fc.assert(
      fc.property(someMessages, (messages) => {
        const encoder = new FrameEncoder(credentials)
        const frames = Buffer.concat(messages.map((message) => encoder.encode(message)))
        assert.equal(hex(frames), hex(plainFrames(messages)))
      }),
      { numRuns: fuzzRuns },
    )
  })

  it('give the same messages however the stream is cut', () => {
    fc.assert(
      fc.property(someMessages, fc.array(fc.integer({ min: 1, max: 400 }), { maxLength: 60 }), (messages, cuts) => {
        const stream = plainFrames(messages)
        const segments: Uint8Array[] = []
        let at = 0
        for (const cut of cuts) {
          segments.push(stream.subarray(at, at + cut))
          at += cut
        }
        segments.push(stream.subarray(at))
        assert.deepEqual(decodeAll(segments), { messages: messages.map(hex), error: undefined })
      }),
      { numRuns: fuzzRuns },
    )
    const bytewise = plainFrames([Buffer.alloc(1119, 7), Buffer.of(1)])
    assert.equal(decodeAll(Array.from(bytewise, (byte) => Uint8Array.of(byte))).messages.length, 2)
  })

  it('end in a typed error or in other messages when bytes are changed, and never throw', () => {
    fc.assert(
      fc.property(someMessages, fc.nat(), fc.integer({ min: 1, max: 255 }), (messages, at, change) => {
        const stream = plainFrames(messages)
        const index = at % stream.length
        stream[index] = (stream[index] ?? 0) ^ change
        decodeAll([stream])
      }),
      { numRuns: fuzzRuns },
    )
  })

  it('keep their limits', () => {
    const codeOf = (stream: Uint8Array) => decodeAll([stream]).error?.code
    assert.equal(codeOf(unhex('0000')), 'frame-size')
    assert.equal(codeOf(unhex('0011')), 'frame-size')
    assert.equal(codeOf(unhex('0490')), 'frame-too-large', 'at the length already, without waiting for the rest')
    assert.equal(codeOf(unhex('0480')), undefined)
    assert.equal(codeOf(new FrameEncoder(credentials).encode(new Uint8Array(0))), 'frame-empty')
    const otherKey = new FrameEncoder(Uint8Array.from(credentials, (byte) => byte ^ 0x5a))
    assert.equal(codeOf(otherKey.encode(new Uint8Array(64))), 'frame-padding')
  })
})
