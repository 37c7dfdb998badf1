import assert from 'node:assert/strict'
import { constants, generateKeyPairSync, privateDecrypt, publicEncrypt, randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { ProtocolError } from '../protocol-error.ts'
import { fuzzRuns, hex, unhex } from '../test-bytes.ts'
import { TcpClientChannel, type TcpClientChannelOptions } from './client-channel.ts'
import { FrameEncoder } from './frames.ts'
import {
  credentialsMac,
  identitySize,
  openCredentials,
  openIdentity,
  sealCredentials,
  sealIdentity,
} from './handshake.ts'
import { type HandshakeStep, handshakeStepHints } from './handshake-step.ts'
import { devicePublicKeyDer } from './keys.ts'
import { TcpServerChannel, type TcpServerChannelOptions } from './server-channel.ts'

const rsa = (modulusLength: number) => generateKeyPairSync('rsa', { modulusLength })
const server = rsa(2048)
const otherServer = rsa(2048)
const device = rsa(1024)
const otherDevice = rsa(1024)
const deviceId = '0f10aced2021222324252627'
const hello = unhex('50022121b168ff000300010036000300001838048000a000000200')

/** One end with everything that it told its owner. */
interface End {
  readonly written: Buffer[]
  readonly messages: string[]
  readonly failures: { step: HandshakeStep; code: string }[]
  established: number | undefined
}

const newEnd = (): End => ({ written: [], messages: [], failures: [], established: undefined })

const record = (end: End) => ({
  write: (bytes: Uint8Array) => void end.written.push(Buffer.from(bytes)),
  message: (message: Uint8Array) => void end.messages.push(hex(message)),
  failed: (step: HandshakeStep, error: ProtocolError) => void end.failures.push({ step, code: error.code }),
})

type Decision = (channel: TcpServerChannel, id: string, key: Uint8Array | undefined) => void
const letIn: Decision = (channel) => channel.accept(device.publicKey, 0)

function serverEnd(decide: Decision = letIn, options: Partial<TcpServerChannelOptions> = {}) {
  const end = newEnd()
  const channel: TcpServerChannel = new TcpServerChannel({
    serverKey: server.privateKey,
    random: randomBytes,
    handlers: {
      ...record(end),
      identify: (identity) => decide(channel, identity.deviceId, identity.publicKey),
      established: (info) => {
        end.established = info.messageIdSeed
      },
    },
    ...options,
  })
  return { ...end, end, channel }
}

function clientEnd(options: Partial<TcpClientChannelOptions> = {}) {
  const end = newEnd()
  const channel: TcpClientChannel = new TcpClientChannel({
    deviceKey: device.privateKey,
    serverKey: server.publicKey,
    deviceId,
    handlers: {
      ...record(end),
      established: (info) => {
        end.established = info.messageIdSeed
        channel.send(hello)
      },
    },
    ...options,
  })
  return { ...end, end, channel }
}

type Cut = (bytes: Uint8Array) => Uint8Array[]
const whole: Cut = (bytes) => [bytes]

/** Carries bytes both ways until nothing moves. */
function connect(a: ReturnType<typeof serverEnd>, b: ReturnType<typeof clientEnd>, cut: Cut = whole): void {
  a.channel.start(0)
  b.channel.start(0)
  for (;;) {
    const down = Buffer.concat(a.written.splice(0))
    const up = Buffer.concat(b.written.splice(0))
    if (down.length === 0 && up.length === 0) return
    for (const segment of cut(down)) if (b.channel.alive) b.channel.receive(segment, 0)
    for (const segment of cut(up)) if (a.channel.alive) a.channel.receive(segment, 0)
  }
}

describe('the handshake of the TCP transport', () => {
  it('authenticates the credentials as the vector says (device-protocol.md 7.10)', () => {
    const credentials = Uint8Array.from({ length: 40 }, (_, index) => index)
    const sealed = Uint8Array.from({ length: 128 }, (_, index) => index)
    assert.equal(hex(credentialsMac(credentials, sealed)), '9f4e10d253051a9740f83b8f7814026305ca9aa5')
  })

  it('is 40 bytes, 256 bytes, 384 bytes, then frames', () => {
    const a = serverEnd()
    const b = clientEnd()
    a.channel.start(0)
    assert.equal(a.written[0]?.length, 40)
    b.channel.receive(a.written[0] ?? hello, 0)
    assert.equal(b.written[0]?.length, 256)
    a.channel.receive(b.written[0] ?? hello, 0)
    assert.equal(a.written[1]?.length, 384)
    b.channel.receive(a.written[1] ?? hello, 0)
    assert.equal(b.written[1]?.length, 34)
  })

  it('lets the ends know each other and exchange messages, however the stream is cut', () => {
    const cuts = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 20 })
    const texts = fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 5 })
    fc.assert(
      fc.property(cuts, texts, (sizes, messages) => {
        const cut: Cut = (bytes) => {
          const segments: Uint8Array[] = []
          for (let at = 0, turn = 0; at < bytes.length; turn++) {
            const size = sizes[turn % sizes.length] ?? 1
            segments.push(bytes.subarray(at, at + size))
            at += size
          }
          return segments
        }
        let identified: string | undefined
        const a = serverEnd((channel, id, key) => {
          identified = id
          assert.deepEqual(key, devicePublicKeyDer(device.publicKey))
          letIn(channel, id, key)
        })
        const b = clientEnd()
        connect(a, b, cut)
        assert.equal(identified, deviceId)
        assert.equal(a.end.established, b.end.established)
        assert.deepEqual([a.channel.step, b.channel.step], ['open', 'open'])
        for (const message of messages) a.channel.send(message)
        for (const message of messages) b.channel.send(message)
        connect(a, b, cut)
        assert.deepEqual(a.messages, [hex(hello), ...messages.map(hex)])
        assert.deepEqual(b.messages, messages.map(hex))
      }),
      { numRuns: Math.min(fuzzRuns, 100) },
    )
  })

  it('waits for an owner who decides later', () => {
    const a = serverEnd(() => {})
    const b = clientEnd()
    connect(a, b)
    assert.equal(a.channel.step, 'identify')
    a.channel.accept(device.publicKey, 5_000)
    connect(a, b)
    assert.deepEqual(a.messages, [hex(hello)])
  })

  it('takes the short identity of the first Spark Cores, without a key', () => {
    let key: Uint8Array | undefined = hello
    const a = serverEnd((channel, id, presented) => {
      key = presented
      letIn(channel, id, presented)
    })
    a.channel.start(0)
    const nonce = a.written[0] ?? hello
    a.channel.receive(sealIdentity(server.publicKey, nonce, { deviceId, publicKey: undefined }), 0)
    assert.equal(key, undefined)
    const opened = openCredentials(device.privateKey, server.publicKey, a.written[1] ?? hello)
    assert.ok(opened.ok)
    a.channel.receive(new FrameEncoder(opened.credentials).encode(hello), 0)
    assert.deepEqual(a.messages, [hex(hello)])
  })
})

