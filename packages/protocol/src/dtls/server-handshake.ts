import { type KeyObject, timingSafeEqual } from 'node:crypto'
import { ProtocolError } from '../protocol-error.ts'
import type { Millis } from '../time.ts'
import { type AlertName, alertName, DtlsError, decodeAlert, encodeAlert } from './alert.ts'
import type { DropReason } from './drops.ts'
import { type EphemeralKey, generateEphemeralKey, sharedSecret } from './ec-keys.ts'
import { Flight, type FlightPart, serverFlightTimes } from './flight.ts'
import { decodeFragments, type HandshakeFragment, type HandshakeMessage, Reassembly } from './handshake-message.ts'
import { type DtlsHandshakeStep, serverHandshakeTimeout } from './handshake-step.ts'
import { type ClientHello, encodeServerHello } from './hello.ts'
import type { HotPool } from './hot-pool.ts'
import {
  certificateRequestBody,
  decodeCertificate,
  decodeCertificateVerify,
  decodeClientKeyExchange,
  encodeServerKeyExchange,
} from './key-exchange.ts'
import type { KnownKeys } from './known-keys.ts'
import { keyBlock, masterSecret, verifyData } from './prf.ts'
import { contentType, handshakeType, randomSize } from './profile.ts'
import { RecordProtection } from './protection.ts'
import { type DtlsRecord, encodePlainRecord } from './record.ts'
import { Transcript } from './transcript.ts'

export interface ServerHandshakeHandlers {
  send(datagram: Uint8Array): void
  established(result: ServerHandshakeResult, now: Millis): void
  failed(step: DtlsHandshakeStep, error: ProtocolError): void
  dropped(reason: DropReason): void
}

export interface ServerHandshakeResult {
  readonly protection: RecordProtection
  /** 91 bytes; undefined only when the client may go without. */
  readonly publicKey: Uint8Array | undefined
  /** The last flight, to be sent again while the device repeats its own. */
  readonly lastFlight: Flight
}

export interface ServerHandshakeOptions {
  /** P-256 private key. */
  readonly serverKey: KeyObject
  readonly random: (size: number) => Uint8Array
  readonly handlers: ServerHandshakeHandlers
  readonly mtu: number
  /** For the device's records; undefined when its hello does not ask for one. */
  readonly cid: Uint8Array | undefined
  readonly requireClientKey: boolean
  readonly hotPool?: HotPool | undefined
  readonly knownKeys: KnownKeys
}

/** The hello that begins the handshake, with valid form and nothing to refuse. */
export interface ReceivedHello {
  readonly hello: ClientHello
  readonly message: HandshakeMessage
  /** Number of its record: ours begin with it, so that they are above that of a HelloVerifyRequest (RFC 6347 4.2.1). */
  readonly recordSequence: number
  /** Bytes of its datagram. */
  readonly size: number
  /** Its cookie was good: the address is real. */
  readonly verified: boolean
}

/** So many times what it sent goes to an address that has not shown that it is real, as in QUIC (RFC 9000 8.1). */
export const amplificationFactor = 3
/** Upper bound of the first flight, unless it is in pieces. The hellos of devices are large enough for it. */
export const largestFirstFlight = 330
/** Smallest limit of a datagram at which no message of the first flight is in pieces. */
export const smallestWholeMtu = 172

/** Repeated messages of the other end do not make us repeat ours more often than this. */
const minRepeatGap: Millis = 400

/** Protected records that may overtake the messages which bring their keys. */
const maxEarlyRecords = 4

/** The cloud's end of one handshake (device-protocol.md 2.3). Never throws; ends by `established` or `failed`. */
export class ServerHandshake {
  readonly cid: Uint8Array | undefined
  readonly clientRandom: Uint8Array
  readonly verified: boolean
  readonly #options: ServerHandshakeOptions
  readonly #serverRandom: Uint8Array
  readonly #ephemeral: EphemeralKey = generateEphemeralKey()
  readonly #transcript = new Transcript()
  readonly #reassembly: Reassembly
  readonly #flight: Flight
  readonly #expiry: Millis
  readonly #early: DtlsRecord[] = []
  #step: DtlsHandshakeStep = 'certificate'
  #ended = false
  #sendSequence: number
  #messageSequence: number
  #receivedBytes: number
  #sentBytes = 0
  #publicKey: Uint8Array | undefined
  #master: Uint8Array = new Uint8Array()
  #protection: RecordProtection | undefined

  constructor(options: ServerHandshakeOptions, received: ReceivedHello, now: Millis) {
    this.#options = options
    this.cid = options.cid
    this.clientRandom = received.hello.random
    this.verified = received.verified
    this.#receivedBytes = received.size
    this.#sendSequence = received.recordSequence
    this.#messageSequence = received.message.sequence
    this.#reassembly = new Reassembly(received.message.sequence + 1)
    this.#expiry = now + serverHandshakeTimeout
    this.#serverRandom = options.random(randomSize)
    this.#transcript.add(received.message)
    this.#flight = this.#makeFlight(this.#firstMessages(received.hello))
    this.#flight.send(now)
  }

