/** The run of Particle's mbedTLS against a server, captured byte by byte (device-protocol.md 7.11). */
import assert from 'node:assert/strict'
import { createPublicKey, verify } from 'node:crypto'
import { describe, it } from 'node:test'
import { hex, unhex } from '../test-bytes.ts'
import { ecPointOf, ecPublicKeyDer, ecPublicKeyFromDer } from './ec-keys.ts'
import { decodeFragments, type HandshakeMessage, Reassembly } from './handshake-message.ts'
import {
  connectionIdOf,
  decodeClientHello,
  decodeHelloVerifyRequest,
  decodeServerHello,
  encodeClientHello,
  refusalOf,
  wantsConnectionId,
} from './hello.ts'
import {
  acceptsEcdsa,
  certificateRequestBody,
  decodeCertificate,
  decodeCertificateVerify,
  decodeClientKeyExchange,
  decodeServerKeyExchange,
  encodeCertificate,
  encodeClientKeyExchange,
  verifyServerKeyExchange,
} from './key-exchange.ts'
import { keyBlock, prf, verifyData } from './prf.ts'
import { extensionType, handshakeType } from './profile.ts'
import { RecordProtection } from './protection.ts'
import { type DtlsRecord, encodePlainRecord, packRecords, parseDatagram } from './record.ts'
import { DtlsSession } from './session.ts'
import { encodeStored } from './stored.ts'
import { deviceKey, serverKey, serverPublicKey, TestDevice } from './test-world.ts'
import { Transcript } from './transcript.ts'

const clientHello =
  '16fefd000000000000000000670100005b000000000000005bfefdf8e7ce9439fa2945cb4250b00ab7ed5548538dfc4351088552dd773a069f2e34' +
  '00000004c0ae00ff0100002d000d000a00080403040103030301000a000400020017000b0002010000fe000100001300020102001400020102'
const serverFlight =
  '16fefd0000000000000000007602' +
  '00006a000000000000006afefd65211da5417ffc3ac2ed8f8c67d4e257b726c9da8b6efb5cf9c3d3697cd5f176202a7f2127912626046039fcba' +
  'f58446af054379a9f7ab351128de392a6b47f837c0ae000022ff0100010000fe000908c1d0010203040506000b0002010000130001020014000102' +
  '16fefd0000000000000001009c0c00009000010000000000900300174104ff1de8cabd78cb840bfbd867aa882f364c51c7fcf7783b31e1c4cdaf6a' +
  'bf9034d3eb539bb64e66bf9fd324fa2701ecf640a2c5525412d9cf9cc08cf86025c5e2040300473045022026256beaa10a8ad5aa6bd49a642c61' +
  '61ddf49e9ae64b26fa8f71224df601a811022100fcee4e73f57247034454a236a6beaa23c811b39e19aaead8997f9ea1865c754e' +
  '16fefd000000000000000200170d00000b000200000000000b0201400004040104030000' +
  '16fefd0000000000000003000c0e0000000003000000000000'
const clientFlight =
  '16fefd0000000000000001006a0b00005e000100000000005e00005b3059301306072a8648ce3d020106082a8648ce3d030107034200047d62f0a8' +
  '4ec32c1f1f9c781caec26364d30c5e5d11f12bd0feb93bcfdc40c14393c1dcd18e1d68994be69713eefef927bb362e37cacd83cfeecc3d1ef1a4' +
  '5945' +
  '16fefd0000000000000002004e1000004200020000000000424104ef1e57083d5f1541e61dcb961604ac5e28902acc0a7e2d023b2a441a5e7d024e' +
  'cd2ded7421fecb5588e3808014b6a5006c54018d3ee39e40c3c68b15c3ea7a84' +
  '16fefd000000000000000300570f00004b000300000000004b040300473045022042c56099af4cf7bf866306d6d4903e5e6b6f663ece22d5b0fa89' +
  '172edfe20b25022100e76c022b8f62ed03cb3794877653f1a613c5b71132f2e99cc57e64ab4a8d0da0' +
  '14fefd0000000000000004000101' +
  '19fefd0001000000000000c1d001020304050600300001000000000000ed0a3fa2e0ff04ab1630ddd480f14697300f8a50a01c56633c1199193c1c' +
  '1e138ee2677e904678db'