describe('a handshake that fails', () => {
  const failuresOf = (a: ReturnType<typeof serverEnd>, b: ReturnType<typeof clientEnd>) => {
    connect(a, b)
    if (b.end.failures.length > 0) a.channel.disconnected()
    if (a.end.failures.length > 0) b.channel.disconnected()
    return [...a.end.failures, ...b.end.failures].map(({ step, code }) => `${step} ${code}`)
  }

  it('names the step when a key is wrong, each way', () => {
    const wrongServer = clientEnd({ serverKey: otherServer.publicKey })
    assert.deepEqual(failuresOf(serverEnd(), wrongServer), ['decrypt decrypt-or-nonce', 'credentials disconnected'])
    const registeredOther = serverEnd((channel) => channel.accept(otherDevice.publicKey, 0))
    const [atServer, atDevice] = failuresOf(registeredOther, clientEnd())
    assert.equal(atServer, 'hello disconnected')
    // One in a hundred noises of implicit rejection happens to have the right length; then the signature is wrong.
    assert.match(String(atDevice), /^(decrypt decrypt|signature signature)$/)
    // A server that can read what was meant for another one does not exist; one that signs with another key does.
    const reply = sealCredentials(otherServer.privateKey, device.publicKey, randomBytes(40))
    assert.deepEqual(openCredentials(device.privateKey, server.publicKey, reply), { ok: false, step: 'signature' })
  })

  it('is not let in by one who knows id and public key of a device but not its private key', () => {
    const a = serverEnd()
    a.channel.start(0)
    const identity = { deviceId, publicKey: devicePublicKeyDer(device.publicKey) }
    a.channel.receive(sealIdentity(server.publicKey, a.written[0] ?? hello, identity), 0)
    a.channel.receive(new FrameEncoder(randomBytes(40)).encode(hello), 0)
    assert.equal(a.end.established, undefined)
    assert.equal(a.failures[0]?.step, 'hello')
  })

  it('tells what the owner decided', () => {
    assert.deepEqual(
      failuresOf(
        serverEnd((channel) => channel.reject('not known')),
        clientEnd(),
      )[0],
      'identify refused',
    )
    const otherKey = serverEnd((channel) => channel.reject('another key', 'key'))
    assert.deepEqual(failuresOf(otherKey, clientEnd())[0], 'key refused')
    const unusable = serverEnd((channel) => channel.accept(server.publicKey, 0))
    assert.deepEqual(failuresOf(unusable, clientEnd())[0], 'key device-key')
    const elliptic = generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).publicKey
    const foreign = serverEnd((channel) => channel.accept(elliptic, 0))
    assert.deepEqual(failuresOf(foreign, clientEnd())[0], 'key device-key')
    for (const step of ['request', 'decrypt', 'identify', 'key', 'hello'] as const) assert.ok(handshakeStepHints[step])
  })

  it('runs out of time at every step of the server', () => {
    const a = serverEnd()
    a.channel.start(1_000)
    assert.equal(a.channel.nextDeadline(), 21_000)
    a.channel.poll(20_999)
    assert.equal(a.channel.alive, true)
    a.channel.poll(21_000)
    assert.deepEqual(a.failures, [{ step: 'request', code: 'timeout' }])
    assert.equal(a.channel.nextDeadline(), undefined)

    const b = clientEnd()
    const undecided = serverEnd(() => {})
    connect(undecided, b)
    undecided.channel.poll(20_000)
    assert.deepEqual(undecided.failures, [{ step: 'identify', code: 'timeout' }])

    // A step may take 20 s, all of them together no more than 30 s.
    const slow = serverEnd((channel) => channel.accept(device.publicKey, 19_000))
    slow.channel.start(0)
    const identity = { deviceId, publicKey: devicePublicKeyDer(device.publicKey) }
    slow.channel.receive(sealIdentity(server.publicKey, slow.written[0] ?? hello, identity), 19_000)
    assert.equal(slow.channel.nextDeadline(), 30_000)
    slow.channel.poll(30_000)
    assert.deepEqual(slow.failures, [{ step: 'hello', code: 'timeout' }])
  })

  it('runs out of time at every step of the device', () => {
    const mute = clientEnd()
    mute.channel.start(0)
    mute.channel.receive(new Uint8Array(39), 15_000)
    mute.channel.poll(20_000)
    assert.deepEqual(mute.failures, [{ step: 'nonce', code: 'timeout' }])
    const halfway = clientEnd()
    halfway.channel.start(0)
    halfway.channel.receive(new Uint8Array(40), 15_000)
    assert.equal(halfway.channel.nextDeadline(), 35_000)
    halfway.channel.poll(35_000)
    assert.deepEqual(halfway.failures, [{ step: 'credentials', code: 'timeout' }])
  })

  it('refuses keys that cannot work before anything is sent', () => {
    const code = (expected: string) => (error: unknown) => error instanceof ProtocolError && error.code === expected
    assert.throws(() => serverEnd(letIn, { serverKey: device.privateKey }), code('server-key'))
    assert.throws(() => clientEnd({ serverKey: device.publicKey }), code('server-key'))
    assert.throws(() => clientEnd({ deviceId: 'xyz' }), code('device-id'))
  })
})

