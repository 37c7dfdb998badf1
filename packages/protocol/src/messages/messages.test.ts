import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { SystemDescribe } from '@aloe/firmware'
import fc from 'fast-check'
import { decodeMessage } from '../coap/codec.ts'
import { type CoapMessage, coapType, code, optionNumber } from '../coap/message.ts'
import { ProtocolError } from '../protocol-error.ts'
import { fuzzRuns, hex, unhex, utf8 } from '../test-bytes.ts'
import { tokenOf } from './build.ts'
import { cborToJson, decodeCbor, encodeCbor, type JsonValue, jsonToCbor } from './cbor.ts'
import { dataAsCbor, dataAsText } from './content-format.ts'
import { decodeServerMoved, encodeServerMoved } from './control.ts'
import { decodeDescribe, describeBlockSize } from './describe.ts'
import { encodeApplicationDescribe } from './describe-application.ts'
import { describeFromJson, describeToJson } from './describe-system-json.ts'
import { decodeSystemDescribe, encodeSystemDescribe } from './describe-system-protobuf.ts'
import { decodeEvent, encodeEventDelivery, encodeEventPublish } from './event.ts'
import { decodeGoodbye, encodeGoodbyePayload } from './goodbye.ts'
import { decodeHello, encodeHelloPayload, type HelloFields, maxMessageSizeOf } from './hello.ts'
import { decodeSubscribe, subscriptionMatches } from './subscription.ts'
import { isSystemEvent } from './system-events.ts'
import { decodeVariable, encodeVariable } from './variable.ts'
import { decodeVitals, encodeVitals, type Vital } from './vitals.ts'

const numRuns = fuzzRuns
const uint16 = fc.nat(0xffff)
const uint32 = fc.integer({ min: 0, max: 0xffff_ffff })
const hexText = (bytes: number) => fc.uint8Array({ minLength: bytes, maxLength: bytes }).map(hex)
const moduleFunction = fc.constantFrom(
  'resource',
  'bootloader',
  'mono_firmware',
  'system_part',
  'user_part',
  'ncp_firmware',
  'radio_stack',
  'asset',
) as fc.Arbitrary<'bootloader'>
const moduleStore = fc.constantFrom('main', 'factory', 'backup', 'scratchpad') as fc.Arbitrary<'main'>

const dependency = fc.record({ function: moduleFunction, index: fc.nat(255), version: uint16 })
const asset = fc.record(
  {
    name: fc.string({ minLength: 1, maxLength: 20 }),
    hash: hexText(32),
    size: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
    storageSize: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
  },
  { requiredKeys: ['name', 'hash'] },
)
const describedModule = fc.record(
  {
    function: moduleFunction,
    index: fc.nat(255),
    version: uint16,
    store: moduleStore,
    maxSize: uint32,
    checked: uint32,
    passed: uint32,
    hash: hexText(32),
    dependencies: fc.array(dependency, { maxLength: 2 }),
    assetDependencies: fc.array(asset, { minLength: 1, maxLength: 3 }),
    size: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
  },
  {
    requiredKeys: ['function', 'index', 'version', 'store', 'maxSize', 'checked', 'passed', 'dependencies'],
    noNullPrototype: true,
  },
)
const systemDescribe: fc.Arbitrary<SystemDescribe> = fc.record(
  {
    modules: fc.array(describedModule, { maxLength: 6 }),
    imei: fc.string({ minLength: 1 }),
    iccid: fc.string({ minLength: 1 }),
    modemFirmwareVersion: fc.string({ minLength: 1 }),
    assets: fc.array(asset, { minLength: 1, maxLength: 3 }),
    protectedState: fc.constant(true),
  },
  { requiredKeys: ['modules'], noNullPrototype: true },
) as fc.Arbitrary<SystemDescribe>

const json = fc.jsonValue({ maxDepth: 6 }).map((value) => value as JsonValue)

/** JSON knows no -0. */
const normal = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

