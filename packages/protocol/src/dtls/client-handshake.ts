import { type KeyObject, timingSafeEqual } from 'node:crypto'
import { ProtocolError } from '../protocol-error.ts'
import type { Millis } from '../time.ts'
import { alertName, DtlsError, decodeAlert, encodeAlert } from './alert.ts'
import type { DropReason } from './drops.ts'
import { ecPublicKeyDer, generateEphemeralKey, sharedSecret } from './ec-keys.ts'
import { deviceFlightTimes, Flight, type FlightPart } from './flight.ts'
import { decodeFragments, type HandshakeFragment, type HandshakeMessage, Reassembly } from './handshake-message.ts'
import { type DtlsHandshakeStep, deviceHandshakeTimeout } from './handshake-step.ts'
import {
  connectionIdOf,
  decodeHelloVerifyRequest,
  decodeServerHello,
  encodeClientHello,
  type ServerHello,
} from './hello.ts'
import {
  acceptsEcdsa,
  decodeServerKeyExchange,
  encodeCertificate,
  encodeCertificateVerify,
  encodeClientKeyExchange,
  verifyServerKeyExchange,
} from './key-exchange.ts'
import { keyBlock, masterSecret, verifyData } from './prf.ts'
import { cipherSuite, contentType, dtlsVersion, extensionType, handshakeType, randomSize } from './profile.ts'
import { RecordProtection } from './protection.ts'
import { type DtlsRecord, encodePlainRecord } from './record.ts'
import { Transcript } from './transcript.ts'

export interface ClientHandshakeHandlers {
  send(datagram: Uint8Array): void
  established(protection: RecordProtection): void
  failed(step: DtlsHandshakeStep, error: ProtocolError): void
  dropped(reason: DropReason): void
}

export interface ClientHandshakeOptions {
  /** P-256 private key of the device. */
  readonly deviceKey: KeyObject
  /** P-256 public key of the server. */
  readonly serverKey: KeyObject
  readonly random: (size: number) => Uint8Array
  readonly handlers: ClientHandshakeHandlers
  readonly mtu: number
  /** Ask for a connection id, and insist on one of 8 bytes, as devices from 3.1 do. */
  readonly connectionId: boolean
}

/** Extensions that the client offers and the server may therefore answer; SCSV stands for renegotiation_info. */
const offered: ReadonlySet<number> = new Set([
  extensionType.renegotiationInfo,
  extensionType.pointFormats,
  extensionType.supportedGroups,
  extensionType.clientCertificateType,
  extensionType.serverCertificateType,
])

const minRepeatGap: Millis = 400
/** A server asks for a cookie once, and again when it got too old on the way. */
const maxCookieRequests = 3

/** The device's end of one handshake (device-protocol.md 2.3). Never throws; ends by `established` or `failed`. */
export class ClientHandshake {
  readonly #options: ClientHandshakeOptions
  readonly #random: Uint8Array
  readonly #reassembly = new Reassembly(0)
  #transcript = new Transcript()
  #flight: Flight
  #expiry: Millis = 0
  #step: DtlsHandshakeStep = 'hello'
  #ended = false
  #sendSequence = 0
  #messageSequence = 0
  #cookieRequests = 0
  #serverRandom: Uint8Array = new Uint8Array()
  #serverPoint: Uint8Array | undefined
  #cid: Uint8Array | undefined
  #certificateRequested = false
  #clientCertificateType = false
  #master: Uint8Array = new Uint8Array()
  #protection: RecordProtection | undefined

  constructor(options: ClientHandshakeOptions, now: Millis) {
    this.#options = options
    this.#random = options.random(randomSize)
    this.#flight = this.#sayHello(new Uint8Array(), now)
  }

  get step(): DtlsHandshakeStep {
    return this.#step
  }