describe('the server as seen by an attacker', () => {
  const plaintextFor = (nonce: Uint8Array, size: number) => {
    const identity = Buffer.concat([nonce, Buffer.from(deviceId, 'hex'), devicePublicKeyDer(device.publicKey)])
    return Buffer.concat([identity, Buffer.alloc(256)]).subarray(0, size)
  }
  const sealed = (plaintext: Uint8Array) =>
    publicEncrypt({ key: server.publicKey, padding: constants.RSA_PKCS1_PADDING }, plaintext)
  /** Raw RSA of a block that need not have any padding. */
  const raw = (block: Uint8Array) => publicEncrypt({ key: server.publicKey, padding: constants.RSA_NO_PADDING }, block)

  it('answers every kind of wrong identity in one way: nothing, and one failure', () => {
    const block = (...start: number[]) => Buffer.concat([Buffer.from(start), Buffer.alloc(256 - start.length, 0x55)])
    const wrong: Record<string, (nonce: Uint8Array) => Uint8Array> = {
      'block type 1': () => raw(block(0, 1)),
      'no separator': () => raw(Buffer.concat([Buffer.of(0, 2), Buffer.alloc(254, 0x11)])),
      'separator too early': () => raw(Buffer.concat([Buffer.of(0, 2, 1, 1, 0), Buffer.alloc(251, 0x11)])),
      'first byte not 0': () => raw(block(1, 2)),
      'not below the modulus': () => Buffer.alloc(256, 0xff),
      zero: () => Buffer.alloc(256),
      'other nonce': () => sealed(plaintextFor(randomBytes(40), 214)),
      'one bit of the nonce': (nonce) => {
        const plaintext = plaintextFor(nonce, 214)
        plaintext[39] = (plaintext[39] ?? 0) ^ 1
        return sealed(plaintext)
      },
      empty: () => sealed(new Uint8Array(0)),
      'too short': (nonce) => sealed(plaintextFor(nonce, 51)),
      'nonce only': (nonce) => sealed(plaintextFor(nonce, 40)),
      'odd length': (nonce) => sealed(plaintextFor(nonce, 100)),
      'too long': (nonce) => sealed(plaintextFor(nonce, 215)),
    }
    for (const [name, make] of Object.entries(wrong)) {
      const a = serverEnd(() => assert.fail(`${name} was identified`))
      a.channel.start(0)
      a.channel.receive(make(a.written[0] ?? hello), 0)
      assert.equal(a.written.length, 1, `${name}: nothing but the nonce was written`)
      assert.deepEqual(a.failures, [{ step: 'decrypt', code: 'decrypt-or-nonce' }], name)
    }
  })

  it('meets bad padding with a plaintext of noise and no error: the implicit rejection of OpenSSL', () => {
    const lengths = new Set<number>()
    for (let turn = 0; turn < 20; turn++) {
      const block = randomBytes(256).fill(0, 0, 2)
      // An OpenSSL without it throws here. A server must not run on one.
      const noise = privateDecrypt({ key: server.privateKey, padding: constants.RSA_PKCS1_PADDING }, raw(block))
      lengths.add(noise.length)
      assert.equal(openIdentity(server.privateKey, randomBytes(40), raw(block)), undefined)
    }
    assert.ok(lengths.size > 1, 'even the length is noise')
  })

  it('never throws and always ends on damage, at whatever byte', () => {
    fc.assert(
      fc.property(fc.nat(identitySize + 40), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const a = serverEnd()
        const b = clientEnd()
        a.channel.start(0)
        b.channel.receive(a.written.splice(0)[0] ?? hello, 0)
        const identity = b.written.splice(0)[0] ?? hello
        if (at < identitySize) identity[at] = (identity[at] ?? 0) ^ change
        a.channel.receive(identity, 0)
        if (at < identitySize) {
          assert.deepEqual(a.failures, [{ step: 'decrypt', code: 'decrypt-or-nonce' }])
          return
        }
        b.channel.receive(a.written.splice(0)[0] ?? hello, 0)
        const frame = b.written.splice(0)[0] ?? hello
        const index = (at - identitySize) % frame.length
        frame[index] = (frame[index] ?? 0) ^ change
        a.channel.receive(frame, 0)
        a.channel.poll(100_000)
        assert.ok(a.failures.length === 1 || a.messages.length === 1)
      }),
      { numRuns: Math.min(fuzzRuns, 200) },
    )
    fc.assert(
      fc.property(fc.nat(383), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const a = serverEnd()
        const b = clientEnd()
        a.channel.start(0)
        b.channel.receive(a.written.splice(0)[0] ?? hello, 0)
        a.channel.receive(b.written.splice(0)[0] ?? hello, 0)
        const reply = a.written.splice(0)[0] ?? hello
        reply[at] = (reply[at] ?? 0) ^ change
        b.channel.receive(reply, 0)
        assert.equal(b.failures.length, 1)
        assert.equal(b.end.established, undefined)
      }),
      { numRuns: Math.min(fuzzRuns, 100) },
    )
  })

  it('wants its peer to wait for its turn, without spending an RSA operation on it', () => {
    const early = serverEnd()
    early.channel.start(0)
    early.channel.receive(new Uint8Array(257), 0)
    assert.deepEqual(early.failures, [{ step: 'request', code: 'unexpected-bytes' }])
    const undecided = serverEnd(() => {})
    connect(undecided, clientEnd())
    undecided.channel.receive(Uint8Array.of(0), 0)
    assert.deepEqual(undecided.failures, [{ step: 'identify', code: 'unexpected-bytes' }])
  })
})