  get step(): DtlsHandshakeStep {
    return this.#step
  }

  /** A datagram with records for this handshake has come, of so many bytes. */
  credit(size: number): void {
    this.#receivedBytes += size
  }

  receive(record: DtlsRecord, now: Millis): void {
    if (this.#ended) return
    if (record.epoch === 0) this.#receivePlain(record, now)
    else if (this.#protection !== undefined) this.#receiveProtected(record, this.#protection, now)
    else if (this.#early.length < maxEarlyRecords) this.#early.push(copyOf(record))
    else this.#options.handlers.dropped('handshake')
  }

  /** Repeats the flight to a real address, and gives up in the end. */
  poll(now: Millis): void {
    if (this.#ended) return
    if (now >= this.#expiry) this.#fail(new ProtocolError('timeout', 'the device did not go on'))
    else if (this.verified) this.#flight.poll(now)
  }

  /** Ends without a word. */
  close(): void {
    this.#ended = true
  }

  #firstMessages(hello: ClientHello): HandshakeMessage[] {
    const { serverKey, requireClientKey } = this.#options
    const { point } = this.#ephemeral
    const signed = { clientRandom: this.clientRandom, serverRandom: this.#serverRandom, point }
    const messages = [
      this.#message(handshakeType.serverHello, encodeServerHello(hello, this.#serverRandom, this.cid)),
      this.#message(handshakeType.serverKeyExchange, encodeServerKeyExchange(serverKey, signed)),
    ]
    if (requireClientKey) messages.push(this.#message(handshakeType.certificateRequest, certificateRequestBody))
    else this.#step = 'key-exchange'
    messages.push(this.#message(handshakeType.serverHelloDone, new Uint8Array()))
    return messages
  }

  #message(type: number, body: Uint8Array): HandshakeMessage {
    const message = { type, sequence: this.#messageSequence++, body }
    this.#transcript.add(message)
    return message
  }

  #makeFlight(messages: readonly HandshakeMessage[], end: readonly FlightPart[] = []): Flight {
    const parts: FlightPart[] = messages.map((message) => ({ kind: 'message', message }))
    const link = {
      mtu: this.#options.mtu,
      nextSequence: () => this.#sendSequence++,
      seal: (type: number, content: Uint8Array) => this.#protection?.seal(type, content) ?? new Uint8Array(),
      send: (datagram: Uint8Array) => this.#send(datagram),
    }
    return new Flight([...parts, ...end], link, serverFlightTimes)
  }

  #send(datagram: Uint8Array): void {
    // A client that finished the handshake has read what we sent to its address.
    const real = this.verified || this.#step === 'open'
    if (!real && this.#sentBytes + datagram.length > this.#receivedBytes * amplificationFactor) {
      this.#options.handlers.dropped('amplification')
      return
    }
    this.#sentBytes += datagram.length
    this.#options.handlers.send(datagram)
  }

  #receivePlain(record: DtlsRecord, now: Millis): void {
    if (record.type === contentType.alert) this.#receiveAlert(record)
    if (record.type !== contentType.handshake) return
    const fragments = decodeFragments(record.body)
    if (fragments === undefined) this.#options.handlers.dropped('handshake')
    for (const fragment of fragments ?? []) {
      // Without protection anybody could have sent it, and it must not take the place of the real one.
      if (fragment.type === handshakeType.finished) this.#options.handlers.dropped('handshake')
      else this.#receiveFragment(fragment, now)
    }
    this.#advance(now)
  }

  /** Not authenticated, but this is how a device says why it stops, and who can forge it can disturb in other ways. */
  #receiveAlert(record: DtlsRecord): void {
    const alert = decodeAlert(record.body)
    if (alert?.fatal !== true) return
    const words = `the device ended the handshake: ${alertName(alert.description)}`
    this.#fail(new ProtocolError('alert', words))
  }

  #receiveFragment(fragment: HandshakeFragment, now: Millis): void {
    const added = this.#reassembly.add(fragment)
    if (added === 'refused') this.#options.handlers.dropped('handshake')
    // The device says hello again: it has not seen our flight.
    const again = added === 'old' && fragment.type === handshakeType.clientHello
    if (again && now - this.#flight.lastSent >= minRepeatGap) this.#flight.send(now)
  }

  #receiveProtected(record: DtlsRecord, protection: RecordProtection, now: Millis): void {
    const opened = protection.open(record)
    if (typeof opened === 'string') {
      this.#options.handlers.dropped(opened)
    } else if (opened.type === contentType.handshake) {
      for (const fragment of decodeFragments(opened.content) ?? []) {
        if (fragment.type === handshakeType.finished) this.#receiveFragment(fragment, now)
      }
      this.#advance(now, true)
    } else if (opened.type === contentType.alert) {
      this.#receiveAlert({ ...record, body: opened.content })
    }
  }

  #advance(now: Millis, authenticated = false): void {
    for (;;) {
      if (this.#ended) return
      // Finished counts only when it came protected.
      const message = this.#step === 'finished' && !authenticated ? undefined : this.#reassembly.next()
      if (message === undefined) return
      try {
        this.#take(message, now)
      } catch (error) {
        this.#refuse(error)
      }
    }
  }

  #take(message: HandshakeMessage, now: Millis): void {
    const expected = {
      certificate: handshakeType.certificate,
      'key-exchange': handshakeType.clientKeyExchange,
      'certificate-verify': handshakeType.certificateVerify,
      finished: handshakeType.finished,
    }
    const { type, body } = message
    if (this.#step === 'hello' || this.#step === 'open' || type !== expected[this.#step]) {
      throw new DtlsError('unexpected-message', 'unexpected_message', `message ${type} does not belong here`)
    }
    if (this.#step === 'certificate') this.#takeCertificate(body)
    else if (this.#step === 'key-exchange') this.#takeKeyExchange(message)
    else if (this.#step === 'certificate-verify') this.#takeCertificateVerify(body)
    else this.#takeFinished(message, now)
    // The key exchange is added before its keys are derived, Finished where it is checked.
    if (type === handshakeType.certificate || type === handshakeType.certificateVerify) this.#transcript.add(message)
    if (type === handshakeType.certificate) this.#step = 'key-exchange'
    if (type === handshakeType.certificateVerify) this.#step = 'finished'
    if (this.#step === 'finished') this.#receiveEarly(now)
  }

  #takeCertificate(body: Uint8Array): void {
    const certificate = decodeCertificate(body)
    if (certificate === undefined) {
      throw new DtlsError('certificate', 'unsupported_certificate', 'the device presented no P-256 raw public key')
    }
    if (certificate === 'none') {
      throw new DtlsError('certificate', 'handshake_failure', 'the device has no key to present')
    }
    // Its message lies in memory of its own.
    this.#publicKey = certificate
  }

  #takeKeyExchange(message: HandshakeMessage): void {
    const point = decodeClientKeyExchange(message.body)
    const secret = point && sharedSecret(this.#ephemeral, point)
    if (secret === undefined) {
      throw new DtlsError('key-exchange', 'illegal_parameter', 'the ephemeral key of the device is not on the curve')
    }
    this.#transcript.add(message)
    this.#master = masterSecret(secret, this.clientRandom, this.#serverRandom)
    this.#protection = new RecordProtection({
      end: 'server',
      keyBlock: keyBlock(this.#master, this.clientRandom, this.#serverRandom),
      cid: this.cid,
      sendSequence: 0,
      window: { top: -1, high: 0, low: 0 },
      hotPool: this.#options.hotPool,
    })
    this.#step = this.#publicKey === undefined ? 'finished' : 'certificate-verify'
  }

  #takeCertificateVerify(body: Uint8Array): void {
    const signature = decodeCertificateVerify(body)
    if (signature === undefined || this.#publicKey === undefined) {
      throw new DtlsError('certificate-verify', 'illegal_parameter', 'the device signed with another algorithm')
    }
    let good: boolean
    try {
      good = this.#options.knownKeys.verify(this.#publicKey, this.#transcript.bytes(), signature)
    } catch (cause) {
      throw new DtlsError('certificate', 'bad_certificate', 'the public key of the device is no P-256 key', { cause })
    }
    if (!good) throw new DtlsError('signature', 'decrypt_error', 'the signature of the device is wrong')
  }

  #takeFinished(message: HandshakeMessage, now: Millis): void {
    const protection = this.#protection
    const expected = verifyData(this.#master, 'client', this.#transcript.hash())
    const { body } = message
    if (protection === undefined || body.length !== expected.length || !timingSafeEqual(body, expected)) {
      throw new DtlsError('finished', 'decrypt_error', 'both ends saw different handshakes')
    }
    this.#transcript.add(message)
    const finished = {
      type: handshakeType.finished,
      sequence: this.#messageSequence++,
      body: verifyData(this.#master, 'server', this.#transcript.hash()),
    }
    const parts: FlightPart[] = [{ kind: 'change-cipher-spec' }, { kind: 'protected', message: finished }]
    const lastFlight = this.#makeFlight([], parts)
    this.#step = 'open'
    this.#ended = true
    lastFlight.send(now)
    this.#options.handlers.established({ protection, publicKey: this.#publicKey, lastFlight }, now)
  }

  #receiveEarly(now: Millis): void {
    for (const record of this.#early.splice(0)) this.receive(record, now)
  }

  #refuse(error: unknown): void {
    const refusal =
      error instanceof DtlsError
        ? error
        : new DtlsError('internal', 'internal_error', 'the handshake could not go on', { cause: error })
    this.#alert(refusal.alert)
    this.#fail(refusal)
  }

  #alert(name: AlertName): void {
    this.#send(encodePlainRecord(contentType.alert, this.#sendSequence++, encodeAlert(name)))
  }

  #fail(error: ProtocolError): void {
    this.#ended = true
    this.#options.handlers.failed(this.#step, error)
  }
}

/** A record outlives its datagram only here. */
function copyOf(record: DtlsRecord): DtlsRecord {
  return { ...record, number: record.number.slice(), cid: record.cid?.slice(), body: record.body.slice() }
}