  receive(record: DtlsRecord, now: Millis): void {
    if (this.#ended) return
    if (record.epoch !== 0) {
      this.#receiveProtected(record, now)
    } else if (record.type === contentType.alert) {
      this.#receiveAlert(record.body)
    } else if (record.type === contentType.handshake) {
      this.#receiveFragments(record.body, false, now)
    }
  }

  poll(now: Millis): void {
    if (this.#ended) return
    if (now >= this.#expiry) this.#fail(new ProtocolError('timeout', 'the server did not answer'))
    else this.#flight.poll(now)
  }

  nextDeadline(): Millis | undefined {
    if (this.#ended) return undefined
    return Math.min(this.#flight.deadline ?? this.#expiry, this.#expiry)
  }

  close(): void {
    this.#ended = true
  }

  #sayHello(cookie: Uint8Array, now: Millis): Flight {
    this.#transcript = new Transcript()
    const { connectionId } = this.#options
    const body = encodeClientHello({ random: this.#random, cookie, connectionId })
    const flight = this.#makeFlight([{ kind: 'message', message: this.#message(handshakeType.clientHello, body) }])
    this.#expiry = now + deviceHandshakeTimeout
    flight.send(now)
    return flight
  }

  #message(type: number, body: Uint8Array): HandshakeMessage {
    const message = { type, sequence: this.#messageSequence++, body }
    this.#transcript.add(message)
    return message
  }

  #makeFlight(parts: readonly FlightPart[]): Flight {
    const link = {
      mtu: this.#options.mtu,
      nextSequence: () => this.#sendSequence++,
      seal: (type: number, content: Uint8Array) => this.#protection?.seal(type, content) ?? new Uint8Array(),
      send: (datagram: Uint8Array) => this.#options.handlers.send(datagram),
    }
    return new Flight(parts, link, deviceFlightTimes)
  }

  #receiveAlert(body: Uint8Array): void {
    const alert = decodeAlert(body)
    if (alert?.fatal !== true) return
    this.#fail(new ProtocolError('alert', `the server ended the handshake: ${alertName(alert.description)}`))
  }

  #receiveProtected(record: DtlsRecord, now: Millis): void {
    const opened = this.#protection?.open(record) ?? 'epoch'
    if (typeof opened === 'string') this.#options.handlers.dropped(opened)
    else if (opened.type === contentType.alert) this.#receiveAlert(opened.content)
    else if (opened.type === contentType.handshake) this.#receiveFragments(opened.content, true, now)
  }

  #receiveFragments(bytes: Uint8Array, authenticated: boolean, now: Millis): void {
    const fragments = decodeFragments(bytes)
    if (fragments === undefined) this.#options.handlers.dropped('handshake')
    for (const fragment of fragments ?? []) {
      // Finished counts only when it came protected, and nothing else does then.
      if ((fragment.type === handshakeType.finished) === authenticated) this.#receiveFragment(fragment, now)
      else this.#options.handlers.dropped('handshake')
    }
    while (!this.#ended && (this.#step !== 'finished' || authenticated)) {
      const message = this.#reassembly.next()
      if (message === undefined) return
      try {
        this.#take(message, now)
      } catch (error) {
        this.#refuse(error)
      }
    }
  }

  #receiveFragment(fragment: HandshakeFragment, now: Millis): void {
    const added = this.#reassembly.add(fragment)
    if (added === 'refused') this.#options.handlers.dropped('handshake')
    // The server repeats the end of its flight: it has not seen ours.
    const again = added === 'old' && fragment.type === handshakeType.serverHelloDone
    if (again && now - this.#flight.lastSent >= minRepeatGap) this.#flight.send(now)
  }

  #take(message: HandshakeMessage, now: Millis): void {
    const { type } = message
    if (this.#step === 'hello' && type === handshakeType.helloVerifyRequest) this.#takeCookie(message, now)
    else if (this.#step === 'hello' && type === handshakeType.serverHello) this.#takeHello(message)
    else if (this.#step === 'key-exchange' && type === handshakeType.serverKeyExchange) this.#takeKeyExchange(message)
    else if (this.#step === 'certificate' && type === handshakeType.certificateRequest) this.#takeRequest(message)
    else if (this.#step === 'certificate' && type === handshakeType.serverHelloDone) this.#takeDone(message, now)
    else if (this.#step === 'finished' && type === handshakeType.finished) this.#takeFinished(message)
    else throw unexpected(type)
  }

  #takeCookie(message: HandshakeMessage, now: Millis): void {
    const cookie = decodeHelloVerifyRequest(message.body)
    if (cookie === undefined) throw malformed('HelloVerifyRequest')
    if (++this.#cookieRequests > maxCookieRequests) throw unexpected(message.type)
    this.#flight = this.#sayHello(cookie.slice(), now)
  }

  #takeHello(message: HandshakeMessage): void {
    const hello = decodeServerHello(message.body)
    if (hello === undefined) throw malformed('ServerHello')
    if (hello.version !== dtlsVersion) {
      throw new DtlsError('hello', 'protocol_version', 'the server does not speak DTLS 1.2')
    }
    if (hello.cipherSuite !== cipherSuite || hello.compression !== 0) {
      throw new DtlsError('hello', 'illegal_parameter', 'the server chose what was not offered')
    }
    this.#checkExtensions(hello)
    this.#cid = this.#takeConnectionId(hello)
    this.#serverRandom = hello.random.slice()
    this.#transcript.add(message)
    this.#step = 'key-exchange'
  }

  #checkExtensions(hello: ServerHello): void {
    for (const [type, content] of hello.extensions) {
      if (!offered.has(type) && !(type === extensionType.connectionId && this.#options.connectionId)) {
        throw new DtlsError('hello', 'unsupported_extension', `the server answers extension ${type} unasked`)
      }
      const certificate = type === extensionType.clientCertificateType || type === extensionType.serverCertificateType
      if (certificate && (content.length !== 1 || content[0] !== 2)) {
        throw new DtlsError('hello', 'unsupported_certificate', 'the server does not use raw public keys')
      }
    }
    this.#clientCertificateType = hello.extensions.has(extensionType.clientCertificateType)
  }

  #takeConnectionId(hello: ServerHello): Uint8Array | undefined {
    if (!this.#options.connectionId) return undefined
    const cid = connectionIdOf(hello)
    if (cid === undefined || cid === 'malformed') {
      const words = 'the server gave no connection id of 8 bytes, without which a device keeps no session'
      throw new DtlsError('connection-id', 'handshake_failure', words)
    }
    return cid
  }

  #takeKeyExchange(message: HandshakeMessage): void {
    const exchange = decodeServerKeyExchange(message.body)
    if (exchange === undefined) throw malformed('ServerKeyExchange')
    const { serverKey } = this.#options
    const signed = { clientRandom: this.#random, serverRandom: this.#serverRandom, point: exchange.point }
    if (!verifyServerKeyExchange(serverKey, signed, exchange.signature)) {
      throw new DtlsError('signature', 'decrypt_error', 'this is not the expected server: its signature is wrong')
    }
    this.#serverPoint = exchange.point.slice()
    this.#transcript.add(message)
    this.#step = 'certificate'
  }

  #takeRequest(message: HandshakeMessage): void {
    const ecdsa = acceptsEcdsa(message.body)
    if (ecdsa === undefined) throw malformed('CertificateRequest')
    if (this.#certificateRequested) throw unexpected(message.type)
    if (!ecdsa || !this.#clientCertificateType) {
      throw new DtlsError('certificate', 'unsupported_certificate', 'the server does not take raw P-256 keys')
    }
    this.#certificateRequested = true
    this.#transcript.add(message)
  }

  #takeDone(message: HandshakeMessage, now: Millis): void {
    if (message.body.length > 0) throw malformed('ServerHelloDone')
    const own = generateEphemeralKey()
    const secret = this.#serverPoint && sharedSecret(own, this.#serverPoint)
    if (secret === undefined) {
      throw new DtlsError('key-exchange', 'illegal_parameter', 'the ephemeral key of the server is not on the curve')
    }
    this.#transcript.add(message)
    this.#master = masterSecret(secret, this.#random, this.#serverRandom)
    this.#protection = new RecordProtection({
      end: 'client',
      keyBlock: keyBlock(this.#master, this.#random, this.#serverRandom),
      cid: this.#cid,
      sendSequence: 0,
      window: { top: -1, high: 0, low: 0 },
    })
    this.#flight = this.#makeFlight(this.#answer(own.point))
    this.#step = 'finished'
    this.#expiry = now + deviceHandshakeTimeout
    this.#flight.send(now)
  }

  #answer(point: Uint8Array): FlightPart[] {
    const { deviceKey } = this.#options
    const messages: HandshakeMessage[] = []
    if (this.#certificateRequested) {
      messages.push(this.#message(handshakeType.certificate, encodeCertificate(ecPublicKeyDer(deviceKey))))
    }
    messages.push(this.#message(handshakeType.clientKeyExchange, encodeClientKeyExchange(point)))
    if (this.#certificateRequested) {
      const proof = encodeCertificateVerify(deviceKey, this.#transcript.bytes())
      messages.push(this.#message(handshakeType.certificateVerify, proof))
    }
    const body = verifyData(this.#master, 'client', this.#transcript.hash())
    return [
      ...messages.map((message): FlightPart => ({ kind: 'message', message })),
      { kind: 'change-cipher-spec' },
      { kind: 'protected', message: this.#message(handshakeType.finished, body) },
    ]
  }

  #takeFinished(message: HandshakeMessage): void {
    const expected = verifyData(this.#master, 'server', this.#transcript.hash())
    const { body } = message
    if (this.#protection === undefined || body.length !== expected.length || !timingSafeEqual(body, expected)) {
      throw new DtlsError('finished', 'decrypt_error', 'both ends saw different handshakes')
    }
    this.#step = 'open'
    this.#ended = true
    this.#options.handlers.established(this.#protection)
  }

  #refuse(error: unknown): void {
    const refusal =
      error instanceof DtlsError
        ? error
        : new DtlsError('internal', 'internal_error', 'the handshake could not go on', { cause: error })
    const alert = encodeAlert(refusal.alert)
    this.#options.handlers.send(encodePlainRecord(contentType.alert, this.#sendSequence++, alert))
    this.#fail(refusal)
  }

  #fail(error: ProtocolError): void {
    this.#ended = true
    this.#options.handlers.failed(this.#step, error)
  }
}

/** A Certificate of the server as well: it proves itself by its signature only (device-protocol.md 2.3). */
function unexpected(type: number): DtlsError {
  return new DtlsError('unexpected-message', 'unexpected_message', `message ${type} does not belong here`)
}

function malformed(name: string): DtlsError {
  return new DtlsError('malformed', 'decode_error', `the ${name} is malformed`)
}