describe('an open channel', () => {
  const open = () => {
    const a = serverEnd()
    const b = clientEnd({ bufferSize: 1152 })
    connect(a, b)
    return { a, b }
  }

  it('takes messages up to what the device can hold, and no more', () => {
    const { a, b } = open()
    a.channel.send(new Uint8Array(1119))
    connect(a, b)
    assert.equal(b.messages[0]?.length, 2 * 1119)
    assert.throws(() => a.channel.send(new Uint8Array(1120)), ProtocolError)
    a.channel.maxMessageSize = 767
    assert.throws(() => a.channel.send(new Uint8Array(768)), ProtocolError)
    b.channel.send(new Uint8Array(1134))
    connect(a, b)
    assert.equal(a.messages.at(-1)?.length, 2 * 1134)
    assert.throws(() => b.channel.send(new Uint8Array(1135)), ProtocolError)
  })

  it('fails the device whose frame is above its buffer (device-protocol.md 1.6)', () => {
    const { a, b } = open()
    a.channel.maxMessageSize = 5_000
    a.channel.send(new Uint8Array(1131))
    connect(a, b)
    assert.deepEqual(b.failures, [{ step: 'open', code: 'frame-too-large' }])
  })

  it('sends nothing for an empty message, and nothing before it is open', () => {
    const { a, b } = open()
    a.channel.send(new Uint8Array(0))
    assert.equal(a.written.length, 0)
    const closed = serverEnd()
    closed.channel.start(0)
    assert.throws(() => closed.channel.send(hello), ProtocolError)
    assert.throws(() => clientEnd().channel.send(hello), ProtocolError)
    assert.equal(b.messages.length, 0)
  })

  it('stops in the middle of a segment when its owner closes it', () => {
    const end = newEnd()
    const a = serverEnd(letIn)
    const b: TcpClientChannel = new TcpClientChannel({
      deviceKey: device.privateKey,
      serverKey: server.publicKey,
      deviceId,
      handlers: {
        ...record(end),
        established: () => b.send(hello),
        message: (message) => {
          end.messages.push(hex(message))
          b.close()
        },
      },
    })
    a.channel.start(0)
    while (a.written.length + end.written.length > 0) {
      b.receive(Buffer.concat(a.written.splice(0)), 0)
      a.channel.receive(Buffer.concat(end.written.splice(0)), 0)
    }
    a.channel.send(Uint8Array.of(1))
    a.channel.send(Uint8Array.of(2))
    b.receive(Buffer.concat(a.written.splice(0)), 0)
    assert.deepEqual(end.messages, ['01'])
    b.receive(Uint8Array.of(0, 0), 0)
    b.disconnected()
    assert.deepEqual(end.failures, [])
    b.send(hello)
    assert.equal(end.written.length, 0)
  })

  it('says once that it was disconnected', () => {
    const { a } = open()
    a.channel.disconnected()
    a.channel.disconnected()
    assert.deepEqual(a.failures, [{ step: 'open', code: 'disconnected' }])
  })
})