describe('system describes', () => {
  it('decode from protobuf what was encoded', () => {
    fc.assert(
      fc.property(systemDescribe, (describe) => {
        assert.deepEqual(normal(decodeSystemDescribe(encodeSystemDescribe(describe))), normal(describe))
      }),
      { numRuns },
    )
  })

  it('decode from JSON what JSON can say', () => {
    const withoutAssets = systemDescribe.map(({ imei, iccid, modules }) => ({
      platformId: 6,
      ...(imei ? { imei } : {}),
      ...(iccid ? { iccid } : {}),
      modules: modules
        .filter((module) => module.function !== 'asset')
        .map(({ assetDependencies: _, size: __, ...module }) => ({
          ...module,
          dependencies: module.dependencies.filter(({ function: name }) => name !== 'asset'),
        })),
    }))
    fc.assert(
      fc.property(withoutAssets, (describe) => {
        assert.deepEqual(normal(describeFromJson(describeToJson(describe))), normal(describe))
      }),
      { numRuns },
    )
  })

  it('have the bytes of the GCC build (7.9)', () => {
    const vector =
      '0a19080218e8072880808005351e0000003d1e00000058848080050a20080318b8302880808005351e0000003d1e0000004a05080218e8075884808005'
    const describe = decodeSystemDescribe(unhex(vector))
    assert.deepEqual(
      describe.modules.map((module) => [module.function, module.version, module.checked, module.passed]),
      [
        ['bootloader', 1000, 30, 30],
        ['mono_firmware', 6200, 30, 30],
      ],
    )
    assert.deepEqual(describe.modules[1]?.dependencies, [{ function: 'bootloader', index: 0, version: 1000 }])
    assert.equal(hex(encodeSystemDescribe(describe)), vector)
  })

  const photon =
    '{"p":6,"imei":"1","m":[{"s":16384,"l":"m","vc":30,"vv":30,"f":"b","n":"0","v":7,"d":[]},' +
    '{"s":262144,"l":"m","vc":30,"vv":26,"f":"s","n":"1","v":207,"d":[{"f":"b","n":"0","v":7}]},' +
    '{"s":131072,"l":"m","vc":30,"vv":30,"u":"' +
    'AB'.repeat(32) +
    '","f":"u","n":"1","v":4,"d":[{"f":"s","n":"2","v":207}]}]}'

  it('are read from the JSON of old devices', () => {
    const describe = describeFromJson(photon)
    assert.equal(describe.platformId, 6)
    assert.equal(describe.imei, '1')
    assert.deepEqual(describe.modules[1], {
      function: 'system_part',
      index: 1,
      version: 207,
      store: 'main',
      maxSize: 262144,
      checked: 30,
      passed: 26,
      dependencies: [{ function: 'bootloader', index: 0, version: 7 }],
    })
    assert.equal(describe.modules[2]?.hash, 'ab'.repeat(32))
  })

  it('leave out of the JSON what nobody knows, and take missing dependencies for none', () => {
    const describe = describeFromJson({
      m: [
        { f: 'z', n: '0', l: 'm', v: 1 },
        { f: 's', n: '0', l: '_', v: 1 },
        { f: 'n', n: '0', l: 'm', v: 1 },
        { f: 's', n: 2, l: 'm', v: '7', x: 1 },
        'noise',
        null,
      ],
      x: 1,
    })
    const [only, ...rest] = describe.modules
    assert.deepEqual(rest, [])
    assert.deepEqual([only?.function, only?.index, only?.version, only?.dependencies], ['system_part', 2, 7, []])
  })

  it('are told apart by their first byte, and may come with the application in one', () => {
    const both = utf8(`{"f":["led"],"v":{"t":9},${photon.slice(1)}`)
    assert.deepEqual(
      decodeDescribe(undefined, both).map(({ kind }) => kind),
      ['system', 'application'],
    )
    const binary = encodeSystemDescribe(describeFromJson(photon))
    assert.deepEqual(
      decodeDescribe('system', binary).map(({ kind }) => kind),
      ['system'],
    )
    assert.deepEqual(
      decodeDescribe('system', utf8(photon)).map(({ kind }) => kind),
      ['system'],
    )
  })

  it('are posted in the blocks that fit', () => {
    assert.equal(describeBlockSize(1134), 1024)
    assert.equal(describeBlockSize(960), 512)
  })
})

describe('application describes', () => {
  it('decode what was encoded', () => {
    const variables = fc.dictionary(fc.string(), fc.constantFrom('bool', 'int32', 'string', 'double'), {
      noNullPrototype: true,
    }) as fc.Arbitrary<Record<string, 'bool'>>
    fc.assert(
      fc.property(fc.array(fc.string()), variables, (functions, types) => {
        const [describe, ...rest] = decodeDescribe('application', encodeApplicationDescribe(functions, types))
        assert.deepEqual(rest, [])
        assert.deepEqual(normal(describe), normal({ kind: 'application', functions, variables: types }))
      }),
      { numRuns },
    )
  })
})