const serverEnd =
  '14fefd0000000000000004000101' +
  '16fefd000100000000000000280001000000000000c76b5f55035870b88a890439494e4e25b8f73de7eb5a4316928722059fa0125a'

const clientRandom = unhex('f8e7ce9439fa2945cb4250b00ab7ed5548538dfc4351088552dd773a069f2e34')
const serverRandom = unhex('65211da5417ffc3ac2ed8f8c67d4e257b726c9da8b6efb5cf9c3d3697cd5f176')
const master = unhex('65927c1b032e9b5fe9e566bbb65e4b96f4804d363b2d8214fe7b002a135c650a30dd9d66bc238310dc22ee781a2ee5bc')
const keys = unhex('881db6f4479b21afbe57db0b923a1777fd5c8bbc42a7a492f9448d24c7a27dbaed6d607ac42b8d3b')
const cid = unhex('c1d0010203040506')
const fresh = { top: -1, high: 0, low: 0 }

const messagesOf = (datagram: string): HandshakeMessage[] => {
  const messages: HandshakeMessage[] = []
  for (const record of parseDatagram(unhex(datagram)).records) {
    if (record.type !== 22 || record.epoch !== 0) continue
    messages.push(...(decodeFragments(record.body) ?? []))
  }
  return messages
}
const bodyOf = (datagram: string, type: number): Uint8Array =>
  messagesOf(datagram).find((message) => message.type === type)?.body ?? new Uint8Array()
const onlyRecord = (datagram: string): DtlsRecord => {
  const [record] = parseDatagram(unhex(datagram)).records
  assert.ok(record)
  return record
}
const end = (which: 'client' | 'server', sendSequence = 0): RecordProtection =>
  new RecordProtection({ end: which, keyBlock: keys, cid, sendSequence, window: fresh })
const opened = (protection: RecordProtection, datagram: string) => {
  const records = parseDatagram(unhex(datagram)).records.filter((record) => record.epoch === 1)
  return records.map((record) => {
    const content = protection.open(record)
    return typeof content === 'string' ? content : `${content.type} ${hex(content.content)}`
  })
}

describe('the PRF', () => {
  it('gives the known answer of TLS 1.2 with SHA-256', () => {
    // The vector that was published on the list of the IETF's TLS group for P_SHA256.
    const secret = unhex('9bbe436ba940f017b17652849a71db35')
    const seed = unhex('a0ba9f936cda311827a6f796ffd5198c')
    const expected =
      'e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a6b301791e90d35c9c9a46b4e14baf9af0fa022f7077def17ab' +
      'fd3797c0564bab4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff70187347b66'
    assert.equal(hex(prf(secret, 'test label', seed, 100)), expected)
  })

  it('derives the captured key block from the captured master secret', () => {
    assert.equal(hex(keyBlock(master, clientRandom, serverRandom)), hex(keys))
  })
})

