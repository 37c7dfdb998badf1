/**
 * The byte vectors of device-protocol.md 7 at the level of CoAP messages: each is built by its encoder and read by its
 * decoder. Those of the over-the-air transfers have their own tests beside their code.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { decodeMessage, encodeEmptyAck, encodeMessage, encodePing } from '../coap/codec.ts'
import { type CoapMessage, coapType, code, noBytes, optionNumber } from '../coap/message.ts'
import { pathLetter, uriPath } from '../coap/options.ts'
import { hex, unhex, utf8 } from '../test-bytes.ts'
import { encodeResponse, type Head, tokenOf } from './build.ts'
import { decodeCbor } from './cbor.ts'
import { encodeKeyChange, encodeSignal } from './control.ts'
import {
  decodeDescribe,
  describeKindOf,
  encodeDescribeGet,
  encodeDescribePost,
  encodeDescribeResponse,
  findBlock,
} from './describe.ts'
import { decodeEvent, type EventFields, encodeEventDelivery, encodeEventPublish, isEventPublish } from './event.ts'
import {
  decodeFunctionCall,
  decodeFunctionReturn,
  encodeFunctionCall,
  encodeFunctionReturn,
  queryByte,
} from './function.ts'
import { decodeGoodbye, encodeGoodbye } from './goodbye.ts'
import { decodeHello, encodeHello, encodeServerHello, type HelloFields } from './hello.ts'
import { decodeSubscribe, encodeSubscribe } from './subscription.ts'
import { decodeTimeResponse, encodeTimeRequest, encodeTimeResponse } from './time.ts'
import {
  decodeVariable,
  decodeVariableRequest,
  encodeVariableRequest,
  encodeVariableResponse,
  type VariableValue,
} from './variable.ts'

const head = (type: Head['type'], id: number, token?: number): Head => ({
  type,
  id,
  token: token === undefined ? noBytes : tokenOf(token),
})
const con = (id: number, token?: number) => head(coapType.con, id, token)
const non = (id: number, token?: number) => head(coapType.non, id, token)
const decoded = (vector: string): CoapMessage => decodeMessage(unhex(vector))

const system = { version: 6200, maxMessageSize: 1152, maxBinarySize: 10_485_760, otaChunkSize: 512 }

describe('Hello (7.1)', () => {
  const tcp: HelloFields = { productId: 3, productVersion: 1, flags: 0x36, platformId: 3, system }
  const udp: HelloFields = {
    productId: 13,
    productVersion: 1,
    flags: 0x36,
    platformId: 13,
    deviceId: '0f10aced2021222324252627',
    system,
  }
  const old: HelloFields = { productId: 6, productVersion: 1, flags: 6, platformId: 6 }
  const vectors: [string, 0 | 1, number, HelloFields, string][] = [
    ['TCP, 6.2', 1, 0x2121, tcp, '50022121b168ff000300010036000300001838048000a000000200'],
    ['UDP, 6.2', 0, 1, udp, '40020001b168ff000d00010036000d000c0f10aced20212223242526271838048000a000000200'],
    ['TCP, before 3.0', 1, 0x2121, old, '50022121b168ff0006000100060006'],
  ]
  for (const [name, type, id, fields, vector] of vectors) {
    it(`of a device, ${name}`, () => {
      assert.equal(hex(encodeHello(type, id, fields)), vector)
      assert.deepEqual(decodeHello(decoded(vector).payload), fields)
    })
  }

  it('of a UDP device before 3.0 ends after its id, whose length has 16 bits', () => {
    const payload = unhex('ffffffff0000000a000c0f10aced2021222324252627')
    assert.deepEqual(decodeHello(payload), {
      productId: 65535,
      productVersion: 65535,
      flags: 0,
      platformId: 10,
      deviceId: '0f10aced2021222324252627',
    })
  })

  it('of the future may be longer', () => {
    const payload = unhex('000300010036000300001838048000a000000200deadbeef')
    assert.deepEqual(decodeHello(payload), tcp)
  })

  it('of the server, and the acknowledgement over UDP', () => {
    assert.equal(hex(encodeServerHello(0x5000)), '50025000b168')
    assert.equal(hex(encodeEmptyAck(1)), '60000001')
  })
})

describe('ping and time (7.2)', () => {
  it('ping and pong', () => {
    assert.equal(hex(encodePing(0x2122)), '40002122')
    assert.equal(hex(encodeEmptyAck(0x2122)), '60002122')
  })

  it('request and response of the time', () => {
    assert.equal(hex(encodeTimeRequest(con(0x0a, 0x7a))), '4101000a7ab174')
    const response = encodeTimeResponse(decoded('4101000a7ab174'), 1_700_000_000)
    assert.equal(hex(response), '6145000a7aff6553f100')
    assert.equal(decodeTimeResponse(decodeMessage(response)), 1_700_000_000)
  })
})

describe('events and subscriptions (7.3)', () => {
  const publishes: [string, Head, EventFields, string][] = [
    ['temp over TCP', non(0x2125), { name: 'temp', data: utf8('21.5') }, '50022125b1450474656d70ff32312e35'],
    ['temp over UDP', con(5), { name: 'temp', data: utf8('21.5') }, '40020005b1450474656d70ff32312e35'],
    ['a/b with a TTL', con(6), { name: 'a/b', data: utf8('x'), ttl: 300 }, '40020006b14503612f6232012cff78'],
    [
      'data as CBOR',
      con(7),
      { name: 'data', data: unhex('a1616101'), contentType: 65001 },
      '40020007b145046461746112fde9ffa1616101',
    ],
  ]
  for (const [name, header, event, vector] of publishes) {
    it(`publishes ${name}`, () => {
      assert.equal(hex(encodeEventPublish(header, event)), vector)
      assert.equal(isEventPublish(unhex(vector)), true)
      const { data, ...fields } = decodeEvent(decoded(vector))
      assert.equal(hex(data), hex(event.data ?? noBytes))
      assert.deepEqual(fields, {
        name: event.name,
        contentType: event.contentType ?? 0,
        ttl: event.ttl ?? 60,
        confirmable: header.type === coapType.con,
      })
    })
  }

  it('reads CBOR data', () => {
    assert.deepEqual({ ...(decodeCbor(unhex('a1616101')) as object) }, { a: 1 })
  })

  it('reads the three-byte Max-Age of devices before 6.2', () => {
    const event = decodeEvent(decoded('40020006b14503612f623300012cff78'))
    assert.equal(event.name, 'a/b')
    assert.equal(event.ttl, 300)
  })

  it('delivers to a device, one segment a component', () => {
    // The vector has the old path letter `e`; no device tells it from `E`.
    const vector = '40025001b16501610162ff6869'
    const sent = encodeEventDelivery(con(0x5001), { name: 'a/b', data: utf8('hi') })
    assert.equal(hex(sent), vector.replace('b165', 'b145'))
    assert.equal(decodeEvent(decoded(vector)).name, 'a/b')
    const reset = encodeEventDelivery(con(0x5002), { name: 'spark/device/reset', data: utf8('reboot') })
    assert.equal(hex(reset), '40025002b14505737061726b06646576696365057265736574ff7265626f6f74')
    assert.equal(decodeEvent(decodeMessage(reset)).name, 'spark/device/reset')
  })

  it('subscribes', () => {
    assert.equal(hex(encodeSubscribe(con(8), 'particle')), '40010008b165087061727469636c65')
    assert.equal(hex(encodeSubscribe(con(9), 'foo', 'cbor')), '40010009b16503666f6f4163')
    const read = (vector: string, scope: 'owner' | 'all') => decodeSubscribe(decoded(vector), scope)
    assert.deepEqual(read('40010008b165087061727469636c65', 'owner'), {
      prefix: 'particle',
      format: 'text',
      scope: 'owner',
    })
    assert.deepEqual(read('40010009b16503666f6f4163', 'owner'), { prefix: 'foo', format: 'cbor', scope: 'owner' })
    assert.deepEqual(read('40010009b16503666f6f4175', 'all'), { prefix: 'foo', format: 'text', scope: 'owner' })
    assert.deepEqual(read('40010009b16503666f6f', 'all'), { prefix: 'foo', format: 'text', scope: 'all' })
    assert.deepEqual(read('40010009b16503666f6fff306631306163656432303231323232333234323532363237', 'all'), {
      prefix: 'foo',
      format: 'text',
      scope: 'device',
      deviceId: '0f10aced2021222324252627',
    })
    assert.equal(hex(encodeEmptyAck(9)), '60000009')
  })
})

describe('describes (7.4)', () => {
  it('posts the application', () => {
    const vector = '4102000b7bb1644102ff7b2266223a5b226c6564225d2c2276223a7b2274223a327d7d'
    const payload = utf8('{"f":["led"],"v":{"t":2}}')
    assert.equal(hex(encodeDescribePost(con(0x0b, 0x7b), 'application', payload)), vector)
    const message = decoded(vector)
    assert.deepEqual(decodeDescribe(describeKindOf(queryByte(message)), message.payload), [
      { kind: 'application', functions: ['led'], variables: { t: 'int32' } },
    ])
  })

  it('posts the system, whole and as the first of several blocks', () => {
    assert.equal(hex(encodeDescribePost(con(0x0c, 0x7c), 'system', noBytes)), '4102000c7cb164112a3101')
    const block = { number: 0, more: true, size: 1024 }
    const vector = '4102000d7db164112a3101c10e'
    assert.equal(hex(encodeDescribePost(con(0x0d, 0x7d), 'system', noBytes, block)), vector)
    assert.deepEqual(findBlock(decoded(vector), optionNumber.block1), block)
  })

  it('asks for metrics, and for the second block of the system', () => {
    assert.equal(hex(encodeDescribeGet(con(0x5003, 0x21), 'metrics')), '4101500321b1644104')
    const block = { number: 1, more: false, size: 1024 }
    const vector = '4101500422b16441018116'
    assert.equal(hex(encodeDescribeGet(con(0x5004, 0x22), 'system', block)), vector)
    assert.deepEqual(findBlock(decoded(vector), optionNumber.block2), block)
  })

  it('answers with a block and its ETag', () => {
    const block = { number: 0, more: true, size: 512, etag: 1 }
    const message = decodeMessage(encodeDescribeResponse(con(7, 0x22), 'system', new Uint8Array(512), block))
    assert.deepEqual(
      message.options.map(({ number, value }) => [number, hex(value)]),
      [
        [optionNumber.etag, '01'],
        [optionNumber.contentFormat, '2a'],
        [optionNumber.block2, '0d'],
      ],
    )
  })
})

describe('functions and variables (7.5)', () => {
  it('calls', () => {
    const call = { name: 'led', argument: 'on' }
    assert.equal(hex(encodeFunctionCall(con(0x5005, 0x23), call)), '4102500523b166036c6564426f6e')
    assert.deepEqual(decodeFunctionCall(decoded('4102500523b166036c6564426f6e')), call)
    const empty = { name: 'led', argument: '' }
    assert.equal(hex(encodeFunctionCall(con(0x5005, 0x23), empty)), '4102500523b166036c656440')
    assert.deepEqual(decodeFunctionCall(decoded('4102500523b166036c656440')), empty)
    assert.equal(hex(encodeEmptyAck(0x5005)), '60005005')
  })

  it('returns', () => {
    assert.equal(hex(encodeFunctionReturn(con(0x0e, 0x23), 1)), '4144000e23ff00000001')
    assert.equal(hex(encodeFunctionReturn(non(0x2130, 0x23), -1)), '5144213023ffffffffff')
    assert.equal(decodeFunctionReturn(decoded('4144000e23ff00000001').payload), 1)
    assert.equal(decodeFunctionReturn(decoded('5144213023ffffffffff').payload), -1)
  })

  it('asks for a variable', () => {
    assert.equal(hex(encodeVariableRequest(con(0x5006, 0x24), 't')), '4101500624b1760174')
    assert.equal(decodeVariableRequest(decoded('4101500624b1760174')), 't')
  })

  const values: [VariableValue, string][] = [
    [{ type: 'int32', value: 42 }, '4145000f24ff0000002a'],
    [{ type: 'double', value: 21.5 }, '4145000f24ff0000000000803540'],
    [{ type: 'bool', value: true }, '4145000f24ff01'],
    [{ type: 'string', value: 'hi' }, '4145000f24ff6869'],
    [{ type: 'string', value: '' }, '4145000f24'],
  ]
  for (const [variable, vector] of values) {
    it(`answers with the ${variable.type} ${JSON.stringify(variable.value)}`, () => {
      assert.equal(hex(encodeVariableResponse(con(0x0f, 0x24), variable)), vector)
      assert.equal(decodeVariable(variable.type, decoded(vector).payload), variable.value)
    })
  }

  it('answers that there is no such variable', () => {
    assert.equal(hex(encodeResponse(con(0x0f, 0x24), code.notFound)), '4184000f24')
  })
})

describe('control (7.6)', () => {
  it('signals', () => {
    assert.equal(hex(encodeSignal(con(0x5007, 0x25), true)), '4103500725b1734101')
    assert.equal(hex(encodeSignal(con(0x5007, 0x25), false)), '4103500725b1734100')
    assert.equal(queryByte(decoded('4103500725b1734101')), 1)
    assert.equal(hex(encodeResponse(head(coapType.ack, 0x5007, 0x25), code.changed)), '6144500725')
  })

  it('changes the key', () => {
    assert.equal(hex(encodeKeyChange(con(0x5008, 0x26))), '4103500826b16b4101')
  })

  it('says goodbye', () => {
    const sleep = { cloudReason: 6, sleepDuration: 3600 }
    assert.equal(hex(encodeGoodbye('udp', 0x10, sleep)), '40020010b178ff0506901c')
    assert.deepEqual(decodeGoodbye(decoded('40020010b178ff0506901c').payload), sleep)
    assert.equal(hex(encodeGoodbye('tcp', 0x2140, { cloudReason: 2 })), '50022140b178d0eaff0102')
    assert.deepEqual(decodeGoodbye(decoded('50022140b178d0eaff0102').payload), { cloudReason: 2 })
  })
})

describe('every vector of the page', () => {
  const others = [
    '4102501030b175ff010200000003e80000000000',
    '4144002030ff01',
    '5144215030ff01',
    '4103501333b175',
    '6144501333ff7b2272223a307d',
    '6180501333',
    '40010022b163ff00030011',
    '5102501131b16344c906d311020001ffa5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5',
    '4102501232b16344c906d311ffa5a5a5a5a5a5a5a5a5a5a5a5a5a5a5',
    '4102502040b153e206f103e84d13ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad420200',
    '4141003040e206f8010040',
    '50025021b143e106e901ff61626364',
    '50020031b141e106e905',
    '50020032b141e106e905ff16000000',
    '4102502241b146',
    '4102502342b146e006fd40',
    '4102004050b14cff080112050a03636667',
    '6144004050ff1a1a0a180a0363666712040102030418012002290068e5cf8b010000',
    '4102503051b14cff080532100a0e0a03636667110068e5cf8b010000',
    '4102004152b14cff08021a190a027374120401020304190068e5cf8b0100005204a1616101',
  ]
  for (const vector of others) {
    it(`is the same after decoding and encoding: ${vector.slice(0, 24)}`, () => {
      assert.equal(hex(encodeMessage(decoded(vector))), vector)
    })
  }

  it('parses options at any place, as ledger downloads need', () => {
    const message = decoded('41020042014177714cc116')
    assert.equal(pathLetter(message), 'L')
    assert.deepEqual(uriPath(message), ['L'])
    assert.deepEqual(findBlock(message, optionNumber.block2), { number: 1, more: false, size: 1024 })
  })
})