describe('vitals', () => {
  it('decode what was encoded', () => {
    const raw = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff })
    fc.assert(
      fc.property(fc.array(fc.tuple(uint16, raw)), (entries) => {
        const packet = Buffer.alloc(7 + entries.length * 6)
        packet.write('00040002000400', 'hex')
        entries.forEach(([id, value], index) => {
          packet.writeUInt16LE(id, 7 + index * 6)
          packet.writeInt32LE(value, 9 + index * 6)
        })
        assert.equal(hex(encodeVitals(decodeVitals(packet))), hex(packet))
      }),
      { numRuns },
    )
  })

  it('have the bytes of 7.9', () => {
    const vector = '000400020004000600100e00000a00020000001f003400000009802effffff'
    const vitals: Vital[] = [
      { id: 6, name: 'sys:uptime', value: 3600 },
      { id: 10, name: 'cloud:stat', value: 2 },
      { id: 31, name: 'coap:roundtrip', value: 52 },
      { id: 9, name: 'net:err', error: -210 },
    ]
    assert.deepEqual(decodeVitals(unhex(vector)), vitals)
    assert.equal(hex(encodeVitals(vitals)), vector)
  })

  it('scale fixed point values and keep those of applications', () => {
    const vitals = [
      { id: 3, name: 'batt:soc', value: 87.5 },
      { id: 37, name: 'net:sigstrv', value: -71.25 },
      { id: 41, name: 'net:cell:cgi:mnc', value: -4 },
      { id: 40_000, value: -1 },
    ]
    assert.deepEqual(decodeVitals(encodeVitals(vitals)), vitals)
  })

  it('skip by the sizes that the packet gives', () => {
    const wide = unhex('00040004000800' + '06000000' + '100e000000000000')
    assert.deepEqual(decodeVitals(wide), [{ id: 6, name: 'sys:uptime', value: 3600 }])
  })
})

describe('CBOR', () => {
  it('says what JSON says', () => {
    fc.assert(
      fc.property(json, (value) => {
        assert.deepEqual(normal(decodeCbor(encodeCbor(value))), normal(value))
      }),
      { numRuns },
    )
  })

  // RFC 8949, appendix A.
  const examples: [string, JsonValue][] = [
    ['00', 0],
    ['1864', 100],
    ['1903e8', 1000],
    ['1a000f4240', 1_000_000],
    ['1b000000e8d4a51000', 1_000_000_000_000],
    ['20', -1],
    ['3903e7', -1000],
    ['f93e00', 1.5],
    ['f97bff', 65504],
    ['f90001', 2 ** -24],
    ['fa47c35000', 100_000],
    ['fb3ff199999999999a', 1.1],
    ['f97c00', null],
    ['f97e00', null],
    ['f4', false],
    ['f7', null],
    ['c11a514b67b0', 1_363_896_240],
    ['4401020304', { _type: 'buffer', _data: 'AQIDBA==' }],
    ['62c3bc', 'ü'],
    ['826161a161626163', ['a', { b: 'c' }]],
    ['5f42010243030405ff', { _type: 'buffer', _data: 'AQIDBAU=' }],
    ['7f657374726561646d696e67ff', 'streaming'],
    ['9f018202039f0405ffff', [1, [2, 3], [4, 5]]],
    ['bf61610161629f0203ffff', { a: 1, b: [2, 3] }],
    ['a201020304', { '1': 2, '3': 4 }],
  ]
  for (const [bytes, value] of examples) {
    it(`reads ${bytes}`, () => assert.deepEqual(normal(decodeCbor(unhex(bytes))), normal(value)))
  }

  it('keeps a key that looks like a prototype a key', () => {
    const value = decodeCbor(encodeCbor(JSON.parse('{"__proto__":{"a":1}}')))
    assert.equal(JSON.stringify(value), '{"__proto__":{"a":1}}')
    assert.equal(({} as Record<string, unknown>).a, undefined)
  })

  it('carries bytes both ways in the form of the API', () => {
    assert.equal(hex(encodeCbor({ _type: 'buffer', _data: 'AQIDBA==' })), '4401020304')
  })

  it('refuses nesting that would exhaust the stack, both ways', () => {
    assert.equal(cborToJson(new Uint8Array(100_000).fill(0x81)), undefined)
    assert.equal(cborToJson(new Uint8Array(100_000).fill(0xc1)), undefined)
    const text = '['.repeat(50) + ']'.repeat(50)
    assert.equal(decodeCbor(jsonToCbor(text)), text)
  })

  it('takes text that is no JSON for a string', () => {
    assert.equal(decodeCbor(jsonToCbor('21.5 C')), '21.5 C')
    assert.equal(decodeCbor(jsonToCbor('21.5')), 21.5)
  })
})