describe('the captured handshake', () => {
  it('begins with the hello that this client sends, byte for byte', () => {
    const device = new TestDevice({ random: () => clientRandom })
    device.client.start(0)
    assert.deepEqual(device.sent.map(hex), [clientHello])
    const body = encodeClientHello({ random: clientRandom, cookie: new Uint8Array(), connectionId: true })
    assert.equal(hex(bodyOf(clientHello, handshakeType.clientHello)), hex(body))
  })

  it('has a hello that the server takes and reads rightly', () => {
    const hello = decodeClientHello(bodyOf(clientHello, handshakeType.clientHello))
    assert.ok(hello)
    assert.equal(refusalOf(hello), undefined)
    assert.equal(wantsConnectionId(hello), true)
    assert.equal(hex(hello.random), hex(clientRandom))
    assert.deepEqual(hello.cipherSuites, [0xc0ae, 0x00ff])
    assert.deepEqual([...hello.extensions.keys()], [13, 10, 11, 254, 19, 20])
  })

  it('has an answer that the client takes', () => {
    const hello = decodeServerHello(bodyOf(serverFlight, handshakeType.serverHello))
    assert.ok(hello)
    assert.equal(hex(hello.random), hex(serverRandom))
    assert.equal(hello.cipherSuite, 0xc0ae)
    assert.equal(hello.sessionId.length, 32)
    assert.deepEqual(
      [...hello.extensions.keys()],
      [
        extensionType.renegotiationInfo,
        extensionType.connectionId,
        extensionType.pointFormats,
        extensionType.clientCertificateType,
        extensionType.serverCertificateType,
      ],
    )
    assert.equal(hex(connectionIdOf(hello) as Uint8Array), hex(cid))
    assert.equal(acceptsEcdsa(bodyOf(serverFlight, handshakeType.certificateRequest)), true)
    assert.equal(acceptsEcdsa(certificateRequestBody), true)
  })

  it('has a key exchange that the server signed', () => {
    const exchange = decodeServerKeyExchange(bodyOf(serverFlight, handshakeType.serverKeyExchange))
    assert.ok(exchange)
    const signed = { clientRandom, serverRandom, point: exchange.point }
    assert.equal(verifyServerKeyExchange(serverPublicKey, signed, exchange.signature), true)
    assert.equal(verifyServerKeyExchange(createPublicKey(deviceKey), signed, exchange.signature), false)
    assert.equal(
      verifyServerKeyExchange(serverPublicKey, { ...signed, clientRandom: serverRandom }, exchange.signature),
      false,
    )
  })

  it('presents the raw public key of the device and proves it', () => {
    const certificate = bodyOf(clientFlight, handshakeType.certificate)
    const publicKey = decodeCertificate(certificate)
    assert.ok(publicKey instanceof Uint8Array)
    assert.equal(hex(publicKey), hex(ecPublicKeyDer(deviceKey)))
    assert.equal(hex(encodeCertificate(publicKey)), hex(certificate))
    assert.equal(ecPointOf(publicKey).length, 65)
    const exchange = bodyOf(clientFlight, handshakeType.clientKeyExchange)
    const point = decodeClientKeyExchange(exchange)
    assert.ok(point)
    assert.equal(hex(encodeClientKeyExchange(point)), hex(exchange))

    const transcript = new Transcript()
    const before = [...messagesOf(clientHello), ...messagesOf(serverFlight), ...messagesOf(clientFlight).slice(0, 2)]
    for (const message of before) transcript.add(message)
    const signature = decodeCertificateVerify(bodyOf(clientFlight, handshakeType.certificateVerify))
    assert.ok(signature)
    assert.equal(verify('sha256', transcript.bytes(), ecPublicKeyFromDer(publicKey), signature), true)
  })

  it('ends with the verify data that both ends compute', () => {
    const transcript = new Transcript()
    const before = [...messagesOf(clientHello), ...messagesOf(serverFlight), ...messagesOf(clientFlight)]
    for (const message of before) transcript.add(message)
    const [clientFinished] = opened(end('server'), clientFlight)
    assert.equal(clientFinished, '22 1400000c000400000000000cbbdeab4b0bbeb30739bf41f4')
    const clientData = verifyData(master, 'client', transcript.hash())
    assert.equal(hex(clientData), 'bbdeab4b0bbeb30739bf41f4')
    transcript.add({ type: handshakeType.finished, sequence: 4, body: clientData })
    const [serverFinished] = opened(end('client'), serverEnd)
    assert.equal(serverFinished, '22 1400000c000400000000000cb21ed4088637332eaa551452')
    assert.equal(hex(verifyData(master, 'server', transcript.hash())), 'b21ed4088637332eaa551452')
  })

  it('comes in messages numbered 0 to 3 and Finished 4 on both sides', () => {
    assert.deepEqual(
      messagesOf(serverFlight).map((message) => message.sequence),
      [0, 1, 2, 3],
    )
    assert.deepEqual(
      messagesOf(clientFlight).map((message) => message.sequence),
      [1, 2, 3],
    )
  })

  it('is packed again into the same datagrams', () => {
    const records = parseDatagram(unhex(serverFlight)).records.map((record) =>
      encodePlainRecord(record.type, record.sequence, record.body),
    )
    assert.deepEqual(packRecords(records, 508).map(hex), [serverFlight])
    assert.deepEqual(
      packRecords(records, 200).map((datagram) => datagram.length),
      [131, 169, 36 + 25],
    )
  })
})

describe('the captured records', () => {
  const fromDevice = {
    app: '19fefd0001000000000001c1d0010203040506002000010000000000016f5e5dc310eaabaf76574da9f71b9187b4e3e085c9a44a99',
    moved: 'fdfefd0001000000000002c1d0010203040506002000010000000000027e257cb701c404c98c764b9d9cc2f0a282b2fe20c1ae00a9',
    resumed:
      'fdfefd0001000000000003c1d001020304050600200001000000000003385e67ad5207a1b00f471e8edcb9924439971bb8633d886b',
  }
  const fromServer = {
    app: '17fefd000100000000000100140001000000000001d6f78a06aa555ec1d3993522',
    pong: '17fefd0001000000000003001400010000000000038fc12066456e5dbb5189b25d',
  }

  it('of the device open, also those that say it moved', () => {
    const server = end('server')
    assert.deepEqual(opened(server, fromDevice.app), ['23 40001234'])
    assert.deepEqual(opened(server, fromDevice.moved), ['23 40001235'])
    assert.deepEqual(opened(server, fromDevice.resumed), ['23 40001236'])
    assert.deepEqual(opened(server, fromDevice.resumed), ['replay'])
    assert.equal(parseDatagram(unhex(fromDevice.app)).moved, false)
    assert.equal(parseDatagram(unhex(fromDevice.moved)).moved, true)
  })

  it('of the server open at the device', () => {
    const client = end('client')
    assert.deepEqual(opened(client, fromServer.app), ['23 60001234'])
    assert.deepEqual(opened(client, fromServer.pong), ['23 60001236'])
  })

  it('are made byte for byte by both ends', () => {
    const client = end('client')
    const finished = unhex('1400000c000400000000000cbbdeab4b0bbeb30739bf41f4')
    assert.equal(hex(client.seal(22, finished)), clientFlight.slice(-(21 + 48) * 2))
    assert.equal(hex(client.seal(23, unhex('40001234'))), fromDevice.app)
    assert.equal(hex(client.seal(23, unhex('40001235'))), fromDevice.moved.replace(/^fd/, '19'))
    const server = end('server')
    assert.equal(
      hex(server.seal(22, unhex('1400000c000400000000000cb21ed4088637332eaa551452'))),
      serverEnd.slice(-(13 + 40) * 2),
    )
    assert.equal(hex(server.seal(23, unhex('60001234'))), fromServer.app)
    assert.equal(hex(end('server', 3).seal(23, unhex('60001236'))), fromServer.pong)
  })

  it('open in a session that was stored', () => {
    const rest = new Uint8Array(3)
    const stored = encodeStored(1, { keyBlock: keys, cid, sendSequence: 3, window: { top: 1, high: 0, low: 3 } }, rest)
    const session = DtlsSession.restore(stored)
    const result = session.open(onlyRecord(fromDevice.resumed))
    assert.ok(typeof result !== 'string')
    assert.equal(hex(result.content), '40001236')
    assert.equal(session.open(onlyRecord(fromDevice.app)), 'replay')
    assert.equal(hex(session.seal(unhex('60001236'))), fromServer.pong)
  })

  it('have the old form of a moved session as well', () => {
    const record = unhex(fromServer.app)
    const moved = unhex(`${fromServer.app}0f10aced20212223242526270c`)
    moved[0] = 254
    const parsed = parseDatagram(moved)
    assert.equal(parsed.deviceId, '0f10aced2021222324252627')
    assert.equal(parsed.moved, true)
    assert.deepEqual(parsed.records, parseDatagram(record).records)
    for (const wrong of [moved.subarray(0, -1), moved.subarray(1), moved.with(moved.length - 1, 11)]) {
      assert.equal(parseDatagram(wrong).records.length, 0)
      assert.equal(parseDatagram(wrong).malformed, true)
    }
  })
})

describe('a HelloVerifyRequest', () => {
  it('is read in the form that devices accept', () => {
    const cookie = '11'.repeat(32)
    const [record] = parseDatagram(unhex(`16fefd0000000000000000002f030000230000000000000023fefd20${cookie}`)).records
    assert.ok(record)
    const reassembly = new Reassembly(0)
    for (const fragment of decodeFragments(record.body) ?? []) reassembly.add(fragment)
    const message = reassembly.next()
    assert.equal(message?.type, handshakeType.helloVerifyRequest)
    assert.equal(hex(decodeHelloVerifyRequest(message?.body ?? new Uint8Array()) ?? new Uint8Array()), cookie)
  })
})

describe('the key of the server', () => {
  it('is the one of the captured run', () => {
    assert.equal(hex(ecPublicKeyDer(serverKey)), hex(ecPublicKeyDer(serverPublicKey)))
  })
})