describe('event data', () => {
  it('goes from a format to text and to CBOR', () => {
    const cbor = unhex('a1616101')
    assert.equal(Buffer.from(dataAsText(cbor, 65001) ?? []).toString(), '{"a":1}')
    assert.equal(hex(dataAsCbor(utf8('{"a":1}'), 0) ?? cbor.slice(1)), hex(cbor))
    assert.equal(dataAsText(unhex('ff'), 42), undefined)
    assert.equal(dataAsCbor(unhex('ff'), 42), undefined)
    assert.equal(dataAsText(unhex('a1'), 60), undefined)
    assert.equal(Buffer.from(dataAsText(utf8('x'), 0) ?? []).toString(), 'x')
  })
})

describe('other messages', () => {
  it('Hello decodes what was encoded', () => {
    const hello: fc.Arbitrary<HelloFields> = fc.record(
      {
        productId: uint16,
        productVersion: uint16,
        flags: uint16,
        platformId: uint16,
        deviceId: hexText(12),
        system: fc.record({ version: uint16, maxMessageSize: uint16, maxBinarySize: uint32, otaChunkSize: uint16 }),
      },
      { requiredKeys: ['productId', 'productVersion', 'flags', 'platformId'] },
    ) as fc.Arbitrary<HelloFields>
    fc.assert(
      fc.property(hello, (fields) => assert.deepEqual(normal(decodeHello(encodeHelloPayload(fields))), normal(fields))),
      { numRuns },
    )
  })

  it('the largest message follows from Hello and transport (1.6)', () => {
    const hello = { productId: 1, productVersion: 1, flags: 0, platformId: 6 }
    const system = { version: 6200, maxMessageSize: 1152, maxBinarySize: 0, otaChunkSize: 512 }
    assert.equal(maxMessageSizeOf({ ...hello, platformId: 0 }, 'tcp'), 607)
    assert.equal(maxMessageSizeOf(hello, 'tcp'), 767)
    assert.equal(maxMessageSizeOf({ ...hello, system }, 'tcp'), 1119)
    assert.equal(maxMessageSizeOf({ ...hello, system }, 'udp'), 1152)
  })

  it('events decode what was encoded, published and delivered', () => {
    const event = fc.record({
      name: fc.string({ minLength: 1, maxLength: 64 }),
      data: fc.uint8Array({ maxLength: 1024 }),
      contentType: uint16,
      ttl: uint32,
    })
    const head = { type: coapType.con, id: 1, token: tokenOf(1) }
    fc.assert(
      fc.property(event, (fields) => {
        const published = decodeEvent(decodeMessage(encodeEventPublish(head, fields)))
        assert.deepEqual(
          { ...published, data: hex(published.data) },
          { ...fields, data: hex(fields.data), confirmable: true },
        )
        const delivered = decodeEvent(decodeMessage(encodeEventDelivery(head, fields)))
        assert.equal(delivered.name, fields.name)
        assert.equal(delivered.contentType, fields.contentType)
      }),
      { numRuns },
    )
  })

  it('Goodbye decodes what was encoded', () => {
    const goodbye = fc.record(
      { cloudReason: uint32, resetReason: uint32, sleepDuration: uint32, networkReason: uint32 },
      { requiredKeys: [], noNullPrototype: true },
    )
    fc.assert(
      fc.property(goodbye, (fields) => assert.deepEqual(decodeGoodbye(encodeGoodbyePayload(fields)), fields)),
      { numRuns },
    )
  })

  it('variables decode what was encoded, and say so when the bytes are of another type', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff }),
        fc.double(),
        fc.string(),
        (int, double, text) => {
          assert.equal(decodeVariable('int32', encodeVariable({ type: 'int32', value: int })), int)
          assert.deepEqual(decodeVariable('double', encodeVariable({ type: 'double', value: double })), double)
          assert.equal(decodeVariable('string', encodeVariable({ type: 'string', value: text })), text)
        },
      ),
      { numRuns },
    )
    assert.throws(() => decodeVariable('int32', unhex('01')), ProtocolError)
    assert.throws(() => decodeVariable('bool', unhex('')), ProtocolError)
    const cut = encodeVariable({ type: 'string', value: 'ü'.repeat(600) })
    assert.equal(cut.length, 1024)
    assert.equal(encodeVariable({ type: 'string', value: `x${'ü'.repeat(600)}` }).length, 1023)
  })

  it('server moved decodes what was encoded', () => {
    const moved = { address: 'udp.example', port: 5684, publicKey: unhex('3059'), signature: unhex('3045') }
    const message = decodeMessage(encodeServerMoved({ type: coapType.con, id: 1, token: tokenOf(1) }, moved))
    assert.deepEqual(normal(decodeServerMoved(message.payload)), normal(moved))
  })

  it('subscriptions match by prefix, and those to one device by its id or the first half of it', () => {
    const all = { prefix: 'te', format: 'text', scope: 'owner' } as const
    assert.equal(subscriptionMatches(all, 'temp'), true)
    assert.equal(subscriptionMatches(all, 'mode'), false)
    const one = { prefix: '', format: 'text', scope: 'device', deviceId: '0f10aced2021' } as const
    assert.equal(subscriptionMatches(one, 'temp', '0f10aced2021222324252627'), true)
    assert.equal(subscriptionMatches(one, 'temp', '1f10aced2021222324252627'), false)
    assert.equal(subscriptionMatches(one, 'temp'), false)
  })

  it('names of the system are known in any case', () => {
    for (const name of ['spark/x', 'Particle/x', 'SPARKLE', 'particle']) assert.equal(isSystemEvent(name), true, name)
    for (const name of ['temp', 'spar', 'partial', '', 'p', 'sensor']) assert.equal(isSystemEvent(name), false, name)
  })
})

describe('decoders', () => {
  const message = (payload: Uint8Array): CoapMessage => ({
    type: coapType.con,
    code: code.post,
    id: 1,
    token: tokenOf(1),
    options: [
      { number: optionNumber.uriPath, value: utf8('E') },
      { number: optionNumber.uriPath, value: payload },
      { number: optionNumber.maxAge, value: payload },
    ],
    payload,
  })
  const decoders: Record<string, (bytes: Uint8Array) => unknown> = {
    hello: decodeHello,
    goodbye: decodeGoodbye,
    vitals: decodeVitals,
    cbor: decodeCbor,
    protobuf: decodeSystemDescribe,
    moved: decodeServerMoved,
    system: (bytes) => decodeDescribe('system', bytes),
    application: (bytes) => decodeDescribe('application', bytes),
    combined: (bytes) => decodeDescribe(undefined, bytes),
    event: (bytes) => decodeEvent(message(bytes)),
    subscribe: (bytes) => decodeSubscribe(message(bytes), 'all'),
  }
  const seeds = [
    encodeSystemDescribe({
      modules: [
        {
          function: 'user_part',
          index: 1,
          version: 6,
          store: 'main',
          maxSize: 4096,
          checked: 30,
          passed: 26,
          hash: 'ab'.repeat(32),
          dependencies: [{ function: 'system_part', index: 1, version: 6200 }],
        },
      ],
      assets: [{ name: 'a', hash: 'cd'.repeat(32), size: 5 }],
    }),
    utf8('{"f":["a"],"v":{"t":2},"p":6,"m":[{"f":"s","n":"1","l":"m","v":1,"d":[{"f":"b","n":"0","v":7}]}]}'),
    encodeVitals([{ id: 6, value: 1 }]),
    encodeCbor({ a: [1, 'x', null, 1.5, { _type: 'buffer', _data: 'AQ==' }] }),
    encodeGoodbyePayload({ cloudReason: 6, sleepDuration: 3600 }),
  ]
  const damaged = fc
    .tuple(fc.constantFrom(...seeds), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }), fc.nat())
    .map(([seed, changes, cut]) => {
      const bytes = seed.slice()
      for (const [at, value] of changes) bytes[at % bytes.length] = value
      return bytes.subarray(0, cut % 3 === 0 ? cut % bytes.length : bytes.length)
    })
  for (const [name, decode] of Object.entries(decoders)) {
    it(`of ${name} throw their own error and nothing else`, () => {
      fc.assert(
        fc.property(fc.oneof(fc.uint8Array({ maxLength: 100 }), damaged), (bytes) => {
          try {
            decode(bytes)
          } catch (error) {
            assert.ok(error instanceof ProtocolError, String(error))
          }
        }),
        { numRuns: fuzzRuns * 3 },
      )
    })
  }
})
